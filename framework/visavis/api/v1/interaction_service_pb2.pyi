import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from visavis.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Interaction(_message.Message):
    __slots__ = ("kind", "customer", "item_id", "interaction_id", "occurred_at", "quantity", "amount", "rating", "order_id", "touchpoint", "decision_id", "reverses_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TOUCHPOINT_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REVERSES_ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    customer: _types_pb2.CustomerRef
    item_id: str
    interaction_id: str
    occurred_at: _timestamp_pb2.Timestamp
    quantity: float
    amount: _types_pb2.Money
    rating: float
    order_id: str
    touchpoint: str
    decision_id: str
    reverses_id: str
    def __init__(self, kind: _Optional[str] = ..., customer: _Optional[_Union[_types_pb2.CustomerRef, _Mapping]] = ..., item_id: _Optional[str] = ..., interaction_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quantity: _Optional[float] = ..., amount: _Optional[_Union[_types_pb2.Money, _Mapping]] = ..., rating: _Optional[float] = ..., order_id: _Optional[str] = ..., touchpoint: _Optional[str] = ..., decision_id: _Optional[str] = ..., reverses_id: _Optional[str] = ...) -> None: ...

class RecordInteractionsRequest(_message.Message):
    __slots__ = ("interactions", "request_id")
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    interactions: _containers.RepeatedCompositeFieldContainer[Interaction]
    request_id: str
    def __init__(self, interactions: _Optional[_Iterable[_Union[Interaction, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RecordInteractionsResponse(_message.Message):
    __slots__ = ("recorded_count", "already_known_count")
    RECORDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ALREADY_KNOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    recorded_count: int
    already_known_count: int
    def __init__(self, recorded_count: _Optional[int] = ..., already_known_count: _Optional[int] = ...) -> None: ...

class StreamInteractionsRequest(_message.Message):
    __slots__ = ("batch_id", "request_id", "strings", "kind", "customer_id", "identifier_kind", "identifier_value", "item_id", "interaction_id", "occurred_micros", "quantity", "amount_minor_units", "amount_currency", "rating", "order_id", "touchpoint", "decision_id", "reverses_id")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STRINGS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_KIND_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_VALUE_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_MICROS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_UNITS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TOUCHPOINT_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REVERSES_ID_FIELD_NUMBER: _ClassVar[int]
    batch_id: str
    request_id: str
    strings: _containers.RepeatedScalarFieldContainer[str]
    kind: _containers.RepeatedScalarFieldContainer[int]
    customer_id: _containers.RepeatedScalarFieldContainer[int]
    identifier_kind: _containers.RepeatedScalarFieldContainer[int]
    identifier_value: _containers.RepeatedScalarFieldContainer[int]
    item_id: _containers.RepeatedScalarFieldContainer[int]
    interaction_id: _containers.RepeatedScalarFieldContainer[int]
    occurred_micros: _containers.RepeatedScalarFieldContainer[int]
    quantity: _containers.RepeatedScalarFieldContainer[float]
    amount_minor_units: _containers.RepeatedScalarFieldContainer[int]
    amount_currency: _containers.RepeatedScalarFieldContainer[int]
    rating: _containers.RepeatedScalarFieldContainer[float]
    order_id: _containers.RepeatedScalarFieldContainer[int]
    touchpoint: _containers.RepeatedScalarFieldContainer[int]
    decision_id: _containers.RepeatedScalarFieldContainer[int]
    reverses_id: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, batch_id: _Optional[str] = ..., request_id: _Optional[str] = ..., strings: _Optional[_Iterable[str]] = ..., kind: _Optional[_Iterable[int]] = ..., customer_id: _Optional[_Iterable[int]] = ..., identifier_kind: _Optional[_Iterable[int]] = ..., identifier_value: _Optional[_Iterable[int]] = ..., item_id: _Optional[_Iterable[int]] = ..., interaction_id: _Optional[_Iterable[int]] = ..., occurred_micros: _Optional[_Iterable[int]] = ..., quantity: _Optional[_Iterable[float]] = ..., amount_minor_units: _Optional[_Iterable[int]] = ..., amount_currency: _Optional[_Iterable[int]] = ..., rating: _Optional[_Iterable[float]] = ..., order_id: _Optional[_Iterable[int]] = ..., touchpoint: _Optional[_Iterable[int]] = ..., decision_id: _Optional[_Iterable[int]] = ..., reverses_id: _Optional[_Iterable[int]] = ...) -> None: ...

class StreamInteractionsResponse(_message.Message):
    __slots__ = ("batch_id", "recorded_count", "already_known_count", "error")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ALREADY_KNOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    batch_id: str
    recorded_count: int
    already_known_count: int
    error: _status_pb2.Status
    def __init__(self, batch_id: _Optional[str] = ..., recorded_count: _Optional[int] = ..., already_known_count: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class ImportFileRequest(_message.Message):
    __slots__ = ("options", "chunk")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    options: ImportOptions
    chunk: bytes
    def __init__(self, options: _Optional[_Union[ImportOptions, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ImportOptions(_message.Message):
    __slots__ = ("file_name", "columns", "source", "kind", "currency", "time_zone", "format", "delimiter", "request_id")
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    file_name: str
    columns: _containers.ScalarMap[str, str]
    source: str
    kind: str
    currency: str
    time_zone: str
    format: str
    delimiter: str
    request_id: str
    def __init__(self, file_name: _Optional[str] = ..., columns: _Optional[_Mapping[str, str]] = ..., source: _Optional[str] = ..., kind: _Optional[str] = ..., currency: _Optional[str] = ..., time_zone: _Optional[str] = ..., format: _Optional[str] = ..., delimiter: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ImportFileResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: _types_pb2.Progress
    report: ImportReport
    def __init__(self, progress: _Optional[_Union[_types_pb2.Progress, _Mapping]] = ..., report: _Optional[_Union[ImportReport, _Mapping]] = ...) -> None: ...

class ImportReport(_message.Message):
    __slots__ = ("source", "row_count", "interaction_count", "return_count", "without_customer_count", "already_known_count", "rejected_count", "rejected_by_reason", "returns_linked_count", "new_customer_count", "new_item_count", "columns", "guessed", "notes", "rejects_path", "samples", "elapsed")
    class RejectedByReasonEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETURN_COUNT_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_CUSTOMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ALREADY_KNOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_BY_REASON_FIELD_NUMBER: _ClassVar[int]
    RETURNS_LINKED_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEW_CUSTOMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEW_ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    GUESSED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    REJECTS_PATH_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    source: str
    row_count: int
    interaction_count: int
    return_count: int
    without_customer_count: int
    already_known_count: int
    rejected_count: int
    rejected_by_reason: _containers.ScalarMap[str, int]
    returns_linked_count: int
    new_customer_count: int
    new_item_count: int
    columns: _containers.ScalarMap[str, str]
    guessed: _containers.RepeatedScalarFieldContainer[str]
    notes: _containers.RepeatedScalarFieldContainer[str]
    rejects_path: str
    samples: _containers.RepeatedCompositeFieldContainer[RejectedRow]
    elapsed: _duration_pb2.Duration
    def __init__(self, source: _Optional[str] = ..., row_count: _Optional[int] = ..., interaction_count: _Optional[int] = ..., return_count: _Optional[int] = ..., without_customer_count: _Optional[int] = ..., already_known_count: _Optional[int] = ..., rejected_count: _Optional[int] = ..., rejected_by_reason: _Optional[_Mapping[str, int]] = ..., returns_linked_count: _Optional[int] = ..., new_customer_count: _Optional[int] = ..., new_item_count: _Optional[int] = ..., columns: _Optional[_Mapping[str, str]] = ..., guessed: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ..., rejects_path: _Optional[str] = ..., samples: _Optional[_Iterable[_Union[RejectedRow, _Mapping]]] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RejectedRow(_message.Message):
    __slots__ = ("row", "reason", "field", "value")
    ROW_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    row: int
    reason: str
    field: str
    value: str
    def __init__(self, row: _Optional[int] = ..., reason: _Optional[str] = ..., field: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
