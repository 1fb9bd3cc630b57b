"""The file of keys: who may read it, how it changes, and how a server sees that at once.

It is replaced as a whole (new file, fsync, rename, fsync of the folder) under a lock on a file beside it, so that
two commands at once lose nothing and a reader never sees half of it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from visavis.config import Settings
from visavis.errors import FieldViolation, InvalidInput, NotFound, StoreUnwritable, Unavailable
from visavis.rpc.keys import Key, Keys, from_json, to_json
from visavis.store.owner import side_folder

try:
    import fcntl
except ImportError:  # pragma: no cover - a platform without flock, on which no store opens either
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("visavis.rpc")

NAME = "keys.json"
_MOST_BYTES = 16 << 20
_LOCK_WAIT_S = 10.0
_LOCK_PAUSE_S = 0.01
_RETRY_S = 1.0

_Signature = tuple[int, ...] | None


def keys_path(settings: Settings) -> Path:
    """Where the keys are: the setting `keys_file`, or `keys.json` in the store's side folder."""
    named = settings["keys_file"]
    if "\0" in named:
        raise _invalid(Path(named), "which is no name of a file")
    return Path(named) if named else side_folder(settings.data) / NAME


def read_keys(path: Path) -> dict[str, Key] | None:
    """The keys in the file, None where there is none.

    Raises `InvalidInput` (`keys_file`) for a file that cannot be read, that others may read or write, or that is
    damaged.
    """
    try:
        # Root looks after the keys of a server that is not root.
        found = _read(path, any_owner=os.geteuid() == 0)
    except OSError as error:
        raise _unreadable(path, error) from None
    return None if found is None else found[0]


def change_keys(path: Path, change: Callable[[dict[str, Key]], Key], *, make: bool = False) -> Key:
    """Put into the file what `change` makes of its keys, and return that key. One change at a time; durable.

    `make`: a missing file is made, and a missing folder for it. Raises what `change` and `read_keys` raise, then
    nothing has changed; `NotFound` where there is no file; `StoreUnwritable` where it cannot be written.
    """
    real = Path(os.path.realpath(path))  # a link stays a link
    try:
        if real.is_dir():
            raise _invalid(path, "which is a folder; name a file")
        if make:
            _make_folder(real.parent)
        elif not real.exists():
            way_out = "is --data right? `visavis keys create` makes a key"
            raise NotFound(f"there are no keys: {real} does not exist; {way_out}")
        with _locked(real.with_name(real.name + ".lock")):
            keys = read_keys(real) or {}
            key = change(keys)
            _write(real, {**keys, key.key_id: key})
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            way_out = f"make the folder {real.parent.parent} first"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            way_out = "free some space"
        elif error.errno == errno.ELOOP:
            way_out = "its lock or a folder on the way is a link; remove that"
        elif error.errno == errno.ENAMETOOLONG:
            way_out = "give a shorter name"
        else:
            way_out = "keys need a folder that you may write"
        raise StoreUnwritable(
            f"{real} cannot be written ({error.strerror}); {way_out}", metadata={"path": str(real)}
        ) from None
    return key


class KeyWatch:
    """The keys as the file holds them at this very moment.

    A file that was there and now is gone, damaged or open to others lets nobody in: what an intruder or an accident
    does to it must not open the server. For one thread, the event loop's.
    """

    def __init__(self, path: Path) -> None:
        """Raises what `read_keys` raises."""
        self.path = path
        self._keys: Keys | None = None
        self._seen = False
        self._signature: _Signature = None
        self._retry_at: float | None = None
        self._broken = ""
        try:
            self._load()
        except OSError as error:
            raise _unreadable(path, error) from None

    def current(self) -> Keys | None:
        """The keys; None while there never was a file. Raises `Unavailable` when the keys cannot be known."""
        if _signature_at(self.path) != self._signature or self._must_retry():
            self._reload()
        if self._broken:
            raise Unavailable("the server cannot read its keys and takes no calls; its log says why")
        return self._keys

    @property
    def asked(self) -> bool:
        """Whether calls need a key: when it was last looked, there was a file, or there had been one."""
        return self._seen

    def _must_retry(self) -> bool:
        return self._retry_at is not None and time.monotonic() >= self._retry_at

    def _reload(self) -> None:
        self._retry_at = None
        try:
            self._load()
        except InvalidInput as error:
            broken = error.message
        except OSError as error:
            # Of the machine perhaps, not of the file (no descriptor left, a disk that stutters): no change of the file
            # would tell that it is over.
            self._retry_at = time.monotonic() + _RETRY_S
            broken = _unreadable(self.path, error).message
        else:
            broken = f"keys_file: {str(self.path)!r} is gone" if self._seen and self._signature is None else ""
        if broken and broken != self._broken:
            log.error("keys cannot be read; no key is good", extra={"fields": {"why": broken}})
        elif not broken:
            log.info("keys read", extra={"fields": {"keys": len(self._keys or ())}})
        self._broken = broken

    def _load(self) -> None:
        # Before the file is read: if it is no good, it is read again when something has changed.
        self._signature = _signature_at(self.path)
        self._seen |= self._signature is not None
        found = _read(self.path, any_owner=False)
        if found is None:
            self._signature = None  # also when it went away between the two looks
        else:
            self._keys, self._signature = found
            self._seen = True


