"""Every error Visavis raises on purpose.

    VisavisError
    ├── InvalidInput            the caller's data breaks a rule; carries field violations
    ├── NotFound                a named thing does not exist
    ├── Conflict                the request contradicts what is stored
    ├── NotReady                nothing is fitted yet, or state is still loading
    ├── Overloaded              too much work at once; try again after a pause
    ├── Unavailable             no server answers, or it is going down
    ├── DeadlineExceeded        the answer could not be had in the time given
    ├── Unauthenticated         no key, or a wrong one
    ├── Forbidden               a key without the scope that the call needs
    ├── PluginError             a plugin is broken, missing or claimed twice
    └── StoreError              the file, its folder or its owner
        ├── NotAStore           the path holds something else
        ├── StoreTooNew         made by a later version of Visavis
        ├── StoreInUse          another process owns it
        ├── StoreBehind         acknowledged writes are missing from the file
        ├── StoreDamaged        the file or its log cannot be read
        └── StoreUnwritable     read-only folder, disk full

Each message says what, where and what to do next. `reason` is a constant of the documented enum
`visavis.api.v1.ErrorReason` (without its prefix); `metadata` repeats every variable of the message.
No class here knows gRPC: `visavis.rpc.errors` holds the one table from errors to status codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule: `field` is the path as the caller wrote it (`interactions[3].kind`)."""

    field: str
    description: str


class VisavisError(Exception):
    """Base of all errors that Visavis raises on purpose.

    `message` is one line for a person. `reason` and `metadata` are for programs.
    """

    reason: str = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})


class InvalidInput(VisavisError):
    """The caller's data breaks one or more rules; nothing of the call was applied."""

    reason = "INVALID_FIELD"

    def __init__(
        self,
        violations: Iterable[FieldViolation] | str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(violations, str):
            self.violations: tuple[FieldViolation, ...] = ()
            message = violations
        else:
            self.violations = tuple(violations)
            first = self.violations[0]
            more = len(self.violations) - 1
            message = f"{first.field}: {first.description}"
            if more:
                message += f" (and {more} more field{'s' if more > 1 else ''})"
        super().__init__(message, reason=reason, metadata=metadata)


class NotFound(VisavisError):
    """A named thing does not exist."""

    reason = "NOT_FOUND"


class Conflict(VisavisError):
    """The request contradicts what is stored."""

    reason = "CONFLICT"


class NotReady(VisavisError):
    """Nothing is fitted yet, or state is still loading."""

    reason = "NOT_FITTED"


class Overloaded(VisavisError):
    """Too much work at once; the same call may succeed after a pause."""

    reason = "OVERLOADED"


class Unavailable(VisavisError):
    """No server answers at the address, or it is going down."""

    reason = "UNAVAILABLE"


class DeadlineExceeded(VisavisError):
    """The answer could not be had in the time given."""

    reason = "DEADLINE_EXCEEDED"


class Unauthenticated(VisavisError):
    """No key, or a wrong one."""

    reason = "UNAUTHENTICATED"


class Forbidden(VisavisError):
    """A key without the scope that the call needs."""

    reason = "FORBIDDEN"


class PluginError(VisavisError):
    """A plugin is broken, missing or claimed twice."""

    reason = "PLUGIN_FAILED"


class StoreError(VisavisError):
    """The store's file, its folder or its owner."""

    reason = "STORE_FAILED"


class NotAStore(StoreError):
    """The path holds something that is not a Visavis store."""

    reason = "NOT_A_STORE"


class StoreTooNew(StoreError):
    """The store was made by a later version of Visavis."""

    reason = "STORE_TOO_NEW"


class StoreInUse(StoreError):
    """Another process owns the store."""

    reason = "STORE_IN_USE"


class StoreBehind(StoreError):
    """Writes that were acknowledged are missing from the file."""

    reason = "STORE_BEHIND"


class StoreDamaged(StoreError):
    """The file or its write-ahead log cannot be read."""

    reason = "STORE_DAMAGED"


class StoreUnwritable(StoreError):
    """The folder is read-only or the disk is full."""

    reason = "STORE_UNWRITABLE"


__all__ = [
    "Conflict",
    "DeadlineExceeded",
    "FieldViolation",
    "Forbidden",
    "InvalidInput",
    "NotAStore",
    "NotFound",
    "NotReady",
    "Overloaded",
    "PluginError",
    "StoreBehind",
    "StoreDamaged",
    "StoreError",
    "StoreInUse",
    "StoreTooNew",
    "StoreUnwritable",
    "Unauthenticated",
    "Unavailable",
    "VisavisError",
]
