"""What was measured: rows of a table with a value for each round, the machine, and how both are told."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

_PACKAGES = (
    *("visavis", "numpy", "numba", "duckdb", "grpcio", "protobuf"),
    *("scipy", "implicit", "sparse-dot-topn", "matplotlib"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of one competitor, measured once a round."""

    what: str
    who: str
    unit: str
    values: Sequence[float]
    ratios: Sequence[float] = ()
    """How we stand beside the other, round by round; empty: not compared."""
    target: str = ""
    """What the ratio or the value ought to be."""


@dataclass(slots=True)
class Table:
    """Rows that belong together."""

    section: str
    set: str
    """Name of the set that it was measured on."""
    title: str
    ratio: str = "ratio"
    """Head of the column of ratios: beside whom, and which way round."""
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterable[str]:
        """The table as text."""
        yield f"{self.section} {self.set}: {self.title}"
        if self.rows:
            yield from _aligned([("", "", "median", "min – max", "", self.ratio, "target"), *map(_cells, self.rows)])
        for note in self.notes:
            yield f"  {note}"

    def as_json(self) -> dict[str, Any]:
        """The table as plain data."""
        rows = []
        for row in self.rows:
            told: dict[str, Any] = {"what": row.what, "who": row.who, "unit": row.unit, "target": row.target}
            told |= {"median": median(row.values), "values": list(row.values)}
            if row.ratios:
                told |= {"ratio": median(row.ratios), "ratios": list(row.ratios)}
            rows.append(told)
        return {
            "section": self.section,
            "set": self.set,
            "title": self.title,
            "ratio": self.ratio,
            "rows": rows,
            "notes": self.notes,
        }


def ratios(better: Sequence[float], worse: Sequence[float]) -> list[float]:
    """How many times `better` goes into `worse`, round by round."""
    return [other / own for own, other in zip(better, worse, strict=True)]


def machine() -> dict[str, Any]:
    """Where and when this was measured, with which versions."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions,
    }


def machine_lines(about: dict[str, Any]) -> Iterable[str]:
    """`machine()` as text."""
    yield f"{about['date']}, {about['platform']}"
    yield (
        f"{about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB, load {about['load']} at the start"
        + (": other work was running" if about["load"] > 0.5 else "")
    )
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    yield f"Python {about['python']}, {versions}"


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # only Linux tells it there
    return platform.processor() or platform.machine()


def _cells(row: Row) -> tuple[str, ...]:
    spread = f"{_number(min(row.values))} – {_number(max(row.values))}" if len(row.values) > 1 else "once"
    compared = ""
    if row.ratios:
        compared = f"{_number(median(row.ratios))} ({_number(min(row.ratios))} – {_number(max(row.ratios))})"
    return row.what, row.who, _number(median(row.values)), spread, row.unit, compared, row.target


def _number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place == 2 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


__all__ = ["Row", "Table", "cores", "machine", "machine_lines", "ratios"]
