"""Checks of single rows: one reason each, amounts exact, times in UTC, ids that tell equal rows apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.config import load_settings
from visavis.store import Store
from visavis.store.checking import check_rows
from visavis.store.imports import make_plan, staging
from visavis.store.interactions import text_hash

NOW = 1_700_000_000_000_000  # 2023-11-14
ROLES = (
    "customer",
    "item",
    "time",
    "order",
    "quantity",
    "price",
    "amount",
    "discount",
    "tax",
    "kind",
    "currency",
    "time_zone",
    "id",
    "cost",
    "rating",
)
GOOD = {"customer": "c", "item": "i", "time": "2020-01-02 03:04:05"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("store") / "shop.duckdb", load_settings(environ={})) as opened:
        yield opened


def check(
    store: Store, rows: Sequence[Mapping[str, str | None]], *, kind: str = "purchase", zone: str = "UTC"
) -> list[dict[str, object]]:
    """The table `rows` for these rows, and for each the reason for people under `why`."""
    names = tuple(role for role in ROLES if any(role in row for row in rows))
    with store.cursor() as cursor, staging(store, cursor) as (schema, _):
        cursor.execute(f'CREATE TABLE {schema}.broken ("row" BIGINT, error VARCHAR, line VARCHAR)')
        cursor.execute(f"CREATE TABLE {schema}.raw ({', '.join(f'c{n} VARCHAR' for n in range(len(names)))})")
        for row in rows:
            cursor.execute(
                f"INSERT INTO {schema}.raw VALUES ({', '.join('?' * len(names))})", [row.get(n) for n in names]
            )
        plan = make_plan(
            cursor,
            schema,
            names,
            {name: place for place, name in enumerate(names)},
            source="s",
            kind=kind,
            currency="EUR",
            time_zone=zone,
            now=NOW,
            latest=NOW + 600_000_000,
        )
        checked = check_rows(cursor, schema, plan)
        found = cursor.execute(
            f"SELECT r.*, x.reason AS why FROM {schema}.rows r "
            f'LEFT JOIN {schema}.rejected x USING ("row") ORDER BY r."row"'
        )
        keys = [column[0] for column in found.description or ()]
        answer = [dict(zip(keys, row, strict=True)) for row in found.fetchall()]
        assert sum(checked.rejected.values()) == sum(row["why"] is not None for row in answer)
        return answer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"item": " "}, "item is missing"),
        ({"item": "nan"}, "item is missing"),
        ({"item": "x" * 257}, "item is longer than 256 characters"),
        ({"item": "a\x00b"}, "item holds a control character"),
        ({"customer": "a\x1fb"}, "customer holds a control character"),
        ({"customer": "🛒" * 257}, "customer is longer than 256 characters"),
        ({"time": None}, "time is missing"),
        ({"time": "yesterday"}, "time cannot be read"),
        ({"time": "1969-12-31"}, "time is before 1970"),
        ({"time": "2023-11-15"}, "time is in the future"),
        ({"time": "infinity"}, "time is in the future"),
        ({"time_zone": "Mars/Base"}, "time zone is unknown"),
        ({"quantity": "many"}, "quantity is not a number up to 1e9"),
        ({"quantity": "NaN"}, "quantity is not a number up to 1e9"),
        ({"quantity": "inf"}, "quantity is not a number up to 1e9"),
        ({"quantity": "1e30"}, "quantity is not a number up to 1e9"),
        ({"quantity": "0"}, "quantity is zero"),
        ({"quantity": "0.0000001"}, "quantity is less than a millionth"),
        ({"quantity": "-1", "kind": "view"}, "quantity is negative"),
        ({"price": "-0.01"}, "price is negative"),
        ({"price": "free"}, "price is not a number below 1e12"),
        ({"amount": "-5", "quantity": "2"}, "amount is negative"),
        ({"price": "1", "discount": "2"}, "discount and tax are more than the price"),
        ({"price": "900000000000", "quantity": "900000000"}, "amount is larger than 2**53 minor units"),
        ({"price": "9999999999999", "quantity": "-9999999999999"}, "quantity is not a number up to 1e9"),
        ({"cost": "900000000000", "quantity": "900000000"}, "amount is larger than 2**53 minor units"),
        ({"currency": "euros"}, "currency is not a three-letter code"),
        ({"kind": "💥"}, "kind is not 1 to 64 lower-case letters, digits or _"),
        ({"id": None}, "id is missing"),
        ({"kind": "rating", "rating": None}, "rating is missing"),
        ({"kind": "rating", "rating": "1000000.5"}, "rating is not a number from -1,000,000 to 1,000,000"),
        ({"kind": "rating", "rating": "-1e9"}, "rating is not a number from -1,000,000 to 1,000,000"),
        ({"kind": "rating", "rating": "NaN"}, "rating is not a number from -1,000,000 to 1,000,000"),
        ({"kind": "rating", "rating": "good"}, "rating is not a number from -1,000,000 to 1,000,000"),
        ({"kind": "view", "rating": "3"}, "rating belongs to the kind rating only"),
        ({"kind": "rating", "rating": "3", "item": None}, "item is missing"),
        ({"kind": "like", "item": None}, "item is missing"),
        ({"quantity": "1000000000.000001"}, "quantity is not a number up to 1e9"),
        ({"quantity": "999999999999.9999999"}, "quantity is not a number up to 1e9"),
        (dict.fromkeys(GOOD), "row is empty or cannot be read"),
    ],
)
def test_each_bad_row_has_one_reason(store: Store, change: dict[str, str | None], reason: str) -> None:
    # Enough good rows that the form of each column is plain.
    good: list[dict[str, str | None]] = [{**GOOD, **({"id": str(n)} if "id" in change else {})} for n in range(3)]
    rows = check(store, [*good, {**good[0], **change}])
    assert [row["why"] for row in rows] == [None, None, None, reason]


def test_what_is_unusual_but_fine(store: Store) -> None:
    rows = check(
        store,
        [
            {**GOOD, "customer": "", "price": "0", "quantity": "3"},
            {**GOOD, "customer": "NaN", "item": "☕ café"},
            {**GOOD, "kind": "Search", "item": None},
            {**GOOD, "kind": "Sale", "quantity": None},
            {**GOOD, "kind": "rating", "rating": "-1e6"},
            {**GOOD, "kind": "rating", "rating": "0.25"},
        ],
    )
    assert [row["why"] for row in rows] == [None] * 6
    assert [row["rating"] for row in rows[3:]] == [None, -1e6, 0.25]
    assert [(row["customer"], row["kind"], row["quantity"]) for row in rows[:4]] == [
        (None, "purchase", 3.0),
        (None, "purchase", 1.0),
        ("c", "search", 1.0),
        ("c", "purchase", 1.0),
    ]


def test_returns_are_positive_quantities_of_their_own_kind(store: Store) -> None:
    digits = [{**GOOD, "order": str(500_000 + n), "quantity": "1", "price": "2"} for n in range(3)]
    rows = check(
        store,
        [
            *digits,
            {**GOOD, "order": "500009", "quantity": "-2", "price": "2.5"},
            {**GOOD, "order": "C500010", "quantity": "4", "price": "2"},
            {**GOOD, "order": "500011", "quantity": "1", "price": "2", "kind": "refund"},
            {**GOOD, "order": "500012", "amount": "-7"},
        ],
    )
    assert [(row["kind"], row["quantity"], row["amount_minor"]) for row in rows[3:]] == [
        ("return", 2.0, 500),
        ("return", 4.0, 800),
        ("return", 1.0, 200),
        ("return", 1.0, 700),
    ]
    assert {row["kind"] for row in rows[:3]} == {"purchase"}


def test_an_order_with_a_c_is_a_return_only_among_numbers(store: Store) -> None:
    rows = check(store, [{**GOOD, "order": order} for order in ("C1", "D2", "C3", "A4")])
    assert {row["kind"] for row in rows} == {"purchase"}


@settings(derandomize=True, max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 999), st.decimals(0, 9999, places=4), st.decimals(0, 1, places=3)),
        min_size=1,
        max_size=20,
    )
)
def test_amounts_are_exact_and_half_even(store: Store, lines: list[tuple[int, Decimal, Decimal]]) -> None:
    lines = [(quantity, price, min(discount, quantity * price)) for quantity, price, discount in lines]
    rows = check(
        store,
        [
            {**GOOD, "quantity": str(quantity), "price": f"{price:f}", "discount": f"{discount:f}"}
            for quantity, price, discount in lines
        ],
    )
    expected = [int((100 * (q * p - d)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)) for q, p, d in lines]
    assert [row["amount_minor"] for row in rows] == expected


def test_currencies_have_their_own_minor_units(store: Store) -> None:
    rows = check(store, [{**GOOD, "price": "1234.5", "currency": c} for c in ("jpy", "KWD", "GBP", None)])
    assert [(row["amount_minor"], row["currency"]) for row in rows] == [
        (1234, "JPY"),
        (1234500, "KWD"),
        (123450, "GBP"),
        (123450, "EUR"),
    ]


@pytest.mark.parametrize(
    ("written", "minor"),
    [(["1,50", "1.234,50"], [150, 123450]), (["1,234.50", "£2.00"], [123450, 200]), (["1.5", "x"], [150, None])],
)
def test_numbers_in_other_styles(store: Store, written: list[str], minor: list[int | None]) -> None:
    assert [row["amount_minor"] for row in check(store, [{**GOOD, "price": text} for text in written])] == minor


def test_dots_beside_a_decimal_comma_are_between_thousands(store: Store) -> None:
    def quantities(*pairs: tuple[str, str]) -> list[object]:
        return [row["quantity"] for row in check(store, [{**GOOD, "price": p, "quantity": q} for p, q in pairs])]

    assert quantities(("2,50", "1.000"), ("1,50", "2")) == [1000.0, 2.0]
    assert quantities(("2,50", "1.000"), ("1,50", "2.5")) == [1.0, 2.5]
    assert quantities(("2,50", "0.125"), ("1,50", "2")) == [0.125, 2.0]
    assert quantities(("2.50", "1.000"), ("1.50", "2")) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        (
            ["2020-07-01 10:00", "2020-07-01T10:00:00Z", "2020-07-01 10:00:00+0530"],
            "Europe/Berlin",
            ["2020-07-01T08:00", "2020-07-01T10:00", "2020-07-01T04:30"],
        ),
        (["2020-07-01", "2020-01-01"], "America/New_York", ["2020-07-01T04:00", "2020-01-01T05:00"]),
        (["31/12/2010 08:26", "1/2/2011 9:05"], "UTC", ["2010-12-31T08:26", "2011-02-01T09:05"]),
        (["12/31/2010 8:26 PM", "1/2/2011 9:05 AM"], "UTC", ["2010-12-31T20:26", "2011-01-02T09:05"]),
        (["31.12.10", "01.02.11"], "UTC", ["2010-12-31T00:00", "2011-02-01T00:00"]),
        (["1577836800", "1577836801.5"], "Europe/Berlin", ["2020-01-01T00:00", "2020-01-01T00:00:01.5"]),
        (["1577836800000"], "Europe/Berlin", ["2020-01-01T00:00"]),
        (["20200102"], "UTC", ["2020-01-02T00:00"]),
        (["Dec 1, 2010", "Jan 12, 2011 08:00"], "UTC", ["2010-12-01T00:00", "2011-01-12T08:00"]),
        # The clock skips 02:30 on the first day and shows it twice on the second: the later one is taken.
        (["2020-03-29 02:30", "2020-10-25 02:30"], "Europe/Berlin", ["2020-03-29T01:30", "2020-10-25T01:30"]),
    ],
)
def test_times_become_utc(store: Store, written: list[str], zone: str, expected: list[str]) -> None:
    rows = check(store, [{**GOOD, "time": text} for text in written], zone=zone)
    assert [row["occurred_at"] for row in rows] == [datetime.fromisoformat(text) for text in expected]


@pytest.mark.parametrize("offset", ["+99", "-15:00", "+01:60", "+1500"])
def test_offsets_that_do_not_exist_are_refused(store: Store, offset: str) -> None:
    written = ["2020-07-01T10:00:00+14:00", "2020-07-01T10:00:00-12:59", f"2020-07-01T10:00:00{offset}"]
    rows = check(store, [{**GOOD, "time": text} for text in written])
    assert [row["why"] for row in rows] == [None, None, "time cannot be read"]


def test_a_row_can_name_its_zone(store: Store) -> None:
    rows = check(
        store, [{**GOOD, "time": "2020-07-01 10:00", "time_zone": z} for z in ("Asia/Tokyo", None)], zone="UTC"
    )
    assert [row["occurred_at"] for row in rows] == [datetime(2020, 7, 1, 1), datetime(2020, 7, 1, 10)]  # noqa: DTZ001


def test_a_time_just_ahead_counts_as_now(store: Store) -> None:
    (row,) = check(store, [{**GOOD, "time": "2023-11-14 22:18:20"}])
    assert row["occurred_at"] == datetime(2023, 11, 14, 22, 13, 20)  # noqa: DTZ001


def test_equal_rows_have_different_ids_that_do_not_change(store: Store) -> None:
    twice = [GOOD, GOOD, {**GOOD, "item": "j"}]
    first = [row["interaction_id"] for row in check(store, twice)]
    assert len(set(first)) == 3
    assert [row["interaction_id"] for row in check(store, [*twice, {**GOOD, "item": "k"}, GOOD])][:3] == first
    assert [row["id_hash"] for row in check(store, twice)] == [text_hash(str(text)) for text in first]


def test_ids_of_rows_do_not_change_when_columns_come_or_move(store: Store) -> None:
    first = [row["interaction_id"] for row in check(store, [GOOD, {**GOOD, "item": "j"}])]
    grown = check(store, [GOOD, {**GOOD, "item": "j"}, {**GOOD, "customer": "d", "order": "1", "currency": "EUR"}])
    assert [row["interaction_id"] for row in grown][:2] == first
    values = {row["interaction_id"] for row in check(store, [{**GOOD, "order": "1"}, {**GOOD, "currency": "1"}])}
    assert len(values) == 2


def test_whole_numbers_written_as_floats(store: Store) -> None:
    rows = check(store, [{**GOOD, "customer": "17850.0", "item": "1.0"}, {**GOOD, "customer": None, "item": "2.5"}])
    assert [(row["customer"], row["item"]) for row in rows] == [("17850", "1.0"), (None, "2.5")]


def test_staging_leaves_nothing_behind(store: Store) -> None:
    def fail() -> None:
        with store.cursor() as cursor, staging(store, cursor) as (schema, _):
            cursor.execute(f"CREATE TABLE {schema}.x AS SELECT 1")
            cursor.execute("no SQL")

    with pytest.raises(duckdb.ParserException):
        fail()
    with store.cursor() as cursor:
        names = [name for (name,) in cursor.execute("SELECT database_name FROM duckdb_databases()").fetchall()]
    assert not [name for name in names if name.startswith("import_")]
    assert list((store.folder / "imports").iterdir()) == []
