import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from visavis.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FitRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class FitResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: _types_pb2.Progress
    report: FitReport
    def __init__(self, progress: _Optional[_Union[_types_pb2.Progress, _Mapping]] = ..., report: _Optional[_Union[FitReport, _Mapping]] = ...) -> None: ...

class FitReport(_message.Message):
    __slots__ = ("generation", "scorers", "segmenters", "failed", "customer_count", "item_count", "interaction_count", "elapsed")
    class FailedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SCORERS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTERS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    generation: int
    scorers: _containers.RepeatedScalarFieldContainer[str]
    segmenters: _containers.RepeatedScalarFieldContainer[str]
    failed: _containers.ScalarMap[str, str]
    customer_count: int
    item_count: int
    interaction_count: int
    elapsed: _duration_pb2.Duration
    def __init__(self, generation: _Optional[int] = ..., scorers: _Optional[_Iterable[str]] = ..., segmenters: _Optional[_Iterable[str]] = ..., failed: _Optional[_Mapping[str, str]] = ..., customer_count: _Optional[int] = ..., item_count: _Optional[int] = ..., interaction_count: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateSnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateSnapshotResponse(_message.Message):
    __slots__ = ("progress", "chunk", "snapshot")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    progress: _types_pb2.Progress
    chunk: bytes
    snapshot: Snapshot
    def __init__(self, progress: _Optional[_Union[_types_pb2.Progress, _Mapping]] = ..., chunk: _Optional[bytes] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("byte_count", "sequence", "elapsed")
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    byte_count: int
    sequence: int
    elapsed: _duration_pb2.Duration
    def __init__(self, byte_count: _Optional[int] = ..., sequence: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateBackupRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateBackupResponse(_message.Message):
    __slots__ = ("progress", "chunk", "backup")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    progress: _types_pb2.Progress
    chunk: bytes
    backup: Backup
    def __init__(self, progress: _Optional[_Union[_types_pb2.Progress, _Mapping]] = ..., chunk: _Optional[bytes] = ..., backup: _Optional[_Union[Backup, _Mapping]] = ...) -> None: ...

class Backup(_message.Message):
    __slots__ = ("byte_count", "sequence", "row_count", "elapsed")
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    byte_count: int
    sequence: int
    row_count: int
    elapsed: _duration_pb2.Duration
    def __init__(self, byte_count: _Optional[int] = ..., sequence: _Optional[int] = ..., row_count: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CompactStoreRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class CompactStoreResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: _types_pb2.Progress
    report: CompactionReport
    def __init__(self, progress: _Optional[_Union[_types_pb2.Progress, _Mapping]] = ..., report: _Optional[_Union[CompactionReport, _Mapping]] = ...) -> None: ...

class CompactionReport(_message.Message):
    __slots__ = ("byte_count_before", "byte_count_after", "row_count", "elapsed", "pause")
    BYTE_COUNT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_AFTER_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    byte_count_before: int
    byte_count_after: int
    row_count: int
    elapsed: _duration_pb2.Duration
    pause: _duration_pb2.Duration
    def __init__(self, byte_count_before: _Optional[int] = ..., byte_count_after: _Optional[int] = ..., row_count: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., pause: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "store_id", "path", "schema_version", "sequence", "generation", "fitted_at", "customer_count", "item_count", "interaction_count", "unfitted_interaction_count", "wal_byte_count", "file_byte_count", "muted", "warnings", "refreshed_sequence")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FITTED_AT_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNFITTED_INTERACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAL_BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MUTED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    REFRESHED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    version: str
    store_id: str
    path: str
    schema_version: int
    sequence: int
    generation: int
    fitted_at: _timestamp_pb2.Timestamp
    customer_count: int
    item_count: int
    interaction_count: int
    unfitted_interaction_count: int
    wal_byte_count: int
    file_byte_count: int
    muted: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    refreshed_sequence: int
    def __init__(self, version: _Optional[str] = ..., store_id: _Optional[str] = ..., path: _Optional[str] = ..., schema_version: _Optional[int] = ..., sequence: _Optional[int] = ..., generation: _Optional[int] = ..., fitted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., customer_count: _Optional[int] = ..., item_count: _Optional[int] = ..., interaction_count: _Optional[int] = ..., unfitted_interaction_count: _Optional[int] = ..., wal_byte_count: _Optional[int] = ..., file_byte_count: _Optional[int] = ..., muted: bool = ..., warnings: _Optional[_Iterable[str]] = ..., refreshed_sequence: _Optional[int] = ...) -> None: ...
