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
    causes      contributions, strongest_parts, fold_parts
    returns     match_returns
    id_set      id_set_new, id_set_add, id_set_contains
    placing     place_rows
    purchases   purchase_totals, last_of_pairs
    tastes      tastes_of
    rows        rows_of, items_of
    picking     pick
    wire        encode_lists
    text_hash   text_hashes
    texts       take_texts, texts_fit, text_index_new, text_index_add, text_index_find
    intake_wire WireColumns, read_batch, read_calls
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visavis.kernels.by_item import ItemRows, item_rows
    from visavis.kernels.causes import contributions, fold_parts, strongest_parts
    from visavis.kernels.comparing import rows_top_k, similar_items
    from visavis.kernels.id_set import id_set_add, id_set_contains, id_set_new
    from visavis.kernels.intake_wire import WireColumns, read_batch, read_calls
    from visavis.kernels.layout import ItemLayout, item_layout
    from visavis.kernels.picking import pick
    from visavis.kernels.placing import place_rows
    from visavis.kernels.purchases import last_of_pairs, purchase_totals
    from visavis.kernels.returns import match_returns
    from visavis.kernels.rows import items_of, rows_of
    from visavis.kernels.scores import score_items, top_n
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
    "WireColumns": "intake_wire",
    "ItemRows": "by_item",
    "adjusted_cosine_top_k": "similarity",
    "bm25_top_k": "similarity",
    "build_csr": "sparse",
    "contributions": "causes",
    "cosine_top_k": "similarity",
    "encode_lists": "wire",
    "fold_parts": "causes",
    "id_set_add": "id_set",
    "id_set_contains": "id_set",
    "id_set_new": "id_set",
    "item_layout": "layout",
    "item_rows": "by_item",
    "items_of": "rows",
    "jaccard_top_k": "similarity",
    "last_of_pairs": "purchases",
    "log_likelihood_top_k": "similarity",
    "match_returns": "returns",
    "pick": "picking",
    "place_rows": "placing",
    "purchase_totals": "purchases",
    "read_batch": "intake_wire",
    "read_calls": "intake_wire",
    "rows_of": "rows",
    "rows_top_k": "comparing",
    "score_items": "scores",
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
    "transpose": "sparse",
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
    "WireColumns",
    "adjusted_cosine_top_k",
    "bm25_top_k",
    "build_csr",
    "contributions",
    "cosine_top_k",
    "encode_lists",
    "fold_parts",
    "id_set_add",
    "id_set_contains",
    "id_set_new",
    "item_layout",
    "item_rows",
    "items_of",
    "jaccard_top_k",
    "last_of_pairs",
    "log_likelihood_top_k",
    "match_returns",
    "pick",
    "place_rows",
    "purchase_totals",
    "read_batch",
    "read_calls",
    "rows_of",
    "rows_top_k",
    "score_items",
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
    "transpose",
]
