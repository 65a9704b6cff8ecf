"""What the three sampling routes share of an answer: why a completion ended, how many tokens it all took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.serving.encoding import top_rows
from understudy.serving.jobs import Completion, Sampled, SampleJob
from understudy.serving.service import Service
from understudy.serving.wire import Sampling


@dataclass(frozen=True, eq=False)
class Choice:
    """One completion, cut at a text that ends it.

    Args:
        ids, logprobs: [C]. tops: the most likely tokens of each place. finish_reason: stop, length or abort.
        stop_reason: the stop id or text; None for the model's own end. version: of the weights.
        text: without the text that ended it; None where the server has no tokenizer, or none was wanted.
    """

    ids: list[int]
    logprobs: list[float]
    tops: list[list[tuple[int, float]]]
    finish_reason: str
    stop_reason: int | str | None
    version: str
    text: str | None

    @property
    def weight_versions(self) -> list[dict[str, object]]:
        """Which weights made which tokens, as half-open spans."""
        return [{"version": self.version, "start": 0, "end": len(self.ids)}] if self.ids else []


def choices_of(service: Service, body: Sampling, job: SampleJob, sampled: Sampled, *, texts: bool) -> list[Choice]:
    """The choices of one prompt.

    Args:
        texts: whether their text is wanted; ``stop`` texts want it in any case.
    """
    if sampled.aborted:
        return [Choice([], [], [], "abort", None, service.resident.version, "" if texts else None)] * job.n
    return [_choice(service, body, one, sampled.version, texts=texts) for one in sampled.completions]


def _choice(service: Service, body: Sampling, completion: Completion, version: str, *, texts: bool) -> Choice:
    ids = completion.ids.tolist()
    skip = body.skip_special_tokens
    reason: int | str | None = None
    if (
        completion.stopped
        and ids[-1] in (body.stop_token_ids or ())
        and ids[-1] not in service.resident.loaded.stop_ids
    ):
        reason = ids[-1]
    text = service.words.text(ids, skip_special_tokens=skip) if texts else None
    end = service.words.end_at(ids, body.stops, skip_special_tokens=skip)
    if end is not None:
        ids, reason = ids[: end[0]], end[1]
        text = service.words.text(ids, skip_special_tokens=skip).partition(end[1])[0]
    count = len(ids)
    return Choice(
        ids=ids,
        logprobs=completion.logprobs[:count].tolist(),
        tops=top_rows(completion.top_ids, completion.top_logprobs, completion.ids.numel())[:count],
        finish_reason="stop" if completion.stopped or end is not None else "length",
        stop_reason=reason,
        version=version,
        text=text,
    )


def usage(prompt_tokens: int, choices: Sequence[Choice]) -> dict[str, int]:
    """Tokens read and written."""
    written = sum(len(choice.ids) for choice in choices)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
    }


def now() -> int:
    """Seconds since 1970, for ``created``."""
    return int(time.time())
