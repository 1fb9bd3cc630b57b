"""What all scorers promise of their reasons, tried out by taking causes away."""

from __future__ import annotations

import numpy as np

from visavis import Items, Scorer
from visavis.testing import Event, make_customers, make_exclusions


def check_reasons_by_removal(scorer: Scorer, events: list[Event], items: Items, now_day: float = 1.0) -> None:
    """Reasons add up to the score, and without a cited item the score is lower by its contribution.

    The events are customer 0's, each item once.
    """
    customers = make_customers(events, [0], now_day=now_day)
    codes, scores = scorer.top(customers, items, len(items), make_exclusions(len(items), [()]))
    told = scorer.explain(customers, codes, scores)[0]
    cited = 0
    for place, code in enumerate(codes[0].tolist()):
        if code < 0:
            continue
        assert abs(sum(part.amount for part in told[place]) - scores[0, place]) <= 1e-9
        for part in told[place]:
            if part.item < 0:
                continue
            cited += 1
            rest = [event for event in events if event.item != part.item]
            left = scorer.score(make_customers(rest, [0], now_day=now_day), items)[0, code]
            assert abs(scores[0, place] - part.amount - np.nan_to_num(left)) <= 1e-9
    assert cited, "nothing was cited: this tries nothing"
