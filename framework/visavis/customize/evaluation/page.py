"""An evaluation as one HTML page that needs nothing else: plots drawn as SVG, all figures in tables below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from visavis.evaluation import Compared, Evaluation, Judged, Measure

TITLES = {
    "repeat_allowed": "What customers with a past bought",
    "new_only": "What customers with a past bought for the first time",
    "cold": "What customers without a past bought",
}
NAMES = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "hit_rate": "Hit rate",
    "mrr": "MRR",
    "coverage": "Coverage",
    "gini": "Gini",
    "novelty": "Novelty (bits)",
    "diversity": "Diversity",
    "popularity_lift": "Popularity lift",
    "own": "Own places",
}
_VERDICTS = {
    "better": "{} is better than {}",
    "worse": "{} is worse than {}",
    "unclear": "{} and {}: no difference shown",
}
_ROW, _LEFT, _WIDTH, _RIGHT = 26, 190, 460, 130  # px of a plot
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fdfdfc; --soft: #66707d; --line: #d5dae0; --own: #2463a8;
  --base: #9aa5b1 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #15191f; --soft: #9aa5b1; --line: #343c46;
  --own: #6fa8e8; --base: #66707d } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
p.note, figcaption { color: var(--soft) }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto } svg text { fill: var(--ink); font: 13px system-ui }
.own { fill: var(--own) } .base { fill: var(--base) } .error { stroke: var(--ink); stroke-width: 1.2 }
.axis { stroke: var(--line) } .dot { fill: var(--own); fill-opacity: .8 } .dot.base { fill: var(--base) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
"""


