"""What all tests share: seeded randomness, and compiled kernels that check array bounds.

The checks must be asked for before numba is imported, and code compiled with them gets its own cache: numba's
cache does not know whether the code in it was compiled with checks or without. Child processes inherit both.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

if "numba" in sys.modules:
    raise RuntimeError("numba was imported before tests/conftest.py could ask it for bounds checks")
os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "numba-boundscheck")


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed: a failure can be repeated."""
    return np.random.default_rng(20260101)
