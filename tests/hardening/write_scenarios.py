"""What writes and can be gone on with, in the smallest size: each is struck at all its write points.

``benchmarks/faults.py`` strikes at every point, ``test_write_points.py`` at a few. A scenario is a real command, or the
function that the command calls.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.hardening.measuring_scenarios import evaluation, grading, pairwise, testbed_models
from tests.hardening.scenario import Scenario, at_home, names_in, new_folder_of


def training_loop() -> Scenario:
    """Three steps, a checkpoint and an evaluation after each second, rollouts at each: a fraction of a second."""
    from tests.training.tiny_run import go, parts_of

    def run(path: Path, resume: bool) -> None:
        go(path, parts_of(3), resume=resume)

    return Scenario(run, left_by)


def training_command() -> Scenario:
    """``understudy train`` on a tiny recipe: models, data, teacher's and student's evaluation, report, model card."""
    import understudy as us
    from tests.tiny_files import make_workplace
    from understudy.training.progress import Silent

    place = make_workplace(new_folder_of("train"))
    overrides = ["steps=1", "checkpoint.every=1", "evaluation.every=1"]  # every kind of write, as few as there can be

    def run(path: Path, resume: bool) -> None:
        where = [f"name={path.name}", f"output={path.parent}"]
        us.train(place.path / "tiny.yaml", [*overrides, *where], resume=resume, display=Silent())

    def facts(path: Path) -> Any:
        return left_by(path), json.loads((path / "summary.json").read_text())["suites"]

    return Scenario(run, facts)


def stored_scores() -> Scenario:
    """``understudy score``: of what the student writes itself, and of a run's rollouts, with candidates."""
    import understudy as us
    from tests.tiny_files import files_of, make_workplace
    from understudy import offline
    from understudy.recipe import recipe_from
    from understudy.training.progress import Silent

    place = make_workplace(new_folder_of("score"))
    plain = {"evaluation": {}, "steps": 2}
    written = recipe_from(place.recipe(**plain, objective={"method": "lightning"}))
    run = us.train(recipe_from(place.recipe(**plain)), display=Silent())

    def go(path: Path, _: bool) -> None:
        offline.score(written, path / "written")
        offline.score(run.recipe, path / "of-a-run", rollouts=run.path / "rollouts", top_k=3)

    return Scenario(go, files_of)


def small_files() -> Scenario:
    """``office new``, ``office rows``, and the data sets and corpora that recipes read."""
    from tests.tiny_files import files_of
    from understudy.build.offices import write_rows
    from understudy.environments.household import save_tasks, tiny_household_tasks
    from understudy.environments.search_qa.tasks import write_corpus
    from understudy.environments.search_qa.tasks import write_rows as write_questions
    from understudy.environments.shop import synthetic_catalogue
    from understudy.environments.shop.published import write_published
    from understudy.office import new_folder
    from understudy.protocols import Task
    from understudy.tasks.retrieval import Document

    catalogue = synthetic_catalogue(3)
    questions = [Task("1", "?", {"question": "?", "golden_answers": ["x"]})]

    def go(path: Path, _: bool) -> None:
        if not (path / "tasks" / "example" / "references" / "expenses.csv").is_file():
            new_folder(path / "tasks")
        write_rows(path / "tasks", path / "rows.jsonl")
        write_questions(questions, path / "questions.jsonl")
        write_corpus([Document("1", "Moon")], path / "corpus.jsonl")
        write_published(catalogue, path / "shop")
        save_tasks(path / "games.jsonl", tiny_household_tasks("train", 1))

    return Scenario(go, files_of)


def corpus_index() -> Scenario:
    """The index that ``understudy retrieve`` and ``search_qa`` make of a corpus at first use."""
    from understudy.tasks.retrieval import build_index, is_index_of, open_index
    from understudy.testbed.cache import cached_folder

    corpus = new_folder_of("corpus") / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"id": n, "contents": f"Moon {n}"}) + "\n" for n in range(3)))

    def go(path: Path, _: bool) -> None:
        # As corpus_retriever does, which keeps the index beside the corpus.
        folder = cached_folder(
            path / "corpus.bm25", make=partial(build_index, corpus), is_whole=partial(is_index_of, corpus)
        )
        open_index(corpus, folder).retrieve(["moon"], top_k=1)

    def facts(path: Path) -> object:
        hits = open_index(corpus, path / "corpus.bm25").retrieve(["moon 2", "1"], top_k=2)
        return names_in(path), [[hit.document.id for hit in each] for each in hits]

    return Scenario(go, facts)


