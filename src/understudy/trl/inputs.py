"""What a trainer is handed, models and data in memory among it, as folders and files that a recipe can name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from datasets import Dataset, DatasetDict
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from peft import PeftConfig, PeftModel
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from understudy.errors import DataError, ModelError, RecipeError
from understudy.models.locate import check_location, first_line
from understudy.testbed import is_testbed, resolve_model
from understudy.trl.config import DistillationConfig, GKDConfig
from understudy.trl.peft_section import lora_section
from understudy.trl.to_recipe import Inputs, run_folder
from understudy.written_whole import AGAIN, refused_by_disk

AnyModel: TypeAlias = str | Path | PreTrainedModel
AnyData: TypeAlias = Dataset | Mapping[str, Dataset]


def inputs_folder(args: DistillationConfig | GKDConfig) -> Path:
    """Beside the run's folder: models and data that were given in memory, and the recipe made of the arguments."""
    folder = run_folder(args)
    return folder.with_name(f"{folder.name}.inputs")


def keep_inputs(
    args: DistillationConfig | GKDConfig,
    *,
    model: AnyModel,
    teacher_model: AnyModel | None,
    train_dataset: Dataset,
    eval_dataset: AnyData | None,
    processing_class: PreTrainedTokenizerBase | None,
    peft_config: PeftConfig | None,
) -> Inputs:
    """Write what is in memory into ``inputs_folder``; names and folders stay what they are.

    Raises:
        UserMistakeError: a model, a data set or the PEFT config is nothing that a recipe can name.
        DiskError: what is in memory cannot be written.
    """
    folder = inputs_folder(args)
    with refused_by_disk(folder, remedy=AGAIN):
        folder.mkdir(parents=True, exist_ok=True)
    teacher = teacher_model if teacher_model is not None else args.teacher_model_name_or_path
    if teacher is None:
        raise RecipeError("there is no teacher", remedy="Give teacher_model, or teacher_model_name_or_path in args.")
    config = _config_of(model, trust_remote_code=args.trust_remote_code)
    _refuse_dropout(args, config)
    tokenizer = processing_class or _tokenizer_of(model)
    rows = _kept_rows(train_dataset, folder / "train.parquet", name="train_dataset")
    _refuse_too_long(train_dataset, args, tokenizer or AutoTokenizer.from_pretrained(_place(model)))
    return Inputs(
        student=_kept_model(model, folder / "student", tokenizer),
        teacher=_kept_model(teacher, folder / "teacher", tokenizer),
        tokenizer=_kept_tokenizer(model, processing_class, folder / "tokenizer"),
        lora=None if peft_config is None else lora_section(peft_config, model_type=config.model_type),
        data=rows,
        evaluation=keep_evaluation(eval_dataset, folder / "evaluation"),
        num_rows=len(train_dataset),
    )


def keep_evaluation(given: AnyData | None, folder: Path) -> dict[str, Path]:
    """The file in that folder of each evaluation data set, by its suite's name; a single one is called ``eval``."""
    if given is None:
        return {}
    sets = given if isinstance(given, Mapping) else {"eval": given}
    with refused_by_disk(folder, remedy=AGAIN):
        folder.mkdir(exist_ok=True)
    return {name: _kept_rows(rows, folder / f"{name}.parquet", name="eval_dataset") for name, rows in sets.items()}


def _kept_rows(rows: Dataset, file: Path, *, name: str) -> Path:
    if not isinstance(rows, Dataset):
        raise DataError(
            f"{name} is no datasets.Dataset",
            got=type(rows).__name__,
            remedy=f"Take one of its splits: {name}={name}[{next(iter(rows))!r}]."
            if isinstance(rows, DatasetDict) and rows
            else "Dataset.from_list makes one of rows; a stream becomes one by Dataset.from_generator.",
        )
    with _no_bars(), refused_by_disk(file, remedy=AGAIN):
        rows.to_parquet(file)
    return file


@contextmanager
def _no_bars() -> Iterator[None]:
    """The bars of the libraries for what takes a moment would stand among the run's own lines."""
    shown = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not shown:
            enable_progress_bars()


def _kept_model(model: AnyModel, folder: Path, tokenizer: PreTrainedTokenizerBase | None) -> str:
    if isinstance(model, str | Path):
        return str(model)
    if tokenizer is None:
        raise ModelError("a model in memory has no tokenizer", remedy="Give it as processing_class.")
    with refused_by_disk(folder, remedy=AGAIN):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def _kept_tokenizer(model: AnyModel, given: PreTrainedTokenizerBase | None, folder: Path) -> str | None:
    """A tokenizer given beside a model's name; beside a model in memory it is kept in the model's folder."""
    if given is None or not isinstance(model, str | Path):
        return None
    with refused_by_disk(folder, remedy=AGAIN):
        given.save_pretrained(folder)
    return str(folder)


def _tokenizer_of(model: AnyModel) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a model in memory where it came from; None for names, whose folders have their own."""
    if isinstance(model, str | Path):
        return None
    if isinstance(model, PeftModel):
        raise ModelError(
            "model is a PeftModel", remedy="Give its base model with peft_config, or merge_and_unload() it."
        )
    name = model.config.name_or_path
    return AutoTokenizer.from_pretrained(name) if name else None


def _config_of(model: AnyModel, *, trust_remote_code: bool) -> PreTrainedConfig:
    if not isinstance(model, str | Path):
        return model.config
    where = _place(model)
    check_location(where)
    try:
        return AutoConfig.from_pretrained(where, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(f"{where} cannot be loaded", got=first_line(error)) from error


def _place(model: AnyModel) -> str:
    """Folder or hub name of a model that was named."""
    return str(resolve_model(str(model)) if is_testbed(str(model)) else model)


def _refuse_too_long(rows: Dataset, args: DistillationConfig | GKDConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """GKD's ``max_length`` would cut a row; what is cut is not learned, so it is refused."""
    limit = args.max_length if isinstance(args, GKDConfig) else None
    if limit is None:
        return
    for number, row in enumerate(rows):
        length = len(tokenizer(" ".join(_texts(row)), add_special_tokens=False).input_ids)
        if length > limit:
            raise DataError(
                f"row {number} of train_dataset is longer than max_length",
                got=f"{length} tokens",
                expected=f"at most {limit}",
                remedy="Leave such rows out, or raise max_length.",
            )


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    """What is read of a row: its prompt and completion, texts or messages."""
    for value in (row.get(name) for name in ("prompt", "completion", "messages")):
        for part in value if isinstance(value, list) else [value]:
            text = part.get("content") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                yield text


def _refuse_dropout(args: DistillationConfig | GKDConfig, config: PreTrainedConfig) -> None:
    """Dropout is always off here; a student that has some would train differently unseen."""
    settings: Mapping[str, Any] = config.to_dict()
    has = [name for name, value in settings.items() if _is_dropout(name) and isinstance(value, float) and value > 0]
    if has and not args.disable_dropout:
        raise RecipeError(
            f"the student's config has {', '.join(has)}, and students train without dropout here",
            remedy="Set disable_dropout=True.",
        )


def _is_dropout(name: str) -> bool:
    return "dropout" in name or name.endswith(("_drop", "pdrop"))
