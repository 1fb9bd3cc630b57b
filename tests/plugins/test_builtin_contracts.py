"""Every built-in plugin passes the contract tests that strangers' plugins pass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from visavis.testing import ChannelContract, NeighbourScorerContract, ScorerContract, SegmenterContract
from visavis_plugins.channels.console import Console
from visavis_plugins.channels.file import File
from visavis_plugins.scorers.als import Als
from visavis_plugins.scorers.ease import Ease
from visavis_plugins.scorers.item_similarity import ItemSimilarity
from visavis_plugins.scorers.popularity import Popularity
from visavis_plugins.scorers.repeat import Repeat
from visavis_plugins.scorers.rp3beta import Rp3Beta
from visavis_plugins.scorers.tifu_knn import TifuKnn
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
