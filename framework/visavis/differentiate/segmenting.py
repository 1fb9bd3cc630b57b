"""Running every segmenter on one table of features."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from visavis.errors import PluginError, VisavisError
from visavis.history import Features
from visavis.live.models import Memberships
from visavis.model import Progress
from visavis.plugin import Registry
from visavis.store import Operation, Store
from visavis.store.columns import SEPARATOR
from visavis.store.generations import insert_memberships

log = logging.getLogger("visavis.differentiate")


@dataclass(frozen=True, slots=True)
class Segmented:
    """What came of it: memberships by segmentation, and why others were left out."""

    segmentations: Mapping[str, Memberships]
    failed: Mapping[str, str]


def run_segmenters(
    store: Store, registry: Registry, features: Features, generation: int, progress: Callable[[Progress], None]
) -> Segmented:
    """Fit and label with each segmenter; write memberships under a generation that is not served yet."""
    segmentations: dict[str, Memberships] = {}
    failed: dict[str, str] = {}
    names = sorted(registry.segmenters)
    for place, name in enumerate(names):
        progress(Progress(f"segment {name}", place, len(names)))
        try:
            segmenter = registry.build_segmenter(name).fit(features)
            labels = [str(label) for label in segmenter.label(features)]
            if len(labels) != len(features):
                raise PluginError(f"gave {len(labels)} labels for {len(features)} customers; give one a row")
            if any(SEPARATOR in label or len(label) > 100 for label in set(labels)):
                raise PluginError("gave a label over 100 characters or with a control character")
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything; it is reported by name
            failed[name] = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
            log.warning("segmenter %s failed and is left out: %s", name, failed[name], exc_info=error)
            continue
        inside = np.array([bool(label) for label in labels], dtype=np.bool_)
        members = Memberships(features.codes[inside], [label for label in labels if label])
        store.writer.run(
            Operation(
                lambda tx, name=name, members=members: insert_memberships(  # type: ignore[misc]
                    tx, generation, name, members.customers, members.segment_of
                )
            )
        )
        segmentations[name] = members
    progress(Progress("segment", len(names), len(names)))
    return Segmented(segmentations, failed)


__all__ = ["Segmented", "run_segmenters"]
