"""Sessions under way, and which past ones are like them: VS-kNN with an index from items to sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

LONGEST = 62
"""Items of a session under way: as many as there are bits for them."""


def latest_sessions(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    quantity: NDArray[np.float64],
    says: NDArray[np.bool_],
    purchase: int,
    gap: int,
    longest: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """What each customer did last without a pause of more than `gap`: `(starts, items, weights)`.

    Customer r's rows are `indptr[r]:indptr[r+1]` of the columns, oldest first. Rows count that have an item and whose
    kind is marked in `says` [n_kinds]; those of kind `purchase` with a quantity of 0 or less do not. Each item stands
    once, where it came last; of more than `longest` items the last ones. The weights of n items are 1/n … n/n.
    """
    items = _check.array("item", item, np.int32)
    n_rows = len(items)
    starts = _check.row_starts("indptr", indptr, n_rows)
    kinds = _check.array("kind", kind, np.uint16, length=n_rows)
    times = _check.array("time", time, np.int64, length=n_rows)
    left = _check.array("quantity", quantity, np.float64, length=n_rows)
    marked = _check.array("says", says, np.bool_)
    if n_rows and kinds.max() >= len(marked):
        _check.refuse("kind", f"must be 0 to {len(marked) - 1}, but holds {kinds.max()}")
    return _latest_sessions(
        starts, items, kinds, times, left, marked, purchase, gap, _check.count("longest", longest, least=1)
    )


def session_neighbours(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    index_indptr: NDArray[np.int64],
    index_sessions: NDArray[np.int32],
    candidates: int,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
    """The k past sessions most like each session under way: `(starts, sessions, similarities, shared)`.

    Session r under way has `items[indptr[r]:indptr[r+1]]` (distinct, 62 at most) that weigh `weights`. The index gives
    the past sessions of item i, ascending: `index_sessions[index_indptr[i]:index_indptr[i+1]]`; the larger the number,
    the later the session. Looked at are the `candidates` latest sessions that share an item. A similarity is the sum of
    the weights of the shared items; those are the bits of `shared` (int64, bit p: item p of the session under way). The
    most similar first, of equal ones the later. Items that the index does not know are in no session.
    """
    codes = _check.array("items", items, np.int32)
    amounts = _check.finite("weights", weights, length=len(codes))
    starts = _check.row_starts("indptr", indptr, len(codes))
    longest = int(np.diff(starts).max(initial=0))
    if longest > LONGEST:
        _check.refuse("indptr", f"must hold at most {LONGEST} items a session, not {longest}")
    sessions = _check.array("index_sessions", index_sessions, np.int32)
    # The index is large: where its lists lie is looked at when they are read.
    index_starts = _check.array("index_indptr", index_indptr, np.int64)
    most, wanted = _check.count("candidates", candidates, least=1), _check.count("k", k, least=1)
    found = _session_neighbours(starts, codes, amounts, index_starts, sessions, most, wanted)
    if found[0][-1] < 0:
        _check.refuse("index_indptr", f"must never fall, and stay within 0 … {len(sessions)}")
    return found


@serial
def _latest_sessions(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    quantity: NDArray[np.float64],
    says: NDArray[np.bool_],
    purchase: int,
    gap: int,
    longest: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    starts = np.zeros(len(indptr), np.int64)
    items, weights = np.empty(len(item), np.int32), np.empty(len(item), np.float64)
    own = np.empty(longest, np.int32)
    n_found = 0
    for customer in range(len(indptr) - 1):
        n, began = 0, np.int64(0)
        for row in range(indptr[customer + 1] - 1, indptr[customer] - 1, -1):
            if item[row] < 0 or not says[kind[row]] or (kind[row] == purchase and quantity[row] <= 0):
                continue
            if n == longest or (n > 0 and began - time[row] > gap):
                break
            began = time[row]
            known = False
            for place in range(n):
                known = known or own[place] == item[row]
            if not known:
                own[n] = item[row]
                n += 1
        for place in range(n):
            items[n_found], weights[n_found] = own[n - 1 - place], (place + 1) / n
            n_found += 1
        starts[customer + 1] = n_found
    return starts, items[:n_found], weights[:n_found]


@serial
def _session_neighbours(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    index_indptr: NDArray[np.int64],
    index_sessions: NDArray[np.int32],
    candidates: int,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
    starts = np.zeros(len(indptr), np.int64)
    sessions, similarities, shared = np.empty(256, np.int32), np.empty(256, np.float64), np.empty(256, np.int64)
    n_found = 0
    ends, heads = np.empty(64, np.int64), np.empty(64, np.int64)
    for row in range(len(indptr) - 1):
        first, n = indptr[row], indptr[row + 1] - indptr[row]
        room = 0
        for place in range(n):
            item = items[first + place]
            heads[place] = ends[place] = 0
            if 0 <= item < len(index_indptr) - 1:
                ends[place], heads[place] = index_indptr[item], index_indptr[item + 1]
                if not 0 <= ends[place] <= heads[place] <= len(index_sessions):
                    starts[-1] = -1
                    return starts, sessions[:0], similarities[:0], shared[:0]
                room += heads[place] - ends[place]
        room = min(room, candidates)
        own, alike, bits = np.empty(room, np.int32), np.empty(room, np.float64), np.empty(room, np.int64)
        n_own = 0
        # The lists are read from their ends, the latest session first, all of them at once.
        while n_own < room:
            latest = -1
            for place in range(n):
                if heads[place] > ends[place]:
                    latest = max(latest, index_sessions[heads[place] - 1])
            if latest < 0:
                break
            total, mask = 0.0, 0
            for place in range(n):
                if heads[place] > ends[place] and index_sessions[heads[place] - 1] == latest:
                    heads[place] -= 1
                    total += weights[first + place]
                    mask |= 1 << place
            own[n_own], alike[n_own], bits[n_own] = latest, total, mask
            n_own += 1
        n_kept = min(n_own, k)
        while n_found + n_kept > len(sessions):
            sessions = np.append(sessions, np.empty_like(sessions))
            similarities = np.append(similarities, np.empty_like(similarities))
            shared = np.append(shared, np.empty_like(shared))
        order = np.argsort(-alike[:n_own], kind="mergesort")
        for place in range(n_kept):
            best = order[place]
            sessions[n_found], similarities[n_found], shared[n_found] = own[best], alike[best], bits[best]
            n_found += 1
        starts[row + 1] = n_found
    return starts, sessions[:n_found], similarities[:n_found], shared[:n_found]


__all__ = ["latest_sessions", "session_neighbours"]
