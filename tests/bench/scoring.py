"""Scoring: the ten best items for one customer, and for many at once, from the same table of neighbours.

Both sides get the table that ours has built and leave out what the customer has already; one process, in turn.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
from tests.bench import data
from tests.bench.child import Child, Step
from tests.bench.plan import Plan
from tests.bench.report import Row, Table, cores, ratios

_N = 10
_USUAL = (("S", 20), ("M", 20), ("S", 100))
_ONE = "one customer, one call"
_MANY = "many customers, one call"
_WITHOUT = "implicit.recommend"
_WITH = "implicit.recommend and its row slice"


def run(plan: Plan) -> Iterator[Table]:
    """A table for each set and K."""
    wanted = [(name, 20) for name in plan.sets] or (_USUAL[:1] if plan.quick else _USUAL)
    for name, k in wanted:
        if data.available(name):
            yield _one_set(name, k, plan)


def _one_set(name: str, k: int, plan: Plan) -> Table:
    folder = data.prepare(name, plan.cache)
    table = Table("scoring", name, f"the {_N} best items, K={k}", "times as fast as implicit")
    with Child("tests.bench.scoring:scorers", folder=str(folder), k=k) as child:
        answers = [child.ask(customers=round(plan.seconds * 1_000)) for _ in range(plan.rounds(5))]
    one, many = answers[0]["one_us"], answers[0]["many_us"]
    for what, key, names in ((_ONE, "one_us", one), (_MANY, "many_us", many)):
        for who in names:
            values = [answer[key][who][0] for answer in answers]
            peer = [answer[key][_WITHOUT][0] for answer in answers] if _WITHOUT in names else None
            target = {_ONE: "≥ 5", _MANY: "≥ 25"}[what] if who == "visavis" and k == 20 else ""
            compared = ratios(values, peer) if peer and who == "visavis" else ()
            table.rows.append(Row(what, who, "µs a customer", values, compared, target if compared else ""))
            if key == "one_us":
                table.rows.append(Row(f"{what}, p99", who, "µs", [answer[key][who][1] for answer in answers]))
    if _WITHOUT in one:
        table.notes.append(f"largest difference of a score: {max(answer['apart'] for answer in answers):.1g}")
    else:
        table.notes.append("not installed, so left out: implicit; `make bench` installs it")
    return table


def scorers(folder: str, k: int) -> Step:
    """In the child: everybody's way to score, ready."""
    from visavis import kernels

    interactions = data.load(Path(folder))
    indptr, items = interactions.indptr, interactions.indices
    ones = np.ones(len(items))
    table, similarities = kernels.cosine_top_k(indptr, items, ones, interactions.n_items, k)
    ours = _visavis(interactions, kernels.item_rows(table, similarities))
    theirs = _implicit(interactions, table, similarities) if util.find_spec("implicit") else None
    chance = np.random.default_rng(1)
    ours(np.arange(2))  # compiles

    def step(customers: int) -> dict[str, Any]:
        asked = chance.integers(interactions.n_customers, size=customers)
        many = chance.integers(interactions.n_customers, size=10 * customers)
        one_us, many_us, apart = {}, {}, 0.0
        one_us["visavis"] = _each(ours, asked)
        many_us["visavis"] = _all(ours, many)
        if theirs is not None:
            recommend, rows = theirs
            ready = {int(customer): rows(np.asarray([customer])) for customer in asked}
            one_us[_WITHOUT] = _each(lambda one: recommend(one, ready[int(one[0])]), asked)
            one_us[_WITH] = _each(lambda one: recommend(one, rows(one)), asked)
            many_rows = rows(many)
            many_us[_WITHOUT] = _all(lambda all_: recommend(all_, many_rows), many)
            apart = max(
                _apart(ours(one), recommend(one, ready[int(one[0])])) for one in np.split(asked[:300], len(asked[:300]))
            )
        return {"one_us": one_us, "many_us": many_us, "apart": apart}

    return step


def _visavis(interactions: data.Interactions, rows: Any) -> Callable[[Any], Any]:
    from visavis import kernels

    indptr, items = interactions.indptr, interactions.indices
    nowhere = np.zeros(interactions.n_items, np.bool_)
    ones = np.ones(int(np.diff(indptr).max()) + 1)
    starts = indptr.tolist()

    def recommend(customers: Any) -> Any:
        if len(customers) == 1:
            begin, end = starts[customers[0]], starts[customers[0] + 1]
            row, own = np.array([0, end - begin]), items[begin:end]
            weights = ones[: end - begin]
        else:
            counts = np.diff(indptr)[customers]
            row = np.concatenate([[0], np.cumsum(counts)])
            own = items[np.repeat(indptr[customers] - row[:-1], counts) + np.arange(row[-1])]
            weights = np.ones(len(own))
        return kernels.top_n(row, own, weights, rows, nowhere, row, own, _N)

    return recommend


def _implicit(interactions: data.Interactions, table: Any, similarities: Any) -> tuple[Callable[..., Any], Any]:
    from implicit._nearest_neighbours import NearestNeighboursScorer
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    warnings.filterwarnings("ignore", module="implicit")
    n_items = interactions.n_items
    shape = (interactions.n_customers, n_items)
    matrix = csr_matrix((np.ones(len(interactions.indices)), interactions.indices, interactions.indptr), shape)
    kept = table >= 0
    owner = np.nonzero(kept)[0]
    model = CosineRecommender(K=table.shape[1], num_threads=cores())
    model.similarity = csr_matrix((similarities[kept], (owner, table[kept])), (n_items, n_items))
    model.scorer = NearestNeighboursScorer(model.similarity)

    def recommend(customers: Any, rows: Any) -> Any:
        # One customer by number: a list of one goes a longer way in there.
        return model.recommend(customers[0] if len(customers) == 1 else customers, rows, N=_N)

    return recommend, lambda customers: matrix[customers[0] if len(customers) == 1 else customers]


def _each(recommend: Callable[[Any], Any], customers: Any) -> tuple[float, float]:
    """Microseconds of a call for one customer: the median, and what 99 of 100 stay below."""
    took = np.empty(len(customers))
    for place, one in enumerate(np.split(customers, len(customers))):
        began = time.perf_counter()
        recommend(one)
        took[place] = time.perf_counter() - began
    middle, late = np.percentile(took, (50, 99)) * 1e6
    return float(middle), float(late)


def _all(recommend: Callable[[Any], Any], customers: Any) -> tuple[float]:
    """Microseconds a customer of one call for all of them."""
    began = time.perf_counter()
    recommend(customers)
    return ((time.perf_counter() - began) / len(customers) * 1e6,)


def _apart(ours: Any, theirs: Any) -> float:
    """The largest difference of two lists of scores, compared by value."""
    own = np.nan_to_num(ours[1][0])
    other = np.zeros(_N)
    other[: len(theirs[1])] = theirs[1]
    return float(np.abs(own - other).max())


__all__ = ["run", "scorers"]
