"""The languages that hold the conversation: what each needs, how it is built, how it is run.

The commands are those that the language's own README gives to a reader.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

_REGISTRY_LOST = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH"),
    *("no such host", "dial tcp", "i/o timeout", "TLS handshake timeout"),
    *("Could not transfer artifact", "Unknown host", "Could not resolve host", "Couldn't resolve host"),
    *("failed to download from", "spurious network error", "Network is unreachable", "Connection refused"),
    "Temporary failure in name resolution",
)
"""What package managers say when they cannot reach their registry."""


@dataclass(frozen=True, slots=True)
class Language:
    """One client: its folder here, and the commands that are run in it.

    `tools` are the executables it needs, by the words that say which version. `fetch` brings the packages; it is
    skipped as long as `fetched`, a folder it makes, holds what the `manifests` ask for. `build` is run every time and
    must be quick when nothing changed. `run` gets the conversation's path appended. `quickstart` is a shorter program,
    shown whole in the README: its file, and the command that runs it.
    """

    name: str
    tools: dict[str, str]
    run: tuple[str, ...]
    build: tuple[tuple[str, ...], ...] = ()
    fetch: tuple[tuple[str, ...], ...] = ()
    fetched: str = ""
    manifests: tuple[str, ...] = ()
    quickstart: tuple[str, tuple[str, ...]] | None = None

    @property
    def folder(self) -> Path:
        return FOLDER / self.name


LANGUAGES = (
    Language(
        "node",
        tools={"node": "Node.js 20 or later", "npm": "npm 10 or later"},
        fetch=(("npm", "ci"),),
        fetched="node_modules",
        manifests=("package.json", "package-lock.json"),
        build=(("npm", "run", "--silent", "build"),),
        run=("npm", "start", "--silent", "--"),
        quickstart=("quickstart.ts", ("node", "dist/quickstart.js")),
    ),
    Language(
        "go",
        tools={"go": "Go 1.24 or later"},
        build=(("go", "generate", "./..."), ("go", "build", "./...")),
        run=("go", "run", "."),
        quickstart=("quickstart/main.go", ("go", "run", "./quickstart")),
    ),
    Language(
        "java",
        tools={"java": "a JDK 17 or later", "mvn": "Maven 3.8 or later"},
        build=(("mvn", "-q", "package"),),
        run=("java", "-jar", "target/conversation.jar"),
        quickstart=(
            "src/main/java/shop/Quickstart.java",
            ("java", "-cp", "target/conversation.jar", "shop.Quickstart"),
        ),
    ),
    Language(
        "rust",
        tools={"cargo": "Rust 1.88 or later"},
        build=(("cargo", "build", "--quiet"),),
        run=("cargo", "run", "--quiet", "--"),
        quickstart=("examples/quickstart.rs", ("cargo", "run", "--quiet", "--example", "quickstart")),
    ),
)


class Missing(Exception):
    """A tool or a registry that cannot be had; the text says which and what to do."""

    def __init__(self, text: str, *, registry: bool = False) -> None:
        super().__init__(text)
        self.registry = registry


class Broken(Exception):
    """A command that failed; the text is what it said."""


def prepare(language: Language) -> None:
    """Fetch and build. Raises `Missing` or `Broken`."""
    for tool, wanted in language.tools.items():
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is not installed; install {wanted} to test the client in {language.name}")
    try:
        _fetch(language)
        for command in language.build:
            call(language, command, os.environ)
    except Broken as broken:
        lost = [line for line in str(broken).splitlines() if any(words in line for words in _REGISTRY_LOST)]
        if not lost:
            raise
        raise Missing(
            f"the packages for {language.name} cannot be fetched; is there a network? {lost[0].strip()[:200]}",
            registry=True,
        ) from broken


def _fetch(language: Language) -> None:
    if not language.fetch:
        return
    asked = hashlib.sha256(b"".join((language.folder / name).read_bytes() for name in language.manifests)).hexdigest()
    stamp = language.folder / language.fetched / ".fetched"
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != asked:
        for command in language.fetch:
            call(language, command, os.environ)
        stamp.write_text(asked, encoding="ascii")


def call(language: Language, command: tuple[str, ...], env: Mapping[str, str]) -> str:
    """Run a command in the language's folder; what it printed. Raises `Broken`."""
    words = f"{' '.join(command)} in {language.name}"
    try:
        done = subprocess.run(
            command, cwd=language.folder, env=env, capture_output=True, text=True, encoding="utf-8", timeout=900
        )
    except subprocess.TimeoutExpired as late:
        raise Broken(f"{words} was not done after {late.timeout:.0f} seconds") from None
    if done.returncode:
        raise Broken(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


__all__ = ["FOLDER", "LANGUAGES", "Broken", "Language", "Missing", "call", "prepare"]