def page_of(report: Evaluation) -> str:
    """The whole page."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Evaluation) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>How well scorers would have foretold</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>"
    yield "<h1>How well scorers would have foretold what was bought</h1>"
    between = "in a test file"
    if report.begin is not None and report.end is not None:
        between = f"from {report.begin:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"
    yield (
        f"<p>{report.truths:,} pairs of customer and item, bought {between}, were to be foretold by scorers that had "
        f"learnt from {report.known_interactions:,} interactions before. {report.items:,} items were in the race. "
        "Places that a scorer leaves free are filled by the fall-back; <em>own places</em> is the share that it filled "
        "itself. Prices, attributes, groups and consents are of today.</p>"
    )
    for name, why in sorted(report.failed.items()):
        yield f"<p><strong>{escape(name)}</strong> failed and is left out: {escape(why)}</p>"
    for task, title in TITLES.items():
        lines = sorted(
            (one for one in report.judged if one.task == task), key=lambda one: (-one.value("ndcg", 10), one.scorer)
        )
        if lines:
            yield from _task(title, lines, [one for one in report.compared if one.task == task])
    yield (
        '<p class="note">Bars in grey are baselines; whiskers are one standard error over customers. Better and worse: '
        f"the interval leaves out 0, 95 % for all pairs of a task together, by a paired bootstrap over customers (seed "
        f"{report.seed}). Who filled less than 5 % of the places itself is not compared. Coverage and Gini are of as "
        "many lists as there are customers: compare them within one table. Recall is of all "
        "that a customer bought; NDCG with the ideal of as many places as he bought items; Gini of exposure; novelty "
        "in bits; diversity 1 − the mean cosine of two items of a list; popularity lift beside what the customer "
        "bought before.</p>\n</main>\n</body>\n</html>"
    )


def _task(title: str, lines: Sequence[Judged], compared: Sequence[Compared]) -> Iterator[str]:
    yield f"<section>\n<h2>{title} ({lines[0].customers:,} customers)</h2>"
    yield _bars(lines)
    if any(one.value("coverage", 10) for one in lines):
        yield _dots(lines)
    if compared:
        yield "<ul>"
        for pair in compared:
            words = _VERDICTS.get(pair.verdict, "{} and {}").format(escape(pair.scorer), escape(pair.against))
            yield f"<li>{words}: {pair.difference:+.4f} ({pair.low:+.4f} to {pair.high:+.4f})</li>"
        yield "</ul>"
    keys = list(dict.fromkeys((measure.name, measure.places) for one in lines for measure in one.measures))
    yield '<div class="wide">\n<table>\n<thead><tr><th scope="col">scorer</th>'
    yield "".join(f'<th scope="col">{NAMES.get(name, escape(name))}@{places}</th>' for name, places in keys)
    yield '<th scope="col">fit, s</th></tr></thead>\n<tbody>'
    for one in lines:
        taken = {(measure.name, measure.places): measure for measure in one.measures}
        cells = "".join(f"<td>{_told(taken.get(key))}</td>" for key in keys)
        star = " *" if one.baseline else ""
        yield f'<tr><th scope="row">{escape(one.scorer)}{star}</th>{cells}<td>{one.seconds:.2f}</td></tr>'
    yield "</tbody>\n</table>\n</div>\n</section>"


def _told(measure: Measure | None) -> str:
    if measure is None:
        return ""
    return f"{measure.value:.4f}" + ("" if measure.error is None else f" ±{measure.error:.4f}")


def _bars(lines: Sequence[Judged]) -> str:
    """NDCG@10 of each scorer with its standard error."""
    values = [one.measure("ndcg", 10) for one in lines]
    most = max((one.value + (one.error or 0) for one in values), default=0) or 1
    parts = []
    for row, (one, measure) in enumerate(zip(lines, values, strict=True)):
        top, length = row * _ROW, measure.value / most * _WIDTH
        parts.append(f'<text x="{_LEFT - 8}" y="{top + 17}" text-anchor="end">{escape(one.scorer)}</text>')
        kind = "base" if one.baseline else "own"
        parts.append(f'<rect class="{kind}" x="{_LEFT}" y="{top + 4}" width="{length:.1f}" height="{_ROW - 8}"/>')
        end = _LEFT + length
        if measure.error is not None:
            low, high = (_LEFT + (measure.value + sign * measure.error) / most * _WIDTH for sign in (-1, 1))
            middle = top + _ROW / 2
            parts.append(f'<line class="error" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>')
            end = max(end, high)
        parts.append(f'<text x="{end + 6:.1f}" y="{top + 17}">{measure.value:.4f}</text>')
    height = len(lines) * _ROW
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="0" y2="{height}"/>')
    return _figure("NDCG@10 of each scorer", _LEFT + _WIDTH + _RIGHT, height, parts)


def _dots(lines: Sequence[Judged]) -> str:
    """How good beside how much of the catalogue is shown."""
    places = [(one, one.value("coverage", 10), one.value("ndcg", 10)) for one in lines]
    most_x, most_y = max(x for _, x, _ in places) or 1.0, max(y for _, _, y in places) or 1.0
    height = 240
    across_label = f"share of the catalogue shown (0 to {most_x:.3f})"
    parts = [
        f'<line class="axis" x1="60" x2="{60 + _WIDTH}" y1="{height}" y2="{height}"/>',
        f'<line class="axis" x1="60" x2="60" y1="10" y2="{height}"/>',
        f'<text x="{60 + _WIDTH}" y="{height + 32}" text-anchor="end">{across_label}</text>',
        f'<text x="68" y="18">NDCG@10 (0 to {most_y:.4f})</text>',
    ]
    for one, x, y in places:
        across, down = 60 + x / most_x * _WIDTH, height - y / most_y * (height - 40)
        kind = "dot base" if one.baseline else "dot"
        parts.append(f'<circle class="{kind}" cx="{across:.1f}" cy="{down:.1f}" r="5"/>')
        parts.append(f'<text x="{across + 9:.1f}" y="{down + 4:.1f}">{escape(one.scorer)}</text>')
    return _figure("How good the lists are, beside how much of the catalogue they show", 60 + _WIDTH + 190, 280, parts)


def _figure(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    drawn = "\n".join(parts)
    return (
        f'<figure>\n<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">\n{drawn}\n</svg>\n<figcaption>{escape(title)}</figcaption>\n</figure>'
    )


__all__ = ["page_of"]