def _read(path: Path, *, any_owner: bool) -> tuple[dict[str, Key], _Signature] | None:
    """The keys in the file and what tells a change of it. Raises `InvalidInput`, or `OSError` where it is not read."""
    try:
        # A pipe in the file's place must not hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            raise _invalid(path, "which is a link to nothing") from None
        return None
    with open(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        _check_file(path, about, any_owner=any_owner)
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _invalid(path, f"which is larger than {_MOST_BYTES >> 20} MiB")
    try:
        return from_json(json.loads(data)), _signature(about)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise _invalid(path, "which is not JSON; restore it, or move it away and make keys anew") from None
    except ValueError as error:
        raise _invalid(path, f"which {error}; restore it, or move it away and make keys anew") from None


def _check_file(path: Path, about: os.stat_result, *, any_owner: bool) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise _invalid(path, "which is no file")
    us = os.geteuid()
    if not any_owner and about.st_uid not in (us, 0):
        raise _invalid(path, "which belongs to another user, who could let himself in; `chown` it to the server's user")
    # Secrets that an orchestrator mounts belong to root and are read by group (0440).
    mounted = bool(us) and about.st_uid == 0
    mode = stat.S_IMODE(about.st_mode)
    if mode & (0o037 if mounted else 0o077):
        way_out = "set the mode of the mounted secret to 0440" if mounted else f"chmod 600 {path}"
        raise _invalid(path, f"which others may read or write (mode {mode:04o}); {way_out}")


def _signature_at(path: Path) -> _Signature:
    try:
        return _signature(os.stat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        return (error.errno or -1,)


def _signature(about: os.stat_result) -> _Signature:
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _write(path: Path, keys: Keys) -> None:
    text = json.dumps(to_json(keys), indent=1) + "\n"
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)  # left by a crash; nobody else writes it while we hold the lock
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            _give_away(descriptor, path)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock; the kernel drops it however we end. The lock file stays: a removed one would exclude nobody."""
    if fcntl is None:
        raise StoreUnwritable("this platform has no flock, so nothing would keep two commands apart")
    descriptor = _open_lock(path)
    try:
        until = time.monotonic() + _LOCK_WAIT_S
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > until:
                raise StoreUnwritable(
                    f"another command has held {path} for {_LOCK_WAIT_S:.0f} seconds; end it, then try again",
                    metadata={"path": str(path)},
                )
            time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    # No link is followed, and nothing is given away that was there before: who owns the folder could put a link to a
    # file of root's in the lock's place.
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    try:
        _give_away(descriptor, path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # Still the one that we made, not one that was put in its place.
        if os.fstat(descriptor).st_uid == os.geteuid():
            _give_away(descriptor, path.parent)
    finally:
        os.close(descriptor)


def _give_away(descriptor: int, like: Path) -> None:
    """What root has just made for a server that is not root belongs to the server's user: the owner of what was there.

    Never for a file that was there before.
    """
    if os.geteuid() == 0:
        about = os.stat(like if like.exists() else like.parent)
        os.fchown(descriptor, about.st_uid, about.st_gid)


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    return _invalid(path, f"which cannot be read: {error.strerror}")


def _invalid(path: Path, what: str) -> InvalidInput:
    return InvalidInput([FieldViolation("keys_file", f"is {str(path)!r}, {what}")])


def now() -> datetime:
    """This moment, UTC, in whole seconds, as keys keep it."""
    return datetime.now(UTC).replace(microsecond=0)


__all__ = ["NAME", "KeyWatch", "change_keys", "keys_path", "now", "read_keys"]
