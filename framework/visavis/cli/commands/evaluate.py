"""`visavis evaluate`: how well each scorer would have foretold what customers bought."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from visavis.cli.options import add_command
from visavis.cli.output import Output, safe
from visavis.cli.progress import ProgressReport
from visavis.cli.session import open_shop, settings_of
from visavis.errors import InvalidInput
from visavis.evaluation import Compared, Evaluation, Judged

_TITLES = {
    "repeat_allowed": "what customers with a past bought",
    "new_only": "what customers with a past bought for the first time",
    "cold": "what customers without a past bought",
}
_COLUMNS = {
    "NDCG@10": ("ndcg", 10),
    "recall@10": ("recall", 10),
    "hits@10": ("hit_rate", 10),
    "MRR@10": ("mrr", 10),
    "NDCG@20": ("ndcg", 20),
    "recall@20": ("recall", 20),
    "coverage": ("coverage", 10),
    "Gini": ("gini", 10),
    "novelty": ("novelty", 10),
    "diversity": ("diversity", 10),
    "pop. lift": ("popularity_lift", 10),
    "own": ("own", 10),
}


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "evaluate",
        run,
        help="judge scorers on the past: how well would they have foretold what was bought?",
        description="Fits scorers on all that came before a day, and compares their lists with what was bought after "
        "it. Nothing that is served changes.",
        example="visavis evaluate --days 28 --data shop.duckdb",
    )
    add_asked(parser)


def add_asked(parser: argparse.ArgumentParser) -> None:
    """What may be asked of an evaluation."""
    parser.add_argument("scorers", nargs="*", metavar="SCORER", help="the scorers to judge (default: all)")
    parser.add_argument("--days", type=float, help="how many days are to be foretold (default: 28)")
    parser.add_argument(
        "--end",
        metavar="DAY",
        help="the day after them, or a time (default: the day after the last purchase)",
    )
    parser.add_argument(
        "--min-buyers", type=int, default=1, metavar="COUNT", help="only items with so many buyers before (default: 1)"
    )
    parser.add_argument(
        "--customers", type=int, default=2_000, metavar="COUNT", help="judge so many at most, a sample (default: 2000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="what samples are drawn by (default: 1)")
    split = parser.add_argument_group("a split of your own, in place of a day of the store")
    split.add_argument("--train", metavar="FILE", help="all that is known: a file as for `visavis import`")
    split.add_argument("--test", metavar="FILE", help="what is to be foretold: its purchases")


def run(args: argparse.Namespace, out: Output) -> int:
    """Evaluate, print a table a task and what it says."""
    report = evaluated(args)
    if out.as_json:
        out.json(report)
    else:
        print_evaluation(report, out)
    return tell_failures(args, report)


def tell_failures(args: argparse.Namespace, report: Evaluation) -> int:
    """Name who was left out; the exit code: 1 where nothing but baselines was judged."""
    for name, why in sorted(report.failed.items()):
        print(f"visavis: scorer {safe(name)} is left out: {safe(why)}", file=sys.stderr)
    return 0 if any(not one.baseline for one in report.judged) else 1


def evaluated(args: argparse.Namespace) -> Evaluation:
    """What the arguments of `add_asked` ask for."""
    asked: dict[str, Any] = {"min_buyers": args.min_buyers, "most_customers": args.customers, "seed": args.seed}
    if (args.train is None) != (args.test is None):
        raise InvalidInput("--train and --test go together; give both files, or none to divide the store by a day")
    if args.train is not None and args.end is not None:
        raise InvalidInput("--end divides a store by a day, --train and --test are divided; give one of them")
    if args.train is not None and args.days is not None:
        raise InvalidInput("--days divides a store by a day, --train and --test are divided; give one of them")
    end = _time(args)
    with ProgressReport(sys.stderr) as progress:
        if args.train is not None:
            return _of_split(args, asked, progress)
        days = 28 if args.days is None else args.days
        with open_shop(args) as shop:
            return shop.customize.evaluate(args.scorers, days=days, end=end, **asked, progress=progress)


def _of_split(args: argparse.Namespace, asked: dict[str, Any], progress: ProgressReport) -> Evaluation:
    """Both files are imported into stores that are thrown away."""
    from visavis.customize.evaluation import Asked, evaluate_split
    from visavis.engine import open_engine

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="visavis-evaluate-")))
        train, test = (
            stack.enter_context(
                open_engine(folder / f"{name}.duckdb", settings=settings_of(args), purpose="visavis evaluate")
            )
            for name in ("train", "test")
        )
        for shop, path in ((train, args.train), (test, args.test)):
            taken = shop.identify.import_file(path, progress=progress)
            if taken.rejected:
                reasons = ", ".join(f"{why}: {count:,}" for why, count in taken.rejected_by_reason.items())
                print(
                    f"visavis: {safe(str(path))}: {taken.rejected:,} of {taken.rows:,} rows are left out "
                    f"({safe(reasons)})",
                    file=sys.stderr,
                )
        wanted = Asked(tuple(args.scorers), **asked)
        fallback = train.settings["fallback_scorer"]
        return evaluate_split(train.live, test.live, train.registry, fallback, wanted, progress)


def _time(args: argparse.Namespace) -> datetime | None:
    text = args.end
    if text is None:
        return None
    try:
        at = datetime.combine(date.fromisoformat(text), time())
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidInput(
                f"--end is {text!r}; give a day, as 2026-10-31, or a time, as 2026-10-31T18:00"
            ) from None
    # A server elsewhere might have another zone than the one that the person at this command means.
    return at if at.utcoffset() is not None else at.replace(tzinfo=ZoneInfo(settings_of(args)["time_zone"]))


def print_evaluation(report: Evaluation, out: Output) -> None:
    """A table a task, and in words what it says."""
    between = "in the test file"
    if report.begin is not None and report.end is not None:
        between = f"bought from {report.begin:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"
    out.line(
        f"{report.truths:,} pairs of customer and item {between}; learnt from {report.known_interactions:,} "
        f"interactions before, {report.items:,} items; {report.seconds:.1f} s"
    )
    for task, title in _TITLES.items():
        lines = [one for one in report.judged if one.task == task]
        if not lines:
            continue
        out.line()
        out.line(f"{title} ({lines[0].customers:,} customers)")
        lines.sort(key=lambda one: (-one.value("ndcg", 10), one.scorer))
        out.table(("scorer", *_COLUMNS), [_row(one) for one in lines], right=tuple(_COLUMNS))
        for compared in report.compared:
            if compared.task == task:
                out.line(f"  {_in_words(compared)}")
    out.line()
    out.line(
        "* a baseline. ±: one standard error. Better and worse: 95 % by a paired bootstrap over customers, NDCG@10."
    )


def _row(one: Judged) -> Sequence[str]:
    taken = {(measure.name, measure.places): measure for measure in one.measures}
    cells = []
    for key in _COLUMNS.values():
        measure = taken.get(key)
        text = "" if measure is None else f"{measure.value:.4f}"
        if measure is not None and key == ("ndcg", 10) and measure.error is not None:
            text += f" ±{measure.error:.4f}"
        cells.append(text)
    return (f"{one.scorer}{'*' if one.baseline else ''}", *cells)


def _in_words(one: Compared) -> str:
    words = {
        "better": f"{one.scorer} is better than {one.against}",
        "worse": f"{one.scorer} is worse than {one.against}",
        "unclear": f"{one.scorer} and {one.against}: no difference shown",
    }
    return f"{words[one.verdict]}: {one.difference:+.4f} ({one.low:+.4f} to {one.high:+.4f})"


__all__ = ["add", "add_asked", "evaluated", "print_evaluation", "run", "tell_failures"]
