"""Exactly one process owns a store, and says who it is.

The lock is `flock` on `lock` in the store's side folder: the kernel drops it when the process ends, however it ends,
so that a crash never leaves a store locked. The file `owner` beside it tells others whom to ask: process, purpose,
and the address of the server if there is one. A file `owner` without a held lock is left over from a crash and
means nothing. The file `lock` is never removed: a lock on a removed file would exclude nobody.
"""

from __future__ import annotations

import json
import os
import socket
import time
import weakref
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from visavis.errors import StoreInUse, StoreUnwritable
from visavis.store.limits import way_out

try:
    import fcntl
except ImportError:  # pragma: no cover - a platform without flock; refused with a clear line on first use
    fcntl = None  # type: ignore[assignment]

_ATTEMPTS = 11
_PAUSE = 0.01  # seconds; with the attempts about 100 ms, far longer than a probe of `read_owner` takes


@dataclass(frozen=True, slots=True)
class OwnerInfo:
    """Who owns a store. `pid` 0 means that the lock is held but the file `owner` does not say by whom.

    `started_at` is ISO 8601, UTC. `address` and `token` are empty until a server has announced itself; the token
    is the key that local commands show to that server.
    """

    pid: int
    host: str
    purpose: str
    started_at: str
    data: str
    address: str = ""
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        if not self.pid:
            return "a process that did not say who it is"
        place = f", at {self.address}" if self.address else ""
        return f"process {self.pid} on {self.host} ({self.purpose}, since {self.started_at}{place})"


class Owner:
    """The hold on one store; made by `acquire`, ended by `release` or by leaving a `with` block."""

    def __init__(self, folder: Path, descriptor: int, info: OwnerInfo) -> None:
        self._folder = folder
        self._descriptor: int | None = descriptor
        self.info = info
        _OWNERS.add(self)

    @classmethod
    def acquire(cls, folder: Path, *, data: Path, purpose: str) -> Self:
        """Own the store `data`, whose side folder is `folder` (made if missing, mode 0700).

        Raises `StoreInUse` that says who owns it, also when that is this very process; `StoreUnwritable` when the
        folder cannot be written or its file system has no locks.
        """
        descriptor = _open_lock(folder)
        try:
            if not _lock(descriptor, folder):
                raise in_use(data, _read(folder))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            info = OwnerInfo(os.getpid(), socket.gethostname(), purpose, now, str(data))
            # First, so that nobody takes what a crashed owner left for ours.
            _remove(folder)
            _write(folder, info)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(folder, descriptor, info)

    def announce(self, address: str, token: str) -> None:
        """Publish the address of the server and the token that local commands show to it."""
        if self._descriptor is None:
            raise ValueError("the store was released; an owner that is gone has no address")
        info = OwnerInfo(**{**asdict(self.info), "address": address, "token": token})
        _write(self._folder, info)
        self.info = info

    def release(self) -> None:
        """Remove the owner file, then unlock. A second call does nothing."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            _remove(self._folder)
        finally:
            # Said aloud: closing alone would not unlock while a child that was just forked still shares the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def side_folder(data: Path) -> Path:
    """The folder of small files that belong to the store `data`: one folder, whatever link the store is reached by.

    DuckDB follows links too: it keeps the write-ahead log beside the real file.
    """
    real = real_path(data)
    return real.with_name(real.name + ".d")


def real_path(data: Path) -> Path:
    """Where the store `data` lies, links followed; it need not be there. Raises `StoreUnwritable` for a loop."""
    try:
        return data.resolve()
    except (OSError, RuntimeError):  # until Python 3.13 a RuntimeError
        raise StoreUnwritable(
            f"{data} is a link that leads back to itself; name another path", metadata={"path": str(data)}
        ) from None


def read_owner(folder: Path) -> OwnerInfo | None:
    """Who owns the store with this side folder; None when nobody does.

    Raises `StoreUnwritable` when the folder belongs to somebody else and does not let us look.
    """
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        if _try_lock(descriptor, folder, shared=True):
            return None
    finally:
        os.close(descriptor)
    return _read(folder)


def _read(folder: Path) -> OwnerInfo:
    for attempt in range(_ATTEMPTS):
        try:
            table = json.loads((folder / "owner").read_bytes())
            info = OwnerInfo(**{name: kind(table[name]) for name, kind in _FIELDS.items()})
            if info.pid > 0:
                return info
        except (OSError, ValueError, KeyError, TypeError):
            pass  # damaged, or the new owner is about to write it: look again, then own up to not knowing
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE)
    return OwnerInfo(0, "", "", "", "")


def _write(folder: Path, info: OwnerInfo) -> None:
    # A name of its own, so that what a crash left half written is never in the way; mode 0600 for the token.
    temporary = folder / "owner.new"
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(asdict(info), stream)
        temporary.replace(folder / "owner")
    except OSError as error:
        raise _unwritable(folder, error) from None


def _remove(folder: Path) -> None:
    try:
        (folder / "owner").unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _open_lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _lock(descriptor: int, folder: Path) -> bool:
    # A probe of `read_owner` holds the lock for some microseconds: one refusal proves nothing.
    for attempt in range(_ATTEMPTS):
        if _try_lock(descriptor, folder, shared=False):
            return True
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE)
    return False


def _try_lock(descriptor: int, folder: Path, *, shared: bool) -> bool:
    if fcntl is None:
        raise StoreUnwritable("this platform has no flock, so nothing would keep two processes off one store")
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StoreUnwritable(
            f"the file system of {folder} has no locks ({error.strerror}); put the store on a local disk",
            metadata={"path": str(folder)},
        ) from None
    return True


def in_use(data: Path, info: OwnerInfo) -> StoreInUse:
    """The error that says who owns the store `data`, and what to do."""
    if info.address:
        advice = "commands and clients reach it through that server; or stop that process"
    elif (info.pid, info.host) == (os.getpid(), socket.gethostname()):
        advice = "that is this very process: close the store before it is opened again"
    elif info.purpose == "visavis serve":
        advice = "it is about to serve: try again in a moment"
    else:
        advice = "it serves nobody: wait until it ends, or stop it"
    return StoreInUse(
        f"{data} is in use by {info}; {advice}",
        metadata={
            "path": str(data),
            "pid": str(info.pid),
            "purpose": info.purpose,
            "since": info.started_at,
            "address": info.address,
        },
    )


def _unwritable(folder: Path, error: OSError) -> StoreUnwritable:
    if isinstance(error, FileNotFoundError):
        advice = f"make the folder {folder.parent} first"
    else:
        advice = way_out(error, "a store needs a folder that it may write")
    return StoreUnwritable(f"{folder} cannot be used ({error.strerror}); {advice}", metadata={"path": str(folder)})


def _forget_in_child() -> None:
    for owner in list(_OWNERS):
        owner._forget()


_FIELDS = {"pid": int, "host": str, "purpose": str, "started_at": str, "data": str, "address": str, "token": str}
_OWNERS: weakref.WeakSet[Owner] = weakref.WeakSet()

# A forked child shares the lock of its parent: it would keep the store after the parent's end, and its `release`
# would remove the parent's owner file.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


__all__ = ["Owner", "OwnerInfo", "in_use", "read_owner", "real_path", "side_folder"]
