"""Columns are found by name and by what they hold; what is not found is told with the way out."""

from __future__ import annotations

import pytest

from visavis.errors import InvalidInput
from visavis.identify.columns import NAMES, Layout, lay_out
from visavis.store.imports import ColumnProfile


def text(name: str) -> ColumnProfile:
    return ColumnProfile(name, filled=100, numbers=0, times=0, distinct=50)


def number(name: str) -> ColumnProfile:
    return ColumnProfile(name, filled=100, numbers=100, times=0, distinct=50)


def wild(name: str, filled: int = 100) -> ColumnProfile:
    return ColumnProfile(name, filled=filled, numbers=0, times=0, distinct=50, sample="week 3")


def time(name: str) -> ColumnProfile:
    return ColumnProfile(name, filled=100, numbers=0, times=100, distinct=50)


def roles(layout: Layout, profiles: list[ColumnProfile]) -> dict[str, str]:
    return {role: profiles[place].name for role, place in layout.places.items()}


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        (
            [
                number("InvoiceNo"),
                text("StockCode"),
                text("Description"),
                number("Quantity"),
                time("InvoiceDate"),
                number("UnitPrice"),
                number("CustomerID"),
                text("Country"),
            ],
            {
                "order": "InvoiceNo",
                "item": "StockCode",
                "name": "Description",
                "quantity": "Quantity",
                "time": "InvoiceDate",
                "price": "UnitPrice",
                "customer": "CustomerID",
            },
        ),
        (
            [
                number("household_key"),
                number("BASKET ID"),
                number("product-id"),
                time("purchased_at"),
                number("sales_value"),
            ],
            {
                "customer": "household_key",
                "order": "BASKET ID",
                "item": "product-id",
                "time": "purchased_at",
                "amount": "sales_value",
            },
        ),
        (
            [number("userId"), number("movieId"), number("rating"), ColumnProfile("timestamp", 100, 100, 100, 100)],
            {"customer": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"},
        ),
    ],
)
def test_known_files_need_no_names(profiles: list[ColumnProfile], expected: dict[str, str]) -> None:
    layout = lay_out(profiles, {})
    assert roles(layout, profiles) == expected
    assert set(layout.guessed) == set(expected)


def test_the_data_decide_where_names_mislead() -> None:
    # A column called time that holds 07:30 is no time of a purchase; a price that is no number is no price.
    profiles = [text("time"), time("date"), text("sku"), text("price")]
    layout = lay_out(profiles, {})
    assert roles(layout, profiles) == {"time": "date", "item": "sku"}
    assert [note.split()[1] for note in layout.notes] == ["price"], "what was left out in spite of its name is told"


def test_the_only_column_of_times_is_the_time() -> None:
    profiles = [text("sku"), time("wann"), number("qty")]
    assert roles(lay_out(profiles, {}), profiles)["time"] == "wann"
    two = [*profiles, time("geliefert")]
    with pytest.raises(InvalidInput, match="no column found for time"):
        lay_out(two, {})


def test_what_is_named_wins_and_is_not_called_guessed() -> None:
    profiles = [text("sku"), text("article"), time("date")]
    layout = lay_out(profiles, {"item": "Article"})
    assert roles(layout, profiles) == {"item": "article", "time": "date"}
    assert layout.guessed == ("time",)


def test_a_role_can_be_switched_off() -> None:
    profiles = [text("customer"), time("date"), text("sku")]
    assert roles(lay_out(profiles, {"customer": "", "item": ""}), profiles) == {"time": "date"}
    with pytest.raises(InvalidInput, match="cannot be switched off"):
        lay_out(profiles, {"time": ""})


def test_an_id_is_never_guessed() -> None:
    profiles = [text("id"), text("event_id"), text("interaction_id"), text("sku"), time("date")]
    assert "id" not in lay_out(profiles, {}).places
    assert NAMES["id"] == ""


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"item": "wares"}, ["'wares'", "sku, date"]),
        ({"colour": "sku"}, ["colour", "is no role", "customer"]),
    ],
)
def test_wrong_names_are_told_with_what_there_is(named: dict[str, str], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        lay_out([text("sku"), time("date")], named)
    assert all(word in caught.value.message for word in words)
    assert "\n" not in caught.value.message


def test_missing_columns_name_the_options() -> None:
    with pytest.raises(InvalidInput, match=r"item and time.*--item COLUMN --time COLUMN.*the file has a, b") as caught:
        lay_out([text("a"), text("b")], {})
    assert caught.value.violations[0].field == "columns"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (wild("time"), "'time' holds values that are not understood as time, such as 'week 3'"),
        (wild("order_date", filled=0), "'order_date' is empty"),
    ],
)
def test_a_column_that_is_there_but_not_understood_is_told(profile: ColumnProfile, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        lay_out([text("item"), profile], {})


def test_a_column_that_has_another_role_is_told() -> None:
    with pytest.raises(InvalidInput, match="'item' is taken for another role"):
        lay_out([text("item"), time("time")], {"customer": "item"})
