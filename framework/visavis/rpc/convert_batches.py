"""Interactions from the wire as columns: protobuf -> arrays. For servers; clients do without what it imports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.identify.columnar import InteractionBatch
from visavis.model import Interaction
from visavis.rpc.convert_interactions import interactions_from_proto
from visavis.store.texts import Texts


def batch_from_proto(message: interaction_pb.StreamInteractionsRequest) -> InteractionBatch | None:
    """A columnar batch as it is. None if columns differ in length; `interactions_from_columns` says which."""
    # Written once more, which costs a fraction of asking for each value; protobuf has seen to it that texts are UTF-8.
    read = kernels.read_batch(np.frombuffer(message.SerializeToString(), dtype=np.uint8))
    return None if read is None else _batch(read)


def calls_from_bytes(calls: Sequence[bytes]) -> tuple[InteractionBatch, NDArray[np.int64]] | None:
    """Several `RecordInteractionsRequest`s as one batch, and where the rows of each begin: int64 [n_calls + 1].

    None if one says what columns cannot; `interactions_from_bytes` reads it.
    """
    starts = np.zeros(len(calls) + 1, dtype=np.int64)
    np.cumsum(list(map(len, calls)), out=starts[1:])
    read = kernels.read_calls(np.frombuffer(b"".join(calls), dtype=np.uint8), starts)
    return None if read is None else (_batch(read[0]), read[1])


def interactions_from_bytes(call: bytes) -> list[Interaction]:
    """One `RecordInteractionsRequest`. Raises `InvalidInput` with every violation found."""
    return interactions_from_proto(interaction_pb.RecordInteractionsRequest.FromString(call).interactions)


def _batch(read: kernels.WireColumns) -> InteractionBatch:
    columns = list(read.codes)
    columns[7], columns[10] = read.numbers
    return InteractionBatch(Texts(read.data, read.ends), *columns)


__all__ = ["batch_from_proto", "calls_from_bytes", "interactions_from_bytes"]
