"""`file`: writes each message as a JSON file, for a program that picks them up."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from visavis import Channel, Delivery, Message, hookimpl


class File(Channel):
    """Writes one JSON file a message into a folder.

    The file appears whole or not at all, and a repeat of the same message id finds it and writes nothing.
    """

    name: ClassVar[str] = "file"

    @dataclass(frozen=True)
    class Options:
        """Where to write."""

        folder: str = field(default="outbox", metadata={"doc": "folder of the messages; made if it is missing"})

    options: Options

    def send(self, message: Message) -> Delivery:
        """Write the message unless its file is there. Raises `OSError` if the folder cannot be written."""
        folder = Path(self.options.folder)
        path = folder / _file_name(message.message_id)
        if path.exists():
            return Delivery(message.message_id, True, "written already")
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder, prefix=".draft-", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(dataclasses.asdict(message), stream, indent=2)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
        return Delivery(message.message_id, True, str(path))


def _file_name(message_id: str) -> str:
    """Readable at the front; the hash keeps ids apart that differ in case, in odd signs or beyond forty letters."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", message_id)[:40].strip("-")
    digest = hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{slug}-{digest}.json" if slug else f"{digest}.json"


@hookimpl
def visavis_channels() -> list[type[Channel]]:
    """The channel of this module."""
    return [File]


__all__ = ["File", "visavis_channels"]
