"""Do student and teacher mean the same by the same ids, end in the same way, and have room? Read without weights."""

from __future__ import annotations

from typing import Any

from understudy.doctor.findings import Finding, ok, stop, stop_for, warn
from understudy.errors import TokenizerMismatchError
from understudy.models.load import LoadedModel, check_same_tokenizer
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint


def pair_findings(student: LoadedModel, teacher: LoadedModel, *, name: str = "teacher") -> list[Finding]:
    """Everything that two models of one pair must agree on.

    Args:
        name: the teacher's, in the findings.
    """
    return [
        tokenizer_finding(student, teacher, name=name),
        ends_finding(student, teacher, name=name),
        padding_finding(student, teacher, name=name),
    ]


def tokenizer_finding(student: LoadedModel, teacher: LoadedModel, *, name: str = "teacher") -> Finding:
    """Vocabulary, merges and special tokens."""
    try:
        check_same_tokenizer(student, teacher)
    except TokenizerMismatchError as error:
        return stop_for("tokenizer", error)
    if student.tokenizer is None:
        return warn("tokenizer", "the student has no tokenizer", "Save its tokenizer in its folder.")
    digest = tokenizer_fingerprint(student.known_tokenizer, student.stop_ids)
    return ok("tokenizer", f"student and {name} read text as the same ids ({digest})")


def ends_finding(student: LoadedModel, teacher: LoadedModel, *, name: str = "teacher") -> Finding:
    """The tokens that end a completion. What only one of them ends with is learned wrongly, or never."""
    ours, theirs = student.stop_ids, teacher.stop_ids
    if not ours:
        return stop(
            "end tokens",
            "the student has no token that ends a completion",
            "Set eos_token_id in its generation_config.json.",
        )
    said = f"the student ends with {_tokens(student, ours)}, the {name} with {_tokens(teacher, theirs)}"
    if ours == theirs:
        return ok("end tokens", f"both end with {_tokens(student, ours)}")
    if not ours & theirs:
        return stop(
            "end tokens",
            f"{said}; they share none, so the {name} would teach never to end",
            "Give both the same eos_token_id in generation_config.json, or take the teacher's chat tokenizer.",
        )
    return warn(
        "end tokens",
        said,
        "Train on the ends that both have: give both the same eos_token_id, or mask the others with special_tokens.",
    )


def padding_finding(student: LoadedModel, teacher: LoadedModel, *, name: str = "teacher") -> Finding:
    """Rows of the output heads. Those past the true vocabulary have logits that mean nothing."""
    rows = {"student": _head_rows(student), name: _head_rows(teacher)}
    true = min(student.vocab_size, teacher.vocab_size)
    if len(set(rows.values())) == 1:
        return ok("vocabulary size", f"{true:,} tokens, {rows['student']:,} rows in both heads")
    shown = " and ".join(f"{count:,} ({who})" for who, count in rows.items())
    return warn(
        "vocabulary size",
        f"the heads have {shown} rows for {true:,} tokens that both know; both are cut to these",
        "Nothing for models in this process; a server must cut its softmax to the same tokens.",
    )


def context_findings(
    student: LoadedModel, teacher: LoadedModel, *, longest_prompt: int, completion: int, name: str = "teacher"
) -> list[Finding]:
    """Whether a whole prompt with a whole completion fits.

    Args:
        longest_prompt, completion: tokens of the longest prompt, and those that a completion may have.
    """
    findings = []
    for who, model in (("student", student), (name, teacher)):
        needed = longest_prompt + completion
        if model.max_length >= needed:
            findings.append(ok("context", f"the {who}'s {model.max_length:,} tokens hold prompt and completion"))
        elif model.max_length <= longest_prompt:
            findings.append(
                stop(
                    "context",
                    f"the longest prompt has {longest_prompt:,} tokens, the {who}'s context {model.max_length:,}",
                    "Shorten the prompts, filter the data, or take a model with a longer context.",
                )
            )
        else:
            findings.append(
                (warn if who == "student" else stop)(
                    "context",
                    f"prompt and completion may have {needed:,} tokens, the {who}'s context {model.max_length:,}",
                    f"Lower rollout.max_completion_length to {model.max_length - longest_prompt:,}.",
                )
            )
    return findings


def generation_finding(student: LoadedModel, *, temperature: float, top_p: float, top_k: int) -> Finding:
    """What the student's own generation settings say, against how it is sampled here."""
    config: Any = getattr(student.model, "generation_config", None)
    asked = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    own = {key: getattr(config, key, None) for key in asked} if config is not None else {}
    differing = {key: value for key, value in own.items() if value is not None and value != asked[key]}
    if config is None or not getattr(config, "do_sample", False) or not differing:
        return ok("generation settings", "the recipe's rollout settings hold; the model's own ask for nothing else")
    shown = ", ".join(f"{key} {value}" for key, value in differing.items())
    return ok("generation settings", f"the model's own ({shown}) are not used; the recipe's rollout settings hold")


def _tokens(model: LoadedModel, ids: frozenset[int]) -> str:
    if not ids:
        return "none"
    tokenizer = model.tokenizer
    names = [str(id) if tokenizer is None else f"{tokenizer.convert_ids_to_tokens(id)!r}" for id in sorted(ids)]
    return ", ".join(names)


def _head_rows(model: LoadedModel) -> int:
    weight = getattr(model.model.get_output_embeddings(), "weight", None)
    return int(model.model.config.get_text_config().vocab_size) if weight is None else int(weight.shape[0])
