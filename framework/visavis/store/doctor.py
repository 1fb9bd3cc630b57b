"""What is the matter with a store, also with one that cannot be opened.

`examine` only looks: it opens the file read-only, and not at all while another process owns it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from visavis._version import __version__
from visavis.config import Settings
from visavis.errors import NotAStore, StoreBehind, StoreDamaged, StoreError, StoreTooNew, StoreUnwritable, VisavisError
from visavis.model import PluginInfo
from visavis.store import double_write
from visavis.store.database import check_file, duckdb_errors, wal_path
from visavis.store.high_water import HighWater, check
from visavis.store.migrations import latest_version, schema_version, table_names
from visavis.store.owner import read_owner, side_folder
from visavis.store.store import check_not_gone, is_backup, read_mark

Level = Literal["ok", "warning", "error"]
_MIB = 1 << 20
_PUT_BACK = "make the store from a backup: visavis restore BACKUP --replace"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do; empty where nothing needs doing.

    `what` is `duckdb`, `plugins`, `file`, `folder`, `disk`, `owner`, `log` (the write-ahead log), `checkpoint`,
    `schema`, `high-water`, `contents` or `generation`.
    """

    level: Level
    what: str
    detail: str
    advice: str = ""


def examine(settings: Settings, plugins: Sequence[PluginInfo] = ()) -> tuple[Finding, ...]:
    """Look at the store that `settings` name, and at `plugins` as the registry sees them.

    What is wrong is a finding, never an exception. Reads every table once (damaged blocks show only when they are
    read): seconds for a large store.
    """
    return tuple(_examine(settings, plugins))


def _examine(settings: Settings, plugins: Sequence[PluginInfo]) -> Iterator[Finding]:
    yield _duckdb_version(duckdb.__version__)
    yield from _plugins(plugins)
    data = settings.data
    try:
        data = data.resolve(strict=True)  # DuckDB follows links too, and keeps its log beside the real file
        check_file(data)
    except FileNotFoundError:
        yield _missing(data)
        return
    except (OSError, ValueError, RuntimeError) as error:  # the last one is a loop of links until Python 3.13
        yield Finding("error", "file", f"{data} cannot be reached ({error})", "name another path with --data")
        return
    except VisavisError as error:
        yield _finding("file", error)
        return
    yield from _folder(data)
    yield _disk(data)
    try:
        owner = read_owner(side_folder(data))
    except VisavisError as error:
        yield _finding("owner", error)
        return
    if owner is not None:
        yield Finding("ok", "owner", f"in use by {owner}; so it was looked at from outside only")
    elif (side_folder(data) / "owner").exists():
        yield Finding(
            "warning", "owner", "the last owner ended without closing the store", "none needed: open it again"
        )
    yield _log_size(data, settings["checkpoint_wal_mb"], owned=owner is not None)
    try:
        if owner is None:
            yield from _open(data)
        elif (mark := HighWater(side_folder(data)).read()) is not None:
            yield Finding("ok", "high-water", f"the last commit acknowledged is {mark.sequence}")
    except StoreDamaged as error:
        yield Finding("error", "file", f"{data} cannot be read ({error.__cause__})", _PUT_BACK)
    except VisavisError as error:
        yield _finding("file", error)
    except OSError as error:
        yield Finding(
            "error", "file", f"{data} cannot be looked at ({error.strerror})", "look into the folder and its disk"
        )
    except duckdb.Error as error:
        yield Finding("error", "contents", f"{data} is not as Visavis left it ({_first_line(error)})", _PUT_BACK)


