"""Before step 0: what a server can give, found by asking it for a few tokens' scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from understudy.errors import ServerAnswerError, ServerDownError, ServerError, WrongServerError
from understudy.protocols import Capabilities
from understudy.servers.asking import answered
from understudy.servers.background import all_of
from understudy.servers.completions import CompletionsForm
from understudy.servers.decoding import Floats, entry
from understudy.servers.http import Call, RefusedError, UnavailableError
from understudy.servers.identity import Identity, check_same, identify
from understudy.servers.pool import Confirm, ServerPool
from understudy.servers.replica import Replica
from understudy.servers.rows import Ask, WireForm, joined
from understudy.servers.settings import ServerSettings
from understudy.servers.sglang import SglangForm
from understudy.servers.vllm import GENERATE, VllmForm

_PROBE_TOKENS = 10
_LADDER = (4096, 1024, 512, 256, 128, 64, 32, 20, 10, 5, 1)
"""Widths to try where a server does not tell its limit, the largest first; 20 is vLLM's default."""

_NOISE = (0.05, 0.01)
"""Two scores of one text may differ by 0.05 nats and 1 % (bfloat16 in another batch); our choice."""


@dataclass(frozen=True)
class Server:
    """A probed server.

    Args:
        identity: what it says of itself. form: how it is asked. capabilities: what it gives.
        tempers: it scores at any temperature, not 1 alone. max_length: tokens of the longest text that it scores.
    """

    identity: Identity
    form: WireForm
    capabilities: Capabilities
    tempers: bool
    max_length: int | None


@dataclass(frozen=True)
class _Found:
    server: Server
    scores: Floats


async def probe(settings: ServerSettings, *, vocab_size: int) -> tuple[ServerPool, Server]:
    """Find out what every address gives, and that all of them give the same; in seconds.

    Args:
        vocab_size: of the student, for ids to try and where the server does not tell its own.
    Raises:
        ServerDownError: none answers. WrongServerError: another model, or not one model everywhere.
        ServerKeyError: the key is refused. ServerError: it cannot score a prompt, or not twice alike.
    """
    found = await all_of([_alone(settings, url, vocab_size=vocab_size) for url in settings.urls])
    known = [one for one in found if isinstance(one, _Found)]
    if not known:
        raise next(one for one in found if isinstance(one, ServerDownError))
    first = known[0]
    pool = ServerPool(settings)
    for replica, one in zip(pool.replicas, found, strict=True):
        if isinstance(one, _Found):
            check_found(first, one, url=replica.url)
        else:
            pool.leave(replica, UnavailableError("it is down"))
    pool.confirm = _confirming(first, settings, vocab_size=vocab_size)
    return pool, first.server


def check_found(first: _Found, other: _Found, *, url: str) -> None:
    """Raise WrongServerError where two probes are not of one model."""
    check_same(first.server.identity, other.server.identity, url=url)
    if not _alike(first.scores, other.scores):
        raise WrongServerError(
            f"{url}: the server scores otherwise than the one that was there, or than the other addresses",
            got=f"{float(np.abs(first.scores - other.scores).max()):.3g} nats apart on {_PROBE_TOKENS} tokens",
            remedy="Serve the same weights in the same precision at all addresses for the whole run.",
        )


def _confirming(first: _Found, settings: ServerSettings, *, vocab_size: int) -> Confirm:
    async def confirm(replica: Replica) -> None:
        again = await _alone(settings, replica.url, vocab_size=vocab_size)
        if not isinstance(again, _Found):
            raise UnavailableError(str(again.got))
        check_found(first, again, url=replica.url)

    return confirm


async def _alone(settings: ServerSettings, url: str, *, vocab_size: int) -> _Found | ServerDownError:
    pool = _single(settings, url)
    try:
        return await _probed(pool, vocab_size=vocab_size)
    except ServerDownError as error:
        return error
    finally:
        await pool.close()


def _single(settings: ServerSettings, url: str) -> ServerPool:
    seconds = min(settings.start_seconds, settings.deadline_seconds)
    return ServerPool(replace(settings, urls=(url,), deadline_seconds=seconds, timeout_seconds=seconds))


async def _probed(pool: ServerPool, *, vocab_size: int) -> _Found:
    identity = await identify(pool)
    size = identity.vocab_size or vocab_size
    tokens = np.arange(_PROBE_TOKENS, dtype=np.int64) % size
    tried = Ask(tokens, 0)
    if identity.kind in (None, "vllm", "understudy"):
        server = await _vllm(pool, identity, tried, size=size)
    elif identity.kind == "sglang":
        server = _sglang(pool.settings, identity, size=size)
    else:
        server = await _completions(pool, identity, tried, size=size)
    scores = [await _scores(pool, server.form, tried) for _ in range(2)]
    if not _alike(*scores):
        raise ServerError(
            f"{pool.settings.urls[0]}: the server gives two scores of one text that differ",
            got=f"{float(np.abs(scores[0] - scores[1]).max()):.3g} nats",
            remedy="Ask it for deterministic scores, or take another server.",
        )
    return _Found(server, scores[0])


