"""Clients in other languages agree with the Python client to the last item."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.clients.conversation import STEPS
from tests.clients.languages import FOLDER, LANGUAGES, Broken, Language, Missing, call, prepare
from tests.clients.live import CONVERSATION


def ready(language: Language) -> None:
    """Build the client, or skip with the reason."""
    try:
        prepare(language)
    except Missing as missing:
        if missing.registry and os.environ.get("VISAVIS_TEST_CLIENTS") == "require":
            raise
        pytest.skip(str(missing))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_holds_the_same_conversation(
    language: Language, live: Callable[[], dict[str, str]], python_transcript: dict[str, Any]
) -> None:
    ready(language)
    env = live()
    transcript = json.loads(call(language, (*language.run, str(CONVERSATION)), env))
    assert list(transcript) == list(python_transcript)
    for step, expected in python_transcript.items():
        assert transcript[step] == expected, f"{step} in {language.name}"
    if language.quickstart:
        _, command = language.quickstart
        said = call(language, command, env)
        assert "Tea Strainer" in said
        assert "because you bought Glass Teapot" in said


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_its_page_gives_what_is_tested(language: Language) -> None:
    page = (language.folder / "README.md").read_text(encoding="utf-8")
    for command in (*language.fetch, *language.build, language.run):
        assert " ".join(word for word in command if word != "--silent") in page.replace(" --silent", "")
    if language.quickstart:
        file, command = language.quickstart
        assert (language.folder / file).read_text(encoding="utf-8") in page
        assert " ".join(command) in page


def test_the_conversation_says_what_it_should(python_transcript: dict[str, Any]) -> None:
    said = python_transcript
    assert list(said) == [step.__name__ for step in STEPS]
    assert set(said["health"].values()) == {"SERVING"}
    assert "visavis.api.v1.InteractionService" in said["services"]
    assert said["record"] == [
        {"recorded_count": 3, "already_known_count": 0},
        {"recorded_count": 0, "already_known_count": 3},
    ]
    first, bad, third = said["stream"]
    assert (first["recorded_count"], first["error"]) == (2, None)
    assert [field for field, _ in bad["error"]["violations"]] == ["interactions[1].kind", "interactions[2].kind"]
    assert (third["recorded_count"], third["already_known_count"], third["error"]) == (1, 1, None)
    _, by_card, new, nobody = said["recommend"]
    assert by_card["customer_id"] == "Zoë Müller"
    assert not new["fallback"], "what the conversation recorded is known to the next call"
    assert nobody["fallback"]
    for answer in said["recommend"]:
        assert answer["decision_id"]
        assert len(answer["items"]) == 5
        for item in answer["items"]:
            parts = [float(reason["contribution"]) for reason in item["reasons"]]
            assert sum(parts) == pytest.approx(float(item["score"]), abs=1e-8)
    assert any(reason["item_name"] == "Sencha 煎茶" for item in new["items"] for reason in item["reasons"])
    assert [field for field, _ in said["refused"]["violations"]] == [
        "interactions[1].kind",
        "interactions[2].quantity",
        "interactions[2].amount.currency",
    ]
    assert said["no_key"] == said["wrong_key"] == {"code": "UNAUTHENTICATED", "reason": "UNAUTHENTICATED"}
    assert said["deadline"] == {"code": "DEADLINE_EXCEEDED"}
    assert said["retried"] == {"status": "SERVING"}
    assert said["profile"]["interaction_count"] == 8
    assert [item["rank"] for item in said["similar"]["items"]] == [1, 2, 3, 4]


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(Missing, match=r"^nosuchtool is not installed; install No Such Tool 3") as caught:
        prepare(Language("node", {"nosuchtool": "No Such Tool 3"}, run=()))
    assert not caught.value.registry


def test_every_folder_is_tested_and_listed() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in FOLDER.glob("*/README.md")}
    assert folders == {language.name for language in LANGUAGES}
    for name in folders:
        assert f"[{name}]({name}/README.md)" in page


@pytest.mark.parametrize(("said", "missing"), [("npm error code ENOTFOUND", True), ("a type error", False)])
def test_a_lost_registry_is_told_from_a_broken_build(said: str, missing: bool) -> None:
    build = (("sh", "-c", f"echo '{said}' >&2; exit 1"),)
    with pytest.raises(Missing if missing else Broken, match=said):
        prepare(Language("node", {}, run=(), build=build))
