"""Histories against a model that anybody can follow: all rows from the start, computed anew each time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.history import DAY, Customers
from visavis.live.base import Base, baskets_of_day, build, history_of, new_arrays
from visavis.live.histories import Histories
from visavis.live.late import LateColumns
from visavis.live.netting import net_quantities
from visavis.store.interactions import Recorded, StoredRows, text_hash
from visavis.testing import make_items

KINDS = ["view", "purchase", "return", "skip"]
VIEW, PURCHASE, RETURN, SKIP = range(4)


class Event(NamedTuple):
    """One interaction; `reverses` is the number of the event it names (−1: none), its own is its place."""

    customer: int
    item: int
    kind: int
    hour: int
    quantity: float = 1.0
    unit_price: float = 100.0
    reverses: int = -1
    order: str = ""


events = st.builds(
    Event,
    customer=st.integers(-1, 2),
    item=st.integers(0, 2),
    kind=st.sampled_from([VIEW, PURCHASE, PURCHASE, PURCHASE, RETURN, RETURN, SKIP]),
    hour=st.integers(0, 60),
    quantity=st.sampled_from([0.1, 0.25, 1.0, 2.0, 3.0]),
    unit_price=st.sampled_from([100.0, 150.0, float("nan")]),
    reverses=st.integers(-1, 8),
    order=st.sampled_from(["", "o1", "o2"]),
)


@dataclass
class Left:
    """An event and what is left of it."""

    event: Event
    quantity: float


def naive(log: list[Event]) -> list[Left]:
    """Take returns off, one by one, in words: first those that name a purchase, then the rest from the latest back."""
    left = [Left(event, event.quantity) for event in log]
    returns = [(n, e) for n, e in enumerate(log) if e.kind == RETURN and e.customer >= 0]
    named: dict[int, list[int]] = {}
    for n, event in returns:
        target = event.reverses
        if 0 <= target < len(log):
            other = log[target]
            if (other.kind, other.customer, other.item) == (PURCHASE, event.customer, event.item):
                named.setdefault(target, []).append(n)
    for target, takers in named.items():
        wanted = sum(log[n].quantity for n in takers)
        taken = min(wanted, log[target].quantity)
        left[target].quantity = round(left[target].quantity - taken, 9)
        for n in takers:
            left[n].quantity = round(log[n].quantity * (1 - taken / wanted), 9)
    by_time = sorted(range(len(log)), key=lambda n: log[n].hour)
    for n in (n for n in by_time if log[n].kind == RETURN and log[n].customer >= 0 and left[n].quantity > 0):
        event = log[n]
        earlier = [
            m
            for m in by_time[: by_time.index(n)]
            if log[m].kind == PURCHASE and (log[m].customer, log[m].item) == (event.customer, event.item)
        ]
        for same_price in (True, False):
            for m in reversed(earlier):
                if same_price and log[m].unit_price != event.unit_price:
                    continue
                taken = min(left[n].quantity, left[m].quantity)
                left[n].quantity = round(left[n].quantity - taken, 9)
                left[m].quantity = round(left[m].quantity - taken, 9)
    return left


def expected(log: list[Event], customer: int) -> list[tuple[object, ...]]:
    kept = [
        one
        for one in naive(log)
        if one.event.customer == customer and not (one.event.kind == PURCHASE and one.quantity <= 0)
    ]
    kept.sort(key=lambda one: one.event.hour)
    return [
        (one.event.item, one.event.kind, one.event.hour * DAY // 24, pytest.approx(one.quantity, abs=1e-6))
        for one in kept
    ]


def stored(log: list[Event], sequence: int, start: int = 0) -> StoredRows:
    """Events, the first of which is number `start` of its log."""
    return StoredRows(
        sequence=np.full(len(log), sequence, dtype=np.int64),
        identity=np.array([e.customer for e in log], dtype=np.int32),
        item=np.array([e.item for e in log], dtype=np.int32),
        kind=np.array([e.kind for e in log], dtype=np.uint16),
        time=np.array([e.hour * DAY // 24 for e in log], dtype=np.int64),
        quantity=np.array([e.quantity for e in log], dtype=np.float64),
        amount=np.array([e.quantity * e.unit_price for e in log], dtype=np.float64),
        rating=np.full(len(log), np.nan),
        basket=np.array([text_hash(e.order) >> 1 if e.order else -1 for e in log], dtype=np.int64),
        id_hash=np.array([text_hash(str(start + n)) for n in range(len(log))], dtype=np.uint64),
        reverses=np.array([text_hash(str(e.reverses)) if e.reverses >= 0 else 0 for e in log], dtype=np.uint64),
        foreign=np.zeros(len(log), dtype=np.bool_),
    )


def recorded(log: list[Event], sequence: int, piece_rows: int = 3) -> Recorded:
    """The log as the store gives it, in pieces."""
    whole = [event.customer for event in log]
    return Recorded(
        sequence,
        "EUR",
        np.bincount(np.array([customer for customer in whole if customer >= 0], dtype=np.int64)),
        whole.count(-1),
        (stored(log[start : start + piece_rows], sequence, start) for start in range(0, len(log), piece_rows)),
    )


def base_of(log: list[Event], sequence: int, n_customers: int = 3) -> Base:
    return build(recorded(log, sequence), np.arange(3, dtype=np.int32), KINDS, new_arrays(len(log), n_customers))


def append(histories: Histories, batch: list[Event], start: int, sequence: int) -> None:
    """The events go in as the writer puts them in; the first is number `start` of its log."""
    rows = stored(batch, sequence, start)
    columns = LateColumns._make(getattr(rows, name) for name in LateColumns._fields)
    histories.append(np.array([event.customer for event in batch], dtype=np.int32), columns)


def read(histories: Histories, *customers: int) -> Customers:
    return histories.of(np.array(customers, dtype=np.int32), [""] * len(customers), KINDS, 0)


def rows(customers: Customers, place: int = 0) -> list[tuple[object, ...]]:
    one = slice(customers.indptr[place], customers.indptr[place + 1])
    return list(
        zip(
            customers.item[one].tolist(),
            customers.kind[one].tolist(),
            customers.time[one].tolist(),
            customers.quantity[one].tolist(),
            strict=True,
        )
    )


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    first=st.lists(events, max_size=6),
    loaded=st.lists(events, max_size=6),
    batches=st.lists(st.tuples(st.lists(events, max_size=4), st.booleans(), st.integers(0, 2)), max_size=4),
)
def test_what_is_loaded_beside_a_base_is_as_if_it_had_come(
    first: list[Event], loaded: list[Event], batches: list[tuple[list[Event], bool, int]]
) -> None:
    log = first + loaded
    histories = Histories(base_of(first, 0))
    histories.load(np.arange(3, dtype=np.int32), stored(loaded, 1, len(first)))
    assert rows(read(histories, 2)) == expected(log, 2)
    for sequence, (batch, swap, asked) in enumerate(batches, 2):
        start = len(log)
        log = log + batch
        append(histories, batch, start, sequence)
        assert rows(read(histories, asked)) == expected(log, asked)
        if swap:
            # Of the middle of the log: some of what was loaded stays beside it.
            histories.swap(base_of(log[:start], sequence - 1))
        for customer in range(3):
            assert rows(read(histories, customer)) == expected(log, customer)
    assert histories._state.late.count == sum(
        len(came.rows) for customer in range(3) if (came := histories._state.late.get(customer)) is not None
    )


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    first=st.lists(events, max_size=6),
    batches=st.lists(st.tuples(st.lists(events, max_size=4), st.sampled_from(["", "swap", "stale"])), max_size=5),
)
def test_memory_is_what_the_whole_log_says(first: list[Event], batches: list[tuple[list[Event], str]]) -> None:
    log = list(first)
    histories = Histories(base_of(log, 0))
    for sequence, (batch, then) in enumerate(batches, 1):
        read_early = base_of(log, sequence - 1)
        start = len(log)
        log += batch
        append(histories, batch, start, sequence)
        if then == "swap":
            histories.swap(base_of(log, sequence))
        if then == "stale":
            # A fit read the store, then this batch came, then the fit is served.
            histories.swap(read_early)
        for customer in range(3):
            assert rows(read(histories, customer)) == expected(log, customer)
    rebuilt = Histories(base_of(log, len(batches)))
    for column in ("indptr", "item", "kind", "time", "quantity", "rating", "basket"):
        np.testing.assert_array_equal(
            getattr(read(histories, 0, 1, 2, -1), column), getattr(read(rebuilt, 0, 1, 2, -1), column), err_msg=column
        )


@settings(max_examples=100, derandomize=True, deadline=None)
@given(log=st.lists(events, max_size=12))
def test_the_history_of_a_fit_says_the_same(log: list[Event]) -> None:
    history = history_of(base_of(log, 0), KINDS, make_items(3), 0)
    for customer in range(3):
        mine = np.flatnonzero(history.customer == customer)
        found = list(
            zip(
                history.item[mine].tolist(),
                history.kind[mine].tolist(),
                history.time[mine].tolist(),
                history.quantity[mine].tolist(),
                strict=True,
            )
        )
        assert found == expected(log, customer)
    assert (np.diff(history.customer) >= 0).all()
    assert (history.customer < 0).sum() == sum(event.customer < 0 for event in log)


def test_what_came_back_wholly_is_gone_in_spite_of_floating_point() -> None:
    log = [Event(0, 1, PURCHASE, 1, 0.3), Event(0, 1, RETURN, 2, 0.1), Event(0, 1, RETURN, 3, 0.2)]
    assert [row[1] for row in rows(read(Histories(base_of(log, 0)), 0))] == [RETURN, RETURN]


def test_a_return_goes_with_the_amount() -> None:
    log = [Event(0, 1, PURCHASE, 1, 4.0, 100.0), Event(0, 1, RETURN, 2, 1.0, 100.0), Event(0, 2, RETURN, 3, 2.0, 50.0)]
    history = history_of(base_of(log, 0), KINDS, make_items(3), 0)
    assert history.amount.tolist() == [300.0, 0.0, 100.0]


def test_baskets() -> None:
    log = [
        Event(0, 0, PURCHASE, 1, order="o1"),
        Event(0, 1, PURCHASE, 30, order="o1"),
        Event(0, 0, PURCHASE, 2),
        Event(0, 1, PURCHASE, 3),
        Event(0, 2, PURCHASE, 30),
        Event(1, 0, PURCHASE, 2),
        Event(-1, 0, PURCHASE, 2),
        Event(-1, 1, PURCHASE, 2),
        Event(-1, 0, PURCHASE, 2, order="o2"),
        Event(-1, 1, PURCHASE, 2, order="o2"),
    ]
    history = history_of(base_of(log, 0), KINDS, make_items(3), 0)
    of = {
        key: basket
        for key, basket in zip(
            zip(history.customer.tolist(), (history.time * 24 // DAY).tolist(), history.item.tolist(), strict=True),
            history.basket.tolist(),
            strict=True,
        )
        if key[0] >= 0
    }
    assert of[0, 1, 0] == of[0, 30, 1] == text_hash("o1") >> 1
    assert of[0, 2, 0] == of[0, 3, 1] == baskets_of_day(np.zeros(1, np.int32), np.array([2 * DAY // 24]))[0]
    assert len({of[0, 2, 0], of[0, 30, 2], of[1, 2, 0]}) == 3
    nobody = history.basket[history.customer < 0].tolist()
    # Two strangers of one day did not shop together.
    assert len(set(nobody)) == 3
    assert nobody[2] == nobody[3]


def test_customers_unknown_to_the_base_are_read() -> None:
    histories = Histories(base_of([], 0, n_customers=0))
    append(histories, [Event(2, 1, VIEW, 1), Event(-1, 1, VIEW, 1)], 0, 1)
    found = read(histories, -1, 0, 2, 2)
    assert np.diff(found.indptr).tolist() == [0, 0, 1, 1]
    assert len(read(histories)) == 0


def test_a_row_costs_the_same_however_long_the_history_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer nets nothing and copies nothing of the customer; a reader nets the item that moved, once."""
    netted: list[int] = []

    def net(*columns: Any) -> Any:
        netted.append(len(columns[0]))
        return net_quantities(*columns)

    log = [Event(0, item % 3, PURCHASE, item % 50) for item in range(300)] + [Event(0, 0, RETURN, 51)]
    histories = Histories(base_of(log, 0))
    monkeypatch.setattr("visavis.live.late.net_quantities", net)
    for number in range(500):
        event = Event(0, 2, PURCHASE if number % 2 else VIEW, 52)
        log.append(event)
        append(histories, [event], len(log) - 1, number + 1)
    assert not netted
    assert not histories._state.late._met
    # Item 2 was never returned, so there is nothing to net even now.
    assert rows(read(histories, 0)) == expected(log, 0)
    assert not netted
    back = Event(0, 1, RETURN, 53)
    log.append(back)
    append(histories, [back], len(log) - 1, 501)
    for _ in range(3):
        assert rows(read(histories, 0)) == expected(log, 0)
    assert netted == [101]


