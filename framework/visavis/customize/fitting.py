"""Fitting every scorer on one history."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.customize.ranking import check_neighbours
from visavis.errors import PluginError, VisavisError
from visavis.history import History
from visavis.model import Progress
from visavis.plugin import NeighbourScorer, Registry, Scorer
from visavis.plugin.failures import type_and_place
from visavis.store import Operation, Store, Transaction
from visavis.store.generations import FittedPlugin, insert_plugin, insert_similar_items

log = logging.getLogger("visavis.customize")
Neighbours = tuple[NDArray[np.int32], NDArray[np.float64]]
"""Of each item the codes (−1: none) and similarities of its neighbours, [n_items, SIMILAR_KEPT]."""
SIMILAR_KEPT = 20
"""Neighbours of each item written to `similar_items` for analysts."""


@dataclass(frozen=True, slots=True)
class FittedScorers:
    """What came of it: scorers by name, and why others were left out. It is in the store when `storing` are through."""

    scorers: Mapping[str, Scorer]
    failed: Mapping[str, str]
    storing: Sequence[Future[None]]


def fit_scorers(
    store: Store,
    registry: Registry,
    history: History,
    generation: int,
    progress: Callable[[Progress], None],
) -> FittedScorers:
    """Fit each scorer of the registry and write its state under a generation that is not served yet.

    A scorer that fails is named, with its error, in the answer and in the store; the others go on. While one is
    fitted, what the last one has learnt is being written.
    """
    history = history.training()
    storing: list[Future[None]] = []
    scorers: dict[str, Scorer] = {}
    failed: dict[str, str] = {}
    names = sorted(registry.scorers)
    for place, name in enumerate(names):
        progress(Progress(f"fit {name}", place, len(names)))
        options = "{}"
        neighbours: Neighbours | None = None
        try:
            scorer = registry.build_scorer(name)
            options = json.dumps(asdict(scorer.options))
            scorer.fit(history)
            fitted = FittedPlugin("scorer", name, options, check_state(scorer))
            if isinstance(scorer, NeighbourScorer):
                neighbours = _neighbours(scorer, len(history.items))
        except (Exception, SystemExit) as error:
            failed[name] = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
            log.warning("scorer %s failed to fit and is left out: %s", name, type_and_place(error))
            log.debug("traceback of scorer %s", name, exc_info=error)
            fitted = FittedPlugin("scorer", name, options, {}, failed[name])
        else:
            scorers[name] = scorer
        storing.append(store.writer.submit(_storing(generation, fitted, neighbours)))
    progress(Progress("fit", len(names), len(names)))
    return FittedScorers(scorers, failed, storing)


def check_state(plugin: Scorer) -> dict[str, object]:
    """The learned state, or `PluginError` if it cannot be stored."""
    state = plugin.state()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject or value.dtype.names:
                raise PluginError(
                    f"learned attribute {name} of {plugin.name} is an array of {value.dtype}; "
                    "use numbers or fixed-width text"
                )
        elif value is not None and not isinstance(value, str | int | float | bool):
            raise PluginError(
                f"learned attribute {name} of {plugin.name} is a {type(value).__name__}; "
                "use NumPy arrays, numbers or texts"
            )
    return state


def _storing(generation: int, fitted: FittedPlugin, neighbours: Neighbours | None) -> Operation[None]:
    def apply(tx: Transaction) -> None:
        insert_plugin(tx, generation, fitted)
        if neighbours is not None:
            insert_similar_items(tx, generation, fitted.name, *neighbours)

    return Operation(apply)


def _neighbours(scorer: NeighbourScorer, n_items: int) -> Neighbours:
    table = scorer.neighbour_table(SIMILAR_KEPT)
    if table is not None:
        return _check_table(*table, n_items)
    neighbours = np.full((n_items, SIMILAR_KEPT), -1, dtype=np.int32)
    similarities = np.zeros((n_items, SIMILAR_KEPT))
    for item in range(n_items):
        codes, values = check_neighbours(*scorer.neighbours(item, SIMILAR_KEPT), SIMILAR_KEPT, n_items)
        neighbours[item, : len(codes)] = codes
        similarities[item, : len(codes)] = values
    return neighbours, similarities


def _check_table(codes: NDArray[np.int32], similarities: NDArray[np.float64], n_items: int) -> Neighbours:
    wanted = (n_items, SIMILAR_KEPT)
    if codes.shape != wanted or similarities.shape != wanted:
        raise PluginError(
            f"neighbour_table gave codes {codes.shape} and similarities {similarities.shape}; both must be {wanted}"
        )
    if codes.dtype.kind not in "iu" or codes.min(initial=-1) < -1 or codes.max(initial=-1) >= n_items:
        raise PluginError(f"neighbour_table gave what is no code of an item; codes are −1 to {n_items - 1}")
    if not np.isfinite(similarities[codes >= 0]).all():
        raise PluginError("neighbour_table gave a similarity that is not a finite number")
    return codes.astype(np.int32, copy=False), similarities


__all__ = ["FittedScorers", "check_state", "fit_scorers"]
