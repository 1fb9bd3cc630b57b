"""What the rooms share: stubs, parts of requests, answers that come with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from visavis.model import (
    AttributeFilter,
    Progress,
)
from visavis.rpc import convert
from visavis.rpc.caller import Caller
from visavis.rpc.convert import make


def stubs(caller: Caller, *stubs: Any) -> tuple[Any, ...]:
    return tuple(stub(caller.channel) for stub in stubs)


def mask(paths: Sequence[str]) -> FieldMask:
    return make(FieldMask, "update_mask", paths=paths)


def ranking(
    n: int,
    scorer: str,
    filters: Sequence[AttributeFilter],
    exclude: Sequence[str],
    available_only: bool,
    one_per_group: bool,
) -> dict[str, Any]:
    return {
        "n": n,
        "scorer": scorer,
        "filters": [convert.filter_to_proto(keep, f"filters[{at}]") for at, keep in enumerate(filters)],
        "exclude": exclude,
        "available_only": available_only,
        "one_per_group": one_per_group,
    }


def last(answers: Iterator[Any], progress: Callable[[Progress], None] | None) -> Any:
    """Tell the progress; the last answer, which is the report."""
    answer = None
    for answer in answers:
        if progress is not None and answer.WhichOneof("event") == "progress":
            progress(convert.progress_from_proto(answer.progress))
    return answer


__all__ = ["last", "mask", "ranking", "stubs"]
