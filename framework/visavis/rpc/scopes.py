"""Which scope each call needs. What this table does not name, nobody may call.

No scope holds another: a key that does two things has two scopes.
"""

from __future__ import annotations

from visavis.errors import FieldViolation, InvalidInput

SCOPES: dict[str, str] = {
    "ingest": "record interactions, import files, change items, customers and consents",
    "decide": "ask for recommendations and similar items",
    "read": "read items, profiles, segments, plugins and the status",
    "admin": "fit, evaluate, send test messages, copy, back up and compact the store",
    "erase": "erase customers (no call needs it yet)",
}
"""Every scope and what a key with it may do."""

_PACKAGE = "visavis.api.v1"
_BY_SERVICE: dict[str, dict[str, str]] = {
    "AdminService": {
        "CompactStore": "admin",
        "CreateBackup": "admin",
        "CreateSnapshot": "admin",
        "Fit": "admin",
        "GetStatus": "read",
    },
    "CatalogService": {"GetItem": "read", "ListItems": "read", "UpsertItems": "ingest"},
    "CustomerService": {"GetProfile": "read", "SetConsent": "ingest", "UpsertCustomers": "ingest"},
    "EvaluationService": {"Evaluate": "admin"},
    "InteractionService": {"ImportFile": "ingest", "RecordInteractions": "ingest", "StreamInteractions": "ingest"},
    "MessageService": {"SendTestMessage": "admin"},
    "PluginService": {"ListPlugins": "read"},
    "RecommendationService": {"BatchRecommend": "decide", "ListSimilarItems": "decide", "Recommend": "decide"},
    "SegmentService": {"ListSegmentMembers": "read", "ListSegments": "read"},
}
SCOPE_BY_METHOD: dict[str, str] = {
    f"/{_PACKAGE}.{service}/{rpc}": scope for service, rpcs in _BY_SERVICE.items() for rpc, scope in rpcs.items()
}
"""The scope that a call needs, by its path."""

ANY_SCOPE = frozenset({"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"})
"""Calls that tell nothing but the public API, so that a key of any scope will do."""


def check_scopes(text: str, field: str) -> tuple[str, ...]:
    """The scopes in a text such as `ingest,decide`, each once, in the order of `SCOPES`.

    Raises `InvalidInput` that names `field` and the scopes there are.
    """
    wanted = [part.strip() for part in text.split(",")]
    wrong = [part for part in wanted if part not in SCOPES]
    if wrong:
        what = f"holds {wrong[0][:50]!r}, which is no scope" if wrong[0] else "holds an empty scope"
        raise InvalidInput([FieldViolation(field, f"{what}; give one or more of {', '.join(SCOPES)}")])
    return tuple(scope for scope in SCOPES if scope in wanted)


__all__ = ["ANY_SCOPE", "SCOPES", "SCOPE_BY_METHOD", "check_scopes"]
