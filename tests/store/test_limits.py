"""Advice that fits the error, not the place where it showed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb
import pytest

from visavis.errors import InvalidInput, StoreUnwritable
from visavis.store.high_water import HighWater, Mark
from visavis.store.limits import way_out
from visavis.store.source_files import check_source
from visavis.store.sources import _reading


def failing(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EMFILE, "raise the limit of open files (ulimit -n), or close some"),
        (errno.ENFILE, "raise the limit of open files (ulimit -n), or close some"),
        (errno.ENOSPC, "free some space"),
        (errno.EACCES, "ask its owner"),
    ],
)
def test_the_advice_is_about_the_error(number: int, advice: str) -> None:
    assert way_out(failing(number), "ask its owner") == advice


def test_a_limit_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("a,b\n")

    def no_descriptor(*_: object, **__: object) -> None:
        raise failing(errno.EMFILE)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", no_descriptor)
        with pytest.raises(InvalidInput, match=r"Too many open files\); raise the limit"):
            check_source(file)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", no_descriptor)
        with pytest.raises(StoreUnwritable, match=r"Too many open files\); raise the limit"):
            HighWater(tmp_path / "side").write(Mark("store", 1, 1))
    # DuckDB's word for it is translated where the store is known.
    with pytest.raises(duckdb.IOException), _reading(file, file):
        raise duckdb.IOException("Cannot open file: Too many open files")
