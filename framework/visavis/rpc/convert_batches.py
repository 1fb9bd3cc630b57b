"""Columnar batches of interactions: protobuf -> arrays. For servers; clients do without what it imports."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.identify.batches import InteractionBatch

_COLUMNS: dict[str, tuple[float, type[np.generic]]] = {
    "kind": (0, np.int64),
    "customer_id": (0, np.int64),
    "identifier_kind": (0, np.int64),
    "identifier_value": (0, np.int64),
    "item_id": (0, np.int64),
    "interaction_id": (0, np.int64),
    "occurred_micros": (0, np.int64),
    "quantity": (1.0, np.float64),
    "amount_minor_units": (0, np.int64),
    "amount_currency": (0, np.int64),
    "rating": (math.nan, np.float64),
    "order_id": (0, np.int64),
    "touchpoint": (0, np.int64),
    "decision_id": (0, np.int64),
    "reverses_id": (0, np.int64),
}
"""Columns of a batch in the order of `InteractionBatch`: what an empty one means, and of which type they are."""


def batch_from_proto(message: interaction_pb.StreamInteractionsRequest) -> InteractionBatch | None:
    """A columnar batch as it is. None if columns differ in length; `interactions_from_columns` says which."""
    n = len(message.kind)

    def column(name: str, default: float, dtype: type[np.generic]) -> NDArray[Any]:
        values = getattr(message, name)
        return np.fromiter(values, dtype=dtype, count=n) if values else np.full(n, default, dtype=dtype)

    if any(len(getattr(message, name)) not in (0, n) for name in _COLUMNS):
        return None
    return InteractionBatch(
        list(message.strings),
        *(column(name, default, dtype) for name, (default, dtype) in _COLUMNS.items()),
    )


__all__ = ["batch_from_proto"]
