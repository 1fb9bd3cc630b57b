"""Visavis: decides for each customer which offer to make, on which channel and when, and can say why.

    shop = visavis.open("shop.duckdb")        a store in this process
    shop = visavis.connect("127.0.0.1:50051") the same verbs, over gRPC

Names load when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from visavis._version import __version__

if TYPE_CHECKING:
    from visavis.client import connect
    from visavis.config import Settings, load_settings
    from visavis.engine import Engine
    from visavis.engine import open_engine as open
    from visavis.errors import VisavisError
    from visavis.history import Changes, Csr, Customers, Exclusions, Features, History, Items
    from visavis.model import (
        AttributeFilter,
        Consent,
        Customer,
        Delivery,
        Identifier,
        Interaction,
        Item,
        Message,
        Money,
    )
    from visavis.plugin import (
        Channel,
        Contribution,
        InteractionsRecorded,
        NeighbourScorer,
        ReasonColumns,
        Scorer,
        Segmenter,
        Sums,
        SumScorer,
        hookimpl,
    )

_HOMES = {
    "AttributeFilter": "model",
    "Changes": "history",
    "Channel": "plugin",
    "Consent": "model",
    "Contribution": "plugin",
    "Csr": "history",
    "Customer": "model",
    "Customers": "history",
    "Delivery": "model",
    "Engine": "engine",
    "Exclusions": "history",
    "Features": "history",
    "History": "history",
    "Identifier": "model",
    "Interaction": "model",
    "InteractionsRecorded": "plugin",
    "Item": "model",
    "Items": "history",
    "Message": "model",
    "Money": "model",
    "NeighbourScorer": "plugin",
    "ReasonColumns": "plugin",
    "Scorer": "plugin",
    "Segmenter": "plugin",
    "Settings": "config",
    "SumScorer": "plugin",
    "Sums": "plugin",
    "VisavisError": "errors",
    "connect": "client",
    "hookimpl": "plugin",
    "load_settings": "config",
    "open": "engine",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'visavis' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"visavis.{home}"), "open_engine" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__name__"])


__all__ = [
    "AttributeFilter",
    "Changes",
    "Channel",
    "Consent",
    "Contribution",
    "Csr",
    "Customer",
    "Customers",
    "Delivery",
    "Engine",
    "Exclusions",
    "Features",
    "History",
    "Identifier",
    "Interaction",
    "InteractionsRecorded",
    "Item",
    "Items",
    "Message",
    "Money",
    "NeighbourScorer",
    "ReasonColumns",
    "Scorer",
    "Segmenter",
    "Settings",
    "SumScorer",
    "Sums",
    "VisavisError",
    "__version__",
    "connect",
    "hookimpl",
    "load_settings",
    "open",
]
