"""Arrays in, arrays out: the compiled inner loops, public so that plugins may use them.

Importing this package is cheap: a function's module, and numba with it, is loaded when the function is first
asked for. Every function checks what it is given and raises `visavis.errors.InvalidInput`, naming the argument;
the functions are safe to call from several threads at once.

Sparse matrices are CSR: row r holds `indices[indptr[r]:indptr[r+1]]` (int32, ascending) with the values `data`
(float64) alongside; `indptr` is int64 [n_rows + 1]. A neighbour table is a pair `neighbours` int32 [n_items, k]
(best first, padded with −1) and `similarities` float64 [n_items, k]; `item_rows` makes of it what is asked at every
request.

    sparse      build_csr, transpose
    similarity  cosine_top_k, adjusted_cosine_top_k, jaccard_top_k, log_likelihood_top_k, tf_idf_top_k, bm25_top_k
    layout      ItemLayout, item_layout: the first step of all of these
    comparing   similar_items, rows_top_k: the second step, for all items or for some
    by_item     ItemRows, item_rows: a table of neighbours, checked once
    scores      top_n, score_items
    causes      contributions
    linear      linear_top, linear_scores, linear_parts
    gram        gram
    ages        basket_ages, youngest
    factorizing improve_factors
    folding     normal_equations
    factored    factor_top, factor_scores
    habits      habits_of
    nearest     KnownRows, known_rows, nearest_means
    ranking     best_entries
    products    add_rows
    sessions    session_neighbours
    products    add_rows, top_of_rows
    sessions    latest_sessions, session_neighbours
    causes      contributions, strongest_parts, fold_parts
    returns     match_returns
    id_set      id_set_new, id_set_add, id_set_contains
    placing     place_rows
    purchases   purchase_totals, last_of_pairs
    tastes      tastes_of
    baskets     basket_items
    rows        rows_of, items_of
    picking     pick
    wire        encode_lists
    overlaps    overlaps
    text_hash   text_hashes
    texts       take_texts, texts_fit, text_index_new, text_index_add, text_index_find
    intake_wire WireColumns, read_batch, read_calls
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visavis.kernels.ages import basket_ages, youngest
    from visavis.kernels.baskets import basket_items
    from visavis.kernels.by_item import ItemRows, item_rows
    from visavis.kernels.causes import contributions, fold_parts, strongest_parts
    from visavis.kernels.comparing import rows_top_k, similar_items
    from visavis.kernels.factored import factor_scores, factor_top
    from visavis.kernels.factorizing import improve_factors
    from visavis.kernels.folding import normal_equations
    from visavis.kernels.gram import gram
    from visavis.kernels.habits import habits_of
    from visavis.kernels.id_set import id_set_add, id_set_contains, id_set_new
    from visavis.kernels.intake_wire import WireColumns, read_batch, read_calls
    from visavis.kernels.layout import ItemLayout, item_layout
    from visavis.kernels.linear import linear_parts, linear_scores, linear_top
    from visavis.kernels.nearest import KnownRows, known_rows, nearest_means
    from visavis.kernels.overlaps import overlaps
    from visavis.kernels.picking import pick
    from visavis.kernels.placing import place_rows
    from visavis.kernels.products import add_rows, top_of_rows
    from visavis.kernels.purchases import last_of_pairs, purchase_totals
    from visavis.kernels.ranking import best_entries
    from visavis.kernels.returns import match_returns
    from visavis.kernels.rows import items_of, rows_of
    from visavis.kernels.scores import score_items, top_n
    from visavis.kernels.sessions import latest_sessions, session_neighbours
    from visavis.kernels.similarity import (
        adjusted_cosine_top_k,
        bm25_top_k,
        cosine_top_k,
        jaccard_top_k,
        log_likelihood_top_k,
        tf_idf_top_k,
    )
    from visavis.kernels.sparse import build_csr, transpose
    from visavis.kernels.tastes import tastes_of
    from visavis.kernels.text_hash import text_hashes
    from visavis.kernels.texts import take_texts, text_index_add, text_index_find, text_index_new, texts_fit
    from visavis.kernels.wire import encode_lists

_HOMES = {
    "ItemLayout": "layout",
    "KnownRows": "nearest",
    "WireColumns": "intake_wire",
    "ItemRows": "by_item",
    "adjusted_cosine_top_k": "similarity",
    "basket_ages": "ages",
    "best_entries": "ranking",
    "add_rows": "products",
    "basket_items": "baskets",
    "bm25_top_k": "similarity",
    "build_csr": "sparse",
    "contributions": "causes",
    "cosine_top_k": "similarity",
    "encode_lists": "wire",
    "factor_scores": "factored",
    "factor_top": "factored",
    "gram": "gram",
    "habits_of": "habits",
    "fold_parts": "causes",
    "id_set_add": "id_set",
    "id_set_contains": "id_set",
    "id_set_new": "id_set",
    "improve_factors": "factorizing",
    "item_layout": "layout",
    "item_rows": "by_item",
    "items_of": "rows",
    "jaccard_top_k": "similarity",
    "known_rows": "nearest",
    "last_of_pairs": "purchases",
    "linear_parts": "linear",
    "linear_scores": "linear",
    "linear_top": "linear",
    "latest_sessions": "sessions",
    "log_likelihood_top_k": "similarity",
    "match_returns": "returns",
    "overlaps": "overlaps",
    "nearest_means": "nearest",
    "normal_equations": "folding",
    "pick": "picking",
    "place_rows": "placing",
    "purchase_totals": "purchases",
    "read_batch": "intake_wire",
    "read_calls": "intake_wire",
    "rows_of": "rows",
    "rows_top_k": "comparing",
    "score_items": "scores",
    "session_neighbours": "sessions",
    "similar_items": "comparing",
    "take_texts": "texts",
    "strongest_parts": "causes",
    "tastes_of": "tastes",
    "text_hashes": "text_hash",
    "text_index_add": "texts",
    "text_index_find": "texts",
    "text_index_new": "texts",
    "texts_fit": "texts",
    "tf_idf_top_k": "similarity",
    "top_n": "scores",
    "top_of_rows": "products",
    "transpose": "sparse",
    "youngest": "ages",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    # Found directly from now on: this function is only asked for names that the package lacks.
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


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
