"""A script for TRL's `DistillationTrainer` with its import changed; nothing else of the training is ours.

python examples/from_trl.py                                        # the testbed's models, made on first use
python examples/from_trl.py STUDENT TEACHER ROWS.jsonl             # models, and rows with a column `prompt`
"""

from __future__ import annotations

import sys

from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from understudy.trl import DistillationConfig, DistillationTrainer  # from trl import DistillationConfig, ...

SMALL = {"per_device_train_batch_size": 128, "max_steps": 15, "learning_rate": 3e-4, "max_completion_length": 72}


def main(arguments: list[str], **settings: object) -> tuple[dict[str, float], dict[str, float]]:
    student, teacher, dataset = sources(arguments)
    parts = dataset.train_test_split(test_size=min(100, len(dataset) // 4), seed=0)
    trainer = DistillationTrainer(
        model=AutoModelForCausalLM.from_pretrained(student, dtype="float32"),
        teacher_model=teacher,
        args=DistillationConfig(**{"output_dir": "runs/from-trl", **SMALL, **settings}),  # type: ignore[arg-type]
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
        processing_class=AutoTokenizer.from_pretrained(student),
    )
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    trainer.save_model(f"{trainer.args.output_dir}-model")
    for when, figures in (("before", before), ("after", after)):
        mean, low, high = (figures[f"eval_reverse_kl{end}"] for end in ("", "_low", "_high"))
        print(f"reverse KL {when}: {mean:.3f} nats a token [{low:.3f}, {high:.3f}]")
    return before, after


def sources(arguments: list[str]) -> tuple[str, str, Dataset]:
    """Student, teacher and rows: those named, or the testbed's."""
    if arguments:
        student, teacher, rows = arguments
        return student, teacher, load_dataset("json", data_files=rows, split="train")
    from understudy import testbed

    student, teacher = (str(testbed.resolve_model(name)) for name in (testbed.STUDENT_NAME, testbed.TEACHER_NAME))
    problems = testbed.tasks(testbed.DATASET, "train")
    return student, teacher, Dataset.from_list([{"prompt": problem.prompt} for problem in problems])


if __name__ == "__main__":
    main(sys.argv[1:])
