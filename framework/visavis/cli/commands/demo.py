"""`visavis demo`: the whole way, with a simulated shop: import, learn, serve, ask, record, ask again."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visavis.cli.commands import fit, import_file
from visavis.cli.commands.recommend import print_recommendation
from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.progress import ProgressReport
from visavis.config import load_settings
from visavis.errors import InvalidInput
from visavis.model import Interaction, Recommendation

if TYPE_CHECKING:
    from visavis.client import Client
    from visavis.testing.shop import SimulatedShop

_UNKNOWN = "somebody-new"
_COUNT = 5  # items asked for
_LATELY = 4  # purchases shown of a customer
_TYPICAL = 8  # different products that the customers shown have bought
_NEW = 2  # products bought in the end


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "demo",
        run,
        help="see it work: a simulated shop is imported, learnt from, served and asked",
        description="See it work, without a network: simulate a small shop, import its sales file, learn, serve on a\n"
        "loopback port, and ask over gRPC. It leaves nothing behind, unless --keep names a folder.",
        example="visavis demo --keep my_demo",
        interrupted="without --keep it leaves nothing behind",
    )
    parser.add_argument("--keep", metavar="FOLDER", help="keep the sales file and the store in this folder")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another shop (default: 1)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Tell the story; with JSON, answer all its parts at the end."""
    if args.seed < 0:
        raise InvalidInput(f"--seed is {args.seed}; give 0 or more")
    with _folder(args.keep) as folder:
        story = _Story(out)
        _tell(args, story, folder)
    if out.as_json:
        out.json(story.parts)
    elif args.keep:
        out.line()
        out.line(f"Kept in {args.keep}. Go on with: visavis recommend {story.first} --data {args.keep}/shop.duckdb")
    return 0


class _Story:
    """What is shown as it happens, or gathered for JSON."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.parts: dict[str, object] = {}
        self.first = ""

    def chapter(self, title: str) -> None:
        """A heading."""
        self.say()
        self.say(f"== {title}")
        self.say()
        self.out.flush()

    def say(self, text: str = "") -> None:
        """One line."""
        if not self.out.as_json:
            self.out.line(text)


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="visavis-demo-") as name:
            yield Path(name)
        return
    folder = Path(keep)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise InvalidInput(f"--keep is {keep!r}, which cannot be used ({error.strerror}); give a new folder") from None
    if taken:
        raise InvalidInput(f"--keep is {keep!r}, which is not empty; give a new folder")
    yield folder


def _tell(args: argparse.Namespace, story: _Story, folder: Path) -> None:
    from visavis.client import connect
    from visavis.engine import open_engine
    from visavis.testing.server import serve
    from visavis.testing.shop import simulate_shop

    out = story.out
    story.chapter("A small shop, simulated")
    shop = simulate_shop(seed=args.seed)
    sales = shop.write_csv(folder / "sales.csv")
    story.say(
        f"{len(shop.tastes)} customers, {len(shop.names)} products, {len(shop.rows):,} lines in {sales.name}. Every "
        "customer has a taste"
    )
    story.say("and some habits that Visavis is not told of; it sees the sales file alone:")
    story.say()
    with sales.open(encoding="utf-8") as lines:
        for _, line in zip(range(4), lines, strict=False):
            story.say(f"  {line.rstrip()}")
    # Not the settings of the folder where somebody tries this: the demo is to be the same everywhere.
    overrides = {"data": folder / "shop.duckdb", "currency": "GBP", "time_zone": "Europe/London"}
    settings = load_settings({**overrides, "plugins_dir": args.plugins_dir}, file=args.config or os.devnull, environ={})
    with open_engine(settings=settings, purpose="visavis demo") as engine:
        story.chapter("Import: visavis import sales.csv")
        with ProgressReport(sys.stderr) as progress:
            imported = engine.identify.import_file(sales, progress=progress)
        story.parts["import"] = imported
        if not out.as_json:
            import_file.print_report(imported, out)
        story.chapter("Learn: visavis fit")
        out.flush()
        with ProgressReport(sys.stderr) as progress:
            fitted = engine.admin.fit(progress=progress)
        story.parts["fit"] = fitted
        if not out.as_json:
            fit.print_report(fitted, out)
        with serve(engine) as server:
            story.chapter(f"Serve and ask over gRPC, at {server.address}")
            with connect(server.address) as client:
                _ask(client, shop, story)


def _ask(client: Client, shop: SimulatedShop, story: _Story) -> None:
    chosen = _customers(shop)
    story.first = chosen[0]
    answers = []
    for customer in chosen:
        _introduce(customer, shop, story)
        answers.append(_show(client.recommend(customer, _COUNT), story))
    story.say(f'"{_UNKNOWN}" has never been here. The answer says so, and does not pretend:')
    answers.append(_show(client.recommend(_UNKNOWN, _COUNT), story))
    story.parts["answers"] = answers
    _change(client, shop, chosen, answers[0], story)


def _change(client: Client, shop: SimulatedShop, chosen: list[str], before: Recommendation, story: _Story) -> None:
    """The first customer buys what the second one likes; nothing is fitted anew."""
    customer, other = chosen[0], chosen[1]
    items = [item for item in _bought(shop)[other] if shop.categories[item] == shop.tastes[other]]
    items = [item for item in items if item not in _bought(shop)[customer]][:_NEW]
    story.chapter("Record over gRPC, and ask again without learning anew")
    names = " and ".join(shop.names[item] for item in items)
    story.say(f"Customer {customer} ({shop.tastes[customer]}) now buys {names} ({shop.tastes[other]}), never before:")
    client.identify.record([Interaction("purchase", customer, item) for item in items])
    after = client.recommend(customer, _COUNT)
    story.parts["after"] = _show(after, story)
    known = {one.item_id for one in before.items}
    added = [
        one.name
        for one in after.items
        if one.item_id not in known and any(reason.item_id in items for reason in one.reasons)
    ]
    story.say(f"New in the list, because of that: {'; '.join(added) or 'nothing, this time'}")


def _bought(shop: SimulatedShop) -> dict[str, dict[str, int]]:
    """What each customer bought: item ids with their counts, in order of the first purchase."""
    bought: dict[str, dict[str, int]] = {}
    for row in shop.rows:
        if row.customer_id and row.quantity > 0:
            items = bought.setdefault(row.customer_id, {})
            items[row.item_id] = items.get(row.item_id, 0) + 1
    return bought


def _customers(shop: SimulatedShop) -> list[str]:
    """Three customers with three tastes, of whom much is known and who have not yet bought everything they like."""
    chosen: dict[str, str] = {}
    bought = _bought(shop)
    for customer in sorted(bought, key=lambda one: (abs(len(bought[one]) - _TYPICAL), one)):
        chosen.setdefault(shop.tastes[customer], customer)
    return list(chosen.values())[:3]


def _introduce(customer: str, shop: SimulatedShop, story: _Story) -> None:
    names = [row.description for row in shop.rows if row.customer_id == customer and row.quantity > 0]
    lately = list(dict.fromkeys(reversed(names)))[:_LATELY]
    story.say(f"Customer {customer} (taste, as simulated: {shop.tastes[customer]}) bought lately: {'; '.join(lately)}")


def _show(answer: Recommendation, story: _Story) -> Recommendation:
    if not story.out.as_json:
        print_recommendation(answer, story.out)
        story.out.line()
    return answer


__all__ = ["add", "run"]
