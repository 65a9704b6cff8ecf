"""The SDK's protobuf messages in both directions, from the server's side."""

from __future__ import annotations

import numpy as np
import torch
from tinker.proto import tinker_public_pb2 as pb
from torch import Tensor

from tests.tinker_service.student import Datum

_NUMPY = {pb.DTYPE_FLOAT32: np.float32, pb.DTYPE_INT64: np.int64}
EMPTY = -99999.0


def read_datum(message: pb.Datum) -> Datum:
    """Decode one datum."""
    tokens = [int(t) for chunk in message.model_input for t in np.frombuffer(chunk.encoded_text.tokens, np.int32)]
    return Datum(tokens, {name: read_tensor(value) for name, value in message.loss_fn_inputs.items()})


def read_tensor(message: pb.Tensor) -> Tensor:
    """Dense, whatever it was; what a sparse one leaves out is zero."""
    dtype, shape = _NUMPY[message.dtype], list(message.shape)
    if not message.HasField("sparse_csr"):
        return torch.from_numpy(np.frombuffer(message.dense, dtype).copy()).reshape(shape)
    csr = message.sparse_csr
    rows = np.frombuffer(csr.crow_indices, np.int64)
    columns = np.frombuffer(csr.col_indices, np.int64)
    whole = np.zeros(shape, dtype)
    whole[np.repeat(np.arange(shape[0]), np.diff(rows)), columns] = np.frombuffer(csr.values, dtype)
    return torch.from_numpy(whole)


def learned(logprobs: list[Tensor], loss: float) -> bytes:
    """The answer to a forward or learning pass: one record a datum, so that widths may differ."""
    records = []
    for part in logprobs:
        values = part.contiguous().numpy()
        field = pb.BatchedTensor(
            data=values.tobytes(),
            offsets=np.array([0, values.nbytes], np.int64).tobytes(),
            dtype=pb.DTYPE_FLOAT32,
            trailing_shape=part.shape[1:],
        )
        records.append(pb.ArrayRecord(type_tag="ArrayRecord", fields={"logprobs": field}, num_datums=1))
    output = pb.ForwardBackwardOutput(
        loss_fn_output_type="ArrayRecord", loss_fn_outputs=records, metrics={"loss:sum": loss}
    )
    return output.SerializeToString()


def sequence(tokens: Tensor, logprobs: Tensor, *, stopped: bool) -> pb.SampledSequence:
    """One completion."""
    return pb.SampledSequence(
        stop_reason=pb.STOP_REASON_STOP if stopped else pb.STOP_REASON_LENGTH,
        tokens=tokens.numpy().astype(np.int32).tobytes(),
        logprobs=logprobs.numpy().astype(np.float32).tobytes(),
    )


def top_tokens(logprobs: Tensor, k: int, *, first: int) -> pb.TopkLogprobs:
    """[P, k] from [P - 1, V]; rows before position ``first`` are empty."""
    count = logprobs.shape[0] + 1
    ids, values = np.zeros((count, k), np.int32), np.full((count, k), EMPTY, np.float32)
    top = logprobs[first - 1 :].topk(k)
    ids[first:], values[first:] = top.indices.numpy(), top.values.numpy()
    return pb.TopkLogprobs(token_ids=ids.tobytes(), logprobs=values.tobytes(), k=k, length=count)


def chosen(logprobs: Tensor, wanted: dict) -> pb.Tensor:
    """Log-probs at the ids of a JSON tensor [P - 1, K], in the same layout; 0 where the id is -1."""
    shape, ids = wanted["shape"], torch.tensor(wanted["data"], dtype=torch.int64)
    message = pb.Tensor(dtype=pb.DTYPE_FLOAT32, shape=shape)
    crow = wanted.get("sparse_crow_indices")
    if crow is None:
        ids = ids.reshape(shape)
        found = logprobs.gather(1, ids.clamp_min(0)).masked_fill(ids < 0, 0.0)
        message.dense = found.numpy().astype(np.float32).tobytes()
        return message
    rows = np.repeat(np.arange(shape[0]), np.diff(crow))
    message.sparse_csr.values = logprobs[torch.from_numpy(rows), ids].numpy().astype(np.float32).tobytes()
    message.sparse_csr.crow_indices = np.asarray(crow, np.int64).tobytes()
    message.sparse_csr.col_indices = np.asarray(wanted["sparse_col_indices"], np.int64).tobytes()
    return message