@contextmanager
def open_read_only(data: Path, *, without_log: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a store's file only to look; its log is replayed in memory, or left out by `without_log`.

    Raises `StoreDamaged`, `StoreInUse` and what else `duckdb_errors` knows.
    """
    # Beside the store, where a hard link to it can be made.
    beside = data.parent if without_log and _writable(data.parent) else None
    with duckdb_errors(data), tempfile.TemporaryDirectory(prefix=f".{data.name}-", dir=beside) as name:
        path = data
        if without_log:
            # Under another name the file has no log beside it; a symbolic link would not do, DuckDB follows it.
            path = Path(name) / "alone.duckdb"
            try:
                path.hardlink_to(data)
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(data, path)
        with duckdb.connect(str(path), read_only=True, config=plain_config(Path(name))) as connection:
            yield connection


def require_store(connection: duckdb.DuckDBPyConnection, data: Path) -> int:
    """The schema version of the open file `data`; raises `NotAStore`, `StoreTooNew`, or `StoreError` if half made."""
    tables = table_names(connection)
    if not {"migrations", "store_state"} <= tables:
        raise NotAStore(
            f"{data} is a DuckDB file but no Visavis store; name another file with --data", metadata={"path": str(data)}
        )
    version = schema_version(connection)
    if not connection.execute("SELECT count(*) FROM store_state").fetchall()[0][0]:
        raise StoreError(
            f"{data} was not made to its end; open it once with a command that writes, such as `visavis import`",
            metadata={"path": str(data)},
        )
    if version > latest_version():
        raise StoreTooNew(
            f"{data} has schema version {version}, this Visavis {__version__} knows {latest_version()}; install the "
            "version that wrote it, or a later one",
            metadata={"path": str(data), "schema_version": str(version), "known_version": str(latest_version())},
        )
    return version


def plain_config(scratch: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Options of a connection that downloads nothing and spills to `scratch`."""
    return {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "temp_directory": str(scratch),
    }


def _open(data: Path) -> Iterator[Finding]:
    if double_write.broken_off(data, side_folder(data)):
        yield Finding(
            "warning",
            "checkpoint",
            "the last checkpoint was broken off in the middle of a write, and what it wrote over is kept",
            f"open the store once, which puts it back (visavis status --data {data}), then look again",
        )
        return
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(open_read_only(data))
        except StoreDamaged as damage:
            if not wal_path(data).exists():
                raise
            connection = stack.enter_context(open_read_only(data, without_log=True))
            yield Finding(
                "error",
                "log",
                f"the write-ahead log cannot be replayed, but the file without it can be read ({damage.__cause__})",
                f"visavis doctor --move-aside-wal --data {data}; then --accept-restore to go on without what was in it",
            )
        yield from _inside(connection, data)


def _inside(connection: duckdb.DuckDBPyConnection, data: Path) -> Iterator[Finding]:
    if is_backup(connection):
        yield Finding(
            "error",
            "file",
            "is a backup, not a store",
            f"visavis backup --verify {data} checks it, visavis restore {data} --data NEW_FILE makes a store of it",
        )
        return
    try:
        version = require_store(connection, data)
    except StoreError as error:
        yield _finding("schema", error)
        return
    latest = latest_version()
    note = "" if version == latest else f"; the next opening brings it to {latest}"
    yield Finding("ok", "schema", f"schema version {version}{note}")
    stored = read_mark(connection)
    try:
        warnings = check(HighWater(side_folder(data)).read(), stored)
    except (StoreBehind, StoreUnwritable) as error:
        yield _finding("high-water", error)
    else:
        yield from (
            Finding("warning", "high-water", warning, "none needed, if you expected it") for warning in warnings
        )
        if not warnings:
            yield Finding("ok", "high-water", f"no commit is missing; the last is {stored.sequence}")
    yield from _contents(connection, data)
    yield _generation(connection)


def _contents(connection: duckdb.DuckDBPyConnection, data: Path) -> Iterator[Finding]:
    broken = False
    for table in sorted(table_names(connection)):
        name = '"' + table.replace('"', '""') + '"'
        try:
            connection.execute(f"SELECT bit_xor(hash(t)) FROM {name} t").fetchall()
        except duckdb.Error as error:
            broken = True
            yield Finding(
                "error",
                "contents",
                f"table {table} cannot be read ({_first_line(error)})",
                _PUT_BACK,
            )
    if broken:
        return
    # An old log beside a file that already holds its commits is replayed once more, without a word from DuckDB.
    for table, key in (("interactions", "interaction_id"), ("customers", "customer_id"), ("items", "item_id")):
        ((rows, keys),) = connection.execute(f"SELECT count(*), count(DISTINCT {key}) FROM {table}").fetchall()
        if rows == keys:
            yield Finding("ok", "contents", f"{rows:,} {table}")
        else:
            yield Finding(
                "error",
                "contents",
                f"{rows - keys:,} of {rows:,} {table} stand twice: was an old write-ahead log put beside a newer file?",
                f"move {wal_path(data)} away if it does not belong to the file"
                if wal_path(data).exists()
                else _PUT_BACK,
            )


def _generation(connection: duckdb.DuckDBPyConnection) -> Finding:
    found = connection.execute(
        "SELECT g.generation, g.fitted_at, (SELECT count(*) FROM interactions WHERE sequence > g.fitted_sequence) "
        "FROM generations g JOIN store_state s ON g.generation = s.fitted_generation"
    ).fetchall()
    if not found:
        return Finding("warning", "generation", "nothing is fitted yet", "visavis fit")
    generation, fitted_at, later = found[0]
    return Finding(
        "ok",
        "generation",
        f"generation {generation}, fitted {fitted_at:%Y-%m-%d %H:%M} UTC, {later:,} interactions ago",
    )


def _missing(data: Path) -> Finding:
    try:
        check_not_gone(data.resolve())
    except VisavisError as error:
        return _finding("file", error)
    return Finding("error", "file", f"{data} does not exist", f"make it: visavis import FILE --data {data}")


def _duckdb_version(version: str) -> Finding:
    parts = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if (1, 5, 5) <= parts < (3,):
        return Finding("ok", "duckdb", f"DuckDB {version}, Visavis {__version__}")
    return Finding("warning", "duckdb", f"DuckDB {version} is not supported", 'pip install "duckdb>=1.5.5,<3"')


def _plugins(plugins: Sequence[PluginInfo]) -> Iterator[Finding]:
    for plugin in plugins:
        if plugin.error:
            yield Finding(
                "warning",
                "plugins",
                f"{plugin.name} ({plugin.source}) is left out: {plugin.error}",
                f"mend it, uninstall it, or name it in disabled_plugins: {plugin.name}",
            )


def _folder(data: Path) -> Iterator[Finding]:
    folder = side_folder(data)
    unwritable = [path for path in (data.parent, data, folder) if path.exists() and not _writable(path)]
    for path in unwritable:
        yield Finding("error", "folder", f"{path} may not be written", "change its owner or its permissions")
    if folder.exists() and not folder.is_dir():
        yield Finding("error", "folder", f"{folder} is not a folder", "move it away; the store makes a folder there")
    elif not unwritable:
        yield Finding("ok", "folder", f"{data.parent} may be written")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _disk(data: Path) -> Finding:
    free = shutil.disk_usage(data.parent).free
    size = data.stat().st_size
    detail = f"{free // _MIB:,} MiB free; the file has {size / _MIB:,.1f} MiB"
    if free < max(size, 100 * _MIB):
        return Finding("warning", "disk", detail, "free some space: a snapshot beside the store needs as much again")
    return Finding("ok", "disk", detail)


def _log_size(data: Path, checkpoint_mb: int, *, owned: bool) -> Finding:
    try:
        size = wal_path(data).stat().st_size
    except FileNotFoundError:
        size = 0
    detail = f"write-ahead log of {size / _MIB:,.1f} MiB"
    if size > 4 * checkpoint_mb * _MIB:
        return Finding(
            "warning", "log", f"{detail}; a checkpoint is due at {checkpoint_mb} MiB", "look into the server's log"
        )
    if size and not owned:
        detail += ", left when the store was not closed; the next opening replays it"
    return Finding("ok", "log", detail)


def _finding(what: str, error: VisavisError) -> Finding:
    # Our messages put what happened first and the way out after a semicolon.
    detail, _, advice = error.message.partition("; ")
    return Finding("error", what, detail, advice)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


__all__ = ["Finding", "Level", "examine", "open_read_only", "plain_config", "require_store"]
