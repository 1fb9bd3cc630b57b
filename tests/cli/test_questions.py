"""The commands that ask a store: recommend, similar, profile, segments, consent, send, status."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Command

from visavis.testing.shop import SimulatedShop

KEYS = {"customer_id", "decision_id", "scorer", "fallback", "fallback_reason", "generation", "items"}
ITEM_KEYS = {"item_id", "name", "rank", "score", "scorer", "reasons"}
REASON_KEYS = {"kind", "text", "contribution", "item_id", "item_name"}


def test_recommend_as_json(run_process: Command, fitted: Path, shop: SimulatedShop) -> None:
    ended = run_process("recommend", "10001", "-n", 4, "--data", fitted, "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    answer = ended.json
    assert answer.keys() == KEYS
    assert answer["customer_id"] == "10001"
    assert answer["scorer"] == "item_similarity"
    assert answer["fallback"] is False
    assert [one["rank"] for one in answer["items"]] == [1, 2, 3, 4]
    for one in answer["items"]:
        assert one.keys() == ITEM_KEYS
        assert one["name"] == shop.names[one["item_id"]]
        assert all(reason.keys() == REASON_KEYS for reason in one["reasons"])
        assert sum(reason["contribution"] for reason in one["reasons"]) == pytest.approx(one["score"], abs=1e-9)


def test_recommend_as_a_table(run: Command, fitted: Path) -> None:
    ended = run("recommend", "10001", "-n", 3, "--data", fitted)
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].startswith("for 10001 by item_similarity, generation 1, decision ")
    assert lines[1].split() == ["rank", "item", "name", "score", "because"]
    assert len(lines) == 5
    assert "because you bought" in lines[2]


def test_recommend_for_somebody_unknown_says_so(run: Command, fitted: Path) -> None:
    ended = run("recommend", "nobody", "--data", fitted)
    assert ended.code == 0
    assert "not personal, a fall-back: unknown customer" in ended.out
    answer = run("recommend", "loyalty_card:77", "--identifier", "--data", fitted, "--format", "json").json
    assert (answer["fallback"], answer["fallback_reason"]) == (True, "unknown_customer")


def test_recommend_what_was_asked_for(run: Command, fitted: Path, shop: SimulatedShop) -> None:
    def ask(*options: object) -> list[str]:
        answer = run("recommend", "10002", "-n", 30, "--data", fitted, "--format", "json", *options).json
        return [one["item_id"] for one in answer["items"]]

    bought = {row.item_id for row in shop.rows if row.customer_id == "10002" and row.quantity > 0}
    assert bought.isdisjoint(ask("--exclude-bought"))
    assert bought & set(ask("--include-bought"))
    first = ask()[0]
    assert first not in ask("--exclude", first)
    assert ask("--scorer", "popularity")
    assert ask("--category", "no such category") == []
    assert ask("--filter", "price>=999999999") == []
    assert ask("--filter", "category!=garden") == ask()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", 0), "n"),
        (("-n", 1001), "1,000"),
        (("--scorer", "tarot"), "tarot"),
        (("--filter", "colour"), "NAME=VALUE"),
        (("--filter", "=red"), "names no attribute"),
        (("--filter", "price>=cheap"), "'cheap' is no number"),
        (("--identifier",), "kind:value"),
    ],
)
def test_recommend_with_wrong_options(run: Command, fitted: Path, arguments: tuple[object, ...], said: str) -> None:
    ended = run("recommend", "10001", "--data", fitted, *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_recommend_before_the_first_fit(run: Command, sales: Path) -> None:
    run("import", sales, "--data", "new.duckdb")
    ended = run("recommend", "10001", "--data", "new.duckdb")
    assert ended.code == 1
    assert "visavis fit" in ended.err


def test_similar(run: Command, fitted: Path, shop: SimulatedShop) -> None:
    item = next(iter(shop.names))
    ended = run("similar", item, "-n", 3, "--data", fitted)
    assert ended.code == 0
    assert ended.out.startswith(f"like {item} {shop.names[item]} by item_similarity\n")
    answer = run("similar", item, "-n", 3, "--data", fitted, "--format", "json").json
    assert answer.keys() == {"item_id", "name", "scorer", "items"}
    assert [one["rank"] for one in answer["items"]] == [1, 2, 3]
    assert run("similar", item, "--category", "none such", "--data", fitted).out.endswith("what was asked for\n")
    unknown = run("similar", "XYZ", "--data", fitted)
    assert unknown.code == 1
    assert "XYZ" in unknown.err


def test_profile(run: Command, fitted: Path) -> None:
    ended = run("profile", "10001", "--data", fitted)
    assert ended.code == 0
    assert "personalization  allowed" in ended.out
    assert "marketing        not granted" in ended.out
    assert "rfm " in ended.out
    profile = run("profile", "10001", "--data", fitted, "--format", "json").json
    assert profile["customer"]["customer_id"] == "10001"
    assert profile["interaction_count"] > 0
    unknown = run("profile", "nobody", "--data", fitted)
    assert unknown.code == 1
    assert "nobody" in unknown.err


def test_segments_and_their_members(run: Command, fitted: Path) -> None:
    ended = run("segments", "--data", fitted)
    assert ended.out.splitlines()[0].split() == ["segmentation", "segment", "customers"]
    segments = run("segments", "list", "--data", fitted, "--format", "json").json["segments"]
    assert {one["segmentation"] for one in segments} == {"rfm"}
    first = segments[0]
    members = run("segments", "members", "rfm", first["name"], "--data", fitted)
    assert len(members.out.splitlines()) == first["customers"]
    as_json = run("segments", "members", "rfm", first["name"], "--data", fitted, "--format", "json").json
    assert as_json["customer_ids"] == members.out.splitlines()


@pytest.mark.parametrize("arguments", [("list", "rfm"), ("members", "rfm"), ("members", "rfm", "nobody")])
def test_segments_asked_wrongly(run: Command, fitted: Path, arguments: tuple[str, ...]) -> None:
    ended = run("segments", *arguments, "--data", fitted)
    assert ended.code == 1
    assert "`visavis segments` lists" in ended.err or "segments members" in ended.err


def test_consent_holds_at_once(run: Command, data: Path) -> None:
    ended = run("consent", "10001", "--purpose", "personalization", "--deny", "--data", data)
    assert ended == (0, "noted: 10001 has denied personalization\n", "")
    answer = run("recommend", "10001", "--data", data, "--format", "json").json
    assert (answer["fallback"], answer["fallback_reason"]) == (True, "objected")
    word = ("--purpose", "marketing", "--grant", "--channel", "email")
    granted = run("consent", "10001", *word, "--data", data, "--format", "json")
    assert granted.json == {"customer": "10001", "purpose": "marketing", "granted": True, "channel": "email"}
    assert "marketing by email granted" in run("profile", "10001", "--data", data).out
    assert run("consent", "10001", "--purpose", "marketing", "--data", data).code == 2


def test_send_to_oneself(run: Command, data: Path) -> None:
    ended = run("send", "10001", "--channel", "console", "--test-to", "me@example.com", "-n", 2, "--data", data)
    assert ended.code == 0
    assert "10001 <me@example.com>" in ended.out
    assert "console accepted message m-" in ended.out
    as_json = run(
        "send", "10001", "--channel", "console", "--test-to", "me@example.com", "--data", data, "--format", "json"
    )
    assert as_json.json["accepted"] is True
    assert "me@example.com" in as_json.err
    unknown = run("send", "10001", "--channel", "pigeon", "--test-to", "me", "--data", data)
    assert unknown.code == 1
    assert "pigeon" in unknown.err


def test_status(run: Command, fitted: Path, sales: Path) -> None:
    ended = run("status", "--data", fitted)
    assert ended.code == 0
    assert "served at     nowhere" in ended.out
    assert "sending       muted, tests only" in ended.out
    status = run("status", "--data", fitted, "--format", "json").json
    assert (status["generation"], status["customers"], status["muted"]) == (1, 60, True)
    run("import", sales, "--data", "new.duckdb")
    assert "none yet; run `visavis fit`" in run("status", "--data", "new.duckdb").out
