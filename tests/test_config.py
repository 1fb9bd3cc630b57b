"""One table of settings: every source of a value, its order of strength, and every wrong value named."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Any

import pytest

from visavis.config import SETTINGS, load_settings
from visavis.errors import InvalidInput


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults_are_valid_and_described() -> None:
    settings = load_settings(environ={})
    for setting in SETTINGS:
        assert settings[setting.name] == setting.default
        assert setting.help
        assert setting.variable == f"VISAVIS_{setting.name.upper()}"
        if not isinstance(setting.default, str | bool):
            assert setting.minimum <= setting.default <= setting.maximum
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert settings.data == Path("visavis.duckdb")
    assert settings.disabled_plugins == frozenset()


def test_the_stronger_source_wins(tmp_path: Path) -> None:
    (tmp_path / "visavis.toml").write_text(
        'scorer = "file"\nthreads = 2\ncurrency = "GBP"\n[plugins.popularity]\ndays = 3\n'
    )
    environ = {"VISAVIS_SCORER": "environment", "VISAVIS_THREADS": "3"}
    settings = load_settings({"scorer": "argument", "data": None}, environ=environ)
    assert (settings["scorer"], settings["threads"], settings["currency"]) == ("argument", 3, "GBP")
    assert settings.plugins == {"popularity": {"days": 3}}
    assert settings["data"] == "visavis.duckdb"


def test_a_named_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("threads = 5")
    assert load_settings(environ={"VISAVIS_CONFIG": "mine.toml"})["threads"] == 5
    assert load_settings(file="mine.toml", environ={})["threads"] == 5
    with pytest.raises(InvalidInput, match=r"none\.toml does not exist"):
        load_settings(environ={"VISAVIS_CONFIG": "none.toml"})
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_settings(file=tmp_path, environ={})


@pytest.mark.parametrize("text", ["threads = ", "\x00", "threads = 1\nthreads = 2"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "visavis.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"visavis\.toml is not valid TOML"):
        load_settings(environ={})


@pytest.mark.parametrize("text", ["plugins = 3", "[plugins]\npopularity = 3"])
def test_plugins_are_tables(tmp_path: Path, text: str) -> None:
    (tmp_path / "visavis.toml").write_text(text)
    with pytest.raises(InvalidInput, match="one table a plugin"):
        load_settings(environ={})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("threads", "many", "give a whole number"),
        ("threads", 1.5, "give a whole number"),
        ("threads", True, "give a whole number"),
        ("threads", float("inf"), "give a whole number"),
        ("threads", float("nan"), "give a whole number"),
        ("threads", [1], "give a whole number"),
        ("threads", -1, "give 0 to 1024"),
        ("threads", 2000, "give 0 to 1024"),
        ("linger_ms", "soon", "give a number"),
        ("linger_ms", float("nan"), "give 0 to 100"),
        ("linger_ms", 101, "give 0 to 100"),
        ("scorer", 5, "give a text"),
        ("allow_plaintext", "maybe", "give true or false"),
        ("thread", 1, "is no setting"),
        ("currency", "POUND", "give an ISO 4217 code"),
        ("currency", "eur", "give an ISO 4217 code"),
        ("time_zone", "Mars/Olympus", "give an IANA time zone"),
        ("time_zone", "", "give an IANA time zone"),
        ("time_zone", "Europe", "give an IANA time zone"),
        ("time_zone", "../etc/passwd", "give an IANA time zone"),
        ("time_zone", "Lune\udcff", "give an IANA time zone"),
        ("log_level", "loud", "give debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_named_with_its_source(name: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        load_settings({name: value}, environ={})
    assert caught.value.violations[0].field == name
    assert "argument" in str(caught.value)


def test_the_environment_is_named_too() -> None:
    with pytest.raises(InvalidInput, match=r"threads: is 'x' \(from VISAVIS_THREADS\)"):
        load_settings(environ={"VISAVIS_THREADS": "x"})


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("ON", True), ("1", True), ("off", False), (" false ", False)]
)
def test_truth_values(text: str, value: bool) -> None:
    assert load_settings(environ={"VISAVIS_ALLOW_PLAINTEXT": text})["allow_plaintext"] is value


def test_numbers_and_lists() -> None:
    settings = load_settings({"threads": "4", "linger_ms": 2, "disabled_plugins": " a, b,,"}, environ={})
    assert settings["threads"] == 4
    assert isinstance(settings["linger_ms"], float)
    assert settings.disabled_plugins == {"a", "b"}
    assert load_settings({"data": Path("x.duckdb")}, environ={}).data == Path("x.duckdb")


def test_zones_and_currencies_are_known_by_name() -> None:
    environ = {"VISAVIS_CURRENCY": "GBP", "VISAVIS_TIME_ZONE": "Europe/London"}
    settings = load_settings(environ=environ)
    assert (settings["currency"], settings["time_zone"]) == ("GBP", "Europe/London")


def test_without_a_list_of_zones_an_import_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", none)
    assert load_settings({"time_zone": "Europe/London"}, environ={})["time_zone"] == "Europe/London"


def test_variables_that_are_no_settings_are_told(caplog: pytest.LogCaptureFixture) -> None:
    known = {"VISAVIS_TEST_DATA": "x", "VISAVIS_KEY": "x", "VISAVIS_CA": "x", "HOME": "x"}
    load_settings(environ={**known, "VISAVIS_ADDRESS": "x", "visavis_data": "x"})
    assert caplog.messages == []
    load_settings(environ={"VISAVIS_CURENCY": "GBP", "VISAVIS_ZZZZZZZZZZ": "1", "VISAVIS_": "1"})
    assert [message.replace("`visavis settings` lists them all", "…") for message in caplog.messages] == [
        "VISAVIS_ is no setting, and is ignored; …",
        "VISAVIS_CURENCY is no setting, and is ignored; did you mean VISAVIS_CURRENCY? …",
        "VISAVIS_ZZZZZZZZZZ is no setting, and is ignored; …",
    ]
