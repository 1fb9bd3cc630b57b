from visavis.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecommendedItem(_message.Message):
    __slots__ = ("item_id", "name", "rank", "score", "scorer", "reasons")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    name: str
    rank: int
    score: float
    scorer: str
    reasons: _containers.RepeatedCompositeFieldContainer[_types_pb2.Reason]
    def __init__(self, item_id: _Optional[str] = ..., name: _Optional[str] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ..., scorer: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[_types_pb2.Reason, _Mapping]]] = ...) -> None: ...

class Recommendation(_message.Message):
    __slots__ = ("customer_id", "decision_id", "scorer", "fallback", "fallback_reason", "generation", "items")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_REASON_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    decision_id: str
    scorer: str
    fallback: bool
    fallback_reason: str
    generation: int
    items: _containers.RepeatedCompositeFieldContainer[RecommendedItem]
    def __init__(self, customer_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., scorer: _Optional[str] = ..., fallback: bool = ..., fallback_reason: _Optional[str] = ..., generation: _Optional[int] = ..., items: _Optional[_Iterable[_Union[RecommendedItem, _Mapping]]] = ...) -> None: ...

class RecommendRequest(_message.Message):
    __slots__ = ("customer", "n", "scorer", "filters", "exclude", "exclude_bought", "available_only", "one_per_group", "most_reasons")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_BOUGHT_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_ONLY_FIELD_NUMBER: _ClassVar[int]
    ONE_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    MOST_REASONS_FIELD_NUMBER: _ClassVar[int]
    customer: _types_pb2.CustomerRef
    n: int
    scorer: str
    filters: _containers.RepeatedCompositeFieldContainer[_types_pb2.AttributeFilter]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    exclude_bought: bool
    available_only: bool
    one_per_group: bool
    most_reasons: int
    def __init__(self, customer: _Optional[_Union[_types_pb2.CustomerRef, _Mapping]] = ..., n: _Optional[int] = ..., scorer: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[_types_pb2.AttributeFilter, _Mapping]]] = ..., exclude: _Optional[_Iterable[str]] = ..., exclude_bought: bool = ..., available_only: bool = ..., one_per_group: bool = ..., most_reasons: _Optional[int] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("recommendation",)
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    recommendation: Recommendation
    def __init__(self, recommendation: _Optional[_Union[Recommendation, _Mapping]] = ...) -> None: ...

class BatchRecommendRequest(_message.Message):
    __slots__ = ("customers", "n", "scorer", "filters", "exclude", "exclude_bought", "available_only", "one_per_group", "most_reasons")
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_BOUGHT_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_ONLY_FIELD_NUMBER: _ClassVar[int]
    ONE_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    MOST_REASONS_FIELD_NUMBER: _ClassVar[int]
    customers: _containers.RepeatedCompositeFieldContainer[_types_pb2.CustomerRef]
    n: int
    scorer: str
    filters: _containers.RepeatedCompositeFieldContainer[_types_pb2.AttributeFilter]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    exclude_bought: bool
    available_only: bool
    one_per_group: bool
    most_reasons: int
    def __init__(self, customers: _Optional[_Iterable[_Union[_types_pb2.CustomerRef, _Mapping]]] = ..., n: _Optional[int] = ..., scorer: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[_types_pb2.AttributeFilter, _Mapping]]] = ..., exclude: _Optional[_Iterable[str]] = ..., exclude_bought: bool = ..., available_only: bool = ..., one_per_group: bool = ..., most_reasons: _Optional[int] = ...) -> None: ...

class BatchRecommendResponse(_message.Message):
    __slots__ = ("recommendations",)
    RECOMMENDATIONS_FIELD_NUMBER: _ClassVar[int]
    recommendations: _containers.RepeatedCompositeFieldContainer[Recommendation]
    def __init__(self, recommendations: _Optional[_Iterable[_Union[Recommendation, _Mapping]]] = ...) -> None: ...

class ListSimilarItemsRequest(_message.Message):
    __slots__ = ("item_id", "n", "scorer", "filters", "exclude", "available_only", "one_per_group")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_ONLY_FIELD_NUMBER: _ClassVar[int]
    ONE_PER_GROUP_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    n: int
    scorer: str
    filters: _containers.RepeatedCompositeFieldContainer[_types_pb2.AttributeFilter]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    available_only: bool
    one_per_group: bool
    def __init__(self, item_id: _Optional[str] = ..., n: _Optional[int] = ..., scorer: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[_types_pb2.AttributeFilter, _Mapping]]] = ..., exclude: _Optional[_Iterable[str]] = ..., available_only: bool = ..., one_per_group: bool = ...) -> None: ...

class SimilarItem(_message.Message):
    __slots__ = ("item_id", "name", "rank", "score")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    name: str
    rank: int
    score: float
    def __init__(self, item_id: _Optional[str] = ..., name: _Optional[str] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class ListSimilarItemsResponse(_message.Message):
    __slots__ = ("item_id", "name", "scorer", "items")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    name: str
    scorer: str
    items: _containers.RepeatedCompositeFieldContainer[SimilarItem]
    def __init__(self, item_id: _Optional[str] = ..., name: _Optional[str] = ..., scorer: _Optional[str] = ..., items: _Optional[_Iterable[_Union[SimilarItem, _Mapping]]] = ...) -> None: ...
