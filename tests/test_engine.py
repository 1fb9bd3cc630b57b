"""Opening, closing, and the whole line by hand."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import visavis
from visavis.config import Settings, load_settings
from visavis.engine import Engine
from visavis.errors import InvalidInput, NotFound, StoreInUse, Unavailable


def test_open_use_close(tmp_path: Path) -> None:
    with visavis.open(tmp_path / "s.duckdb", linger_ms=0) as shop:
        shop.identify.record([visavis.Interaction("purchase", "ann", "tea")])
        shop.fit()
        assert shop.recommend("bob", 1).items[0].item_id == "tea"
        assert shop.profile("ann").interaction_count == 1
    with pytest.raises(Unavailable, match="closing"):
        shop.identify.record([visavis.Interaction("purchase", "ann", "tea")])
    shop.close()


def test_one_at_a_time(tmp_path: Path) -> None:
    with visavis.open(tmp_path / "s.duckdb"), pytest.raises(StoreInUse):
        visavis.open(tmp_path / "s.duckdb")
    visavis.open(tmp_path / "s.duckdb").close()


def test_settings_and_path(tmp_path: Path, plain_settings: Settings) -> None:
    with visavis.open(tmp_path / "s.duckdb", settings=plain_settings) as shop:
        assert shop.store.path == (tmp_path / "s.duckdb").resolve()
    named = load_settings({"data": str(tmp_path / "t.duckdb")}, environ={})
    with visavis.open(settings=named) as shop:
        assert shop.store.path.name == "t.duckdb"
    with pytest.raises(InvalidInput, match="threads: is given beside `settings`"):
        visavis.open(tmp_path / "s.duckdb", settings=named, threads=1)
    with pytest.raises(InvalidInput, match="no_such_thing: is no setting"):
        visavis.open(tmp_path / "s.duckdb", no_such_thing=1)
    with pytest.raises(NotFound, match="there is no store"):
        visavis.open(tmp_path / "none.duckdb", create=False)


def test_a_store_that_cannot_be_loaded_is_given_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_: object) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr("visavis.engine.Live", fall)
        with pytest.raises(RuntimeError):
            visavis.open(tmp_path / "s.duckdb")
    visavis.open(tmp_path / "s.duckdb").close()


def test_shortcuts_are_the_rooms_verbs(shop: Engine) -> None:
    for verb, room in (
        ("recommend", "customize"),
        ("similar", "customize"),
        ("profile", "differentiate"),
        ("fit", "admin"),
    ):
        assert getattr(shop, verb) == getattr(getattr(shop, room), verb)


def test_rooms_have_documented_verbs(shop: Engine) -> None:
    for room in ("identify", "differentiate", "customize", "interact", "admin"):
        for name, verb in inspect.getmembers(getattr(shop, room), inspect.ismethod):
            if not name.startswith("_"):
                assert verb.__doc__, f"{room}.{name} says nothing"


def test_the_address_is_announced(shop: Engine) -> None:
    shop.announce("127.0.0.1:5", "secret")
    assert shop.store.owner.info.address == "127.0.0.1:5"
