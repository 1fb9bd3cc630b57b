"""Which shop a command talks to: the running server that owns the store, or the store's file where there is none."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from visavis.config import Settings, load_settings

if TYPE_CHECKING:
    from visavis.client import Client
    from visavis.engine import Engine
    from visavis.store.owner import OwnerInfo


def settings_of(args: argparse.Namespace, **more: object) -> Settings:
    """The settings, arguments of the command line first. Raises `InvalidInput`."""
    return load_settings({"data": args.data, "plugins_dir": args.plugins_dir, **more}, file=args.config)


@contextmanager
def open_shop(args: argparse.Namespace, *, create: bool = False) -> Iterator[Engine | Client]:
    """The shop that the arguments name, with the same verbs either way; closed when the block ends.

    `create` makes a store where there is none; if the block fails before anything was written to it, it is removed
    again. Raises what opening a store raises: `StoreInUse` when another
    process owns it and serves nobody.
    """
    settings = settings_of(args)
    owner = server_of(settings)
    if owner is None:
        from visavis.engine import open_engine

        purpose = f"visavis {args.command}"
        with private_log(settings.data), open_engine(settings=settings, create=create, purpose=purpose) as engine:
            try:
                yield engine
            except BaseException:
                engine.close(keep_empty=False)
                raise
        return
    if args.plugins_dir:
        print("visavis: note: a server owns the store; its own plugins count, not --plugins-dir", file=sys.stderr)
    with connect_owner(owner) as client:
        yield client


@contextmanager
def private_log(data: Path) -> Iterator[None]:
    """See to it that the log that DuckDB makes beside the store can be read by those only who may read the store.

    DuckDB makes it anew after each checkpoint, in whichever thread commits, and with the mask of the whole process. So
    the mask is set as long as the store is open: a command's process does nothing else.
    """
    try:
        shared = data.stat().st_mode
    except OSError:
        shared = 0  # a new store is its owner's alone
    before = os.umask(0o077)
    os.umask(before | (0o066 & ~shared))
    try:
        yield
    finally:
        os.umask(before)


def server_of(settings: Settings) -> OwnerInfo | None:
    """The owner of the store, if it is a server that can be reached from here."""
    from visavis.store.owner import read_owner, side_folder

    owner = read_owner(side_folder(settings.data))
    # The address is a loopback one: of no use when the owner is another machine on a shared disk.
    if owner is None or not owner.address or owner.host != socket.gethostname():
        return None
    return owner


def connect_owner(owner: OwnerInfo) -> Client:
    """A client of the server that owns a store, with the key that the owner file holds."""
    from visavis.client import connect

    return connect(owner.address, key=f"owner.{owner.token}")


__all__ = ["connect_owner", "open_shop", "private_log", "server_of", "settings_of"]