async def _vllm(pool: ServerPool, identity: Identity, tried: Ask, *, size: int) -> Server:
    ours = identity.kind == "understudy"
    form = VllmForm(
        identity.model, 1, is_understudy=ours, vocab_size=identity.vocab_size, hidden_size=identity.hidden_size
    )
    takes_ids = ours or await _works(pool, form, tried)
    form = replace(form, takes_ids=takes_ids)
    if not takes_ids and not await _works(pool, form, tried):
        if identity.kind is None:
            return await _completions(pool, identity, tried, size=size)
        raise _cannot_score(pool)
    await _check_round_trip(pool, identity, tried)
    widest = await _widest(pool, replace(form, takes_ids=False), identity, tried, size=size)
    form = replace(form, max_ids=max(1, widest))
    if pool.settings.prefix_cache and takes_ids and not ours:
        cached = replace(form, prefix_cache=True)
        form = cached if await _works(pool, cached, tried) else form
    kinds = identity.extensions
    can = Capabilities(
        top_k=widest if "top_k" in kinds or not ours else 0,
        at_ids=widest if takes_ids else 0,
        entropy="entropy" in kinds,
        hidden="hidden" in kinds,
        vocab_size=identity.vocab_size,
    )
    longest = None if identity.max_length is None else identity.max_length - (0 if ours else 1)
    return Server(replace(identity, kind=identity.kind or "vllm"), form, can, tempers=ours, max_length=longest)


def _sglang(settings: ServerSettings, identity: Identity, *, size: int) -> Server:
    form = SglangForm(None if identity.is_base else identity.model, vocab_size=identity.vocab_size)
    can = Capabilities(top_k=min(settings.max_logprobs or size, size))
    return Server(identity, form, can, tempers=False, max_length=identity.max_length)


async def _completions(pool: ServerPool, identity: Identity, tried: Ask, *, size: int) -> Server:
    form = CompletionsForm(identity.model)
    if not await _works(pool, form, tried):
        form = replace(form, echo=True)
        if not await _works(pool, form, tried):
            raise _cannot_score(pool)
    widest = await _widest(pool, form, identity, tried, size=size)
    longest = None if identity.max_length is None else identity.max_length - 1
    known = replace(identity, kind="completions")
    return Server(known, form, Capabilities(top_k=widest), tempers=False, max_length=longest)


def _cannot_score(pool: ServerPool) -> ServerError:
    return ServerError(
        f"{pool.settings.urls[0]}: the server does not score a prompt of token ids",
        remedy="Use vLLM, SGLang or understudy serve.",
    )


async def _widest(pool: ServerPool, form: WireForm, identity: Identity, tried: Ask, *, size: int) -> int:
    """How many log-probs a row the server gives: what it says, what the settings say, or the widest it answers."""
    known = identity.max_logprobs if identity.max_logprobs is not None else pool.settings.max_logprobs
    if known is not None:
        return size if known < 0 else min(known, size)
    for width in sorted({min(width, size) for width in _LADDER}, reverse=True):
        if await _works(pool, form, replace(tried, top_k=width)):
            return width
    return 0


async def _works(pool: ServerPool, form: WireForm, tried: Ask) -> bool:
    try:
        await _answered(pool, form, tried)
    except (RefusedError, ServerAnswerError):
        return False
    return True


async def _scores(pool: ServerPool, form: WireForm, tried: Ask) -> Floats:
    sampled = await _answered(pool, form, tried)
    return np.maximum(sampled, np.float32(-1e4))  # so that two -inf are equal


async def _answered(pool: ServerPool, form: WireForm, tried: Ask) -> Floats:
    rows = joined([await answered(pool, call) for call in form.calls(tried)])
    if rows.sampled is None:
        raise ServerAnswerError("the answer has no log-probs")
    return rows.sampled


async def _check_round_trip(pool: ServerPool, identity: Identity, tried: Ask) -> None:
    """Token ids must arrive as they were sent."""
    sent = tried.tokens.tolist()
    params = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
    body = {"model": identity.model, "token_ids": sent, "sampling_params": params, "return_token_ids": True}
    came = await pool.ask(Call(GENERATE, lambda answer: entry(answer, "prompt_token_ids"), body))
    if came is not None and came != sent:
        raise WrongServerError(
            f"{pool.settings.urls[0]}: token ids do not arrive as they were sent",
            got=str(came)[:80],
            expected=str(sent),
            remedy="Start the server without anything that rewrites prompts.",
        )


def _alike(one: Floats, other: Floats) -> bool:
    absolute, relative = _NOISE
    return bool(np.allclose(one, other, atol=absolute, rtol=relative))


async def tokenized(pool: ServerPool, model: str, text: str) -> list[int] | None:
    """The server's ids of a text; None where it has no such route."""
    body = {"model": model, "prompt": text, "add_special_tokens": False}
    try:
        found = await pool.ask(Call("/tokenize", lambda answer: answer["tokens"], body))
        return [int(one) for one in found]
    except (RefusedError, ServerAnswerError, KeyError, TypeError, ValueError):
        return None
