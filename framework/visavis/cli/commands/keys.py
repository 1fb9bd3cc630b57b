"""`visavis keys`: who may call the server, and what each may do."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output, safe
from visavis.cli.session import server_of, settings_of
from visavis.config import Settings
from visavis.errors import FieldViolation, Forbidden, InvalidInput, VisavisError
from visavis.rpc.keys import Key, check_new, create, revoke, rotate
from visavis.rpc.scopes import SCOPES, check_scopes

_PATIENCE_S = 2.0  # for a server that is asked whether it takes a new key
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST_SECONDS = 36_500 * 86_400


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "keys",
        run,
        help="make, list, rotate and revoke the keys of clients",
        description="Make, list, rotate and revoke the keys of clients. A key is shown once, when it is made or\n"
        "rotated; only a salted hash of it is kept. A running server sees every change at once. From the first\n"
        "key on, every call needs one, on loopback too; commands on the server's machine need none.",
        example="visavis keys create --scopes ingest,decide --id web-shop --data shop.duckdb",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    create = _verb(verbs, "create", "make a key and show it", "create --scopes ingest,decide --expires 90d")
    scopes = "; ".join(f"{name}: {what}" for name, what in SCOPES.items())
    create.add_argument("--scopes", required=True, metavar="LIST", help=f"what it may do, e.g. ingest,decide. {scopes}")
    create.add_argument("--id", metavar="ID", help="its id, which logs show (default: a random one)")
    create.add_argument("--expires", metavar="TIME", help="when it ends, from now on, e.g. 90d (default: never)")
    create.add_argument("--note", default="", metavar="TEXT", help="what it is for")
    _verb(verbs, "list", "the keys, without their secrets", "list --format json")
    rotate = _verb(verbs, "rotate", "give a key a new secret and show it", "rotate web-shop --overlap 7d")
    rotate.add_argument("id", metavar="ID", help="of which key")
    rotate.add_argument(
        "--overlap", default="24h", metavar="TIME", help="how long the secret before stays good (default: 24h)"
    )
    rotate.add_argument("--expires", metavar="TIME", help="when the key ends, from now on (default: as it was)")
    revoke = _verb(verbs, "revoke", "make a key good for nothing", "revoke web-shop")
    revoke.add_argument("id", metavar="ID", help="of which key")


def _verb(verbs: Any, name: str, help: str, example: str) -> argparse.ArgumentParser:
    parser = add_command(
        verbs,
        name,
        run,
        help=help,
        example=f"visavis keys {example}",
        interrupted="the keys are as before, or changed as asked, never half; `visavis keys list` tells",
    )
    parser.add_argument("--keys-file", metavar="FILE", help="the keys (default: keys.json in the store's side folder)")
    return parser


def run(args: argparse.Namespace, out: Output) -> int:
    """Change or list the keys."""
    return {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}[args.verb](args, out)


def _list(args: argparse.Namespace, out: Output) -> int:
    from visavis.rpc.key_file import now, read_keys

    path = _path(args)
    keys = read_keys(path) or {}
    moment = now()
    if out.as_json:
        out.json({"keys_file": str(path), "keys": [_plain(key, moment) for key in keys.values()]})
    elif keys:
        rows = [
            (
                key.key_id,
                ",".join(key.scopes),
                _state(key, moment),
                _day(key.created_at),
                _day(key.expires_at),
                key.note,
            )
            for key in keys.values()
        ]
        out.table(("id", "scopes", "state", "created", "expires", "note"), rows)
    else:
        out.line(f"there are no keys in {path}; `visavis keys create --scopes …` makes one")
    return 0


def _create(args: argparse.Namespace, out: Output) -> int:
    from visavis.rpc.key_file import change_keys, keys_path, now

    # All that can be wrong, before a folder is made.
    scopes = check_scopes(args.scopes, "--scopes")
    check_new(args.id, args.note)
    moment = now()
    expires_at = _expires(args, moment)
    secret = ""

    def change(keys: dict[str, Key]) -> Key:
        nonlocal secret
        key, secret = create(keys, moment, scopes=scopes, key_id=args.id, expires_at=expires_at, note=args.note)
        return key

    settings = settings_of(args, keys_file=args.keys_file)
    path = keys_path(settings)
    key = change_keys(path, change, make=True)
    _show(out, path, key, secret, moment)
    _warn_of_another_file(settings, path, f"{key.key_id}.{secret}")
    if not settings["keys_file"] and not settings.data.exists():
        print(f"visavis: note: there is no store at {settings.data} yet; the key is for one there", file=sys.stderr)
    return 0


def _rotate(args: argparse.Namespace, out: Output) -> int:
    from visavis.rpc.key_file import change_keys, keys_path, now

    overlap = _duration("--overlap", args.overlap)
    moment = now()
    expires_at = _expires(args, moment)
    secret = ""

    def change(keys: dict[str, Key]) -> Key:
        nonlocal secret
        key, secret = rotate(keys, args.id, moment, overlap=overlap, expires_at=expires_at)
        return key

    settings = settings_of(args, keys_file=args.keys_file)
    path = keys_path(settings)
    key = change_keys(path, change)
    _show(out, path, key, secret, moment)
    _warn_of_another_file(settings, path, f"{key.key_id}.{secret}")
    return 0


def _revoke(args: argparse.Namespace, out: Output) -> int:
    from visavis.rpc.key_file import change_keys, now

    moment = now()
    path = _path(args)
    key = change_keys(path, lambda keys: revoke(keys, args.id, moment))
    if out.as_json:
        out.json(_plain(key, moment))
    else:
        out.line(f"the key {key.key_id} is revoked; a running server that reads {path} refuses it from now on")
    return 0


def _warn_of_another_file(settings: Settings, path: Path, key: str) -> None:
    """Say where the key is, unless the server that owns the store is seen to take it, and nobody without one."""
    owner = server_of(settings)
    if owner is None or (not _takes(owner.address, "") and _takes(owner.address, key)):
        return
    told = (
        f"visavis: note: the key is in {path}; the running server reads the file that it was started with, which is "
        "that one unless it was started with another keys_file"
    )
    print(safe(told), file=sys.stderr)


def _takes(address: str, key: str) -> bool:
    """Whether a server lets somebody in who has this key, whatever it may do."""
    from visavis.client import connect

    try:
        with connect(address, key=key, timeout=_PATIENCE_S) as client:
            client.admin.status()
    except Forbidden:
        return True
    except VisavisError:
        return False
    return True


def _show(out: Output, path: Path, key: Key, secret: str, moment: datetime) -> None:
    """The key, this once."""
    whole = f"{key.key_id}.{secret}"
    if out.as_json:
        out.json({"key": whole, **_plain(key, moment), "keys_file": str(path)})
        return
    out.line(whole)
    out.line()
    about = {"scopes": ",".join(key.scopes), "expires": _day(key.expires_at), "kept in": str(path)}
    if len(key.secrets) > 1:
        about["secret before"] = f"good until {_day(key.secrets[1].expires_at)}"
    out.pairs(about)
    out.line("keep it now: it is not shown again; clients send it as `authorization: Bearer …`")


def _plain(key: Key, moment: datetime) -> dict[str, object]:
    """A key without its hashes."""
    return {
        "id": key.key_id,
        "scopes": key.scopes,
        "state": key.state(moment),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "rotated_at": key.secrets[0].created_at if key.secrets[0].created_at != key.created_at else None,
        "previous_secret_expires_at": key.secrets[1].expires_at if len(key.secrets) > 1 else None,
        "note": key.note,
    }


def _state(key: Key, moment: datetime) -> str:
    state = key.state(moment)
    return f"{state} {_day(key.revoked_at)}" if state == "revoked" else state


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _path(args: argparse.Namespace) -> Path:
    from visavis.rpc.key_file import keys_path

    return keys_path(settings_of(args, keys_file=args.keys_file))


def _expires(args: argparse.Namespace, moment: datetime) -> datetime | None:
    if args.expires is None:
        return None
    duration = _duration("--expires", args.expires)
    if not duration:
        raise InvalidInput([FieldViolation("--expires", f"is {args.expires!r}; give a time that is not over yet")])
    return moment + duration


def _duration(option: str, text: str) -> timedelta:
    """`90d` as a duration. Raises `InvalidInput`."""
    match = re.fullmatch(r"([0-9]{1,12})([smhdw])", text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else -1
    if not 0 <= seconds <= _MOST_SECONDS:
        raise InvalidInput(
            [FieldViolation(option, f"is {text!r}; give a number and a unit, s m h d w, such as 90d or 12h")]
        )
    return timedelta(seconds=seconds)


__all__ = ["add", "run"]
