"""Every built-in plugin passes the contract tests that strangers' plugins pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from visavis.history import DAY, History, Items
from visavis.testing import ChannelContract, NeighbourScorerContract, ScorerContract, SegmenterContract, make_items
from visavis_plugins.channels.console import Console
from visavis_plugins.channels.file import File
from visavis_plugins.scorers.als import Als
from visavis_plugins.scorers.content import Content
from visavis_plugins.scorers.cross_sell import CrossSell
from visavis_plugins.scorers.ease import Ease
from visavis_plugins.scorers.item_similarity import ItemSimilarity
from visavis_plugins.scorers.popularity import Popularity
from visavis_plugins.scorers.rating import Rating
from visavis_plugins.scorers.repeat import Repeat
from visavis_plugins.scorers.rp3beta import Rp3Beta
from visavis_plugins.scorers.session import Session
from visavis_plugins.scorers.tifu_knn import TifuKnn
from visavis_plugins.scorers.up_sell import UpSell
from visavis_plugins.segmenters.rfm import Rfm


class TestPopularity(ScorerContract):
    plugin = Popularity


class TestPopularityOfAllTime(ScorerContract):
    plugin = Popularity
    options: Mapping[str, Any] = {"window_days": 0, "half_life_days": 0}


class TestRepeat(ScorerContract):
    plugin = Repeat


class TestItemSimilarity(NeighbourScorerContract):
    plugin = ItemSimilarity
    collaborative = True


class TestItemSimilarityByWeight(NeighbourScorerContract):
    plugin = ItemSimilarity
    collaborative = True
    options: Mapping[str, Any] = {"signal": "weight", "neighbours": 7, "shrinkage": 2.5}


class TestItemSimilarityByRating(NeighbourScorerContract):
    plugin = ItemSimilarity
    options: Mapping[str, Any] = {"signal": "rating"}


class TestItemSimilarityAdjusted(NeighbourScorerContract):
    plugin = ItemSimilarity
    options: Mapping[str, Any] = {"method": "adjusted_cosine"}


class TestItemSimilarityAdjustedCoRated(NeighbourScorerContract):
    plugin = ItemSimilarity
    options: Mapping[str, Any] = {"method": "adjusted_cosine_co_rated"}


class TestEase(ScorerContract):
    plugin = Ease
    collaborative = True


class TestEaseWithFewWeights(ScorerContract):
    plugin = Ease
    options: Mapping[str, Any] = {"neighbours": 2, "max_items": 7, "basket_decay": 0.7, "regularization": 1.0}


class TestRp3Beta(NeighbourScorerContract):
    plugin = Rp3Beta
    collaborative = True


class TestRp3BetaOfFewNeighbours(NeighbourScorerContract):
    plugin = Rp3Beta
    options: Mapping[str, Any] = {"neighbours": 4, "basket_decay": 0.7, "alpha": 0.5, "beta": 0.0}


class TestAls(ScorerContract):
    plugin = Als
    collaborative = True


class TestAlsOfFewFactors(ScorerContract):
    plugin = Als
    options: Mapping[str, Any] = {"factors": 3, "iterations": 2, "basket_decay": 0.7, "unobserved": 1.0}


class TestTifuKnn(ScorerContract):
    plugin = TifuKnn


class TestTifuKnnOfFewNeighbours(ScorerContract):
    plugin = TifuKnn
    collaborative = True
    options: Mapping[str, Any] = {"neighbours": 5}


class TestTifuKnnOfFewCustomers(ScorerContract):
    plugin = TifuKnn
    options: Mapping[str, Any] = {"neighbours": 2, "max_customers": 4, "own_share": 0.7, "groups": 7}


class InBaskets(NeighbourScorerContract):
    """What a customer did within thirty days is one basket: in the plain shop hardly two items share one."""

    def history(self, seed: int = 1) -> History:
        plain = super().history(seed)
        return replace(plain, basket=plain.customer * 1000 + plain.time // (30 * DAY))


class TestCrossSell(InBaskets):
    plugin = CrossSell
    options: Mapping[str, Any] = {"least_ratio": 0, "days": 0}


class TestCrossSellOfTheLastDays(InBaskets):
    plugin = CrossSell
    options: Mapping[str, Any] = {"least_ratio": 0.5, "neighbours": 3}


class TestSession(ScorerContract):
    plugin = Session
    options: Mapping[str, Any] = {"gap_minutes": 20 * 1440}


class TestSessionWithReminders(ScorerContract):
    plugin = Session
    options: Mapping[str, Any] = {
        "gap_minutes": 20 * 1440, "neighbours": 3, "recent": 5, "rarity": False, "remind": True,
    }  # fmt: skip


class TestContent(ScorerContract):
    plugin = Content

    def items(self, n: int, codes: Sequence[int] | None = None) -> Items:
        numbers = range(n) if codes is None else codes
        return make_items(
            n,
            codes=codes,
            attributes={
                "category": [f"c{code % 3}" for code in numbers],
                "brand": [f"b{code % 5}" for code in numbers],
                "tags": [(f"t{code % 2}", f"t{code % 7}") if code % 4 else None for code in numbers],
            },
        )


class TestContentWithoutAttributes(ScorerContract):
    plugin = Content


class TestRating(NeighbourScorerContract):
    plugin = Rating


class TestRatingCentred(NeighbourScorerContract):
    plugin = Rating
    options: Mapping[str, Any] = {"form": "centred", "reading": "co_rated", "neighbours": 3, "support": 2}


class TestUpSell(ScorerContract):
    plugin = UpSell
    options: Mapping[str, Any] = {"least_dearer": 0.0, "most_dearer": 3.0, "days": 40}

    def items(self, n: int, codes: Sequence[int] | None = None) -> Items:
        numbers = list(range(n) if codes is None else codes)
        return make_items(
            n,
            codes=codes,
            price=[math.nan if code == 5 else 100.0 + 20 * (code % 7) for code in numbers],
            attributes={"category": [None if code == 6 else f"c{code % 2}" for code in numbers]},
        )


class TestUpSellWithoutPrices(ScorerContract):
    plugin = UpSell


class TestRfm(SegmenterContract):
    plugin = Rfm


class TestConsole(ChannelContract):
    plugin = Console
    remembers_after_restart = False

    @pytest.fixture(autouse=True)
    def _paper(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.paper = capsys

    def effects(self) -> int:
        return self.paper.readouterr().out.count("--- message ")


class TestFile(ChannelContract):
    plugin = File

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.options = {"folder": str(tmp_path / "made" / "on the way")}

    def effects(self) -> int:
        return len(list(Path(self.options["folder"]).iterdir()))