def test_a_reader_keeps_the_state_that_it_has() -> None:
    histories = Histories(base_of([], 0))
    held = []
    for number in range(40):
        append(histories, [Event(0, number % 3, VIEW, number)], number, number + 1)
        held.append(histories._state.late.get(0))
    for number, one in enumerate(held):
        assert one.rows["time"].tolist() == [n * DAY // 24 for n in range(number + 1)]


def test_a_new_base_is_asked_for_when_much_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.live.histories.REBASE_ROWS", 10)
    asked: list[int] = []
    log: list[Event] = []
    histories = Histories(base_of(log, 0), lambda: asked.append(len(log)))

    def add(count: int) -> None:
        for _ in range(count):
            log.append(Event(0, 0, VIEW, 1))
            append(histories, [log[-1]], len(log) - 1, len(log))

    add(10)
    assert asked == []
    add(1)
    assert asked == [11]
    # Nobody came, or it failed: not asked with each row, but when as much came again.
    add(11)
    assert asked == [11, 22]
    histories.swap(base_of(log[:20], 20))
    add(10)
    assert asked == [11, 22]
    add(1)
    assert asked == [11, 22, 33]
    assert len(read(histories, 0).item) == 33


def test_the_larger_the_base_the_more_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.live.histories.REBASE_ROWS", 1)
    asked: list[bool] = []
    log = [Event(0, 0, VIEW, 1)] * 50
    histories = Histories(base_of(log, 0), lambda: asked.append(True))
    for number, wanted in enumerate([0, 0, 0, 0, 0, 1]):
        append(histories, [Event(0, 0, VIEW, 1)], 100 + number, 1 + number)
        assert len(asked) == wanted


def test_times_count_what_was_returned_too() -> None:
    histories = Histories(base_of([Event(0, 1, PURCHASE, 1), Event(0, 1, RETURN, 2), Event(1, 1, VIEW, 9)], 0))
    append(histories, [Event(0, 2, VIEW, 5)], 3, 1)
    assert sorted((histories.times_of(0) * 24 // DAY).tolist()) == [1, 2, 5]
    assert len(histories.times_of(2)) == 0


def test_reading_while_writing_sees_one_state_or_the_next() -> None:
    """Each commit adds three rows; each swap moves them. A reader never counts them twice, or not at all."""
    log: list[Event] = []
    histories = Histories(base_of(log, 0))
    stop, wrong = threading.Event(), []
    written = [0]

    def reading() -> None:
        while not stop.is_set():
            before = written[0]
            count = len(read(histories, 1).item)
            after = written[0]
            if count % 3 or not before <= count <= after + 3:
                wrong.append((before, count, after))

    threads = [threading.Thread(target=reading, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for sequence in range(1, 150):
        batch = [Event(1, n, VIEW, sequence % 40) for n in range(3)]
        log += batch
        append(histories, batch, 0, sequence)
        written[0] = len(log)
        if sequence % 3 == 0:
            histories.swap(base_of(log, sequence))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
