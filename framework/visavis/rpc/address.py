"""Addresses: `host:port`, and which hosts are this machine's own."""

from __future__ import annotations

import ipaddress
import re

from visavis.errors import FieldViolation, InvalidInput


def parse(address: str, field: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:50051`, `shop.example:443` or `[::1]:50051`. Raises `InvalidInput`."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):([0-9]{1,5})", address, re.ASCII)
    if match is None or int(match[2]) > 65535:
        raise InvalidInput([FieldViolation(field, f"is {address!r}; give host:port, e.g. 127.0.0.1:50051")])
    return match[1].strip("[]"), int(match[2])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def join(host: str, port: int) -> str:
    """The text form of an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


__all__ = ["is_loopback", "join", "parse"]
