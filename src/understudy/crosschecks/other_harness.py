"""Runs by itself, in a Python that has the harness: ``other_harness.py HARNESS QUESTIONS.json ANSWERS.json``.

Prompts are asked through a model class of our own; what is checked, and independent of us, is each harness's loop and
its scorers. Nothing of this package is imported, so that the other Python need not have it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

Job = dict[str, Any]
Answers = dict[str, list[Any]]
"""By question: score and completion."""

STATED = r"(?:answer|choice|option)(?:\s+is)?\s*:?\W*([{letters}])\b"
NUMBER = r"(-?[$0-9.,]*[0-9])"
"""The flexible extraction of lm-eval's own GSM8K task: the last number of the text."""


def ask(job: Job, prompt: Any) -> str:
    """The completion of one prompt, text or messages; the key is taken from the environment."""
    body = {key: job[key] for key in ("model", "temperature", "top_p", "max_tokens")}
    is_text = isinstance(prompt, str)
    route, form = ("completions", {"prompt": prompt}) if is_text else ("chat/completions", {"messages": prompt})
    headers, key = {"Content-Type": "application/json"}, os.environ.get("UNDERSTUDY_CROSS_CHECK_KEY")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(f"{job['url']}/v1/{route}", json.dumps({**body, **form}).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as answer:
        choice = json.load(answer)["choices"][0]
    return str((choice["text"] if is_text else choice["message"]["content"]) or "")


def by_inspect(job: Job) -> Answers:
    """Inspect's loop, with its scorers ``match`` and ``pattern``."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelAPI, ModelOutput, modelapi
    from inspect_ai.scorer import match, pattern
    from inspect_ai.solver import generate

    prompts = {str(number): one["prompt"] for number, one in enumerate(job["questions"])}

    @modelapi(name="understudy")
    class Served(ModelAPI):  # type: ignore[misc, unused-ignore]
        """Asks the server that the job names; an input is the number of a question."""

        async def generate(self, input: Any, **_: Any) -> ModelOutput:
            text = await asyncio.to_thread(ask, job, prompts[input[-1].text])
            return ModelOutput.from_content(self.model_name, text)

    extract = STATED.format(letters=job["letters"]) if job["kind"] == "choice" else job["extract"]
    if extract:
        scorer = pattern(r"[\s\S]*" + extract.removeprefix("(?i)"))  # the last place; case is ignored anyway
    else:
        scorer = match(location="end", numeric=job["kind"] == "numeric")
    samples = [
        Sample(id=one["id"], input=str(number), target=_spellings(one["gold"], job))
        for number, one in enumerate(job["questions"])
    ]
    task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=scorer, name="cross_check")
    with tempfile.TemporaryDirectory() as logs:
        (log,) = eval(task, model="understudy/served", display="none", log_dir=logs, max_connections=job["concurrency"])
        if log.status != "success" or not log.samples:
            raise SystemExit(f"inspect-ai ended with {log.status}: {log.error}")
        # Within the folder: samples are read from the log when they are asked for.
        return {
            str(one.id): [float(next(iter(one.scores.values())).value == "C"), one.output.completion]
            for one in log.samples
        }


def _spellings(gold: str, job: Job) -> list[str]:
    """A number also with commas between thousands, and in dollars."""
    if job["kind"] != "numeric" or not gold.lstrip("-").isdigit():
        return [gold]
    plain = [gold, f"{int(gold):,}"]
    return list(dict.fromkeys([*plain, *(f"${one}" for one in plain), *(f"{one}." for one in plain)]))


def by_lm_eval(job: Job) -> Answers:
    """lm-eval's loop on a task of local JSON, with its regular-expression filter and ``exact_match``."""
    import lm_eval
    from lm_eval.api.model import LM

    texts: dict[str, str] = {}

    class Served(LM):  # type: ignore[misc, unused-ignore]
        """Asks the server that the job names; a request's text is the number of a question."""

        def generate_until(self, requests: Any, **_: Any) -> list[str]:
            questions = [job["questions"][int(request.args[0])] for request in requests]
            with ThreadPoolExecutor(job["concurrency"]) as pool:
                found = list(pool.map(lambda question: ask(job, question["prompt"]), questions))
            texts.update((question["id"], text) for question, text in zip(questions, found, strict=True))
            return found

        def loglikelihood(self, requests: Any) -> Any:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: Any) -> Any:
            raise NotImplementedError

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "questions.jsonl"
        rows = [{"number": n, "gold": one["gold"], "id": one["id"]} for n, one in enumerate(job["questions"])]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        outcome = lm_eval.simple_evaluate(Served(), tasks=[_lm_eval_task(job, data)], bootstrap_iters=0)
    samples = outcome["samples"]["cross_check"]
    return {one["doc"]["id"]: [float(one["exact_match"]), texts[one["doc"]["id"]]] for one in samples}


def _lm_eval_task(job: Job, data: Path) -> dict[str, Any]:
    patterns = {
        "numeric": NUMBER,
        "exact": job["extract"] or r"(?s)(.*)",
        "choice": "(?i)" + STATED.format(letters=job["letters"]),
    }
    read = {"function": "regex", "regex_pattern": patterns[job["kind"]], "group_select": -1}
    metric = {
        "metric": "exact_match",
        "aggregation": "mean",
        "higher_is_better": True,
        "ignore_case": True,
        "ignore_punctuation": False,
        "regexes_to_ignore": [",", r"\$", r"\.0*$"],
    }
    return {
        "task": "cross_check",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{number}}",
        "doc_to_target": "{{gold}}",
        "generation_kwargs": {"until": [], "max_gen_toks": job["max_tokens"]},
        "filter_list": [{"name": "read", "filter": [read, {"function": "take_first"}]}],
        "metric_list": [metric],
    }


if __name__ == "__main__":
    harness, questions_file, answers_file = sys.argv[1:]
    run = {"inspect-ai": by_inspect, "lm-eval": by_lm_eval}[harness]
    answers = run(json.loads(Path(questions_file).read_text(encoding="utf-8")))
    Path(answers_file).write_text(json.dumps({"version": version(harness), "answers": answers}), encoding="utf-8")
