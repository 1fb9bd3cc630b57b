"""`rfm`: fifths, ties and customers who never bought."""

from __future__ import annotations

import numpy as np

from visavis.testing import make_features
from visavis_plugins.segmenters.rfm import Rfm

NAN = float("nan")


def test_fifths_from_worst_to_best() -> None:
    features = make_features([(100.0 - place, place + 1.0, 10.0 * place, 400.0) for place in range(10)])
    labels = Rfm().fit(features).label(features)
    assert list(labels) == ["111", "111", "222", "222", "333", "333", "444", "444", "555", "555"]


def test_the_three_digits_are_recency_frequency_money() -> None:
    features = make_features([(float(place), 10.0 - place, 5.0, 1.0) for place in range(10)])
    labels = Rfm().fit(features).label(features)
    assert labels[0] == "551"
    assert labels[-1] == "111"


def test_equal_values_score_equally() -> None:
    features = make_features([(5.0, float(orders), 1.0, 1.0) for orders in (1, 1, 1, 1, 1, 1, 2, 2, 3, 9)])
    digits = [label[1] for label in Rfm().fit(features).label(features)]
    assert len(set(digits[:6])) == len(set(digits[6:8])) == 1
    assert digits == sorted(digits)
    assert digits[-1] == "5"


def test_customers_who_never_bought_are_in_no_segment_and_move_no_cut() -> None:
    bought = [(float(place), 1.0 + place, 3.0 * place, 9.0) for place in range(20)]
    alone = Rfm().fit(make_features(bought))
    both = Rfm().fit(make_features([(NAN, NAN, NAN, NAN)] * 30 + bought))
    np.testing.assert_array_equal(alone.recency_cuts_, both.recency_cuts_)
    labels = both.label(make_features([(NAN, NAN, NAN, NAN), bought[3]]))
    assert labels[0] == ""
    assert labels[1] == alone.label(make_features([bought[3]]))[0]


def test_nobody_bought_yet() -> None:
    segmenter = Rfm().fit(make_features([(NAN, NAN, NAN, NAN)]))
    assert list(segmenter.label(make_features([(1.0, 1.0, 1.0, 1.0)]))) == [""]
