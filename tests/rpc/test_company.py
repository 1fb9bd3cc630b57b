"""Calls that come together are answered together, each with its own answer; who comes alone is not kept waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from visavis.errors import InvalidInput
from visavis.model import CustomerRef
from visavis.rpc.company import Company

_OPTIONS: dict[str, Any] = {"n": 10, "filters": [], "exclude": []}


class _Room:
    """Answers with what it was asked, and remembers who was asked for together."""

    def __init__(self) -> None:
        self.asked: list[list[CustomerRef]] = []

    def answer(self, customers: Sequence[CustomerRef], options: dict[str, Any]) -> list[bytes]:
        self.asked.append(list(customers))
        if "bad" in customers:
            raise InvalidInput("bad is nobody")
        return [f"{customer} {options['n']}".encode() for customer in customers]


async def _crowd(company: Company, size: int, options: dict[str, Any] = _OPTIONS) -> None:
    """So many at once, until they come together."""
    for _ in range(40):
        answers = await asyncio.gather(*(company.ask(f"c{number}", options) for number in range(size)))
        assert answers == [f"c{number} {options['n']}".encode() for number in range(size)]


def test_those_who_come_together_are_answered_together() -> None:
    room = _Room()
    asyncio.run(_crowd(Company(room.answer), 16))
    assert room.asked[0] == ["c0"]
    assert max(map(len, room.asked)) == 16
    assert sum(map(len, room.asked)) == 640


def test_a_crowd_is_answered_in_pieces() -> None:
    room = _Room()
    asyncio.run(_crowd(Company(room.answer), 100))
    assert max(map(len, room.asked)) == 32
    room = _Room()
    asyncio.run(_crowd(Company(room.answer), 100, {**_OPTIONS, "n": 100}))
    assert max(map(len, room.asked)) == 6


@pytest.mark.parametrize("more", [{"n": 1000}, {"n": 0}, {"n": -1}, {"exclude": ["i"]}, {"filters": ["f"]}])
def test_what_is_long_or_its_own_is_answered_alone(more: dict[str, Any]) -> None:
    room = _Room()
    asyncio.run(_crowd(Company(room.answer), 16, {**_OPTIONS, **more}))
    assert {len(asked) for asked in room.asked} == {1}


def test_who_comes_alone_is_answered_before_anything_else_runs() -> None:
    async def main() -> int:
        company, at_once = Company(_Room().answer), 0
        for _ in range(1000):
            asking = company.ask("c", _OPTIONS)
            try:
                asking.send(None)
            except StopIteration:
                at_once += 1
            else:
                asking.close()
                await asyncio.sleep(0.005)  # until it is forgotten
        return at_once

    assert asyncio.run(main()) > 950


def test_one_waits_in_vain_and_the_next_do_not() -> None:
    async def main() -> list[bytes]:
        company = Company(_Room().answer)
        await _crowd(company, 16)
        return [await company.ask("c", _OPTIONS) for _ in range(50)]

    assert asyncio.run(main()) == [b"c 10"] * 50


def test_an_error_reaches_only_the_one_at_fault() -> None:
    async def main() -> list[object]:
        company = Company(_Room().answer)
        await _crowd(company, 4)
        asking = [company.ask(customer, _OPTIONS) for customer in ("a", "bad", "b", "c")]
        return list(await asyncio.gather(*asking, return_exceptions=True))

    first, second, *others = asyncio.run(main())
    assert isinstance(second, InvalidInput)
    assert [first, *others] == [b"a 10", b"b 10", b"c 10"]


def test_each_gets_what_it_asked_for() -> None:
    async def main() -> list[bytes]:
        company = Company(_Room().answer)
        await _crowd(company, 8)
        asking = [company.ask(f"c{number}", {**_OPTIONS, "n": 1 + number % 3}) for number in range(60)]
        return list(await asyncio.gather(*asking))

    assert asyncio.run(main()) == [f"c{number} {1 + number % 3}".encode() for number in range(60)]


def test_who_stops_waiting_is_not_answered() -> None:
    async def main() -> list[list[CustomerRef]]:
        room = _Room()
        company = Company(room.answer)
        await _crowd(company, 8)
        room.asked.clear()
        tasks = [asyncio.create_task(company.ask(f"c{number}", _OPTIONS)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return room.asked

    assert [one for asked in asyncio.run(main()) for one in asked] == ["c0", "c2", "c3"]
