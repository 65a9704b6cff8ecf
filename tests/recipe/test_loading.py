from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import RecipeError
from understudy.objectives.methods.opd import OPD
from understudy.recipe import Recipe, differences, elsewhere, load_recipe, recipe_from, to_yaml
from understudy.recipe.sections import sections

MINIMAL = """
student: {model: small}
teacher: {model: big}
data: {dataset: train.jsonl, prompt: "{question}", verifier: numeric}
objective: {method: opd}
steps: 5
evaluation:
  suites:
    - testbed/greedy
    - {name: held-out, dataset: test.jsonl, num_samples: 4}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "first-run.yaml"
    file.write_text(MINIMAL)
    return file


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_minimal_recipe_has_the_documented_defaults(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == "first-run"
    assert recipe.run_directory == Path("runs/first-run")
    assert (recipe.seed, recipe.student.lora, recipe.reference) == (0, None, None)
    assert (recipe.rollout.prompts_per_step, recipe.rollout.num_generations) == (16, 4)
    assert (recipe.optimizer.betas, recipe.optimizer.max_grad_norm) == ((0.9, 0.95), 1.0)
    assert recipe.data.verifier.kind == "numeric"
    assert recipe.evaluation.suite_names == ("testbed/greedy", "held-out")


def test_lora_alpha_is_twice_the_rank_unless_given(path: Path) -> None:
    lora = load_recipe(path, ["student.lora.rank=8"]).student.lora
    assert lora is not None and lora.resolved_alpha == 16
    lora = load_recipe(path, ["student.lora={rank: 8, alpha: 4}"]).student.lora
    assert lora is not None and lora.resolved_alpha == 4


def test_shorthands_stand_for_their_sections(path: Path) -> None:
    recipe = load_recipe(path, ["reference=initial", "data.verifier=exact"])
    assert recipe.reference is not None and recipe.reference.model == "initial"
    assert recipe.data.verifier.kind == "exact"


def test_the_name_of_a_method_stands_for_its_section(path: Path) -> None:
    assert load_recipe(path, ["objective=gkd"]) == load_recipe(path, ["objective={method: gkd}"])


@pytest.mark.parametrize(
    ("short", "more", "whole"),
    [
        ("objective=gkd", "objective.beta=0.25", "objective={method: gkd, beta: 0.25}"),
        ("objective=gkd", "objective.method=opd", "objective=opd"),
        ("data.verifier=exact", "data.verifier.ignore_case=true", "data.verifier={kind: exact, ignore_case: true}"),
        ("environment=single_turn", "environment.kind=household", "environment={kind: household}"),
        ("reference=initial", "reference.dtype=bfloat16", "reference={model: initial, dtype: bfloat16}"),
        ("rollout.sampler=vllm", "rollout.sampler.enforce_eager=true", "rollout.sampler={enforce_eager: true}"),
    ],
)
def test_a_field_of_a_section_that_a_name_stands_for(path: Path, short: str, more: str, whole: str) -> None:
    turns = "rollout.max_turns=99"
    assert load_recipe(path, [turns, short, more]) == load_recipe(path, [turns, whole])


def test_a_recipe_cannot_be_changed(path: Path) -> None:
    recipe = load_recipe(path)
    with pytest.raises(ValueError, match="frozen"):
        recipe.steps = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rollout.num_generations=0", ["rollout.num_generations", "got 0", "at least 1"]),
        ("rollout.temperature=0", ["rollout.temperature", "got 0", "greater than 0 and at most 10"]),
        ("rollout.temperature=11", ["rollout.temperature", "got 11", "greater than 0 and at most 10"]),
        ("rollout.temperature=.nan", ["rollout.temperature", "got nan", "finite"]),
        ("rollout.temprature=1", ["section rollout has no field 'temprature'", "Did you mean rollout.temperature?"]),
        ("rollout.top_p=0", ["rollout.top_p", "greater than 0 and at most 1"]),
        ("rollout.top_k=-1", ["rollout.top_k", "at least 0"]),
        ("studnet={model: x}", ["has no field 'studnet'", "Did you mean student?"]),
        ("objective.method=odp", ["objective.method", "'odp'", "sft", "gkd", "Did you mean opd?"]),
        ("objective={}", ["objective.method is missing", "opd"]),
        ("objective.method=null", ["objective.method", "opd"]),
        ("objective.coeficient=1", ["section objective has no field 'coeficient'", "objective.coefficient?"]),
        ("objective.lmbda=1", ["section objective has no field 'lmbda'"]),
        ("steps=true", ["steps", "got true", "a whole number"]),
        ("steps=1.5", ["steps", "got 1.5", "a whole number"]),
        ("steps='7'", ["steps", "got '7'", "a whole number"]),
        ("student=null", ["student", "got null", "a section with model"]),
        ("student.model=", ["student.model", "got null", "a string"]),
        ("student.dtype=float16", ["student.dtype", "'float32' or 'bfloat16'"]),
        ("student.trust_remote_code=perhaps", ["student.trust_remote_code", "true or false"]),
        ("teacher=big", ["teacher", "got 'big'", "a section with model"]),
        ("data.verifier=exat", ["data.verifier", "'exat'", "'exact'"]),
        ("data.verifier={kind: exact, extract: '(('}", ["data.verifier.extract", "regular expression"]),
        ("data.verifier={kind: exact, extract: abc}", ["data.verifier.extract", "a group"]),
        ("evaluation.suites.1.num_samples=0", ["evaluation.suites.1.num_samples", "at least 1"]),
        ("evaluation.suites.1.num_sample=1", ["evaluation.suites.1", "Did you mean evaluation.suites.1.num_samples?"]),
        ("evaluation.suites=[a, a]", ["two suites are called 'a'"]),
        ("checkpoint.keep_best=nowhere", ["keep_best", "'nowhere'", "held-out"]),
        ("evaluation.stop_after=3", ["stop_after", "keep_best names no suite"]),
        ("optimizer.learning_rate=-1", ["optimizer.learning_rate", "greater than 0"]),
        ("optimizer.betas=[0.9]", ["optimizer.betas.1 is missing"]),
        ("engine.kind=clutser", ["engine.kind", "local, cluster", "Did you mean cluster?"]),
        ("name=a/b", ["name", "'a/b'", "without slashes"]),
        ("name=..", ["name", "'..'"]),
        ("seed=-1", ["seed", "at least 0"]),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(path: Path, override: str, said: list[str]) -> None:
    message = refused(path, override)
    assert str(path) in message
    for part in said:
        assert part in message


@pytest.mark.parametrize("key", ["student", "data", "objective", "steps"])
def test_a_missing_required_key_is_named(path: Path, key: str) -> None:
    text = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(key))
    path.write_text(text)
    assert f"field {key} is missing" in refused(path)


def test_a_misspelt_required_key_is_told_once(path: Path) -> None:
    path.write_text(MINIMAL.replace("student:", "studnet:"))
    message = refused(path)
    assert "Did you mean student?" in message and "Also wrong" not in message


def test_several_problems_are_told_together(path: Path) -> None:
    message = refused(path, "steps=0", "rollout.num_generations=0", "rolout={}")
    assert "rolout" in message and "steps" in message and "rollout.num_generations" in message


def test_a_missing_file_names_the_nearest(path: Path) -> None:
    assert f"Did you mean {path}?" in refused(path.with_name("first-rnu.yaml"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "just words"])
def test_a_file_without_keys_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    assert "student" in refused(path)


def test_yaml_errors_name_the_line(path: Path) -> None:
    path.write_text("steps: 1\nstudent: {model: x\nseed: 1\n")
    assert f"{path}, line 3: not valid YAML" in refused(path)
    path.write_text("steps: 1\nseed: 2\nsteps: 3\n")
    assert f"{path}, line 3: not valid YAML: key 'steps' stands twice" in refused(path)


def test_a_file_that_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00steps")
    assert "UTF-8" in refused(path)
    assert "cannot be read" in refused(path.parent)


def test_the_resolved_recipe_reads_back_equal(path: Path) -> None:
    recipe = load_recipe(path, ["optimizer.eps=1e-12", "student.chat_template_kwargs={thinking: false}", "name='1e3'"])
    copy = path.with_name("resolved.yaml")
    copy.write_text(to_yaml(recipe))
    assert load_recipe(copy) == recipe


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
RAW = st.fixed_dictionaries(
    {
        "student": st.fixed_dictionaries(
            {"model": TEXTS, "chat_template_kwargs": st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers())}
        ),
        "data": st.fixed_dictionaries({"dataset": TEXTS, "prompt": TEXTS, "shuffle": st.booleans()}),
        "objective": st.sampled_from([{"method": "opd"}, {"method": "gkd", "beta": 0.25}, {"method": "sft"}]),
        "optimizer": st.fixed_dictionaries({"learning_rate": st.floats(min_value=1e-30, max_value=1e30)}),
        "steps": st.integers(min_value=1, max_value=10**12),
        "output": TEXTS,
    }
)


@settings(deadline=None, max_examples=80)
@given(raw=RAW)
def test_any_recipe_survives_writing_and_reading(raw: dict, tmp_path_factory: pytest.TempPathFactory) -> None:
    recipe = recipe_from({**raw, "name": "x"})
    file = tmp_path_factory.mktemp("round-trip") / "recipe.yaml"
    file.write_text(to_yaml(recipe), encoding="utf-8")
    assert load_recipe(file) == recipe
    assert differences(recipe, load_recipe(file)) == []


@settings(deadline=None, max_examples=120)
@given(
    text=st.text(max_size=200)
    | st.text("{}[]:,-*&!|>%@`'\"#\n \tab1.?<", max_size=60)
    | st.builds(lambda text, cut: text[:cut], st.just(MINIMAL), st.integers(0, len(MINIMAL)))
)
def test_garbage_raises_nothing_but_a_recipe_error(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("garbage") / "recipe.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_recipe(file)
    except RecipeError as error:
        assert str(error)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=120)
@given(key=st.sampled_from(list(Recipe.model_fields)), value=VALUES)
def test_any_value_in_any_section_is_taken_or_refused_by_name(key: str, value: object) -> None:
    raw = {"student": {"model": "a"}, "data": {"dataset": "b"}, "objective": {"method": "opd"}, "steps": 1, key: value}
    try:
        recipe_from(raw)
    except RecipeError as error:
        assert key in str(error)


def test_a_field_that_python_cannot_name_is_written_and_read_as_in_the_paper(path: Path) -> None:
    path.write_text(MINIMAL.replace("{method: opd}", "{method: gopd, lambda: 0.5}"))
    recipe, other = load_recipe(path), load_recipe(path, ["objective.lambda=1.1"])
    assert [recipe.objective.lambda_, other.objective.lambda_] == [0.5, 1.1]  # type: ignore[attr-defined]
    assert differences(recipe, other) == ["objective.lambda: 0.5 -> 1.1"]
    copy = path.with_name("resolved.yaml")
    copy.write_text(to_yaml(other))
    assert "  lambda: 1.1\n" in copy.read_text() and "lambda_" not in copy.read_text()
    assert load_recipe(copy, ["name=first-run"]) == other
    assert "Did you mean objective.lambda?" in refused(path, "objective.lamda=1")


@pytest.mark.parametrize("value", [".inf", ".nan", "-1"])
def test_a_number_of_a_method_is_finite_and_in_its_range(path: Path, value: str) -> None:
    message = refused(path, f"objective={{method: gopd, lambda: {value}}}")
    assert "objective.lambda" in message and "at least 0" in message


def test_an_infinite_threshold_is_written_and_read(path: Path) -> None:
    recipe = load_recipe(path, ["objective={method: eopd, tau: .inf}"])
    copy = path.with_name("resolved.yaml")
    copy.write_text(to_yaml(recipe))
    assert load_recipe(copy) == recipe
    assert recipe.objective.tau == float("inf")  # type: ignore[attr-defined]


def test_differences_name_field_and_both_values(path: Path) -> None:
    old = load_recipe(path)
    new = load_recipe(path, ["optimizer.learning_rate=0.5", "evaluation.suites.1.num_samples=8", "teacher=null"])
    assert differences(old, old) == []
    assert differences(old, new) == [
        "teacher: {'model': 'big', 'dtype': 'float32', 'trust_remote_code': False, 'weights': None, 'view': [], "
        "'cache': False, 'align': False} -> null",
        "optimizer.learning_rate: 0.0001 -> 0.5",
        "evaluation.suites.1.num_samples: 4 -> 8",
    ]


def test_every_field_that_another_program_s_name_leads_to_is_one() -> None:
    ours = {f"{one.path}.{field.name}".strip(".") for one in sections() for field in one.fields}
    methods = {f"objective.{name}" for name in ("coefficient", "discount")}  # fields of single methods
    assert set(elsewhere._OURS) - methods <= ours
    assert methods <= {f"objective.{name}" for name in OPD.model_fields}
