"""What all tests share: seeded randomness, and compiled kernels that check array bounds.

The checks must be asked for before numba is imported, and code compiled with them gets its own cache: numba's
cache does not know whether the code in it was compiled with checks or without. Child processes inherit both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import visavis
from visavis.config import Settings, load_settings

if TYPE_CHECKING:
    from visavis.engine import Engine

if "numba" in sys.modules:
    raise RuntimeError("numba was imported before tests/conftest.py could ask it for bounds checks")
os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "numba-boundscheck")


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed: a failure can be repeated."""
    return np.random.default_rng(20260101)


@pytest.fixture
def plain_settings() -> Settings:
    """The defaults, whatever the environment says; commits do not wait for company."""
    return load_settings({"linger_ms": 0}, environ={})


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Opens the store of this test, again and again; settings by name. What is open at the end is closed."""
    engines: list[Engine] = []

    def open_(**overrides: Any) -> Engine:
        settings = load_settings({"linger_ms": 0, **overrides}, environ={})
        engines.append(visavis.open(tmp_path / "shop.duckdb", settings=settings))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.close()


@pytest.fixture
def shop(open_shop: Callable[..., Engine]) -> Engine:
    """An engine on a store of its own."""
    return open_shop()
