"""Arrays in a file are what they were, or the file is refused, or the checksums tell."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from visavis.store.array_file import ArrayFile, NewArrayFile, file_bytes, open_array_file

SHAPES = {"small": (np.int32, 5), "none": (np.float64, 0), "large": (np.uint64, 10_000)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = NewArrayFile(tmp_path / "new", SHAPES)
    assert all(not array.any() for array in file.arrays.values())
    file.arrays["small"][:] = range(5)
    file.arrays["large"][:] = np.arange(10_000, dtype=np.uint64) * np.uint64(2**40)
    assert not (tmp_path / "arrays").exists()
    assert file.seal(tmp_path / "arrays", {"word": "ü"})
    assert [one.name for one in tmp_path.iterdir()] == ["arrays"]
    return tmp_path / "arrays"


def opened(path: Path) -> ArrayFile:
    file = open_array_file(path)
    assert file is not None
    return file


def test_what_was_sealed_comes_back(path: Path) -> None:
    file = opened(path)
    assert file.header == {"word": "ü"}
    assert path.stat().st_size == file_bytes(SHAPES)
    assert {name: array.dtype.type for name, array in file.arrays.items()} == {n: d for n, (d, _) in SHAPES.items()}
    assert file.arrays["small"].tolist() == [0, 1, 2, 3, 4]
    assert file.arrays["large"].tolist() == [number << 40 for number in range(10_000)]
    assert file.damaged(list(SHAPES)) == ()


def test_nothing_is_written_through(path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        opened(path).arrays["large"][0] = 7


def test_no_file_is_no_error(tmp_path: Path) -> None:
    assert open_array_file(tmp_path / "nothing") is None


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_refused(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(ValueError, match=str(path)):
        open_array_file(path)


@pytest.mark.parametrize("place", [0, 17, 21, 30])
def test_a_damaged_header_is_refused(path: Path, place: int) -> None:
    flip(path, place)
    with pytest.raises(ValueError, match=str(path)):
        open_array_file(path)


def test_a_damaged_array_is_told(path: Path) -> None:
    flip(path, path.stat().st_size - 1)
    assert opened(path).damaged(list(SHAPES)) == ("large",)
    assert opened(path).damaged(["small"]) == ()
    assert opened(path).damaged(list(SHAPES), stop=lambda: True) == ()


def test_who_gives_up_leaves_nothing(tmp_path: Path) -> None:
    file = NewArrayFile(tmp_path / "new", SHAPES)
    assert not file.seal(tmp_path / "arrays", {}, stop=lambda: True)
    file.discard()
    assert list(tmp_path.iterdir()) == []
    file.arrays["small"][:] = 3


def test_a_disk_without_room_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError) as told:
        NewArrayFile(tmp_path / "new", {"huge": (np.uint8, 1 << 60)})
    assert told.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert list(tmp_path.iterdir()) == []


def flip(path: Path, place: int) -> None:
    with path.open("rb+") as stream:
        stream.seek(place)
        (byte,) = stream.read(1)
        stream.seek(place)
        stream.write(bytes([byte ^ 1]))