def office_run() -> Scenario:
    """``understudy office run``: two tasks, whose agent makes files and hands them in."""
    from tests.environments.tools.scripted_model import save_scripted
    from tests.environments.tools.speaking import call
    from understudy.environments.tools import Rules
    from understudy.office import RunSettings, new_folder, run_office
    from understudy.office.seating import Speaking, local_player
    from understudy.tasks.office import load_office_tasks
    from understudy.training.progress import Silent

    place = new_folder_of("office")
    tasks = new_folder(place / "tasks")
    shutil.copytree(tasks / "example", tasks / "second")
    said = [
        call("code_exec", cmd="mkdir more; echo hotel > note.md; echo x > more/x.txt"),
        call("finish", reason="done", paths=["note.md", "more/x.txt"]),
    ]
    model = save_scripted(place / "model", said, growing=True)
    player = local_player(str(model), Rules(max_turns=3), Speaking(), notice=str)
    loaded = load_office_tasks(tasks)

    def go(path: Path, _: bool) -> None:
        run_office(loaded.tasks, player, path, settings=RunSettings(player.rules), display=Silent(), name="run")

    def facts(path: Path) -> object:
        results = json.loads((path / "results.json").read_text())
        told = [{key: value for key, value in task.items() if key != "seconds"} for task in results["tasks"]]
        kept = {file.name: file.read_text() for file in sorted(path.rglob("deliverables/**/*")) if file.is_file()}
        return names_in(path), told, results["missing"], kept

    return Scenario(go, facts)


def office_study() -> Scenario:
    """``understudy office-study`` of models that know nothing; its training is the scenario ``train``'s to strike."""
    from dataclasses import replace

    from tests.study.test_study import SMALL, TINY
    from understudy.study import run_study
    from understudy.testbed.models import Schooling
    from understudy.testbed.schooling import new_model
    from understudy.testbed.subjects import SUBJECTS
    from understudy.training.progress import Silent

    model = new_folder_of("study")
    tokenizer = SUBJECTS["tiny-office"].build_tokenizer()
    tokenizer.save_pretrained(model)
    new_model(Schooling(TINY, foreign_share=0.0, steps=1, subject="tiny-office"), tokenizer).save_pretrained(model)
    settings = replace(SMALL, num_tasks=2, num_questions=2, student=str(model), teacher=str(model))

    def go(path: Path, _: bool) -> None:
        run_study(path, settings, Silent())

    def facts(path: Path) -> object:
        names = [name for name in names_in(path) if not name.startswith("run/")]
        results = [json.loads((path / name / "results.json").read_text()) for name in ("teacher", "base", "distilled")]
        return names, [one["tasks"] for one in results], json.loads((path / "summary.json").read_text())

    return Scenario(go, facts, elsewhere="run/")


def bench_methods() -> Scenario:
    """``understudy bench methods``: experts told and merged, models measured, tables and page."""
    from tests.bench.hand_made import tiny_setting
    from understudy.bench import settings
    from understudy.bench.methods import compare_methods
    from understudy.bench.order import Order, Scale
    from understudy.testbed import datasets
    from understudy.training.progress import Silent

    home = new_folder_of("bench")
    with at_home(home):
        setting = tiny_setting(home, merges=True)
    scale = Scale(seeds=1, problems=2, validation_problems=2, probe_every=1, probe_problems=1, steps=1)

    def go(path: Path, _: bool) -> None:
        tasks, datasets._CUTS["train"] = datasets._CUTS["train"], ("train", 0, 4)  # type: ignore[index]
        settings.SETTINGS["tiny"] = setting  # type: ignore[index]
        try:
            with at_home(home):
                compare_methods(Order("tiny", scale=scale, out=path, processes=1), display=Silent())
        finally:
            datasets._CUTS["train"] = tasks  # type: ignore[index]
            del settings.SETTINGS["tiny"]  # type: ignore[attr-defined]

    return Scenario(go, _compared, elsewhere="runs/")


