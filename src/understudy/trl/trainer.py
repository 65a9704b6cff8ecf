"""``DistillationTrainer`` and ``GKDTrainer`` with TRL's constructors, over a recipe and ``understudy.train``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from datasets import Dataset
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, TrainerState
from transformers.trainer_utils import TrainOutput

from understudy.api import Run, train
from understudy.build import assemble
from understudy.errors import RecipeError, RunDirectoryError
from understudy.evaluation.examination import examine
from understudy.publishing import Published
from understudy.recipe import Recipe, load_recipe, recipe_from
from understudy.training import metric_lines
from understudy.training.progress import Display, Silent, display_on
from understudy.trl.accelerator import Accelerator
from understudy.trl.config import DistillationConfig, GKDConfig
from understudy.trl.inputs import AnyData, AnyModel, inputs_folder, keep_evaluation, keep_inputs
from understudy.trl.refusals import no_counterpart, refuse
from understudy.trl.to_recipe import recipe_of, suites_of
from understudy.written_whole import AGAIN, refused_by_disk, write_whole


class DistillationTrainer:
    """Trains a student on its own completions to be like its teacher, as TRL's class of this name does.

    What it is given becomes a recipe, kept in ``OUTPUT_DIR.inputs/recipe.yaml`` with the models and data that were in
    memory; the run is the folder ``output_dir``. ``understudy.trl.fields`` says what becomes of each argument.

    Args:
        model, teacher_model: a name, a folder or a module. A module that is given ends trained.
        args: see ``DistillationConfig``. train_dataset: with a column ``prompt``, of texts or lists of messages.
        eval_dataset: the same, one or several by name. processing_class: the tokenizer; None takes the model's.
        peft_config: a ``LoraConfig``; None trains every weight.
        callbacks, optimizers, quantization_config, tools: refused when given.
        overrides: changes to the recipe, ``objective={method: opd}`` and the like; what TRL has no argument for.
    Raises:
        UserMistakeError: an argument has no counterpart here, or what is given cannot be used.
    """

    _config_class: type[DistillationConfig] | type[GKDConfig] = DistillationConfig

    def __init__(
        self,
        model: AnyModel,
        teacher_model: AnyModel | None = None,
        args: DistillationConfig | GKDConfig | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: AnyData | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: Sequence[object] | None = None,
        optimizers: tuple[object, object] = (None, None),
        quantization_config: object | None = None,
        peft_config: PeftConfig | None = None,
        tools: Sequence[object] | None = None,
        *,
        overrides: Sequence[str] = (),
    ) -> None:
        refuse(callbacks=callbacks, quantization_config=quantization_config, tools=tools)
        refuse(optimizers=None if optimizers == (None, None) else optimizers)
        self.args = args if args is not None else self._config_class()
        if type(self.args) is not self._config_class:
            raise RecipeError(
                "args is another config",
                got=f"{type(self.args).__module__}.{type(self.args).__name__}",
                expected=f"understudy.trl.{self._config_class.__name__}",
            )
        if train_dataset is None:
            raise RecipeError("there is no train_dataset")
        self._given: AnyModel | PeftModel = model
        self._tokenizer = processing_class
        self._inputs = keep_inputs(
            self.args,
            model=model,
            teacher_model=teacher_model,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            peft_config=peft_config,
        )
        file = inputs_folder(self.args) / "recipe.yaml"
        write_whole(file, yaml.safe_dump(recipe_of(self.args, self._inputs), sort_keys=False), remedy=AGAIN)
        self.recipe: Recipe = load_recipe(file, overrides)
        self.run: Run | None = None
        self.state = TrainerState(max_steps=self.recipe.steps)

    def train(self, resume_from_checkpoint: bool | None = None) -> TrainOutput:
        """Train to the end; with ``resume_from_checkpoint=True`` from the last checkpoint in ``output_dir``.

        Raises:
            UnderstudyError: see ``understudy.train``.
        """
        resume = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        if not isinstance(resume, bool | None):
            raise RecipeError(
                "resume_from_checkpoint is a path", got=repr(resume), expected="True: the last one in output_dir"
            )
        folder = self.recipe.run_directory
        if not resume and folder.is_dir() and any(folder.iterdir()):
            raise RunDirectoryError(
                f"{folder} exists, and is not empty",
                remedy="train(resume_from_checkpoint=True) goes on with it; or give another output_dir, or delete it.",
            )
        self.run = train(self.recipe, resume=bool(resume), display=self._display())
        lines = [_known(line) for line in metric_lines.read(self.run.path / "metrics.jsonl")]
        self.state = TrainerState(global_step=self.run.outcome.step, max_steps=self.recipe.steps, log_history=lines)
        self._give_back()
        if self.args.push_to_hub and self.run.summary is not None:
            self.push_to_hub()
        losses = [line["loss"] for line in lines if "loss" in line]
        mean = sum(losses) / max(1, len(losses))
        return TrainOutput(self.run.outcome.step, mean, {"train_loss": mean, "train_runtime": self.run.outcome.seconds})

    def evaluate(self, eval_dataset: AnyData | None = None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """Mean log-ratio of student to teacher on fresh answers: their reverse KL in nats a token, with its interval.

        TRL's ``eval_loss`` is the same quantity where ``beta`` is 1, summed over the vocabulary.

        Raises:
            RecipeError: there is no eval_dataset.
        """
        inputs = self._inputs
        # Beside those of the constructor, which later evaluations are to read as they are.
        asked = inputs_folder(self.args) / "asked"
        sets = inputs.evaluation if eval_dataset is None else keep_evaluation(eval_dataset, asked)
        if not sets:
            raise RecipeError("there is no eval_dataset to evaluate on")
        recipe = self._as_it_stands(suites_of(type(inputs)(**{**vars(inputs), "evaluation": sets})))
        assembly = assemble(recipe)
        figures: dict[str, float] = {}
        for exam in assembly.exams:
            estimate = examine(exam, assembly.student, seed=recipe.seed, progress=None).estimate
            name = "" if exam.suite.name == "eval" else f"_{exam.suite.name}"
            figures[f"{metric_key_prefix}{name}_reverse_kl"] = estimate.mean
            figures[f"{metric_key_prefix}{name}_reverse_kl_low"] = estimate.low
            figures[f"{metric_key_prefix}{name}_reverse_kl_high"] = estimate.high
        return figures

    def save_model(self, output_dir: str | Path | None = None) -> None:
        """Copy the newest weights, with tokenizer and card, to ``output_dir``, or to ``final/`` in the run's folder.

        Raises:
            DiskError: it cannot be written.
        """
        run = self._ended()
        assert run.model is not None
        target = Path(output_dir) if output_dir is not None else run.path / "final"
        with refused_by_disk(target, remedy=f"Make room or give permission; {run.model} has the weights."):
            shutil.copytree(run.model, target, dirs_exist_ok=True)

    def save_state(self) -> None:
        """Nothing: the state that transformers would write is in the run's folder at every checkpoint."""

    def push_to_hub(
        self,
        repo_id: str | None = None,
        *,
        private: bool | None = None,
        dataset_name: object = None,  # noqa: ARG002
    ) -> Published:
        """Push the newest weights with their card, recipe and summary to ``repo_id``, or to args' ``hub_model_id``.

        Args:
            dataset_name: changes nothing: the card names the data of the recipe.
        Raises:
            RecipeError: neither is given. UnderstudyError: the hub does not take it.
        """
        repo = repo_id or self.args.hub_model_id
        if repo is None:
            raise RecipeError("there is no name to push to", remedy="Set hub_model_id to OWNER/NAME.")
        wanted = self.args.hub_private_repo if private is None else private
        return self._ended().push_to_hub(repo, private=bool(wanted))

    @property
    def processing_class(self) -> PreTrainedTokenizerBase:
        """The tokenizer: the one that was given, or the student's."""
        if self._tokenizer is None:
            self._tokenizer = AutoTokenizer.from_pretrained(self.recipe.student.tokenizer or self.recipe.student.model)
        return self._tokenizer

    @property
    def accelerator(self) -> Accelerator:
        """Who speaks, of several ranks."""
        return Accelerator(self.is_world_process_zero())

    def is_world_process_zero(self) -> bool:
        """Whether this process, of all ranks, writes the run."""
        return self.run is None or self.run.is_first

    if not TYPE_CHECKING:  # a checker is to find what is not here

        def __getattr__(self, name: str) -> NoReturn:
            raise no_counterpart(self, name)

    @property
    def model(self) -> PreTrainedModel | PeftModel:
        """The student: the module that was given, trained once ``train`` has ended; of a name, its newest weights."""
        if isinstance(self._given, PreTrainedModel | PeftModel):
            return self._given
        weights = self.run.model if self.run is not None else None
        if weights is not None and weights.name == "adapter":
            base = AutoModelForCausalLM.from_pretrained(str(self._given), dtype="float32")
            return PeftModel.from_pretrained(base, weights)
        return AutoModelForCausalLM.from_pretrained(weights or str(self._given), dtype="float32")

    def _give_back(self) -> None:
        """Put what was learned into a module that was given."""
        weights = self.run.model if self.run is not None else None
        if weights is None or not isinstance(self._given, PreTrainedModel):
            return
        if weights.name == "adapter":
            self._given = PeftModel.from_pretrained(self._given, weights)
        else:
            learned = type(self._given).from_pretrained(weights, dtype=self._given.dtype)
            self._given.load_state_dict(learned.state_dict())

    def _as_it_stands(self, suites: list[dict[str, Any]]) -> Recipe:
        """The recipe with the student as it is now, and these suites."""
        content: dict[str, Any] = json.loads(self.recipe.model_dump_json(by_alias=True))
        content["evaluation"] = {"suites": suites, "teacher": False}
        content["checkpoint"] = {}
        weights = self.run.model if self.run is not None else None
        if weights is not None:
            content["student"] |= {"model": str(weights), "lora": None, "tokenizer": None}
        return recipe_from(content, source="evaluate()")

    def _ended(self) -> Run:
        if self.run is None or self.run.model is None:
            raise RunDirectoryError("there are no trained weights yet", remedy="Call train() first.")
        return self.run

    def _display(self) -> Display:
        return Silent() if self.args.disable_tqdm else display_on(sys.stderr)


class GKDTrainer(DistillationTrainer):
    """The same with the arguments of TRL's experimental ``GKDTrainer``: some prompts take the data's completion.

    Args:
        data_collator, compute_metrics, preprocess_logits_for_metrics, formatting_func: refused when given.
    """

    _config_class = GKDConfig

    def __init__(
        self,
        model: AnyModel,
        teacher_model: AnyModel | None = None,
        args: GKDConfig | None = None,
        data_collator: object | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: AnyData | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        compute_metrics: object | None = None,
        callbacks: Sequence[object] | None = None,
        optimizers: tuple[object, object] = (None, None),
        preprocess_logits_for_metrics: object | None = None,
        peft_config: PeftConfig | None = None,
        formatting_func: object | None = None,
        *,
        overrides: Sequence[str] = (),
    ) -> None:
        refuse(data_collator=data_collator, compute_metrics=compute_metrics, formatting_func=formatting_func)
        refuse(preprocess_logits_for_metrics=preprocess_logits_for_metrics)
        super().__init__(
            model,
            teacher_model,
            args,
            train_dataset,
            eval_dataset,
            processing_class,
            callbacks,
            optimizers,
            peft_config=peft_config,
            overrides=overrides,
        )


def _known(line: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in line.items() if value is not None}
