"""The past as it was known at a moment: what was recorded of earlier times, and nothing that came later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visavis.live.base import COLUMNS, Base, as_base
from visavis.live.netting import net_quantities


def before(base: Base, moment: int, kinds: Sequence[str], codes: NDArray[np.int32] | None = None) -> Base:
    """The rows of a base that happened before `moment` (µs); returns that came later are not taken off.

    `codes` int32 [n_items] gives items other codes; what gets −1 stays as a row without an item.
    """
    earlier = base.time < moment
    arrays = {name: getattr(base, name)[earlier] for name in COLUMNS}
    # Whose rows were kept: nobody's stand before `indptr[0]`.
    kept_before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(earlier)])
    indptr = kept_before[base.indptr]
    customer = np.repeat(np.arange(-1, len(indptr) - 1, dtype=np.int32), np.diff(indptr, prepend=0))
    names = list(kinds)
    arrays["quantity"] = net_quantities(
        customer,
        arrays["item"],
        arrays["kind"],
        arrays["time"],
        arrays["recorded"],
        arrays["amount"],
        arrays["id_hash"],
        arrays["reverses"],
        names.index("purchase") if "purchase" in names else -1,
        names.index("return") if "return" in names else -1,
    )
    if codes is not None:
        item = arrays["item"]
        arrays["item"] = np.where(item >= 0, codes[item], np.int32(-1)).astype(np.int32)
    return as_base(base.sequence, base.currency, arrays | {"indptr": indptr})


__all__ = ["before"]
