"""What was answered, as JSON lines for programs and as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from understudy.protocols import Prompt
from understudy.rollouts import FinishReason
from understudy.training.plain_text import printable, shortened

_LONGEST = 2000
"""Characters of a prompt that are shown; answers are shown whole."""

_ENDED = {
    FinishReason.STOP: "ended by itself",
    FinishReason.LENGTH: "cut off",
    FinishReason.ENVIRONMENT: "out of turns",
    FinishReason.FAILED: "failed",
}


@dataclass(frozen=True)
class Said:
    """One turn.

    Args:
        prompt: what was shown before it. text: the completion. num_tokens: of it; None where nobody counts.
        finish_reason: why it ended.
        mean_logprob: nats a token by the model's own distribution at temperature 1, whatever it was drawn from; None
            where it is not known.
    """

    prompt: Prompt
    text: str
    num_tokens: int | None
    finish_reason: FinishReason
    mean_logprob: float | None = None


@dataclass(frozen=True)
class Answer:
    """One attempt at one problem.

    Args:
        model: who answered. problem: its identifier. attempt: number of it, from 0. turns: in order.
        reward, correct: of the attempt; None where nothing judges it. error: why there is no answer.
    """

    model: str
    problem: str
    attempt: int
    turns: Sequence[Said]
    reward: float | None = None
    correct: bool | None = None
    error: str | None = None

    def to_json(self) -> Iterator[dict[str, object]]:
        """One object a turn; of an attempt without any, one that has its error."""
        about = {"model": self.model, "problem": self.problem, "attempt": self.attempt}
        verdict = {"reward": self.reward, "correct": self.correct, "error": self.error}
        for number, turn in enumerate(self.turns):
            yield {
                **about,
                "turn": number,
                "prompt": turn.prompt if isinstance(turn.prompt, str) else [dict(one) for one in turn.prompt],
                "completion": turn.text,
                "num_tokens": turn.num_tokens,
                "finish_reason": str(turn.finish_reason),
                "mean_logprob": turn.mean_logprob,
                **verdict,
            }
        if not self.turns:
            yield {**about, **verdict}


def told(answers: Sequence[Answer], *, name: str) -> str:
    """All answers to one problem under its prompt; nothing in it moves a cursor or rings.

    Args:
        name: of the problem.
    """
    lines, shown = [name], None
    for answer in answers:
        prompt = answer.turns[0].prompt if answer.turns else None
        if prompt is not None and prompt != shown:
            lines += ["  prompt", *_block(shortened(_words(prompt), _LONGEST))]
            shown = prompt
        lines += _answer_lines(answer)
    return printable("\n".join(lines))


def _answer_lines(answer: Answer) -> list[str]:
    verdict = {True: ", right", False: ", wrong", None: ""}[answer.correct]
    if answer.correct is None and answer.reward is not None:
        verdict = f", reward {answer.reward:g}"
    if answer.error is not None:
        return [f"  {answer.model}: no answer: {answer.error}"]
    lines = []
    for number, turn in enumerate(answer.turns):
        is_last = number == len(answer.turns) - 1
        if number:
            lines += ["  then", *_block(shortened(_words(turn.prompt), _LONGEST))]
        lines += [f"  {answer.model}: {_figures(turn)}{verdict if is_last else ''}", *_block(turn.text)]
    return lines


def _figures(turn: Said) -> str:
    count = [] if turn.num_tokens is None else [f"{turn.num_tokens} token{'' if turn.num_tokens == 1 else 's'}"]
    logprob = [] if turn.mean_logprob is None else [f"mean log-prob {turn.mean_logprob:.3f}"]
    return ", ".join([*count, _ENDED[turn.finish_reason], *logprob])


def _words(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"{message.get('role')}: {message.get('content')}" for message in prompt)


def _block(text: str) -> list[str]:
    return [f"    | {line}" for line in text.split("\n")]
