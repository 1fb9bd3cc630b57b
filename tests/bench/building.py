"""Building the model: for each item its K nearest, ours and the peers', from the same matrix, on all cores.

Everybody starts from customers x items in compressed rows and ends with K neighbours of every item: centring,
normalising and transposing count. Each competitor is a process of its own; they take turns.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import util
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.bench import data
from tests.bench.child import Child, Step, peak_mb
from tests.bench.plan import Plan
from tests.bench.report import Row, Table, cores, ratios

OURS = "visavis"
PEERS = ("implicit", "sparse_dot_topn")
KINDS = ("cosine", "adjusted cosine")
"""Of presence (every entry is 1), and of ratings from which each customer's mean is taken."""
_USUAL = ("R2", "R1", "S", "M", "D", "L")
_QUICK = ("R2", "S")
_MANY = ("S", "M")  # where K = 100 is measured beside K = 20
_SMALL = 3_000_000  # interactions up to which more rounds cost little
_TARGETS = {
    ("M", "cosine", 20): 8,
    ("M", "adjusted cosine", 20): 5,
    ("D", "cosine", 20): 7,
    ("S", "cosine", 20): 5,
    ("S", "adjusted cosine", 20): 4,
    ("R2", "cosine", 20): 3,
}
"""How many times faster than the fastest peer we want to be."""

_Values = NDArray[np.float64]


def run(plan: Plan) -> Iterator[Table]:
    """A table for each set."""
    for name in plan.chosen(_USUAL, _QUICK):
        if not data.available(name):
            yield Table("building", name, f"{data.REAL[name][1]} is not here; set VISAVIS_TEST_DATA to its folder")
            continue
        yield _one_set(name, plan)


def _one_set(name: str, plan: Plan) -> Table:
    folder = data.prepare(name, plan.cache)
    interactions = data.load(folder)
    table = Table("building", name, str(interactions), "faster than the fastest peer")
    if name in data.SHAPES and abs(interactions.macs / data.SHAPES[name].macs - 1) > 0.05:
        table.notes.append(f"this is not the usual set: {data.SHAPES[name].macs:.3g} multiply-adds were expected")
    if name in data.REAL:
        table.title += f" ({data.REAL[name][1]})"
    names = [who for who in (OURS, *PEERS) if who == OURS or util.find_spec(who) is not None]
    absent = sorted({*PEERS} - {*names})
    if absent:
        table.notes.append(f"not installed, so left out: {', '.join(absent)}; `make bench` installs them")
    rounds = plan.rounds(7 if len(interactions.indices) <= _SMALL else 3)
    del interactions
    sizes = (20, 100) if name in _MANY and not plan.quick else (20,)
    for kind in KINDS:
        _one_kind(name, folder, kind, sizes, names, rounds, plan.scratch, table)
    return table


def _one_kind(
    name: str,
    folder: Path,
    kind: str,
    sizes: tuple[int, ...],
    names: list[str],
    rounds: int,
    scratch: Path,
    table: Table,
) -> None:
    """Rows for one way of comparing items."""
    with ExitStack() as stack:
        children = {
            who: stack.enter_context(Child("tests.bench.building:competitor", who=who, folder=str(folder), kind=kind))
            for who in names
        }
        for child in children.values():
            child.wait()  # or it would get ready while another is measured
        own: dict[int, list[float]] = {}
        memory: list[Row] = []
        for k in sizes:
            kept = {who: str(scratch / f"{name}-{who}-{k}.npy") for who in names}
            for who, child in children.items():
                child.ask(k=k, keep=kept[who])  # compiles, warms up
            answers: dict[str, list[dict[str, Any]]] = {who: [] for who in names}
            for _ in range(rounds):
                for who, child in children.items():
                    answers[who].append(child.ask(k=k))
            table.notes.append(_agreement(name, kind, k, kept))
            own[k] = [answer["seconds"] for answer in answers[OURS]]
            target = _TARGETS.get((name, kind, k))
            table.rows += _rows(f"{kind}, K={k}", answers, f"≥ {target}" if target else "")
            if k == 20 and kind == KINDS[0]:
                last = {who: told[-1] for who, told in answers.items()}
                memory = [Row("memory before", who, "MB", [told["before_mb"]]) for who, told in last.items()]
                memory += [
                    Row("most memory", who, "MB", [told["peak_mb"]], target=_memory_target(name, who))
                    for who, told in last.items()
                ]
        if len(own) == 2:
            slower = ratios(own[20], own[100])
            told = f"{kind}: K=100 takes {median(slower):.2f} times as long as K=20"
            table.notes.append(told + (" (target on M: ≤ 1.2)" if name == "M" else ""))
        table.rows += memory


def _rows(what: str, answers: dict[str, list[dict[str, Any]]], target: str) -> Iterator[Row]:
    seconds = {who: [answer["seconds"] for answer in told] for who, told in answers.items()}
    fastest = min((who for who in seconds if who != OURS), key=lambda who: median(seconds[who]), default=None)
    for who, own in seconds.items():
        compared = ratios(own, seconds[fastest]) if who == OURS and fastest else ()
        yield Row(what, who, "s", own, compared, target if who == OURS else "")
    # Says more than the clock where other work is running.
    cpu = {who: [answer["cpu_seconds"] for answer in told] for who, told in answers.items()}
    for who, own in cpu.items():
        compared = ratios(own, cpu[fastest]) if who == OURS and fastest else ()
        yield Row("  processor time", who, "s", own, compared)