def bench_agents() -> Scenario:
    """``understudy bench agents``: one method, its best weights kept on the way."""
    from tests.bench.agents.hand_made import tiny_house
    from understudy.bench.agents.compare import Order, compare_agents
    from understudy.bench.agents.contenders import chosen
    from understudy.bench.agents.house import Scale
    from understudy.training.progress import Silent

    home = new_folder_of("bench-agents")
    with at_home(home):
        house = tiny_house()
    scale = Scale(steps=1, seeds=1, games=2, validation_games=1, validate_every=1, rollouts_every=1)

    def go(path: Path, _: bool) -> None:
        with at_home(home):
            order = Order(chosen(("atod",)), scale=scale, out=path, processes=1, house=house)
            compare_agents(order, display=Silent())

    return Scenario(go, _compared, elsewhere="runs/[^/]*/(?!best)")


def trl_trainer() -> Scenario:
    """A script for TRL's trainer: models and data in memory, kept beside the run, whose own writes are ``train``'s."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.tiny_files import make_workplace
    from understudy.trl import DistillationConfig, DistillationTrainer

    place = make_workplace(new_folder_of("trl"))
    rows = Dataset.from_list([{"prompt": f"w{2 + n} w{3 + n}"} for n in range(4)])
    sizes = {"per_device_train_batch_size": 4, "max_steps": 1, "max_completion_length": 3}

    def go(path: Path, resume: bool) -> None:
        student, teacher = (
            AutoModelForCausalLM.from_pretrained(place.path / name, dtype="float32") for name in ("student", "teacher")
        )
        tokenizer = AutoTokenizer.from_pretrained(place.path / "student")
        args = DistillationConfig(output_dir=str(path / "run"), disable_tqdm=True, **sizes)
        trainer = DistillationTrainer(student, teacher, args, rows, eval_dataset=rows, processing_class=tokenizer)
        trainer.train(resume_from_checkpoint=resume and (path / "run" / "recipe.yaml").exists())
        trainer.save_model(path / "saved")

    def facts(path: Path) -> object:
        weights = {file.name: file.read_bytes() for file in sorted((path / "saved").glob("*.safetensors"))}
        return [name for name in names_in(path) if not name.startswith("run/")], weights

    return Scenario(go, facts, elsewhere="run/")


def launch() -> Scenario:
    """``understudy launch`` of a light server and a trainer: its notes, logs and locks."""
    from tests.launching.light import server, trainer
    from understudy.launching.launching import run_launch
    from understudy.launching.layout import Layout
    from understudy.launching.supervising import Bounds

    def go(path: Path, resume: bool) -> None:
        one = server()
        ports = {one.name: int(str(one.url).rpartition(":")[2])}
        end = trainer("open(sys.argv[1], 'w').write('done')", path / "done.txt")
        layout = Layout(("localhost",), (one, end), path, 1, ports)
        ended = run_launch(layout, bounds=Bounds(1, 30.0, 2.0), resume=resume, say=lambda _: None)
        assert ended.status == 0

    return Scenario(go, names_in)


def left_by(path: Path) -> Any:
    """Of a run's folder: its last checkpoint, faults of that, metrics, names of files, and weights."""
    from benchmarks.kill_resume import metrics_of

    from understudy.training.checkpoint import faults_of, folder_of, steps_of

    checkpoints = path / "checkpoints"
    last = folder_of(checkpoints, steps_of(checkpoints)[-1])
    weights = {str(file.relative_to(last)): file.read_bytes() for file in sorted(last.rglob("*.safetensors"))}
    return faults_of(last), last.name, metrics_of(path), names_in(path), weights


def _compared(path: Path) -> object:
    """Of a bench's folder: names of files, and what each run and model came to."""
    content = json.loads((path / "results.json").read_text())
    told = {key: content[key] for key in ("rows", "runs", "measured")}
    weights = {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("best/**/*.safetensors"))}
    return names_in(path), _without_times(told), weights


def _without_times(value: Any) -> Any:
    times = ("seconds", "seconds_a_step", "phases")
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key not in times}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "loop": training_loop,
    "train": training_command,
    "score": stored_scores,
    "files": small_files,
    "index": corpus_index,
    "office": office_run,
    "study": office_study,
    "bench": bench_methods,
    "agents": bench_agents,
    "launch": launch,
    "trl": trl_trainer,
    "evaluate": evaluation,
    "grade": grading,
    "pairwise": pairwise,
    "models": testbed_models,
}
