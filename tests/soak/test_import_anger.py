"""The short form of `python -m tests.soak import_anger`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.soak.import_anger import run


@pytest.mark.slow
def test_imports_in_anger(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) >= 14
