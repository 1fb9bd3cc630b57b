from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_FIELD: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_FITTED: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_DEADLINE_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_UNAUTHENTICATED: _ClassVar[ErrorReason]
    ERROR_REASON_FORBIDDEN: _ClassVar[ErrorReason]
    ERROR_REASON_PLUGIN_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_A_STORE: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_TOO_NEW: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_IN_USE: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_BEHIND: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_DAMAGED: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_UNWRITABLE: _ClassVar[ErrorReason]
    ERROR_REASON_UNKNOWN_PLUGIN: _ClassVar[ErrorReason]
    ERROR_REASON_UNKNOWN_ITEM: _ClassVar[ErrorReason]
    ERROR_REASON_UNKNOWN_CUSTOMER: _ClassVar[ErrorReason]
    ERROR_REASON_UNKNOWN_SEGMENT: _ClassVar[ErrorReason]
    ERROR_REASON_IDENTIFIER_TAKEN: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    ERROR_REASON_FIT_RUNNING: _ClassVar[ErrorReason]
    ERROR_REASON_TOO_MANY_KINDS: _ClassVar[ErrorReason]
    ERROR_REASON_FILE_UNREADABLE: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_INVALID_FIELD: ErrorReason
ERROR_REASON_NOT_FOUND: ErrorReason
ERROR_REASON_CONFLICT: ErrorReason
ERROR_REASON_NOT_FITTED: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_UNAVAILABLE: ErrorReason
ERROR_REASON_DEADLINE_EXCEEDED: ErrorReason
ERROR_REASON_UNAUTHENTICATED: ErrorReason
ERROR_REASON_FORBIDDEN: ErrorReason
ERROR_REASON_PLUGIN_FAILED: ErrorReason
ERROR_REASON_STORE_FAILED: ErrorReason
ERROR_REASON_NOT_A_STORE: ErrorReason
ERROR_REASON_STORE_TOO_NEW: ErrorReason
ERROR_REASON_STORE_IN_USE: ErrorReason
ERROR_REASON_STORE_BEHIND: ErrorReason
ERROR_REASON_STORE_DAMAGED: ErrorReason
ERROR_REASON_STORE_UNWRITABLE: ErrorReason
ERROR_REASON_UNKNOWN_PLUGIN: ErrorReason
ERROR_REASON_UNKNOWN_ITEM: ErrorReason
ERROR_REASON_UNKNOWN_CUSTOMER: ErrorReason
ERROR_REASON_UNKNOWN_SEGMENT: ErrorReason
ERROR_REASON_IDENTIFIER_TAKEN: ErrorReason
ERROR_REASON_REQUEST_ID_REUSED: ErrorReason
ERROR_REASON_FIT_RUNNING: ErrorReason
ERROR_REASON_TOO_MANY_KINDS: ErrorReason
ERROR_REASON_FILE_UNREADABLE: ErrorReason
