"""One picture of a run: how long building takes by size of set, and how many answers a second come."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

from tests.bench import data
from tests.bench.building import KINDS, OURS

_SIZES = ("S", "M", "L")
_COLOURS = {"visavis": "#0b6e4f", "implicit": "#c46210", "sparse_dot_topn": "#5b5f97", "implicit + server": "#c46210"}
_GREY = "#9a9a9a"
_BARS = ("visavis", "implicit + server", "echo")


def draw(tables: list[dict[str, Any]], about: dict[str, Any], path: Path) -> str:
    """Draw what can be drawn of `tables` (as in the JSON) to `path`; answers a line that says what became of it."""
    if util.find_spec("matplotlib") is None:
        return "no picture: matplotlib is not installed; `make bench` installs it"
    building = {kind: _building(tables, kind) for kind in KINDS}
    serving = _serving(tables)
    panels = [kind for kind in KINDS if building[kind]] + (["serving"] if serving else [])
    if not panels:
        return "no picture: neither building nor serving was measured"

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 4.6), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        if panel == "serving":
            _bars(axis, serving)
        else:
            _lines(axis, panel, building[panel])
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Visavis beside its peers: {about['processor']}, {about['cores']} cores, {about['date']}", size=10)
    figure.savefig(path)
    pyplot.close(figure)
    return f"picture: {path}"


def _building(tables: list[dict[str, Any]], kind: str) -> dict[str, dict[str, float]]:
    """Seconds by competitor and set, K = 20."""
    found: dict[str, dict[str, float]] = {}
    for table in tables:
        name = table["set"]
        if table["section"] == "building" and name in _SIZES:
            for row in table["rows"]:
                if row["what"] == f"{kind}, K=20":
                    found.setdefault(row["who"], {})[name] = row["median"]
    return found


def _serving(tables: list[dict[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    """Rates by kind of call: who, and how many a second."""
    found: dict[str, list[tuple[str, float]]] = {}
    for table in tables:
        if table["section"] == "serving":
            for row in table["rows"]:
                if row["unit"].endswith("/s") and row["who"] in _BARS:
                    found.setdefault(f"{row['what']}\n{row['unit']}", []).append((row["who"], row["median"]))
    return found


def _lines(axis: Any, kind: str, seconds: dict[str, dict[str, float]]) -> None:
    """Time over size, both on logarithmic scales; ours is the thick line."""
    for who, by_set in seconds.items():
        names = [name for name in _SIZES if name in by_set]
        sizes = [data.SHAPES[name].interactions for name in names]
        times = [by_set[name] for name in names]
        width = 2.6 if who == OURS else 1.4
        axis.plot(sizes, times, marker="o", linewidth=width, color=_COLOURS.get(who, _GREY), label=who)
        for size, took in zip(sizes, times, strict=True):
            if who == OURS:
                axis.annotate(f"{took:.2g} s", (size, took), (0, -14), textcoords="offset points", ha="center", size=8)
    axis.set(xscale="log", yscale="log", title=f"{kind}, K=20", ylabel="seconds to build the model (less is better)")
    names = [name for name in _SIZES if any(name in by_set for by_set in seconds.values())]
    sizes = [data.SHAPES[name].interactions for name in names]
    axis.set_xticks(sizes, [f"{name}\n{size / 1e6:g} M" for name, size in zip(names, sizes, strict=True)])
    axis.minorticks_off()
    axis.margins(0.15)
    axis.set_xlabel("interactions")
    axis.legend(frameon=False, fontsize=8)


def _bars(axis: Any, rates: dict[str, list[tuple[str, float]]]) -> None:
    """A bar for each server and kind of call, on a logarithmic scale."""
    place, ticks = 0.0, []
    for what, bars in rates.items():
        ticks.append((place - (len(bars) - 1) / 2, what))
        for who, rate in bars:
            axis.barh(place, rate, height=0.85, color=_COLOURS.get(who, _GREY))
            axis.text(rate, place, f" {who} {rate:,.0f}", va="center", size=7)
            place -= 1
        place -= 0.7
    axis.set_xscale("log")
    axis.set_yticks([at for at, _ in ticks], [what for _, what in ticks], fontsize=7)
    all_rates = [rate for bars in rates.values() for _, rate in bars]
    axis.set_xlim(min(all_rates) / 3, max(all_rates) * 30)  # room for what is written beside the bars
    axis.set(title="serving (more is better)", xlabel="a second")


__all__ = ["draw"]
