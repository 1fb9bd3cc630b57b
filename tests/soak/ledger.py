"""What a store acknowledged over its life, as its callers heard it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """What must be in the store. A batch's name ends with its size; versions of a group only rise."""

    batches: set[str] = field(default_factory=set)
    answers: dict[str, list[int]] = field(default_factory=dict)
    """By request id: how many were recorded and already known."""
    items: dict[int, int] = field(default_factory=dict)
    """By thread: the last version of its group of items."""
    customers: dict[int, int] = field(default_factory=dict)
    consents: set[str] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)
    """By source: the file, of every import that was begun."""
    imported: set[str] = field(default_factory=set)
    """Sources of the imports that ended."""
    generation: int = 0
    copies: set[str] = field(default_factory=set)
    begun: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def interactions(self) -> int:
        """How many were acknowledged, those of imports not counted."""
        return sum(size_of(name) for name in self.batches)

    def note(self, line: dict[str, Any]) -> None:
        """Take down one line of a child."""
        match line:
            case {"begin": name}:
                self.begun[name] = self.begun.get(name, 0) + 1
            case {"end": name}:
                self.ended[name] = self.ended.get(name, 0) + 1
            case {"batch": name}:
                self.batches.add(name)
            case {"request": name, "answer": answer}:
                self.batches.add(name)
                self.answers[name] = answer
            case {"items": thread, "version": version}:
                self.items[thread] = version
            case {"customers": thread, "version": version}:
                self.customers[thread] = version
            case {"consent": token}:
                self.consents.add(token)
            case {"import": source, "file": file}:
                self.imports[source] = file
            case {"imported": source}:
                self.imported.add(source)
            case {"generation": number}:
                self.generation = max(self.generation, number)
            case {"copy": path}:
                self.copies.add(path)
            case {"error": text}:
                self.errors.append(text)
            case _:
                raise ValueError(f"a child said {line}")


def size_of(name: str) -> int:
    """The number of interactions in a batch."""
    return int(name.rpartition("-")[2])


__all__ = ["Ledger", "size_of"]
