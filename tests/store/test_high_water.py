"""The mark survives torn writes, and an honest comparison tells a loss from a restore."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.errors import StoreBehind, StoreUnwritable
from visavis.store.high_water import HighWater, Mark, check

STORE = "5f0c1d1e-6a8e-4a55-9f1e-2f1a4b3c2d10"


@pytest.fixture
def high_water(tmp_path: Path) -> HighWater:
    return HighWater(tmp_path)


def mark(sequence: int, lineage: int = 1, store_id: str = STORE) -> Mark:
    return Mark(store_id, lineage, sequence)


def test_the_last_mark_is_read_back_by_whoever_opens_the_file(tmp_path: Path, high_water: HighWater) -> None:
    assert high_water.read() is None
    for sequence in range(5):
        high_water.write(mark(sequence))
        assert HighWater(tmp_path).read() == mark(sequence)
    high_water.close()
    later = HighWater(tmp_path)
    later.write(mark(2**63 - 1, lineage=7))
    assert high_water.read() == mark(2**63 - 1, lineage=7)
    later.close()
    later.close()


def test_the_file_has_a_fixed_size_and_is_private(tmp_path: Path, high_water: HighWater) -> None:
    sizes = set()
    for sequence in range(4):
        high_water.write(mark(sequence))
        sizes.add((tmp_path / "high-water").stat().st_size)
    assert sizes == {1024}
    assert (tmp_path / "high-water").stat().st_mode & 0o777 == 0o600
    high_water.close()


def test_a_mark_may_go_down(high_water: HighWater) -> None:
    """A new lineage may begin lower: what counts as newest is the order of writing."""
    high_water.write(mark(90))
    high_water.write(mark(41, lineage=2))
    assert high_water.read() == mark(41, lineage=2)
    high_water.close()


@settings(derandomize=True, max_examples=60, deadline=None)
@given(writes=st.integers(2, 5), position=st.integers(0, 1023), value=st.integers(0, 255))
def test_one_wrong_byte_costs_at_most_the_newest_mark(
    tmp_path_factory: pytest.TempPathFactory, writes: int, position: int, value: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    high_water = HighWater(folder)
    for sequence in range(writes):
        high_water.write(mark(sequence))
    high_water.close()
    content = bytearray((folder / "high-water").read_bytes())
    content[position] = value
    (folder / "high-water").write_bytes(content)
    assert high_water.read() in (mark(writes - 1), mark(writes - 2))
    high_water.write(mark(100))
    assert high_water.read() == mark(100)
    high_water.close()


@pytest.mark.parametrize("length", [0, 1, 40, 511, 512, 600, 1023])
def test_a_torn_file_never_invents_a_mark(tmp_path: Path, high_water: HighWater, length: int) -> None:
    high_water.write(mark(1))
    high_water.write(mark(2))
    high_water.close()
    content = (tmp_path / "high-water").read_bytes()
    (tmp_path / "high-water").write_bytes(content[:length])
    assert high_water.read() in (None, mark(1), mark(2))
    high_water.write(mark(3))
    assert high_water.read() == mark(3)
    high_water.close()


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable, match="high-water cannot be written"):
        HighWater(tmp_path / "missing").write(mark(1))
    (tmp_path / "high-water").mkdir()
    with pytest.raises(StoreUnwritable, match="high-water cannot be read"):
        HighWater(tmp_path).read()


def test_a_store_id_that_does_not_fit_is_refused(high_water: HighWater) -> None:
    with pytest.raises(ValueError, match="longer than 64 bytes"):
        high_water.write(mark(1, store_id="é" * 33))
    high_water.write(mark(1, store_id="é" * 32))
    assert high_water.read() == mark(1, store_id="é" * 32)
    high_water.close()


@pytest.mark.parametrize("stored", [57, 58])
def test_a_mark_that_is_reached_says_nothing(stored: int) -> None:
    assert check(mark(57), mark(stored)) == ()


def test_a_new_store_gets_no_warning_but_an_emptied_one_is_refused() -> None:
    assert check(None, mark(0)) == ()
    with pytest.raises(StoreBehind, match="57 commits are missing"):
        check(mark(57), mark(0))


@pytest.mark.parametrize(
    ("old", "words"),
    [
        (None, "no readable high-water file"),
        (mark(99, store_id="other"), "belongs to another store (other"),
        (mark(99, lineage=2), "is of lineage 2, the store of lineage 1"),
    ],
)
def test_a_copy_or_a_restore_is_taken_with_a_warning(old: Mark | None, words: str) -> None:
    (warning,) = check(old, mark(41))
    assert words in warning
    assert "\n" not in warning


@pytest.mark.parametrize(("acknowledged", "words"), [(42, "1 commit is missing"), (57, "16 commits are missing")])
def test_a_store_that_lost_commits_is_refused(acknowledged: int, words: str) -> None:
    with pytest.raises(StoreBehind) as caught:
        check(mark(acknowledged), mark(41))
    message = caught.value.message
    assert words in message
    assert f"ends at commit 41, but commit {acknowledged} was acknowledged" in message
    assert "visavis doctor --accept-restore" in message
    assert caught.value.metadata["missing_commits"] == str(acknowledged - 41)
