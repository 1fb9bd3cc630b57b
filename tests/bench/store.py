"""From a file on disk to a served model: fitting a store, and opening one that is fitted.

Every round is a process of its own. The file lies in the operating system's cache and the kernels are compiled, as
they are when a server is started again; loading Python and its modules is told apart.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

from tests.bench import data, shops
from tests.bench.child import Child, Step
from tests.bench.plan import Plan
from tests.bench.report import Row, Table

_WHO = "visavis"
_STEPS = {
    "open_s": ("open", ""),
    "fit_s": ("fit", ""),
    "first_s": ("first answer", ""),
    "served_s": ("disk to served model", "≤ 1.5"),
    "again_s": ("fit once more, same process", ""),
    "reopen_s": ("reopen, no fit, to the first answer", "≤ 1"),
}
_MEMORY = {"fit_mb": "most memory, opening and fitting", "reopen_mb": "most memory, reopening"}


def run(plan: Plan) -> Iterator[Table]:
    """A table for each set."""
    for name in plan.chosen(("S", "M"), ("S",)):
        if name in data.SHAPES:
            yield _one_set(name, plan)


def _one_set(name: str, plan: Plan) -> Table:
    kept = shops.imported(name, plan.cache)
    size = kept.stat().st_size / 2**20
    shape = data.SHAPES[name]
    table = Table("store", name, f"up to {shape.interactions:,} interactions, a file of {size:,.0f} MB")
    rounds: list[dict[str, Any]] = []
    for number in range(1 if plan.quick else plan.rounds(4)):
        store = shops.copy(kept, plan.scratch / f"store-{name}-{number}")
        with Child("tests.bench.store:fitting", store=str(store)) as child:
            told = child.ask()
        with Child("tests.bench.store:reopening", store=str(store)) as child:
            again = child.ask()
        shutil.rmtree(store.parent)
        rounds.append({**told, **again, "fit_mb": told["peak_mb"], "reopen_mb": again["peak_mb"]})
    warm = rounds[1:] or rounds  # the first compiles
    if plan.quick:
        table.notes.append("once, so with compiling if the kernels are new")
    for key, (what, target) in _STEPS.items():
        told_target = target if name == "M" else ""
        table.rows.append(Row(what, _WHO, "s", [one[key] for one in warm], target=told_target))
    for key, what in _MEMORY.items():
        table.rows.append(Row(what, _WHO, "MB", [one[key] for one in warm]))
    table.notes.append(f"scorers and segmenters fitted: {warm[0]['fitted']}")
    table.notes.append(f"loading Python's modules before that: {min(one['import_s'] for one in warm):.2f} s")
    return table


def fitting(store: str) -> Step:
    """In the child: open, fit, answer."""
    import_s = _imports()

    def step() -> dict[str, Any]:
        import visavis

        began = time.perf_counter()
        with visavis.open(store) as shop:
            opened = time.perf_counter()
            report = shop.fit()
            fitted = time.perf_counter()
            _first_answer(shop)
            answered = time.perf_counter()
            shop.fit()
            again_s = time.perf_counter() - answered
        return {
            "import_s": import_s,
            "open_s": opened - began,
            "fit_s": fitted - opened,
            "first_s": answered - fitted,
            "served_s": answered - began,
            "again_s": again_s,
            "fitted": ", ".join([*report.scorers, *report.segmenters]),
        }

    return step


def reopening(store: str) -> Step:
    """In the child: open a fitted store, answer."""
    _imports()

    def step() -> dict[str, Any]:
        import visavis

        began = time.perf_counter()
        with visavis.open(store) as shop:
            _first_answer(shop)
            return {"reopen_s": time.perf_counter() - began}

    return step


def _imports() -> float:
    """Load what opening a store loads; the seconds that this takes."""
    began = time.perf_counter()
    import duckdb
    import numba

    import visavis.engine

    del duckdb, numba, visavis
    return time.perf_counter() - began


def _first_answer(shop: Any) -> None:
    for customer in range(1_000):
        if shop.recommend(shops.customer_id(customer)).scorer == "item_similarity":
            return
    raise RuntimeError("nobody gets an answer from the fitted model")


__all__ = ["fitting", "reopening", "run"]