def _memory_target(name: str, who: str) -> str:
    return "≤ 500" if (name, who) == ("M", OURS) else ""


def _agreement(name: str, kind: str, k: int, kept: dict[str, str]) -> str:
    """How far the similarities lie apart, item by item, ties compared by value."""
    values = {who: np.load(path) for who, path in kept.items()}
    ours = values.pop(OURS)
    apart = ", ".join(
        f"{who} {np.abs(ours - theirs).max():.1g}" if theirs.size else f"{who} 0" for who, theirs in values.items()
    )
    return f"{kind}, K={k}: largest difference of any of the {ours.size:,} similarities: {apart or 'no peer'}"


def competitor(who: str, folder: str, kind: str) -> Step:
    """In the child: load the set; each question builds the whole model."""
    interactions = data.load(Path(folder))
    build = {OURS: _visavis, "implicit": _implicit, "sparse_dot_topn": _sparse_dot_topn}[who](interactions, kind)
    before = peak_mb()

    def step(k: int, keep: str = "") -> dict[str, Any]:
        began, cpu = time.perf_counter(), time.process_time()
        built = build(k)
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        if keep:
            np.save(keep, built() if callable(built) else built)
        return {**took, "before_mb": before}

    return step


def _visavis(interactions: data.Interactions, kind: str) -> Callable[[int], _Values]:
    from visavis import kernels

    values = interactions.ratings if kind == "adjusted cosine" else np.ones(len(interactions.indices))
    top_k = kernels.adjusted_cosine_top_k if kind == "adjusted cosine" else kernels.cosine_top_k

    def build(k: int) -> _Values:
        similarities: _Values = top_k(interactions.indptr, interactions.indices, values, interactions.n_items, k)[1]
        return similarities

    return build


def _matrix(interactions: data.Interactions, kind: str) -> Any:
    """For peers, in the precision that is fastest for them."""
    from scipy.sparse import csr_matrix

    values = interactions.ratings if kind == "adjusted cosine" else np.ones(len(interactions.indices))
    shape = (interactions.n_customers, interactions.n_items)
    indptr = interactions.indptr.astype(np.int32)
    return csr_matrix((values.astype(np.float32), interactions.indices, indptr), shape)


def _centred(matrix: Any) -> Any:
    """Each customer's mean taken from the customer's ratings."""
    from scipy.sparse import csr_matrix

    counts = np.diff(matrix.indptr)
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    means = np.bincount(owner, matrix.data, len(counts)) / np.maximum(counts, 1)
    values = matrix.data - means.astype(np.float32)[owner]
    return csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)


def _implicit(interactions: data.Interactions, kind: str) -> Callable[[int], Any]:
    from implicit.nearest_neighbours import CosineRecommender

    # It transposes the matrix itself, and then warns about the form that this has.
    warnings.filterwarnings("ignore", module="implicit")
    matrix = _matrix(interactions, kind)

    def build(k: int) -> Any:
        model = CosineRecommender(K=k + 1, num_threads=cores())
        # An item that nobody interacted with has no direction: it divides by 0.
        with np.errstate(invalid="ignore", divide="ignore"):
            model.fit(_counted(_centred(matrix)) if kind == "adjusted cosine" else matrix, show_progress=False)
        return lambda: _without_itself(model.similarity, k)

    return build


def _counted(matrix: Any) -> Any:
    """Without entries that are 0: a column of zeros would become NaN, and spoil its neighbours."""
    own = matrix.copy()  # or the arrays that all rounds share would change
    own.eliminate_zeros()
    return own


def _sparse_dot_topn(interactions: data.Interactions, kind: str) -> Callable[[int], Any]:
    from scipy.sparse import csr_matrix
    from sparse_dot_topn import sp_matmul_topn

    given = _matrix(interactions, kind)

    def build(k: int) -> Any:
        matrix = _centred(given) if kind == "adjusted cosine" else given
        squares = np.bincount(matrix.indices, matrix.data.astype(np.float64) ** 2, matrix.shape[1])
        inverse = np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1e-60)), 0).astype(np.float32)
        unit = csr_matrix((matrix.data * inverse[matrix.indices], matrix.indices, matrix.indptr), matrix.shape)
        table = sp_matmul_topn(unit.T.tocsr(), unit, top_n=k + 1, sort=True, n_threads=cores())
        return lambda: _without_itself(table, k)

    return build


def _without_itself(table: Any, k: int) -> _Values:
    """A peer's K best positive similarities of each item, best first, 0 behind; peers count the item itself."""
    owner = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    keep = (table.indices != owner) & (table.data > 0)
    owner, values = owner[keep], table.data[keep].astype(np.float64)
    order = np.lexsort((-values, owner))
    owner, values = owner[order], values[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    best = np.zeros((table.shape[0], k))
    fits = place < k
    best[owner[fits], place[fits]] = values[fits]
    return best


__all__ = ["KINDS", "OURS", "PEERS", "competitor", "run"]
