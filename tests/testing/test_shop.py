"""The simulated shop: believable, repeatable, and with an answer that plain cosine finds."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from visavis.testing.shop import SimulatedShop, simulate_shop


@pytest.fixture(scope="module")
def shop() -> SimulatedShop:
    return simulate_shop()


def test_a_seed_gives_one_shop(shop: SimulatedShop, tmp_path: Path) -> None:
    again = simulate_shop()
    assert again == shop
    assert again.write_csv(tmp_path / "a.csv").read_bytes() == shop.write_csv(tmp_path / "b.csv").read_bytes()
    assert simulate_shop(seed=2).rows != shop.rows


def test_the_file_reads_back_as_it_was_made(shop: SimulatedShop, tmp_path: Path) -> None:
    with shop.write_csv(tmp_path / "sales.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(shop.rows) > 3000
    for row, made in zip(rows, shop.rows, strict=True):
        assert row["Invoice"] == made.invoice
        assert row["StockCode"] == made.item_id
        assert row["Description"] == made.description == shop.names[made.item_id]
        assert int(row["Quantity"]) == made.quantity != 0
        assert datetime.strptime(row["InvoiceDate"], "%Y-%m-%d %H:%M:%S") == made.at  # noqa: DTZ007 - local time
        assert row["Price"] == made.price
        assert float(row["Price"]) > 0
        assert row["Customer ID"] == made.customer_id


def test_it_holds_what_real_files_hold(shop: SimulatedShop) -> None:
    guests = sum(not row.customer_id for row in shop.rows)
    cancelled = [row for row in shop.rows if row.quantity < 0]
    assert 0.05 < guests / len(shop.rows) < 0.2
    assert 0.01 < len(cancelled) / len(shop.rows) < 0.04
    assert all(row.invoice.startswith("C") == (row.quantity < 0) for row in shop.rows)
    assert len(set(shop.rows)) < len(shop.rows)
    assert any("," in row.description for row in shop.rows)
    assert [row.at for row in shop.rows] == sorted(row.at for row in shop.rows)
    assert shop.rows[-1].at - shop.rows[0].at < timedelta(days=181)


def test_what_comes_back_was_bought_before(shop: SimulatedShop) -> None:
    bought: Counter[tuple[str, str]] = Counter()
    for row in shop.rows:
        bought[row.customer_id, row.item_id] += row.quantity
        assert bought[row.customer_id, row.item_id] >= 0


def test_customers_follow_their_tastes_and_habits(shop: SimulatedShop) -> None:
    rows = [row for row in shop.rows if row.customer_id]
    assert {row.customer_id for row in rows} == set(shop.tastes) == set(shop.habits)
    in_taste = sum(shop.categories[row.item_id] == shop.tastes[row.customer_id] for row in rows)
    assert in_taste / len(rows) > 0.75
    visits = Counter((row.customer_id, row.item_id) for row in rows if row.quantity > 0)
    habitual = [visits[customer, item] for customer, items in shop.habits.items() for item in items]
    other = [count for (customer, item), count in visits.items() if item not in shop.habits[customer]]
    assert np.mean(habitual) > 2 * np.mean(other)


def test_plain_cosine_finds_the_tastes(shop: SimulatedShop) -> None:
    items = {item_id: column for column, item_id in enumerate(shop.names)}
    customers = {customer_id: row for row, customer_id in enumerate(shop.tastes)}
    bought = np.zeros((len(customers), len(items)))
    for sale in shop.rows:
        if sale.customer_id:
            bought[customers[sale.customer_id], items[sale.item_id]] = 1.0
    similarity = bought.T @ bought / np.sqrt(np.outer(bought.sum(0), bought.sum(0)).clip(1))
    scores = np.where(bought > 0, -np.inf, bought @ similarity)
    category = np.array([shop.categories[item_id] for item_id in items])
    hits = possible = 0
    for customer_id, row in customers.items():
        wanted = category == shop.tastes[customer_id]
        left = min(5, int((wanted & (bought[row] == 0)).sum()))
        hits += int(wanted[np.argsort(-scores[row], kind="stable")[:left]].sum())
        possible += left
    assert hits / possible > 0.9


@pytest.mark.parametrize("items", [10, 120, 150, 777])
def test_every_item_has_a_name_of_its_own(items: int) -> None:
    shop = simulate_shop(customers=3, items=items, days=10)
    assert len(shop.names) == len(set(shop.names.values())) == items
    assert set(shop.categories) == set(shop.names)


@pytest.mark.parametrize("wrong", [{"customers": 0}, {"items": 9}, {"days": 0}])
def test_too_small_a_shop_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give at least"):
        simulate_shop(**wrong)


def test_the_smallest_shop() -> None:
    assert simulate_shop(customers=1, items=10, days=1).rows
