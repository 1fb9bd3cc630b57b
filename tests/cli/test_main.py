"""The command line as a whole: help, version, weight, and how commands end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.cli.conftest import Command

from visavis import __version__
from visavis.cli.commands import compact, fit, keys, restore, status
from visavis.cli.main import COMMANDS, build_parser
from visavis.errors import FieldViolation, InvalidInput

NAMES = [
    "import", "fit", "evaluate", "report", "recommend", "similar", "profile", "segments", "consent", "send", "serve",
    "keys", "plugins", "settings", "kinds",
    "snapshot", "backup", "restore", "compact",
    "status", "doctor", "demo",
]  # fmt: skip


def test_every_command_is_listed(run: Command) -> None:
    ended = run("--help")
    assert ended.code == 0
    assert "example" in ended.out
    assert [name for name in NAMES if f"\n    {name}" not in ended.out] == []
    assert len(COMMANDS) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_holds_an_example_that_parses(run: Command, name: str) -> None:
    ended = run(name, "--help")
    assert ended.code == 0
    variables, _, line = ended.out.partition("example:\n")[2].strip().rpartition("visavis ")
    assert all("=" in one for one in variables.split())
    assert build_parser().parse_args(line.split()).command == name


def test_version(run: Command, run_process: Command) -> None:
    assert run("--version").out == f"visavis {__version__}\n"
    assert run_process("--version") == (0, f"visavis {__version__}\n", "")


def test_the_script_is_the_same(run_process: Command) -> None:
    script = Path(sys.executable).with_name("visavis")
    if not script.exists():
        pytest.skip("the project is not installed in this environment, only on its path")
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == (
        f"visavis {__version__}\n"
    )


@pytest.mark.parametrize("arguments", [(), ("sell",), ("recommend",), ("recommend", "1", "-n", "many")])
def test_a_wrong_command_line_is_2(run: Command, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert "error: " in ended.err


@pytest.mark.parametrize("arguments", [["--help"], ["recommend", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom visavis.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "heavy = {'numba', 'duckdb', 'grpc', 'google.protobuf', 'numpy', 'pluggy', 'asyncio'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_errors_are_one_line_and_safe(run: Command, tmp_path: Path) -> None:
    ended = run("status", "--data", tmp_path / "no\x1b[31m\nstore.duckdb")
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.startswith("visavis: ")
    assert ended.err.count("\n") == 1
    assert "\x1b" not in ended.err
    assert r"\x1b[31m\nstore" in ended.err


def test_each_violation_has_its_line(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise InvalidInput([FieldViolation("a", "is wrong"), FieldViolation("b", "is wrong, too")])

    monkeypatch.setattr(status, "run", refuse)
    assert run("status") == (1, "", "visavis: a: is wrong\nvisavis: b: is wrong, too\n")


def test_an_interrupt_is_130(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "run", interrupt)
    assert run("status") == (130, "", "visavis: interrupted; nothing was changed\n")


def test_an_interrupt_while_a_store_is_made_leaves_none(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("visavis.identify.Identify.import_file", interrupt)
    Path("sales.csv").write_text("customer,item\nann,tea\n")
    ended = run("import", "sales.csv", "--data", "new.duckdb")
    assert ended == (
        130,
        "",
        "visavis: interrupted; what was stored so far stays; import the same file again to store the rest\n",
    )
    assert [one.name for one in Path().iterdir()] == ["sales.csv"]


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (fit, ["fit"], "what was fitted before is served still"),
        (compact, ["compact"], "the store is whole"),
        (restore, ["restore", "backup.duckdb"], "the store that was there is as it was, or lies whole in `aside`"),
        (keys, ["keys", "list"], "`visavis keys list` tells"),
    ],
)
def test_an_interrupt_says_what_stands(
    run: Command, monkeypatch: pytest.MonkeyPatch, command: ModuleType, arguments: list[str], said: str
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupt)
    assert run(*arguments).err.startswith("visavis: interrupted; ")
    assert said in run(*arguments).err


@pytest.mark.parametrize("name", ["status", "settings", "serve", "fit", "doctor", "plugins"])
def test_wrong_settings_are_told_by_every_command(run: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("VISAVIS_CURRENCY", "POUND")
    told = "currency: is 'POUND' (from VISAVIS_CURRENCY); give an ISO 4217 code, three capital letters, such as EUR"
    assert run(name) == (1, "", f"visavis: {told}\n")
    monkeypatch.setenv("VISAVIS_CURRENCY", "GBP")
    monkeypatch.setenv("VISAVIS_TIME_ZONE", "London")
    assert run(name) == (
        1,
        "",
        "visavis: time_zone: is 'London' (from VISAVIS_TIME_ZONE); give an IANA time zone such as Europe/London\n",
    )


def test_a_variable_that_is_no_setting_is_told_once(
    run: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAVIS_SCORRER", "repeat")
    for arguments in (("status", "--data", fitted), ("settings",), ("keys", "create", "--scopes", "read")):
        assert run(*arguments).err.splitlines()[0] == (
            "visavis: warning: VISAVIS_SCORRER is no setting, and is ignored; did you mean VISAVIS_SCORER? "
            "`visavis settings` lists them all"
        )
        assert run(*arguments).err.count("SCORRER") == 1


def test_what_nobody_foresaw_is_not_swallowed(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(status, "run", fail)
    with pytest.raises(ZeroDivisionError):
        run("status")


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"]])
def test_a_reader_that_goes_away_is_no_trouble(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "visavis", *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    # argparse itself keeps quiet when it cannot print, if Python does not buffer.
    assert done.returncode in ((0, 141) if arguments == ["--help"] else (141,))
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "visavis", "plugins"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "visavis: the answer could not be written: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--config", "none.toml"), "none.toml does not exist"),
        (("--plugins-dir", "nowhere"), "nowhere"),
        (("--data", "."), "."),
    ],
)
def test_wrong_options_of_every_command(run: Command, arguments: tuple[str, ...], said: str) -> None:
    ended = run("status", *arguments)
    assert ended.code == 1
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_options_before_and_after_the_command(run: Command, fitted: Path) -> None:
    assert run("--data", fitted, "--format", "json", "status").json["generation"] == 1
    assert run("--data", "other.duckdb", "--format", "json", "status", "--data", fitted).json["generation"] == 1
    assert run("--format", "json", "status", "--format", "table", "--data", fitted).out.startswith("store")


def test_settings_tell_what_counts(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "visavis.toml").write_text(
        'currency = "GBP"\nlinger_ms = 2.5\n\n[plugins.popularity]\nwindow_days = 7\n'
    )
    monkeypatch.setenv("VISAVIS_CURRENCY", "SEK")
    ended = run("settings", "--data", "mine.duckdb", "--format", "json")
    assert ended.code == 0
    values = ended.json["settings"]
    assert (values["data"], values["currency"], values["linger_ms"]) == ("mine.duckdb", "SEK", 2.5)
    assert ended.json["plugins"] == {"popularity": {"window_days": 7}}
    table = run("settings").out
    assert "VISAVIS_SHUTDOWN_GRACE_S" in table
    assert "[plugins.popularity] window_days = 7" in table


def test_kinds_tell_what_they_mean(run: Command, tmp_path: Path) -> None:
    table = run("kinds").out
    assert "forever" in table
    assert "[kinds.view]" not in table.partition("\n\n")[0]
    (tmp_path / "visavis.toml").write_text("[kinds.view]\nweight = 0.25\n[kinds.wish]\nhides_days = inf\n")
    assert "[kinds.view]" in run("kinds").out.partition("\n\n")[0]
    told = run("kinds", "--format", "json").json
    assert told["view"] == {"weight": 0.25, "half_life_days": 0.0, "hides_days": 0.0, "trains": True}
    assert told["wish"]["hides_days"] == told["purchase"]["hides_days"] == "forever"
    (tmp_path / "visavis.toml").write_text("[kinds.view]\nwheight = 0.25\n")
    ended = run("kinds")
    assert ended.code == 1
    assert "kinds.view.wheight" in ended.err


def test_the_store_of_the_environment(run: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_DATA", str(fitted))
    assert str(fitted) in run("status").out
