"""`visavis evaluate`: tables, words and JSON, on a store and on two files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Command


def _sales(path: Path, first: int, days: int) -> Path:
    lines = [
        f"c{customer},i{customer % 7},2026-01-{day:02}"
        for day in range(first, first + days)
        for customer in range(day % 3, 30, 3)
    ]
    path.write_text("customer,item,date\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def store(tmp_path: Path, run: Command) -> Path:
    path = tmp_path / "shop.duckdb"
    assert run("import", _sales(tmp_path / "sales.csv", 1, 25), "--data", path).code == 0
    return path


def test_a_table_and_what_it_says(run: Command, store: Path) -> None:
    ended = run("evaluate", "repeat", "--days", 7, "--data", store)
    assert ended.code == 0, ended.err
    assert "what customers with a past bought (30 customers)" in ended.out
    header = next(line for line in ended.out.splitlines() if line.startswith("scorer"))
    assert header.split()[:2] == ["scorer", "NDCG@10"]
    assert "own_counts*" in ended.out
    assert "repeat and own_counts: no difference shown" in ended.out
    assert "fit repeat" in ended.err


def test_json(run: Command, store: Path) -> None:
    ended = run("evaluate", "--days", 7, "--end", "2026-01-25", "--seed", 3, "--format", "json", "--data", store)
    told = ended.json
    assert (told["begin"], told["end"]) == ("2026-01-18T00:00:00+00:00", "2026-01-25T00:00:00+00:00")
    assert told["seed"] == 3
    assert {line["scorer"] for line in told["judged"]} >= {"popular_ever", "popularity", "repeat", "item_similarity"}


def test_a_split_of_ones_own(run: Command, tmp_path: Path) -> None:
    train, test = _sales(tmp_path / "train.csv", 1, 20), _sales(tmp_path / "test.csv", 21, 5)
    ended = run("evaluate", "repeat", "--train", train, "--test", test)
    assert ended.code == 0, ended.err
    assert "in the test file" in ended.out
    assert "repeat" in ended.out
    assert not list(tmp_path.glob("*.duckdb*"))
    told = run("evaluate", "repeat", "--train", train, "--test", test, "--format", "json").json
    assert told["begin"] is None
    # Everybody buys one and the same item again: it is the first of each list.
    line = next(one for one in told["judged"] if (one["scorer"], one["task"]) == ("repeat", "repeat_allowed"))
    assert {measure["value"] for measure in line["measures"] if measure["name"] in ("ndcg", "recall", "mrr")} == {1.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--train", "a.csv"), "--train and --test go together"),
        (("--train", "a.csv", "--test", "b.csv", "--end", "2026-01-01"), "give one of them"),
        (("--train", "a.csv", "--test", "b.csv", "--days", "7"), "give one of them"),
        (("--end", "soon"), "--end is 'soon'; give a day, as 2026-10-31"),
        (("nosuch",), "there is no scorer 'nosuch'; known are"),
        (("--days", "400"), "give fewer days than 400"),
    ],
)
def test_refusals_say_what_to_do(run: Command, store: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = run("evaluate", *arguments, "--data", store)
    assert ended.code == 1
    assert words in ended.err


def test_a_page_that_needs_nothing_else(run: Command, store: Path, tmp_path: Path) -> None:
    ended = run("report", "evaluation", "--days", 7, "--out", tmp_path / "page.html", "--data", store)
    assert ended.code == 0, ended.err
    assert ended.out == f"wrote {tmp_path / 'page.html'}\n"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What customers with a past bought (30 customers)" in page
    assert page.count("<svg") == page.count("</svg>") >= 2
    assert not [word for word in ("http:", "https:", "<script", "src=", "url(") if word in page]
    again = run("report", "evaluation", "--days", 7, "--out", tmp_path / "page.html", "--data", store)
    assert again.code == 1
    assert "say --replace" in again.err
    assert run("report", "evaluation", "repeat", "--days", 7, "--out", tmp_path / "page.html", "--replace", "--data",
               store).code == 0  # fmt: skip
    page_before = (tmp_path / "page.html").read_text(encoding="utf-8")
    nowhere = run("report", "evaluation", "--days", 7, "--out", tmp_path / "no" / "page.html", "--data", store)
    assert nowhere.code == 1
    assert "there is no folder" in nowhere.err
    assert "own places" in page_before
    assert [one.name for one in tmp_path.glob(".page*")] == []


def test_rows_that_are_left_out_of_a_split_are_told(run: Command, tmp_path: Path) -> None:
    train, test = _sales(tmp_path / "train.csv", 1, 20), _sales(tmp_path / "test.csv", 21, 5)
    with test.open("a") as stream:
        stream.write("c1,i1,2026-01-99\n")
    ended = run("evaluate", "repeat", "--train", train, "--test", test)
    assert ended.code == 0
    assert "test.csv: 1 of 51 rows are left out" in ended.err


def test_nothing_judged_is_a_failure(run: Command, store: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "tired.py").write_text(
        "import visavis\n\nclass Tired(visavis.Scorer):\n    name = 'tired'\n\n"
        "    def score(self, customers, candidates):\n        raise RuntimeError('\\ud800 <b>')\n\n"
        "@visavis.hookimpl\ndef visavis_scorers():\n    return [Tired]\n"
    )
    ended = run("evaluate", "tired", "--days", 7, "--plugins-dir", tmp_path / "plugins", "--data", store)
    assert ended.code == 1
    assert "scorer tired is left out" in ended.err
    assert "own_counts*" in ended.out
