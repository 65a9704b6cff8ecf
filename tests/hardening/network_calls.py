"""Every client of a network in this package, as something that a test can let go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from tests.conformance.tiny import VOCAB
from tests.hardening.hostile_server import LONGEST_SECONDS
from understudy import publishing
from understudy.engines.served_sampler import ServedSampler, connect_sampler
from understudy.engines.tinker import TinkerService, TinkerSettings
from understudy.environments.office.web import Web, web_tools
from understudy.environments.search_qa.remote import RemoteRetriever
from understudy.evaluation.endpoint import Drawing, Endpoint, Reply
from understudy.evaluation.grading.asking import Grader, NoAnswerError
from understudy.evaluation.grading.settings import GraderSettings
from understudy.launching.asking import asked as asked_for_health
from understudy.launching.part import Part
from understudy.models.locate import check_hub
from understudy.office.asking import ChatForm, asked
from understudy.protocols import SampleRequest, SamplingParams, ScoreRequest
from understudy.servers.background import background
from understudy.servers.identity import Identity
from understudy.servers.meeting import meet
from understudy.servers.patience import PatientClient
from understudy.servers.pool import ServerPool
from understudy.servers.probing import Server
from understudy.servers.settings import ServerSettings
from understudy.teachers.served import ServedScorer, connect
from understudy.teachers.served_head import fetched_head

TIMEOUT_SECONDS, DEADLINE_SECONDS = 1.0, 2.0
MOST_BYTES = 1 << 20
_PARAMS = SamplingParams(max_completion_length=2)


@dataclass(frozen=True)
class NetworkCall:
    """One client.

    Args:
        modules: of the package whose calls it makes. go: begin to end at an address; gives what it told where it does
            not raise. most_asked: requests that it may make until it gives up. most_seconds: that it may take; the
            deadlines are of two, the rest is for a machine that does much else.
    """

    modules: tuple[str, ...]
    go: Callable[[str], str]
    most_asked: int = 25
    most_seconds: float = 30.0


@dataclass(frozen=True)
class Known:
    """What a real server said of itself before things went wrong.

    Args:
        server: for scores. identity: for completions. weights: a folder that it may be given.
    """

    server: Server
    identity: Identity
    weights: Path


def known_from(url: str, weights: Path) -> Known:
    """Ask a real server."""
    patient = ServerSettings((url,), start_seconds=20.0, max_concurrency=2)
    return Known(connect(patient, vocab_size=VOCAB).server, connect_sampler(patient, max_length=64).identity, weights)


def settings_for(url: str) -> ServerSettings:
    """With little patience."""
    return ServerSettings(
        (url,),
        timeout_seconds=TIMEOUT_SECONDS,
        deadline_seconds=DEADLINE_SECONDS,
        start_seconds=DEADLINE_SECONDS,
        max_concurrency=2,
        max_reply_bytes=MOST_BYTES,
    )


def _scored(known: Known, url: str, *, hidden: bool = False) -> str:
    scorer = ServedScorer(ServerPool(settings_for(url)), known.server, vocab_size=VOCAB)
    position = torch.tensor([1, 2, 3])
    request = ScoreRequest([torch.tensor([2, 3, 4, 5])], torch.zeros(3, dtype=torch.long), position, hidden=hidden)
    return str(scorer.score(request))


def _head(known: Known, url: str) -> str:
    pool = ServerPool(settings_for(url))
    return str(fetched_head(pool, known.server, vocab_size=VOCAB, device=torch.device("cpu")))


def _sampler(known: Known, url: str) -> ServedSampler:
    return ServedSampler(ServerPool(settings_for(url)), known.identity, max_length=64)


def _drawn(known: Known, url: str) -> str:
    return str(_sampler(known, url).sample([SampleRequest(torch.tensor([2, 3]), key=0)], _PARAMS, seed=0, step=0))


def _given_weights(known: Known, url: str) -> str:
    sampler = _sampler(known, url)
    sampler.load_weights(known.weights, 1)
    return f"version {sampler.version}"


def _met(url: str) -> str:
    patience = {"timeout_seconds": TIMEOUT_SECONDS, "deadline_seconds": DEADLINE_SECONDS, "max_concurrency": 2}
    return meet(url, model=None, key=None, **patience).name


def _examined(url: str) -> str:
    replies: list[Reply] = []
    endpoint = Endpoint(PatientClient(settings_for(url)), "m")
    endpoint.replies({0: "w1"}, Drawing(0.0, 1.0, 2), seed=0, ended=lambda _, reply: replies.append(reply))
    return replies[0].error or f"answered {replies[0]}"


def _asked_at_work(url: str) -> str:
    call = asked([{"role": "user", "content": "x"}], ChatForm("m"))
    return str(background().run(PatientClient(settings_for(url)).ask(call)))


def _graded(url: str) -> str:
    patience = {"timeout_seconds": TIMEOUT_SECONDS, "deadline_seconds": DEADLINE_SECONDS}

    async def reply() -> str:
        grader = Grader(GraderSettings(name="g", url=f"{url}/v1", model="m", **patience))
        try:
            return f"answered {await grader.reply([{'role': 'user', 'content': 'x'}])}"
        except NoAnswerError as error:
            return f"{error.reason}: {error.said}"
        finally:
            await grader.close()

    return asyncio.run(reply())


def _retrieved(url: str) -> str:
    return str(RemoteRetriever(url, timeout_seconds=TIMEOUT_SECONDS).retrieve(["x"], top_k=1))


def _searched(url: str) -> str:
    search, _ = web_tools(Web(f"{url}/?q={{query}}", seconds=TIMEOUT_SECONDS, reaches_private=True))
    return f"told the agent: {search.call({'query': 'x'})}"


def _fetched(url: str) -> str:
    _, fetch = web_tools(Web(url, seconds=TIMEOUT_SECONDS, reaches_private=True))
    return f"told the agent: {fetch.call({'url': url})!r}"[:200]


def _looked_after(url: str) -> str:
    part = Part(name="teacher-0", kind="teacher", machine=0, command=("x",), url=url)
    return f"health: {asked_for_health(part, {}, seconds=TIMEOUT_SECONDS)}"


def _pushed(url: str) -> str:
    with publishing.one_sentence("jane/tiny"):
        api = publishing.hub_at(url, seconds=TIMEOUT_SECONDS)
        return publishing.repository_at(api, "jane/tiny", seconds=TIMEOUT_SECONDS)


def _located(url: str) -> str:
    check_hub("jane/tiny", endpoint=url, seconds=TIMEOUT_SECONDS)
    return "left to the loading"


def _knocked(url: str) -> str:
    service = TinkerService(TinkerSettings("tml-key", url, start_seconds=DEADLINE_SECONDS))
    service._knock()
    return "somebody is there"


def calls(known: Known) -> dict[str, NetworkCall]:
    """By name."""
    servers = ("servers/http.py", "servers/pool.py", "servers/replica.py")
    scores = ("servers/asking.py", "servers/vllm.py", "teachers/served.py")
    return {
        "who answers": NetworkCall(
            (*servers, "servers/identity.py", "servers/probing.py"),
            lambda url: str(connect(settings_for(url), vocab_size=VOCAB)),
        ),
        "scores": NetworkCall((*servers, *scores), partial(_scored, known)),
        "hidden states": NetworkCall((*servers, *scores), partial(_scored, known, hidden=True)),
        "output head": NetworkCall(("teachers/served_head.py",), partial(_head, known)),
        "completions of a student": NetworkCall(
            ("engines/served_sampler.py", "servers/drawing.py"), partial(_drawn, known)
        ),
        # A server may take ten minutes over weights, longer than any fault goes on.
        "new weights": NetworkCall(
            ("servers/weights.py", "servers/delivery.py"),
            partial(_given_weights, known),
            most_seconds=2 * LONGEST_SECONDS,
        ),
        "examination: meeting": NetworkCall(("servers/meeting.py",), _met),
        "examination: replies": NetworkCall(("servers/patience.py", "evaluation/endpoint.py"), _examined),
        "office work": NetworkCall(("office/served.py", "office/asking.py"), _asked_at_work),
        "graders": NetworkCall(("evaluation/grading/asking.py",), _graded),
        "retriever": NetworkCall(("environments/search_qa/remote.py",), _retrieved),
        "web search": NetworkCall(("environments/office/web.py",), _searched),
        "web page": NetworkCall(("environments/office/web.py",), _fetched),
        "health of servers": NetworkCall(("launching/asking.py",), _looked_after),
        "model hub: publishing": NetworkCall(("publishing.py", "models/hub_answers.py"), _pushed),
        "model hub: a name": NetworkCall(("models/locate.py",), _located),
        "Tinker: first word": NetworkCall(("engines/tinker/service.py",), _knocked),
    }
