"""`console`: what is printed, and what must not reach a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from visavis.model import Message
from visavis_plugins.channels import console
from visavis_plugins.channels.console import Console


def test_prints_receiver_subject_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    delivery = Console().send(Message("m-1", "console", "c-9", "a@example.org", "Hello", "one\n\ttwo"))
    assert delivery.accepted
    assert capsys.readouterr().out == "--- message m-1 to c-9 <a@example.org>\nHello\none\n\ttwo\n"


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console().send(Message("m-1", "console", "\x1b[2Jx", "", "\x07\r", "text\x00\ud800"))
    printed = capsys.readouterr().out
    assert all(sign.isprintable() or sign == "\n" for sign in printed)
    assert "[2Jx" in printed


def test_a_terminal_without_the_sign_gets_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    assert Console().send(Message("m-1", "console", "c", "", "☃", "")).accepted
    assert b"\\u2603" in raw.getvalue()


def test_memory_of_ids_is_bounded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "_REMEMBERED", 2)
    channel = Console()
    for message_id in ("a", "b", "c", "b", "c", "a"):
        channel.send(Message(message_id, "console", "x", "", "", ""))
    assert capsys.readouterr().out.count("--- message ") == 4
