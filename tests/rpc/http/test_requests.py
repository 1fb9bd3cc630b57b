"""JSON becomes messages: every form that is taken, every slip named, and never anything but these two."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visavis.api.v1 import (
    catalog_service_pb2,
    customer_service_pb2,
    interaction_service_pb2,
    recommendation_service_pb2,
)
from visavis.errors import InvalidInput
from visavis.rpc.http.requests import parse_json

Recommend = recommendation_service_pb2.RecommendRequest
Record = interaction_service_pb2.RecordInteractionsRequest
UpsertItems = catalog_service_pb2.UpsertItemsRequest
REQUESTS: list[Any] = [Recommend, Record, UpsertItems, customer_service_pb2.UpsertCustomersRequest,
                       customer_service_pb2.SetConsentRequest]  # fmt: skip

_LIMITED = settings(derandomize=True, max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parsed(make: Any, text: str | bytes) -> Any:
    return parse_json(text if isinstance(text, bytes) else text.encode(), make)


def refusal(make: Any, text: str | bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        parsed(make, text)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{}", Recommend()),
        (' {"n": 3}\n', Recommend(n=3)),
        ('{"n": "3", "scorer": null}', Recommend(n=3)),
        ('{"n": 3.0}', Recommend(n=3)),
        ('{"n": 1e2}', Recommend(n=100)),
        ('{"n": 0}', Recommend(n=0)),
        ('{"customer": {}}', Recommend(customer={})),
        ('{"customer": {"customer_id": "ann"}}', Recommend(customer={"customer_id": "ann"})),
        ('{"customer": {"customerId": "ann", "identifier": null}}', Recommend(customer={"customer_id": "ann"})),
        ('{"exclude": ["a", "☕", "\\ud83c\\udf75"], "excludeBought": false}',
         Recommend(exclude=["a", "☕", "🍵"], exclude_bought=False)),
        ('{"filters": [{"name": "price", "atLeast": "1.5", "at_most": 2}]}',
         Recommend(filters=[{"name": "price", "at_least": 1.5, "at_most": 2.0}])),
        ('{"filters": [{"atLeast": "-Infinity"}]}', Recommend(filters=[{"at_least": float("-inf")}])),
        ('{"filters": []}', Recommend()),
    ],
)  # fmt: skip
def test_what_is_taken(text: str, wanted: Message) -> None:
    assert parsed(Recommend, text) == wanted


def test_a_text_of_very_many_values_is_not_even_parsed() -> None:
    for part in ("[],", "{},", "1,", "[["):
        assert "has more than 250,000 commas and opening brackets; send less" in refusal(Record, part * 250_001)
    rows = [{"kind": "view", "customer": {"customerId": "ann"}, **dict.fromkeys(("itemId", "sessionId"))}] * 10_000
    with pytest.raises(InvalidInput, match="sessionId: is no field"):  # as many as one call takes: parsed, and read
        parsed(Record, json.dumps({"interactions": rows}))


def test_presence_is_kept() -> None:
    assert parsed(Recommend, '{"n": 0}').HasField("n")
    assert not parsed(Recommend, '{"n": null}').HasField("n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the body is empty; send a JSON object, {} at least"),
        (" \n", "the body is empty"),
        ("[]", "body: is a list; give an object"),
        ("3", "body: is 3; give an object"),
        ("null", "body: is null; give an object"),
        ("{", "the body is not valid JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
        ("{'n': 3}", "the body is not valid JSON"),
        ('{"n": 3,}', "the body is not valid JSON"),
        ('{"n": NaN}', "NaN is no number there"),
        ('{"filters": [{"atLeast": -Infinity}]}', "-Infinity is no number there"),
        (b'\xef\xbb\xbf{"n": 3}', "begins with a byte order mark"),
        (b'{"scorer": "\xff"}', "not UTF-8 text (byte 13)"),
        ('{"n": 3}'.encode("utf-16"), "not UTF-8 text (byte 1)"),
        ('{"n": 1, "n": 2}', 'the body names "n" twice in one object; name it once'),
        ('{"customer": {"customerId": "a", "customerId": "a"}}', 'names "customerId" twice'),
        ('{"exclude": ' + "[" * 100_000, "nested too deeply"),
        ('{"n": ' + "9" * 5000 + "}", "more digits than any field takes"),
        ('{"N": 1}', "N: is no field of RecommendRequest, which has customer, n, scorer, filters"),
        ('{"customer": {"id": "a"}}', "customer.id: is no field of CustomerRef, which has customerId, identifier"),
        ('{"filters": [{}, {"x": 1}]}', "filters[1].x: is no field of AttributeFilter"),
        ('{"onePerGroup": true, "one_per_group": true}',
         "one_per_group: must not be set together with onePerGroup; set one of them"),
        ('{"customer": {"customerId": "a", "identifier": {}}}',
         "customer.identifier: must not be set together with customerId; set one of them"),
        ('{"n": "abc"}', 'n: is "abc"; give a whole number'),
        ('{"n": ""}', 'n: is ""; give a whole number'),
        ('{"n": "１"}', "give a whole number"),
        ('{"n": 1.5}', "n: is 1.5; give a whole number"),
        ('{"n": true}', "n: is true; give a whole number"),
        ('{"n": {}}', "n: is an object; give a whole number"),
        ('{"n": 2147483648}', "n: is 2147483648; give -2147483648 to 2147483647"),
        ('{"n": 1e300}', "give -2147483648 to 2147483647"),
        ('{"customer": []}', "customer: is a list; give an object"),
        ('{"customer": 5}', "customer: is 5; give an object"),
        ('{"customer": {"customerId": 5}}', "customer.customerId: is 5; give a text in quotes"),
        ('{"scorer": "\\ud800"}', "scorer: holds half of a surrogate pair"),
        ('{"exclude": "a"}', 'exclude: is "a"; give a list'),
        ('{"exclude": {"0": "a"}}', "exclude: is an object; give a list"),
        ('{"exclude": ["a", null]}', "exclude[1]: is null; give a text in quotes"),
        ('{"filters": [null]}', "filters[0]: is null; give an object"),
        ('{"excludeBought": "true"}', 'excludeBought: is "true"; give true or false, without quotes'),
        ('{"filters": [{"atLeast": "x"}]}', 'filters[0].atLeast: is "x"; give a number'),
        ('{"filters": [{"atLeast": 1e999}]}', "give a number that a double can hold"),
        ('{"filters": [{"atLeast": 1' + "0" * 400 + "}]}", "give a number that a double can hold"),
        ('{"scorer": ' + json.dumps({"a" * 1000: 1}) + "}", "scorer: is an object; give a text in quotes"),
        ('{"' + "a" * 1000 + '": 1}', "aaa: is no field of RecommendRequest"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str | bytes, message: str) -> None:
    assert message in refusal(Recommend, text)


@pytest.mark.parametrize(
    ("make", "text", "message"),
    [
        (Record, '{"interactions": [{"occurredAt": "yesterday"}]}',
         'interactions[0].occurredAt: is "yesterday"; give a time such as "2026-01-31T12:00:00Z"'),
        (Record, '{"interactions": [{"occurredAt": 5}]}', "interactions[0].occurredAt: is 5; give a time"),
        (UpsertItems, '{"updateMask": {"paths": ["name"]}}', "updateMask: is an object; give names of fields"),
        (UpsertItems, '{"updateMask": "group_id"}', 'updateMask: is "group_id"; give names of fields'),
        (UpsertItems, '{"items": [{"attributes": []}]}', "items[0].attributes: is a list; give an object"),
        (UpsertItems, '{"items": [{"attributes": {"a": 5}}]}', 'items[0].attributes["a"]: is 5; give an object'),
        (UpsertItems, '{"items": [{"attributes": {"\\ud800": {}}}]}', "holds half of a surrogate pair"),
        (UpsertItems, '{"items": [{"price": {"minorUnits": "9223372036854775808"}}]}', "give -9223372036854775808 to"),
    ],
)  # fmt: skip
def test_other_forms_that_are_refused(make: Any, text: str, message: str) -> None:
    assert message in refusal(make, text)


def test_times_masks_and_attributes_are_taken() -> None:
    item = {"itemId": "a", "price": {"minorUnits": "5", "currency": "EUR"}, "attributes": {"☕.[": {"number": 2}}}
    made = parsed(UpsertItems, json.dumps({"items": [item], "updateMask": "price,groupId"}))
    assert made.items[0].attributes["☕.["].number == 2
    assert list(made.update_mask.paths) == ["price", "group_id"]
    made = parsed(Record, '{"interactions": [{"kind": "view", "occurredAt": "2026-01-31T12:00:00.5+01:00"}]}')
    assert made.interactions[0].occurred_at.ToJsonString() == "2026-01-31T11:00:00.500Z"


def test_many_names_with_one_twice_are_soon_refused() -> None:
    names = ", ".join(f'"{number}": 0' for number in range(200_000))
    assert 'names "199999" twice' in refusal(Recommend, f'{{{names}, "199999": 0}}')


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_NUMBERS = {
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: _TEXTS,
}


@st.composite
def filled(draw: st.DrawFn, make: Any) -> Any:
    """A message with some of its fields set to anything."""
    message = make()
    for field in message.DESCRIPTOR.fields:
        if draw(st.booleans()):
            _fill(draw, message, field)
    return message


def _fill(draw: st.DrawFn, message: Any, field: Any) -> None:
    kind = field.message_type
    if kind is not None and kind.full_name == "google.protobuf.Timestamp":
        getattr(message, field.name).FromNanoseconds(draw(st.integers(-(10**18), 10**19)))
    elif kind is not None and kind.full_name == "google.protobuf.FieldMask":
        getattr(message, field.name).paths.extend(draw(st.lists(st.sampled_from(["name", "group_id"]), max_size=2)))
    elif kind is not None and kind.GetOptions().map_entry:
        value = kind.fields_by_name["value"].message_type._concrete_class
        for key in draw(st.lists(_TEXTS, max_size=2, unique=True)):
            getattr(message, field.name)[key].CopyFrom(draw(filled(value)))
    elif kind is not None and field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(filled(kind._concrete_class), max_size=2)))
    elif kind is not None:
        getattr(message, field.name).CopyFrom(draw(filled(kind._concrete_class)))
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(_NUMBERS[field.type], max_size=2)))
    else:
        setattr(message, field.name, draw(_NUMBERS[field.type]))


@pytest.mark.parametrize("make", REQUESTS)
@_LIMITED
@given(data=st.data(), original=st.booleans())
def test_every_message_comes_back(make: Any, data: st.DataObject, original: bool) -> None:
    message = data.draw(filled(make))
    text = json_format.MessageToJson(message, preserving_proto_field_name=original)
    assert parsed(make, text) == message


_NAMES = [
    "customer", "customers", "items", "kind", "identifier", "itemId", "customerId", "attributes", "n", "occurredAt",
    "price", "minorUnits", "filters", "atLeast", "exclude", "updateMask", "interactions", "consent", "granted", "text",
    "texts", "values", "x",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
    | st.sampled_from(["1", "1e3", "Infinity", "NaN", "true", "2026-01-31T12:00:00Z", "name"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("make", REQUESTS)
@settings(derandomize=True, max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=4))
def test_whatever_is_taken_means_what_the_library_says(make: Any, value: dict[str, Any]) -> None:
    text = json.dumps(value)
    try:
        mine = parsed(make, text)
    except InvalidInput:
        return
    theirs = json_format.Parse(text, make())
    assert mine.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


@pytest.mark.parametrize("make", REQUESTS)
@_LIMITED
@given(noise=st.binary(max_size=60))
def test_noise_is_refused_and_nothing_else_happens(make: Any, noise: bytes) -> None:
    with pytest.raises(InvalidInput):
        parsed(make, b"{" + noise + b"x")
