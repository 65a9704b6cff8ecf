"""The commands of servers and of the trainer. Flags of vLLM and SGLang: those of vLLM 0.33 and SGLang 0.5.23."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from understudy.errors import UserMistakeError
from understudy.launching.order import Order
from understudy.launching.part import Part
from understudy.launching.served import Served

_MEMORY_SHARE = 0.8


@dataclass(frozen=True)
class Seat:
    """Where a server sits.

    Args:
        number: among the servers of its model on its machine. machine: its number. url: where clients find it.
        host: what it listens on. gpus: its devices. sharers: servers that have the first of them. threads: of the CPU.
    """

    number: int
    machine: int
    url: str
    host: str
    gpus: tuple[int, ...] = ()
    sharers: int = 1
    threads: int | None = None

    @property
    def port(self) -> str:
        """Of the url."""
        return str(urlsplit(self.url).port)


def server_part(served: Served, seat: Seat, order: Order, *, max_logprobs: int) -> Part:
    """A server.

    Raises:
        UserMistakeError: its program cannot do what is asked of it.
    """
    build = {"understudy": _understudy, "vllm": _vllm, "sglang": _sglang}[served.program]
    command = build(served, seat, max_logprobs)
    options = order.sampler_options if served.role == "sampler" else order.teacher_options
    suffix = f"@{seat.machine}" if order.machines > 1 else ""
    return Part(
        name=f"{served.name}-{seat.number}{suffix}",
        kind=served.role,
        machine=seat.machine,
        command=(*command, *options),
        environment={**_threads(seat.threads), **_devices(seat.gpus), **_environment(served)},
        url=seat.url,
        key_variable=served.key_variable,
        gpus=seat.gpus,
    )


def trainer_part(
    recipe: str, overrides: Sequence[str], order: Order, machine: int, *, gpus: Sequence[int] = (), threads: int
) -> Part:
    """The trainer's processes of one machine: plain ``train`` for one rank of all, else ``torchrun``."""
    train = ("train", recipe, *overrides)
    several = order.ranks * order.machines > 1
    command = (*_torchrun(order, machine), "-m", "understudy", *train) if several else ("understudy", *train)
    return Part(
        name="train" if order.machines == 1 else f"train@{machine}",
        kind="trainer",
        machine=machine,
        command=command,
        environment={**_threads(threads), **_devices(tuple(gpus))},
        gpus=tuple(gpus),
    )


def _torchrun(order: Order, machine: int) -> tuple[str, ...]:
    """Restarts are ours, with ``--resume``; torchrun's own would begin anew and find the run's folder there."""
    here = ("torchrun", f"--nproc-per-node={order.ranks}", "--max-restarts=0")
    if order.machines == 1:
        return (*here, "--standalone")  # a free port of its own choice
    return (
        *here,
        f"--nnodes={order.machines}",
        f"--node-rank={machine}",
        f"--master-addr={order.machine_names[0]}",
        f"--master-port={order.rendezvous_port}",
    )


def _understudy(served: Served, seat: Seat, max_logprobs: int) -> list[str]:
    if served.trust_remote_code:
        raise UserMistakeError(
            f"understudy serve runs no code that comes with a model, which the {served.name} is said to need",
            remedy="Serve it by vLLM (--serve-with vllm), or take trust_remote_code out of the recipe.",
        )
    if len(seat.gpus) > 1:
        raise UserMistakeError(
            "understudy serve uses one GPU",
            got=f"{len(seat.gpus)} for each server",
            remedy="Leave --server-gpus out, or serve by vLLM or SGLang.",
        )
    command = ["understudy", "serve", served.model, "--host", seat.host, "--port", seat.port]
    command += ["--served-model-name", served.model, "--dtype", served.dtype, "--max-logprobs", str(max_logprobs)]
    if seat.host == "0.0.0.0":  # clients call it by the name that the launch was given
        command += ["--allowed-host", str(urlsplit(seat.url).hostname)]
    if served.key_variable is not None:
        command += ["--api-key-env", served.key_variable]
    if seat.threads is not None:
        command += ["--threads", str(seat.threads)]
    return [*command, "--allow-updates"] if served.role == "sampler" else command


def _vllm(served: Served, seat: Seat, max_logprobs: int) -> list[str]:
    command = ["vllm", "serve", served.model, "--host", seat.host, "--port", seat.port]
    command += ["--served-model-name", served.model, "--dtype", served.dtype, "--generation-config", "vllm"]
    command += ["--max-logprobs", str(max_logprobs)]
    # Scoring makes logits that vLLM does not count when it takes its share of the device.
    command += ["--gpu-memory-utilization", f"{_MEMORY_SHARE / seat.sharers:.2f}"]
    if len(seat.gpus) > 1:
        command += ["--tensor-parallel-size", str(len(seat.gpus))]
    if served.trust_remote_code:
        command.append("--trust-remote-code")
    if served.role == "sampler":
        command += ["--logprobs-mode", "processed_logprobs", "--enable-lora", "--max-lora-rank", "64"]
        command += ["--max-loras", "2", "--weight-transfer-config", '{"backend": "nccl"}']
    return command


def _sglang(served: Served, seat: Seat, max_logprobs: int) -> list[str]:  # noqa: ARG001  (a request says how many)
    command = ["python", "-m", "sglang.launch_server", "--model-path", served.model, "--host", seat.host]
    command += ["--port", seat.port, "--served-model-name", served.model, "--dtype", served.dtype]
    command += ["--mem-fraction-static", f"{_MEMORY_SHARE / seat.sharers:.2f}"]
    if len(seat.gpus) > 1:
        command += ["--tp", str(len(seat.gpus))]
    if served.trust_remote_code:
        command.append("--trust-remote-code")
    if served.role == "sampler":
        return [*command, "--enable-lora", "--max-lora-rank", "64", "--lora-target-modules", "all"]
    return [*command, "--chunked-prefill-size", "4096"]  # bounds the logits of scoring


def _environment(served: Served) -> dict[str, str]:
    """What a program reads from its environment alone: a command line is read by everybody on the machine."""
    if served.program != "vllm":
        return {}
    updates = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
    return {"VLLM_API_KEY": f"${served.key_variable}", **(updates if served.role == "sampler" else {})}


def _threads(threads: int | None) -> dict[str, str]:
    return {} if threads is None else {"OMP_NUM_THREADS": str(threads)}


def _devices(gpus: tuple[int, ...]) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if gpus else {}
