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

class EvaluateRequest(_message.Message):
    __slots__ = ("scorers", "days", "end_at", "min_buyers", "max_customers", "seed")
    SCORERS_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    END_AT_FIELD_NUMBER: _ClassVar[int]
    MIN_BUYERS_FIELD_NUMBER: _ClassVar[int]
    MAX_CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    scorers: _containers.RepeatedScalarFieldContainer[str]
    days: float
    end_at: _timestamp_pb2.Timestamp
    min_buyers: int
    max_customers: int
    seed: int
    def __init__(self, scorers: _Optional[_Iterable[str]] = ..., days: _Optional[float] = ..., end_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., min_buyers: _Optional[int] = ..., max_customers: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class EvaluateResponse(_message.Message):
    __slots__ = ("progress", "report")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    progress: _types_pb2.Progress
    report: EvaluationReport
    def __init__(self, progress: _Optional[_Union[_types_pb2.Progress, _Mapping]] = ..., report: _Optional[_Union[EvaluationReport, _Mapping]] = ...) -> None: ...

class EvaluationReport(_message.Message):
    __slots__ = ("begin_at", "end_at", "item_count", "interaction_count", "truth_count", "seed", "judged", "comparisons", "failed", "elapsed")
    class FailedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BEGIN_AT_FIELD_NUMBER: _ClassVar[int]
    END_AT_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUTH_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    COMPARISONS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    begin_at: _timestamp_pb2.Timestamp
    end_at: _timestamp_pb2.Timestamp
    item_count: int
    interaction_count: int
    truth_count: int
    seed: int
    judged: _containers.RepeatedCompositeFieldContainer[JudgedScorer]
    comparisons: _containers.RepeatedCompositeFieldContainer[ScorerComparison]
    failed: _containers.ScalarMap[str, str]
    elapsed: _duration_pb2.Duration
    def __init__(self, begin_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., item_count: _Optional[int] = ..., interaction_count: _Optional[int] = ..., truth_count: _Optional[int] = ..., seed: _Optional[int] = ..., judged: _Optional[_Iterable[_Union[JudgedScorer, _Mapping]]] = ..., comparisons: _Optional[_Iterable[_Union[ScorerComparison, _Mapping]]] = ..., failed: _Optional[_Mapping[str, str]] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class JudgedScorer(_message.Message):
    __slots__ = ("scorer", "baseline", "task", "customer_count", "measures", "fit_elapsed")
    SCORER_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    FIT_ELAPSED_FIELD_NUMBER: _ClassVar[int]
    scorer: str
    baseline: bool
    task: str
    customer_count: int
    measures: _containers.RepeatedCompositeFieldContainer[EvaluationMeasure]
    fit_elapsed: _duration_pb2.Duration
    def __init__(self, scorer: _Optional[str] = ..., baseline: bool = ..., task: _Optional[str] = ..., customer_count: _Optional[int] = ..., measures: _Optional[_Iterable[_Union[EvaluationMeasure, _Mapping]]] = ..., fit_elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class EvaluationMeasure(_message.Message):
    __slots__ = ("name", "places", "value", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    places: int
    value: float
    error: float
    def __init__(self, name: _Optional[str] = ..., places: _Optional[int] = ..., value: _Optional[float] = ..., error: _Optional[float] = ...) -> None: ...

class ScorerComparison(_message.Message):
    __slots__ = ("task", "scorer", "against", "measure", "places", "difference", "low", "high", "verdict")
    TASK_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    task: str
    scorer: str
    against: str
    measure: str
    places: int
    difference: float
    low: float
    high: float
    verdict: str
    def __init__(self, task: _Optional[str] = ..., scorer: _Optional[str] = ..., against: _Optional[str] = ..., measure: _Optional[str] = ..., places: _Optional[int] = ..., difference: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., verdict: _Optional[str] = ...) -> None: ...
