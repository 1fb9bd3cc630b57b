"""Twins of the kernels, of the same names: plain NumPy and Python, dense, loops allowed, no cleverness, no checks."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.api.v1 import types_pb2 as types_pb

Array = NDArray[Any]


def dense(indptr: Array, indices: Array, data: Array, n_columns: int) -> tuple[Array, Array]:
    """The matrix, 0 where nothing is stored, and bool: where something is."""
    values = np.zeros((len(indptr) - 1, n_columns))
    stored = np.zeros(values.shape, bool)
    for row in range(len(values)):
        for entry in range(indptr[row], indptr[row + 1]):
            values[row, indices[entry]] = data[entry]
            stored[row, indices[entry]] = True
    return values, stored


def sparse(values: Array, stored: Array) -> tuple[Array, Array, Array]:
    rows, columns = np.nonzero(stored)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(values)))]).astype(np.int64)
    return indptr, columns.astype(np.int32), values[rows, columns]


def build_csr(rows: Array, columns: Array, values: Array, n_rows: int, n_columns: int) -> tuple[Array, Array, Array]:
    total = np.zeros((n_rows, n_columns))
    stored = np.zeros(total.shape, bool)
    for row, column, value in zip(rows, columns, values, strict=True):
        if row >= 0 and column >= 0:
            total[row, column] += value
            stored[row, column] = True
    return sparse(total, stored)


def transpose(indptr: Array, indices: Array, data: Array, n_columns: int) -> tuple[Array, Array, Array]:
    values, stored = dense(indptr, indices, data, n_columns)
    return sparse(values.T, stored.T)


def cosine_top_k(
    indptr: Array,
    indices: Array,
    data: Array | None,
    n_columns: int,
    k: int,
    *,
    shrinkage: float = 0.0,
    positive_only: bool = True,
) -> tuple[Array, Array]:
    layout = item_layout(indptr, indices, data, n_columns, shrinkage=shrinkage)
    return similar_items(layout, k, positive_only=positive_only)


def adjusted_cosine_top_k(
    indptr: Array,
    indices: Array,
    data: Array,
    n_columns: int,
    k: int,
    *,
    reading: str = "all_customers",
    positive_only: bool = True,
) -> tuple[Array, Array]:
    ratings, stored = dense(indptr, indices, data, n_columns)
    centred = _centred(ratings, stored)
    products = sum_of_outer(centred, centred)
    if reading == "all_customers":
        roots = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    else:
        both = sum_of_outer(centred**2, stored)
        roots = np.sqrt(both * both.T)
    return _best_neighbours(divide(products, roots), stored, k, positive_only)


def _centred(ratings: Array, stored: Array) -> Array:
    centred = np.zeros(ratings.shape)
    for row in range(len(ratings)):
        own = ratings[row, stored[row]]
        if len(own):
            difference = own - sum_in_order(own) / len(own)
            rounding = len(own) * np.abs(own).max() * np.finfo(float).eps
            centred[row, stored[row]] = np.where(np.abs(difference) > rounding, difference, 0.0)
    return centred


def jaccard_top_k(indptr: Array, indices: Array, n_columns: int, k: int) -> tuple[Array, Array]:
    return similar_items(item_layout(indptr, indices, None, n_columns, kind="jaccard"), k)


def log_likelihood_top_k(indptr: Array, indices: Array, n_columns: int, k: int) -> tuple[Array, Array]:
    return similar_items(item_layout(indptr, indices, None, n_columns, kind="log_likelihood"), k)


def tf_idf_top_k(indptr: Array, indices: Array, data: Array, n_columns: int, k: int) -> tuple[Array, Array]:
    values, stored = dense(indptr, indices, data, n_columns)
    rarity = np.log(max(n_columns, 1)) - np.log1p(stored.sum(axis=1))
    weights = np.sqrt(values) * rarity[:, None]
    return similar_items(item_layout(indptr, indices, weights[stored], n_columns), k)


def bm25_top_k(
    indptr: Array, indices: Array, data: Array, n_columns: int, k: int, *, k1: float = 1.2, b: float = 0.75
) -> tuple[Array, Array]:
    values, stored = dense(indptr, indices, data, n_columns)
    rarity = np.log(max(n_columns, 1)) - np.log1p(stored.sum(axis=1))
    length = values.sum(axis=0)
    relative = divide(length, length.mean()) if n_columns else length
    weights = divide(values * (k1 + 1), values + k1 * (1 - b + b * relative)) * rarity[:, None]
    return similar_items(item_layout(indptr, indices, weights[stored], n_columns, kind="product"), k)


class ItemLayout(NamedTuple):
    """All similarities, and which items share a customer."""

    similarities: Array
    stored: Array


def item_layout(
    indptr: Array,
    indices: Array,
    data: Array | None,
    n_columns: int,
    *,
    kind: str = "cosine",
    shrinkage: float = 0.0,
    threads: int | None = None,
) -> ItemLayout:
    values, stored = dense(indptr, indices, np.ones(len(indices)) if data is None else data, n_columns)
    products = sum_of_outer(values, values)
    both = sum_of_outer(stored * 1.0, stored * 1.0)
    counts, n_all = np.diag(both), len(values)
    if kind == "adjusted_cosine":
        values = _centred(values, stored)
        products, kind = sum_of_outer(values, values), "cosine"
    if kind == "cosine":
        squares = np.diag(products)
        return ItemLayout(divide(products, np.sqrt(np.outer(squares, squares)) + shrinkage), stored)
    if kind == "product":
        return ItemLayout(products, stored)
    if kind == "jaccard":
        return ItemLayout(divide(both, np.add.outer(counts, counts) - both), stored)
    ratios = np.zeros(both.shape)
    for i, j in np.argwhere(both * n_all > np.outer(counts, counts)):
        cells = np.array(
            [
                [both[i, j], counts[i] - both[i, j]],
                [counts[j] - both[i, j], n_all - counts[i] - counts[j] + both[i, j]],
            ]
        )
        expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / n_all
        ratios[i, j] = 2 * sum(n * np.log(n / e) for n, e in zip(cells.flat, expected.flat, strict=True) if n > 0)
    return ItemLayout(ratios, stored)


def similar_items(
    layout: ItemLayout, k: int, *, positive_only: bool = True, threads: int | None = None
) -> tuple[Array, Array]:
    return _best_neighbours(*layout, k, positive_only)


def rows_top_k(layout: ItemLayout, items: Array, k: int, *, positive_only: bool = True) -> tuple[Array, Array]:
    neighbours, similarities = similar_items(layout, k, positive_only=positive_only)
    return neighbours[items], similarities[items]


class ItemRows(NamedTuple):
    """A table of neighbours and how long its rows are."""

    codes: Array
    values: Array
    sizes: Array
    largest: float


def item_rows(neighbours: Array, similarities: Array) -> ItemRows:
    sizes = (neighbours >= 0).sum(axis=1).astype(np.int32)
    return ItemRows(neighbours, similarities, sizes, float(np.abs(similarities[neighbours >= 0]).max(initial=0.0)))


def top_n(
    indptr: Array,
    items: Array,
    weights: Array,
    rows: ItemRows,
    everywhere: Array,
    exclude_indptr: Array,
    exclude_items: Array,
    n: int,
    group: Array | None = None,
) -> tuple[Array, Array]:
    n_customers, n_items = len(indptr) - 1, len(rows.codes)
    everything = np.tile(np.arange(n_items), (n_customers, 1))
    all_scores = score_items(indptr, items, weights, rows, everything)
    codes = np.full((n_customers, n), -1, np.int32)
    scores = np.full((n_customers, n), np.nan)
    for row in range(n_customers):
        unwanted = set(exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]])
        left = [
            j for j in range(n_items) if not everywhere[j] and j not in unwanted and not np.isnan(all_scores[row, j])
        ]
        ranked = sorted(left, key=lambda j: (-all_scores[row, j], j))
        if group is not None:
            known = [group[j] for j in ranked]
            ranked = [j for at, j in enumerate(ranked) if group[j] < 0 or group[j] not in known[:at]]
        best = ranked[:n]
        codes[row, : len(best)] = best
        scores[row, : len(best)] = all_scores[row, best]
    return codes, scores


def score_items(indptr: Array, items: Array, weights: Array, rows: ItemRows, chosen: Array) -> Array:
    scores = np.full(chosen.shape, np.nan)
    for row in range(len(chosen)):
        for place, item in enumerate(chosen[row]):
            parts = _parts(indptr, items, weights, rows, row, item)
            if parts:
                scores[row, place] = sum_in_order(np.array([amount for _, amount in parts]))
    return scores


def contributions(
    indptr: Array, items: Array, weights: Array, rows: ItemRows, chosen: Array
) -> tuple[Array, Array, Array]:
    starts, entries, amounts = [0], [], []
    for row in range(len(chosen)):
        for item in chosen[row]:
            parts = _parts(indptr, items, weights, rows, row, item)
            # Stable: equal amounts stay in the order of the history.
            parts.sort(key=lambda part: -part[1])
            entries += [entry for entry, _ in parts]
            amounts += [amount for _, amount in parts]
            starts.append(len(entries))
    return np.array(starts), np.array(entries, np.int64), np.array(amounts, np.float64)


def strongest_parts(
    indptr: Array,
    items: Array,
    weights: Array,
    template: Array,
    rows: ItemRows,
    chosen: Array,
    n_templates: int,
    most: int,
) -> tuple[Array, Array, Array, Array]:
    starts, entries, amounts = contributions(indptr, items, weights, rows, chosen)
    words, causes, nothing = template[entries], items[entries], np.empty(0)
    return fold_parts(starts, words, causes, amounts, chosen.ravel(), nothing, n_templates, len(rows.codes), 0.0, most)


def tastes_of(
    indptr: Array,
    item: Array,
    kind: Array,
    quantity: Array,
    rating: Array,
    basket: Array,
    weight_of: Array,
    cause_of: Array,
    purchase: int,
    skip: int,
    signal: str,
    time: Array | None = None,
    half_life_of: Array | None = None,
    now: int = 0,
) -> tuple[Array, Array, Array, Array]:
    def left(row: int) -> float:
        half_life = 0.0 if half_life_of is None else half_life_of[kind[row]]
        if time is None or half_life == 0:
            return float(weight_of[kind[row]])
        return float(weight_of[kind[row]] * 0.5 ** min(max(now - int(time[row]), 0) / half_life, 900))

    starts, found = [0], []
    for customer in range(len(indptr) - 1):
        rows = range(indptr[customer], indptr[customer + 1])
        for code in sorted({int(item[row]) for row in rows if item[row] >= 0}):
            own = [row for row in rows if item[row] == code]
            gone = {row for row in own if kind[row] == purchase and quantity[row] <= 0}
            weight = {row: 0.0 if row in gone else left(row) for row in own}
            speaks = [row for row in own if (not np.isnan(rating[row]) if signal == "rating" else weight[row] > 0)]
            skips = [row for row in own if kind[row] == skip]
            bought = {row for row in own if kind[row] == purchase}
            if not speaks or (skips and skips[-1] > speaks[-1]) or (signal != "rating" and bought and bought == gone):
                continue
            once = {int(basket[row]): row for row in sorted(bought - gone)}
            summed = sum(weight[row] for row in own if row not in bought) + sum(weight[row] for row in once.values())
            values = {"presence": max(weight.values()), "weight": np.log1p(summed), "rating": rating[speaks[-1]]}
            cause = -1 if signal == "rating" else max(0, *(int(cause_of[kind[row]]) for row in speaks))
            found.append((code, values[signal], cause))
        starts.append(len(found))
    columns = [np.array([one[place] for one in found]) for place in range(3)]
    return np.array(starts), columns[0].astype(np.int32), columns[1].astype(float), columns[2].astype(np.int8)


def add_rows(
    indptr: Array,
    rows: Array,
    weights: Array,
    table_indptr: Array,
    table_items: Array,
    table_values: Array | None,
    n_items: int,
) -> tuple[Array, Array, Array]:
    ones = np.ones(len(table_items)) if table_values is None else table_values
    table, has = dense(table_indptr, table_items, ones, n_items)
    total, met = np.zeros((len(indptr) - 1, n_items)), np.zeros((len(indptr) - 1, n_items), bool)
    for customer in range(len(total)):
        for entry in range(indptr[customer], indptr[customer + 1]):
            if 0 <= rows[entry] < len(table):
                total[customer] += weights[entry] * table[rows[entry]]
                met[customer] |= has[rows[entry]]
    return sparse(total, met)


def top_of_rows(
    indptr: Array,
    rows: Array,
    weights: Array,
    table_indptr: Array,
    table_items: Array,
    table_values: Array | None,
    everywhere: Array,
    exclude_indptr: Array,
    exclude_items: Array,
    n: int,
) -> tuple[Array, Array]:
    starts, items, sums = add_rows(indptr, rows, weights, table_indptr, table_items, table_values, len(everywhere))
    codes, scores = np.full((len(indptr) - 1, n), -1, np.int32), np.full((len(indptr) - 1, n), np.nan)
    for customer in range(len(codes)):
        own = range(starts[customer], starts[customer + 1])
        hidden = set(exclude_items[exclude_indptr[customer] : exclude_indptr[customer + 1]].tolist())
        left = [at for at in own if not everywhere[items[at]] and int(items[at]) not in hidden]
        for place, at in enumerate(sorted(left, key=lambda at: (-sums[at], items[at]))[:n]):
            codes[customer, place], scores[customer, place] = items[at], sums[at]
    return codes, scores


def latest_sessions(
    indptr: Array,
    item: Array,
    kind: Array,
    time: Array,
    quantity: Array,
    says: Array,
    purchase: int,
    gap: int,
    longest: int,
) -> tuple[Array, Array, Array]:
    starts, found, weights = [0], [], []
    for first, last in pairwise(indptr):
        rows = [
            row
            for row in range(first, last)
            if item[row] >= 0 and says[kind[row]] and (kind[row] != purchase or quantity[row] > 0)
        ]
        begin = max((at for at in range(1, len(rows)) if time[rows[at]] - time[rows[at - 1]] > gap), default=0)
        own = list(dict.fromkeys(int(item[row]) for row in reversed(rows[begin:])))[:longest][::-1]
        found += own
        weights += [(place + 1) / len(own) for place in range(len(own))]
        starts.append(len(found))
    return np.array(starts), np.array(found, np.int32), np.array(weights, float)


def session_neighbours(
    indptr: Array,
    items: Array,
    weights: Array,
    index_indptr: Array,
    index_sessions: Array,
    candidates: int,
    k: int,
) -> tuple[Array, Array, Array, Array]:
    starts, found = [0], []
    for first, last in pairwise(indptr):
        shared: dict[int, list[int]] = {}
        for place, item in enumerate(items[first:last]):
            if 0 <= item < len(index_indptr) - 1:
                for session in index_sessions[index_indptr[item] : index_indptr[item + 1]]:
                    shared.setdefault(int(session), []).append(place)
        latest = sorted(shared, reverse=True)[:candidates]
        alike = {one: sum(float(weights[first + place]) for place in shared[one]) for one in latest}
        best = sorted(latest, key=lambda one: (-alike[one], -one))[:k]
        found += [(one, alike[one], sum(1 << place for place in shared[one])) for one in best]
        starts.append(len(found))
    columns = [np.array([one[place] for one in found]) for place in range(3)]
    return np.array(starts), columns[0].astype(np.int32), columns[1].astype(float), columns[2].astype(np.int64)


def basket_items(customer: Array, basket: Array, item: Array, chosen: Array) -> tuple[Array, Array]:
    found: dict[tuple[int, int], set[int]] = {}
    for owner, number, code, counts in zip(customer, basket, item, chosen, strict=True):
        if counts and code >= 0:
            found.setdefault((int(owner), int(number)), set()).add(int(code))
    # Customers stand in the order of their rows.
    order = {int(owner): place for place, owner in reversed(list(enumerate(customer)))}
    baskets = [sorted(found[key]) for key in sorted(found, key=lambda key: (order[key[0]], key[1]))]
    indptr = np.cumsum([0, *map(len, baskets)])
    return indptr, np.array([code for one in baskets for code in one], np.int32)


def rows_of(
    indptr: Array,
    item: Array,
    kind: Array,
    time: Array,
    quantity: Array,
    rating: Array,
    basket: Array,
    codes: Array,
    purchase: int,
) -> tuple[Array, ...]:
    parts = [
        [row for row in range(indptr[code], indptr[code + 1]) if kind[row] != purchase or quantity[row] > 0]
        if 0 <= code < len(indptr) - 1
        else []
        for code in codes
    ]
    rows = np.array([row for part in parts for row in part], np.int64)
    starts = np.cumsum([0, *(len(part) for part in parts)])
    return starts, item[rows], kind[rows], time[rows], quantity[rows], rating[rows], basket[rows]


def items_of(
    indptr: Array,
    item: Array,
    kind: Array,
    wanted: Array,
    n_items: int,
    time: Array | None = None,
    after: Array | None = None,
) -> tuple[Array, Array]:
    marked = {code for code in range(len(wanted)) if wanted[code]}

    def counts(row: int) -> bool:
        if kind[row] not in marked or not 0 <= item[row] < n_items:
            return False
        return time is None or after is None or time[row] > after[kind[row]]

    parts = [[item[row] for row in range(a, b) if counts(row)] for a, b in pairwise(indptr)]
    return np.cumsum([0, *map(len, parts)]), np.array([code for part in parts for code in part], np.int32)


def pick(
    items: Array,
    values: Array,
    by: Array,
    counts: Array,
    rows: Array,
    codes: Array,
    scores: Array,
    group: Array,
    everywhere: Array,
    exclude_indptr: Array,
    exclude_items: Array,
    scorer: int,
) -> str:
    told = set()
    for row in range(len(codes)):
        own = exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]]
        for place, code in enumerate(codes[row]):
            if code < -1:
                return "what is no code of an item; codes are whole numbers, -1 for a missing place"
            if code >= 0 and place and codes[row, place - 1] == -1:
                return "an item behind a missing place; missing places (-1) come last"
            if code >= 0 and not np.isfinite(scores[row, place]):
                told.add("an item a score that is not a finite number")
            if code >= 0 and (code >= len(everywhere) or everywhere[code] or code in own):
                told.add("an item that was excluded")
    if told:
        return min(told)
    for row, line, line_scores in zip(rows, codes, scores, strict=True):
        for code, score in zip(line[line >= 0], line_scores, strict=False):
            placed = items[row][items[row] >= 0]
            variants = {int(group[one]) for one in placed if len(group)} - {-1}
            if len(placed) == items.shape[1] or code in placed or (len(group) and group[code] in variants):
                continue
            items[row, len(placed)], values[row, len(placed)], by[row, len(placed)] = code, score, scorer
            counts[row, scorer] += 1
    return ""


def fold_parts(
    starts: Array,
    template: Array,
    item: Array,
    amount: Array,
    chosen: Array,
    scores: Array,
    n_templates: int,
    n_items: int,
    within: float,
    most: int,
) -> tuple[Array, Array, Array, Array]:
    kept: list[tuple[int, int, float]] = []
    ends = [0]
    for first, last in pairwise(starts):
        parts = [(int(template[k]), int(item[k]), float(amount[k])) for k in range(first, last)]
        if len(parts) <= most:
            kept += parts
        elif most:
            best = sorted(range(len(parts)), key=lambda k: -abs(parts[k][2]))[: most - 1]
            kept += [parts[k] for k in sorted(best)]
            rest = [parts[k][2] for k in range(len(parts)) if k not in best]
            kept.append((n_templates + len(rest), -1, sum_in_order(np.array([0.0, *rest]))))
        ends.append(len(kept))
    columns = [np.array([one[place] for one in kept]) for place in range(3)]
    return np.array(ends), columns[0].astype(np.int32), columns[1].astype(np.int32), columns[2].astype(float)


def encode_lists(
    ids: Array,
    id_starts: Array,
    decisions: Array,
    tails: Array,
    tail_starts: Array,
    tail: Array,
    items: Array,
    scores: Array,
    by: Array,
    names: Array,
    name_starts: Array,
    starts: Array,
    template: Array,
    cause: Array,
    amount: Array,
    words: Array,
    cuts: Array,
    first_cut: Array,
    labels: Array,
    label_starts: Array,
) -> tuple[Array, Array]:
    def label(code: int) -> pb.RecommendedItem:
        at = int(label_starts[code])
        first, second, _ = (int(size) for size in labels[at : at + 12].copy().view("<u4"))
        return pb.RecommendedItem.FromString(labels[at + 12 : at + 12 + first + second].tobytes())

    answer, begins = b"", [0]
    for row in range(len(items)):
        one = pb.Recommendation.FromString(tails[tail_starts[tail[row]] : tail_starts[tail[row] + 1]].tobytes())
        one.customer_id = text(ids, id_starts[row], id_starts[row + 1])
        one.decision_id = f"d-{decisions[16 * row : 16 * row + 16].tobytes().hex()}"
        for place, code in enumerate(items[row][items[row] >= 0].tolist()):
            of = by[row, place]
            placed = one.items.add(rank=place + 1, score=scores[row, place])
            placed.MergeFromString(names[name_starts[of] : name_starts[of + 1]].tobytes())
            placed.MergeFrom(label(code))
            which = row * items.shape[1] + place
            for reason in range(starts[which], starts[which + 1]):
                at = cuts[first_cut[template[reason]] : first_cut[template[reason] + 1]]
                said = types_pb.Reason.FromString(words[at[0] : at[1]].tobytes())
                about = label(cause[reason]) if cause[reason] >= 0 else pb.RecommendedItem()
                said.text = about.name.join(text(words, a, b) for a, b in pairwise(at[1:]))
                said.contribution, said.item_id, said.item_name = amount[reason], about.item_id, about.name
                placed.reasons.append(said)
        answer += pb.BatchRecommendResponse(recommendations=[one]).SerializeToString(deterministic=True)
        begins.append(len(answer))
    return np.frombuffer(answer, np.uint8), np.array(begins)


def text(data: Array, first: int, last: int) -> str:
    return data[first:last].tobytes().decode()


def match_returns(group: Array, is_return: Array, quantity: Array, price: Array) -> tuple[Array, Array]:
    reversed_row = np.full(len(group), -1, np.int64)
    remaining = quantity.astype(float)
    for row in np.flatnonzero(is_return):
        earlier = [p for p in range(row - 1, -1, -1) if group[p] == group[row] and not is_return[p]]
        like = [p for p in earlier if price[p] == price[row]]
        for purchase in like + [p for p in earlier if p not in like]:
            taken = min(remaining[row], remaining[purchase])
            if taken > 0:
                remaining[row] -= taken
                remaining[purchase] -= taken
                if reversed_row[row] < 0:
                    reversed_row[row] = purchase
    return reversed_row, remaining


def id_set_new(capacity: int) -> set[int]:
    return set()


def id_set_add(table: set[int], used: int, hashes: Array) -> tuple[set[int], int, Array]:
    is_new = []
    for value in _keys(hashes):
        is_new.append(value not in table)
        table.add(value)
    return table, len(table), np.array(is_new, bool)


def id_set_contains(table: set[int], hashes: Array) -> Array:
    return np.array([value in table for value in _keys(hashes)], bool)


def sum_in_order(values: Array) -> float:
    """First to last, one rounding a step (np.sum adds in pairs, and sum compensates from Python 3.12 on)."""
    return float(np.cumsum(values)[-1])


def sum_of_outer(left: Array, right: Array) -> Array:
    """leftᵀ right, added up row by row: the order of summation that the kernels promise, so bits must agree."""
    total = np.zeros((left.shape[1], right.shape[1]))
    for a, b in zip(left, right, strict=True):
        total += np.outer(a, b)
    return total


def divide(products: Array, roots: Array) -> Array:
    return np.divide(products, roots, out=np.zeros(products.shape), where=roots > 0)


def _keys(hashes: Array) -> list[int]:
    return [value or 0x9E3779B97F4A7C15 for value in hashes.tolist()]


def _best_neighbours(scores: Array, stored: Array, k: int, positive_only: bool) -> tuple[Array, Array]:
    n_items = len(scores)
    together = stored.T.astype(int) @ stored.astype(int) > 0
    neighbours = np.full((n_items, k), -1, np.int32)
    similarities = np.zeros((n_items, k))
    for i in range(n_items):
        others = [j for j in range(n_items) if j != i and together[i, j] and (scores[i, j] > 0 or not positive_only)]
        best = sorted(others, key=lambda j: (-scores[i, j], j))[:k]
        neighbours[i, : len(best)] = best
        similarities[i, : len(best)] = scores[i, best]
    return neighbours, similarities


def _parts(indptr: Array, items: Array, weights: Array, rows: ItemRows, row: int, item: int) -> list[tuple[int, float]]:
    """Entry and amount of each part of a score."""
    parts = []
    for entry in range(indptr[row], indptr[row + 1]):
        cause = items[entry]
        if 0 <= cause < len(rows.codes) and 0 <= item < len(rows.codes) and weights[entry] != 0:
            for place in np.flatnonzero(rows.codes[cause] == item):
                parts.append((entry, float(weights[entry]) * float(rows.values[cause, place])))
    return parts


def place_rows(group: Array, free: Array) -> Array:
    """Changes `free`, as the kernel does."""
    places = []
    for one in group:
        places.append(free[one])
        free[one] += 1
    return np.array(places, np.int64)


def purchase_totals(
    customer: Array, kind: Array, time: Array, basket: Array, amount: Array, sign: Array, n_customers: int
) -> tuple[Array, Array, Array, Array]:
    orders, first, last = (np.zeros(n_customers, np.int64) for _ in range(3))
    money = np.zeros(n_customers)
    for one in range(n_customers):
        bought, returned = ((customer == one) & (sign[kind] == way) for way in (1, -1))
        if bought.any():
            orders[one] = len(set(basket[bought].tolist()))
            first[one], last[one] = time[bought].min(), time[bought].max()
        money[one] = sum(np.nan_to_num(amount[bought])) - sum(np.nan_to_num(amount[returned]))
    return orders, first, last, money


def last_of_pairs(customer: Array, item: Array, chosen: Array, n_items: int) -> Array:
    last = {}
    for row in range(len(customer)):
        if chosen[row] and customer[row] >= 0 and item[row] >= 0:
            last[customer[row], item[row]] = row
    return np.array(sorted(last.values()), np.int64)


def text_hashes(data: Array, begins: Array, ends: Array) -> Array:
    halves = [
        hashlib.md5(data[begin:end].tobytes(), usedforsecurity=False).digest()[8:]
        for begin, end in zip(begins, ends, strict=True)
    ]
    return np.array([int.from_bytes(half, "little") for half in halves], np.uint64)


def overlaps(indptr: Array, indices: Array, n_columns: int, left: Array, right: Array) -> Array:
    rows = [set(indices[a:b].tolist()) for a, b in pairwise(indptr)]
    return np.array([len(rows[a] & rows[b]) for a, b in zip(left, right, strict=True)], np.int64)


def gram(indptr: Array, indices: Array, data: Array, n_columns: int, *, threads: int | None = None) -> Array:
    values, _ = dense(indptr, indices, data, n_columns)
    return sum_of_outer(values, values)


def basket_ages(indptr: Array, basket: Array, counted: Array) -> Array:
    ages = np.zeros(len(basket), np.int64)
    for a, b in pairwise(indptr):
        newest = {int(basket[row]): row for row in range(a, b) if counted[row]}
        for row in range(a, b):
            own = newest.get(int(basket[row]), -1)
            ages[row] = sum(last > (own if own >= row else row) for last in newest.values())
    return ages


def youngest(indptr: Array, item: Array, age: Array, marked: Array, entry_indptr: Array, entry_item: Array) -> Array:
    found = []
    for customer in range(len(indptr) - 1):
        rows = [row for row in range(indptr[customer], indptr[customer + 1]) if marked[row]]
        for code in entry_item[entry_indptr[customer] : entry_indptr[customer + 1]]:
            found.append(min([int(age[row]) for row in rows if item[row] == code], default=-1))
    return np.array(found, np.int64)


def linear_top(
    indptr: Array,
    items: Array,
    weights: Array,
    starts: Array,
    targets: Array,
    values: Array,
    everywhere: Array,
    exclude_indptr: Array,
    exclude_items: Array,
    n: int,
) -> tuple[Array, Array]:
    table = item_rows(*_padded(starts, targets, values))
    return top_n(indptr, items, weights, table, everywhere, exclude_indptr, exclude_items, n)


def linear_scores(
    indptr: Array, items: Array, weights: Array, starts: Array, targets: Array, values: Array, chosen: Array
) -> Array:
    return score_items(indptr, items, weights, item_rows(*_padded(starts, targets, values)), chosen)


def linear_parts(
    indptr: Array, items: Array, weights: Array, starts: Array, targets: Array, values: Array, chosen: Array
) -> tuple[Array, Array, Array]:
    return contributions(indptr, items, weights, item_rows(*_padded(starts, targets, values)), chosen)


def habits_of(
    indptr: Array, item: Array, age: Array, counted: Array, basket_decay: float, group_decay: float, n_groups: int
) -> tuple[Array, Array, Array, Array]:
    starts, found = [0], []
    for a, b in pairwise(indptr):
        rows = [row for row in range(a, b) if counted[row] and item[row] >= 0]
        n_baskets = max([-1, *(int(age[row]) for row in rows)]) + 1
        baskets = [{int(item[row]) for row in rows if age[row] == old} for old in range(n_baskets)][::-1]
        runs = min(n_baskets, n_groups)
        sizes = [n_baskets // runs + (group >= runs - n_baskets % runs) for group in range(runs)]
        values: dict[int, float] = {}
        times: dict[int, int] = {}
        number = 0
        for group, size in enumerate(sizes):
            for basket in baskets[number : number + size]:
                fade = basket_decay ** (n_baskets - 1 - number) * group_decay ** (n_groups - 1 - group)
                for code in basket:
                    values[code] = values.get(code, 0.0) + fade / (size * runs)
                    times[code] = times.get(code, 0) + 1
                number += 1
        found += [(code, values[code], times[code]) for code in sorted(values)]
        starts.append(len(found))
    columns = [np.array([one[place] for one in found]) for place in range(3)]
    return np.array(starts), columns[0].astype(np.int32), columns[1].astype(float), columns[2].astype(np.int64)


class KnownRows(NamedTuple):
    """Rows, dense, and what is stored of them."""

    values: Array
    stored: Array


def known_rows(indptr: Array, indices: Array, data: Array, n_columns: int) -> KnownRows:
    return KnownRows(*dense(indptr, indices, data, n_columns))


def nearest_means(
    indptr: Array, indices: Array, data: Array, known: KnownRows, own: Array, k: int
) -> tuple[Array, Array, Array]:
    n_columns = known.values.shape[1]
    rows, own_columns = dense(indptr, indices, data, max([n_columns, *(indices + 1)]))
    means, held = np.zeros(rows.shape), own_columns
    for row, line in enumerate(rows):
        others = [other for other in range(len(known.values)) if other != own[row]]
        beyond = (line[n_columns:] ** 2).sum()
        distances = {one: float(((line[:n_columns] - known.values[one]) ** 2).sum() + beyond) for one in others}
        nearest = sorted(others, key=lambda one: (distances[one], one))[:k]
        if nearest and own_columns[row].any():
            means[row, :n_columns] = known.values[nearest].mean(axis=0)
            held[row, :n_columns] |= known.stored[nearest].any(axis=0)
    return sparse(means, held)


def best_entries(
    indptr: Array,
    items: Array,
    scores: Array,
    everywhere: Array,
    exclude_indptr: Array,
    exclude_items: Array,
    n: int,
) -> tuple[Array, Array]:
    codes, values = np.full((len(indptr) - 1, n), -1, np.int32), np.full((len(indptr) - 1, n), np.nan)
    for row in range(len(codes)):
        hidden = set(exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]])
        entries = [
            entry
            for entry in range(indptr[row], indptr[row + 1])
            if 0 <= items[entry] < len(everywhere) and not everywhere[items[entry]]
            if items[entry] not in hidden and not np.isnan(scores[entry])
        ]
        best = sorted(entries, key=lambda entry: (-scores[entry], items[entry]))[:n]
        codes[row, : len(best)], values[row, : len(best)] = items[best], scores[best]
    return codes, values


def improve_factors(
    indptr: Array,
    indices: Array,
    data: Array,
    others: Array,
    gram: Array,
    ridge: Array,
    factors: Array,
    n_steps: int,
    *,
    threads: int | None = None,
) -> None:
    """Changes `factors`, as the kernel does."""
    matrices, sides = normal_equations(indptr, indices, data, others, gram, ridge)
    for row in range(len(factors)):
        if indptr[row] == indptr[row + 1]:
            factors[row] = 0.0
            continue
        x = factors[row].astype(float)
        left = sides[row] - matrices[row] @ x
        direction = left
        for _ in range(n_steps):
            rest = left @ left
            if rest < 1e-20:
                break
            product = matrices[row] @ direction
            length = rest / (direction @ product)
            x, left = x + length * direction, left - length * product
            direction = left + (left @ left) / rest * direction
        factors[row] = x


def normal_equations(
    indptr: Array, indices: Array, data: Array, factors: Array, gram: Array, ridge: Array
) -> tuple[Array, Array]:
    weights, _ = dense(indptr, indices, data, len(factors))
    table = factors.astype(float)
    matrices = [gram + r * np.eye(len(gram)) + (table.T * line) @ table for r, line in zip(ridge, weights, strict=True)]
    return np.array(matrices).reshape(len(ridge), *gram.shape), weights @ table


def factor_top(
    vectors: Array, factors: Array, everywhere: Array, exclude_indptr: Array, exclude_items: Array, n: int
) -> tuple[Array, Array]:
    n_items = factors.shape[1]
    scores = factor_scores(vectors, factors, np.tile(np.arange(n_items), (len(vectors), 1)))
    starts = np.arange(len(vectors) + 1) * n_items
    codes = np.tile(np.arange(n_items), len(vectors))
    hidden = everywhere[:n_items]
    return best_entries(starts, codes, scores.ravel(), hidden, exclude_indptr, exclude_items, n)


def factor_scores(vectors: Array, factors: Array, chosen: Array) -> Array:
    scores = np.full(chosen.shape, np.nan)
    for row, place in np.argwhere((chosen >= 0) & (chosen < factors.shape[1])):
        scores[row, place] = sum_in_order(np.append(0.0, vectors[row] * factors[:, chosen[row, place]].astype(float)))
    return scores


def _padded(starts: Array, targets: Array, values: Array) -> tuple[Array, Array]:
    """The same values as a neighbour table."""
    shape = (len(starts) - 1, max([0, *np.diff(starts)]))
    neighbours, similarities = np.full(shape, -1, np.int32), np.zeros(shape)
    for row, (first, last) in enumerate(pairwise(starts)):
        neighbours[row, : last - first], similarities[row, : last - first] = targets[first:last], values[first:last]
    return neighbours, similarities


def take_texts(data: Array, ends: Array, places: Array) -> tuple[Array, Array]:
    texts = cut(data, ends)
    return joined([texts[place] for place in places.tolist()])


def texts_fit(data: Array, ends: Array, longest: int) -> Array:
    texts = [one.decode() for one in cut(data, ends)]
    return np.array([1 <= len(one) <= longest and not any(c < " " or c == "\x7f" for c in one) for one in texts], bool)


def text_index_new(capacity: int) -> Array:
    # Here the texts themselves stand for their index.
    return np.zeros(0, np.uint64)


def text_index_add(index: Array, data: Array, ends: Array, first: int, key: int) -> Array:
    return index


def text_index_find(
    index: Array, data: Array, ends: Array, wanted: Array, wanted_ends: Array, places: Array, key: int
) -> Array:
    numbers = {one: number for number, one in enumerate(cut(data, ends))}
    asked = cut(wanted, wanted_ends)
    return np.array([numbers.get(asked[place], -1) for place in places.tolist()], np.int32)


def cut(data: Array, ends: Array) -> list[bytes]:
    return [data[first:last].tobytes() for first, last in pairwise(ends.tolist())]


def joined(texts: list[bytes]) -> tuple[Array, Array]:
    ends = np.concatenate([[0], np.cumsum([len(one) for one in texts])]).astype(np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), ends


class WireColumns(NamedTuple):
    codes: Array
    numbers: Array
    data: Array
    ends: Array


COLUMNS = [field.name for field in interaction_pb.StreamInteractionsRequest.DESCRIPTOR.fields if field.number > 3]


def read_batch(message: Array) -> WireColumns | None:
    try:
        batch = interaction_pb.StreamInteractionsRequest.FromString(message.tobytes())
    except DecodeError:
        return None
    n = len(batch.kind)
    columns = [list(getattr(batch, name)) for name in COLUMNS]
    if any(len(column) not in (0, n) for column in columns):
        return None
    numbers = np.array([columns[7] or [1.0] * n, columns[10] or [np.nan] * n], np.float64)
    whole = np.zeros((15, n), np.int64)
    for at, column in enumerate(columns):
        if column and at not in (7, 10):
            whole[at] = column
    return WireColumns(whole, numbers, *joined([one.encode() for one in batch.strings]))


def read_calls(messages: Array, starts: Array) -> tuple[WireColumns, Array] | None:
    texts, rows = [b""], [0]
    columns: list[list[int]] = []
    numbers: list[list[float]] = []

    def place(text: str) -> int:
        if text:
            texts.append(text.encode())
        return len(texts) - 1 if text else 0

    for first, last in pairwise(starts.tolist()):
        try:
            call = interaction_pb.RecordInteractionsRequest.FromString(messages[first:last].tobytes())
        except DecodeError:
            return None
        rows.append(rows[-1] + len(call.interactions))
        for one in call.interactions:
            who, amount, micros = one.customer, one.amount, 0
            if one.HasField("customer") and not (who.customer_id or (who.identifier.kind and who.identifier.value)):
                return None
            if one.HasField("occurred_at"):
                micros = one.occurred_at.seconds * 1_000_000 + one.occurred_at.nanos // 1000
                if not (0 <= one.occurred_at.seconds <= 253402300799 and 0 <= one.occurred_at.nanos < 10**9 and micros):
                    return None
            if (one.HasField("amount") and not amount.currency) or one.rating != one.rating:
                return None
            if one.quantity != one.quantity:
                return None
            numbers.append(
                [one.quantity if one.HasField("quantity") else 1.0, one.rating if one.HasField("rating") else np.nan]
            )
            who_ids = [who.customer_id, who.identifier.kind, who.identifier.value]
            others = [one.order_id, one.touchpoint, one.decision_id, one.reverses_id]
            columns.append([place(one.kind), *map(place, who_ids), place(one.item_id), place(one.interaction_id)])
            columns[-1] += [micros, 0, amount.minor_units, place(amount.currency), 0, *map(place, others)]
    codes = np.array(columns, np.int64).reshape(-1, 15).T
    return WireColumns(codes, np.array(numbers).reshape(-1, 2).T, *joined(texts)), np.array(rows, np.int64)


__all__ = [
    "ItemLayout",
    "ItemRows",
    "KnownRows",
    "WireColumns",
    "add_rows",
    "adjusted_cosine_top_k",
    "basket_ages",
    "basket_items",
    "best_entries",
    "bm25_top_k",
    "build_csr",
    "contributions",
    "cosine_top_k",
    "encode_lists",
    "factor_scores",
    "factor_top",
    "fold_parts",
    "gram",
    "habits_of",
    "id_set_add",
    "id_set_contains",
    "id_set_new",
    "improve_factors",
    "item_layout",
    "item_rows",
    "items_of",
    "jaccard_top_k",
    "known_rows",
    "last_of_pairs",
    "latest_sessions",
    "linear_parts",
    "linear_scores",
    "linear_top",
    "log_likelihood_top_k",
    "match_returns",
    "nearest_means",
    "normal_equations",
    "overlaps",
    "pick",
    "place_rows",
    "purchase_totals",
    "read_batch",
    "read_calls",
    "rows_of",
    "rows_top_k",
    "score_items",
    "session_neighbours",
    "similar_items",
    "strongest_parts",
    "take_texts",
    "tastes_of",
    "text_hashes",
    "text_index_add",
    "text_index_find",
    "text_index_new",
    "texts_fit",
    "tf_idf_top_k",
    "top_n",
    "top_of_rows",
    "transpose",
    "youngest",
]
