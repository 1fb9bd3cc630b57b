"""`file`: whole files, safe names, loud failures."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from visavis.model import Message
from visavis_plugins.channels.file import File

MESSAGE = Message("order/17 ✓", "file", "c-9", "a@example.org", "Hello", "text", "<p>text</p>")


def channel(folder: Path) -> File:
    return File(File.Options(folder=str(folder)))


def test_the_file_holds_the_message(tmp_path: Path) -> None:
    delivery = channel(tmp_path).send(MESSAGE)
    (path,) = tmp_path.iterdir()
    assert delivery.detail == str(path)
    assert json.loads(path.read_text()) == dataclasses.asdict(MESSAGE)


def test_the_name_is_safe_and_readable(tmp_path: Path) -> None:
    for message_id in ("../../etc/passwd", "..", "CON", "x" * 5000, "", "\ud800", "a\x00b"):
        channel(tmp_path).send(dataclasses.replace(MESSAGE, message_id=message_id))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 7
    assert all(len(name) < 80 and name.isascii() and "/" not in name for name in names)
    assert any(name.startswith("etc-passwd-") for name in names)


def test_a_repeat_leaves_the_first_file_alone(tmp_path: Path) -> None:
    channel(tmp_path).send(MESSAGE)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    assert channel(tmp_path).send(dataclasses.replace(MESSAGE, text="changed")).accepted
    assert path.read_bytes() == before


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        channel(tmp_path).send(MESSAGE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_raised(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match="taken"):
        channel(tmp_path / "taken" / "below").send(MESSAGE)
