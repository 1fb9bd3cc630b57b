"""The registry: what it finds, what it refuses and how it says so."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from visavis.errors import InvalidInput, NotFound
from visavis.model import Message, PluginInfo
from visavis.plugin import InteractionsRecorded, Registry, Scorer
from visavis.testing import make_customers, make_features, make_items

SCORER = """
import numpy as np
from visavis.plugin import Scorer, hookimpl
class One(Scorer):
    '''Ones for all.'''
    name = "one"
    def score(self, customers, candidates):
        return np.ones((len(customers), len(candidates)))
@hookimpl
def visavis_scorers(): return [One]
"""

SEGMENTER = """
from visavis.plugin import Segmenter, hookimpl
class Everybody(Segmenter):
    name = "everybody"
    def label(self, features):
        return ["all"] * len(features)
@hookimpl
def visavis_segmenters(): return [Everybody]
"""

CHANNEL = """
from visavis.model import Delivery
from visavis.plugin import Channel, hookimpl
class Void(Channel):
    name = "void"
    def send(self, message):
        return Delivery(message.message_id, False, "gone")
@hookimpl
def visavis_channels(): return [Void]
"""

OBSERVER = """
'''Sees what is recorded.'''
from visavis.plugin import hookimpl
seen = []
@hookimpl
def visavis_interactions_recorded(context): seen.append(context)
"""


def load(folder: Path, **settings: object) -> Registry:
    return Registry.load(plugins_dir=folder, entry_points=False, **settings)  # type: ignore[arg-type]


def only(registry: Registry, name: str) -> PluginInfo:
    (info,) = [info for info in registry.infos() if info.name == name]
    return info


def module_of(folder: Path, stem: str) -> object:
    (module,) = [
        m
        for n, m in sys.modules.items()
        if n.startswith("_visavis_plugin_") and m.__file__ == str(folder / f"{stem}.py")
    ]
    return module


def test_visavis_scorers(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    registry = load(folder)
    scorer = registry.build_scorer("one")
    assert scorer.score(make_customers([], [-1]), make_items(2)).tolist() == [[1.0, 1.0]]
    assert scorer is not registry.build_scorer("one")
    assert dict(registry.scorers) == {"one": type(scorer)}
    assert registry.problems == ()


def test_visavis_segmenters(folder: Path) -> None:
    (folder / "a.py").write_text(SEGMENTER)
    registry = load(folder)
    assert registry.build_segmenter("everybody").label(make_features([(1, 1, 1, 1)])) == ["all"]
    assert [*registry.segmenters] == ["everybody"]


def test_visavis_channels(folder: Path) -> None:
    (folder / "a.py").write_text(CHANNEL)
    registry = load(folder)
    assert registry.build_channel("void").send(Message("m", "void", "c", "", "", "")).detail == "gone"
    assert [*registry.channels] == ["void"]


def test_visavis_interactions_recorded(folder: Path) -> None:
    (folder / "watch.py").write_text(OBSERVER)
    registry = load(folder)
    context = InteractionsRecorded(["view"], ["c"], ["i"])
    assert registry.observes_interactions
    registry.interactions_recorded(context)
    assert module_of(folder, "watch").seen == [context]  # type: ignore[attr-defined]
    info = only(registry, "watch")
    assert (info.kind, info.summary, info.error) == ("observer", "Sees what is recorded.", "")


def test_an_observer_that_raises_stops_nobody_and_is_logged_without_what_customers_did(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a_breaks.py").write_text(
        OBSERVER.replace("seen.append(context)", "raise KeyError(context.customer_ids)")
    )
    (folder / "b_watches.py").write_text(OBSERVER)
    registry = load(folder)
    with caplog.at_level(logging.INFO, "visavis.plugin"):
        registry.interactions_recorded(InteractionsRecorded(["view"], ["secret-customer"], ["i"]))
    assert len(module_of(folder, "b_watches").seen) == 1  # type: ignore[attr-defined]
    assert "plugin a_breaks" in caplog.text
    assert "KeyError at a_breaks.py:6" in caplog.text
    assert "secret-customer" not in caplog.text


def test_an_observer_that_exits_stops_nobody(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the writer's thread, which would end with it."""
    (folder / "a_leaves.py").write_text(OBSERVER.replace("seen.append(context)", "raise SystemExit(1)"))
    load(folder).interactions_recorded(InteractionsRecorded(["view"], ["c"], ["i"]))
    assert "SystemExit at a_leaves.py:6" in caplog.text


def test_no_observer_no_context_needed(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    assert not load(folder).observes_interactions


def test_info_of_a_loose_file(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    info = only(load(folder), "one")
    assert info == PluginInfo(
        name="one",
        kind="scorer",
        version="folder",
        source=str(folder / "a.py"),
        enabled=True,
        options_schema={"type": "object", "properties": {}, "additionalProperties": False},
        summary="Ones for all.",
    )


def test_a_loose_plugin_may_say_its_version(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER.replace('name = "one"', 'name = "one"; version = "3.1"'))
    assert only(load(folder), "one").version == "3.1"


def test_info_of_an_installed_plugin(install) -> None:  # type: ignore[no-untyped-def]
    install("strangers", {"one": "strangers_one"}, {"strangers_one": SCORER})
    info = only(Registry.load(), "one")
    assert (info.version, info.source, info.error) == ("1.2", "strangers 1.2: strangers_one", "")


def test_loading_leaves_no_litter(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    (folder / "_helper.py").write_text("raise RuntimeError('not a plugin')")
    (folder / "notes.txt").write_text("not a plugin either")
    assert load(folder).problems == ()
    assert sorted(path.name for path in folder.iterdir()) == ["_helper.py", "a.py", "notes.txt"]


def test_a_file_cannot_stand_in_for_an_installed_module(folder: Path) -> None:
    (folder / "json.py").write_text(SCORER)
    load(folder)
    import json

    assert json.loads("1") == 1


def test_infos_are_sorted_by_kind_then_name(folder: Path) -> None:
    for stem, text in (("z", CHANNEL), ("y", SEGMENTER), ("x", SCORER), ("w", SCORER.replace('"one"', '"a_one"'))):
        (folder / f"{stem}.py").write_text(text)
    found = [(info.kind, info.name) for info in load(folder).infos()]
    assert found == [("channel", "void"), ("scorer", "a_one"), ("scorer", "one"), ("segmenter", "everybody")]


def _with_method(method: str) -> str:
    return SCORER.replace("    def score", f"    {method}\n    def score")


BROKEN = {
    "import error": ("import nowhere_to_be_found", "cannot be imported: ModuleNotFoundError: No module named"),
    "syntax error": ("def (:", "cannot be imported: SyntaxError"),
    "leaves": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
    "not text": ("\udc80", "cannot be imported: "),
    "no hook": ("x = 1", "implements no hook"),
    "unmarked": (SCORER.replace("@hookimpl", ""), "visavis_scorers is not marked; write @hookimpl"),
    "misspelt": (SCORER.replace("visavis_scorers", "visavis_scorer"), "unknown hook 'visavis_scorer'"),
    "wrong signature": (SCORER.replace("visavis_scorers()", "visavis_scorers(shop)"), "shop"),
    "raises": (SCORER.replace("return [One]", "raise OSError('full\\nup')"), "visavis_scorers raised OSError: full up"),
    "forgot to return": (SCORER.replace("return [One]", "pass"), "visavis_scorers returned None; return a list"),
    "no list": (SCORER.replace("[One]", "One"), "return a list of classes"),
    "an instance": (SCORER.replace("[One]", "[One()]"), "is no subclass of Scorer"),
    "wrong kind": (SEGMENTER.replace("visavis_segmenters", "visavis_scorers"), "no subclass of Scorer"),
    "no name": (SCORER.replace('    name = "one"\n', ""), "One.name is None; give up to 64"),
    "bad name": (SCORER.replace('"one"', '"One-1"'), "One.name is 'One-1'"),
    "long name": (SCORER.replace('"one"', '"o" * 65'), "give up to 64"),
    "no score": (SCORER.replace("def score", "def scores"), "One does not define score"),
    "bad mode": (SCORER.replace('"one"', '"one"; mode = "lively"'), "One.mode is 'lively'"),
    "fit never called": (_with_method("def fit(self, history): return self"), "say mode = 'fitted'"),
    "constructor fails": (_with_method("def __init__(self, options): 1 / 0"), "ZeroDivisionError"),
    "options no dataclass": (SCORER.replace('"one"', '"one"; Options = dict'), "Options of one is no dataclass"),
    "claimed twice in a file": (SCORER.replace("[One]", "[One, One]"), "the name is claimed by"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_plugins_are_named_and_left_out(fault: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, reason = BROKEN[fault]
    (folder / "broken.py").write_bytes(text.encode("utf-8", "surrogateescape"))
    (folder / "healthy.py").write_text(SCORER.replace('"one"', '"healthy"'))
    registry = load(folder)
    assert [*registry.scorers] == ["healthy"]
    faults = [info for info in registry.infos() if info.error]
    assert {info.source for info in faults} == {str(folder / "broken.py")}
    assert all(reason in info.error for info in faults), faults
    assert all("\n" not in info.error for info in faults)
    assert len(registry.problems) == len(faults) > 0
    for problem in registry.problems:
        assert "broken.py" in problem
        assert problem in caplog.text
    path = str(folder / "broken.py")
    imported = any(getattr(module, "__file__", None) == path for module in [*sys.modules.values()])
    assert not (imported and "cannot be imported" in reason), "half a module was left in sys.modules"


def test_a_broken_entry_point_names_distribution_and_module(install) -> None:  # type: ignore[no-untyped-def]
    install("strangers", {"gone": "strangers_gone", "thing": "strangers_two:thing"}, {"strangers_two": "thing = 3"})
    registry = Registry.load()
    gone, thing = only(registry, "gone"), only(registry, "thing")
    assert gone.source == "strangers 1.2: strangers_gone"
    assert "No module named 'strangers_gone'" in gone.error
    assert "names 3; name a module" in thing.error
    assert (gone.kind, thing.kind) == ("module", "module")


def test_one_bad_class_leaves_the_others_of_its_module(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER.replace("[One]", "[int, One]"))
    registry = load(folder)
    assert [*registry.scorers] == ["one"]
    assert "<class 'int'>" in only(registry, "a").error


def test_two_claimants_of_one_name_are_both_refused_and_named(folder: Path, install) -> None:  # type: ignore[no-untyped-def]
    (folder / "a.py").write_text(SCORER)
    install("strangers", {"other": "strangers_one"}, {"strangers_one": SCORER})
    registry = Registry.load(plugins_dir=folder)
    claimants = [info for info in registry.infos() if info.name == "one"]
    assert len(claimants) == 2
    for info in claimants:
        assert str(folder / "a.py") in info.error
        assert "strangers 1.2: strangers_one" in info.error
    with pytest.raises(NotFound, match="claimed by"):
        registry.build_scorer("one")
    # disabling one by its entry point settles it
    assert "one" in Registry.load(plugins_dir=folder, disabled=frozenset({"other"})).scorers


def test_one_name_in_two_kinds_is_no_conflict(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    (folder / "b.py").write_text(SEGMENTER.replace('"everybody"', '"one"'))
    registry = load(folder)
    assert "one" in registry.scorers
    assert "one" in registry.segmenters


def test_disabled_files_are_listed_and_not_imported(folder: Path) -> None:
    (folder / "danger.py").write_text("import pathlib; pathlib.Path(__file__).with_name('ran').touch()")
    registry = load(folder, disabled=frozenset({"danger"}))
    info = only(registry, "danger")
    assert (info.enabled, info.error, info.kind) == (False, "", "module")
    assert not (folder / "ran").exists()
    assert registry.problems == ()


def test_disabled_classes_are_listed_and_not_used(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    registry = load(folder, disabled=frozenset({"one"}))
    assert not only(registry, "one").enabled
    assert not registry.scorers
    with pytest.raises(NotFound, match=r"a\.py is disabled"):
        registry.build_scorer("one")


def test_settings_that_fit_no_plugin_are_problems(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    registry = load(folder, disabled=frozenset({"nobody"}), options={"no_one": {"x": 1}, "one": {}})
    assert registry.problems == (
        "[plugins.no_one] gives options, but no plugin has that name",
        "disabled_plugins names 'nobody', but no plugin has that name",
    )


def test_bad_options_break_their_plugin_alone(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    (folder / "b.py").write_text(SEGMENTER)
    registry = load(folder, options={"one": {"colour": "red"}})
    assert not registry.scorers
    assert [*registry.segmenters] == ["everybody"]
    assert "plugins.one.colour: is no option of one" in only(registry, "one").error


def test_unknown_names_list_the_known(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    (folder / "b.py").write_text("import nowhere_to_be_found")
    registry = load(folder)
    with pytest.raises(NotFound, match=r"there is no scorer 'two'; known are one$") as caught:
        registry.build_scorer("two")
    assert caught.value.reason == "UNKNOWN_PLUGIN"
    assert caught.value.metadata == {"kind": "scorer", "name": "two", "known": "one"}
    with pytest.raises(NotFound, match=r"known are one; .*b\.py is broken: cannot be imported"):
        registry.build_scorer("b")
    with pytest.raises(NotFound, match="there is no channel 'one'; known are none"):
        registry.build_channel("one")


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_plugins_dir_that_is_none_is_the_callers_mistake(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    if kind == "a file":
        path.write_text("")
    with pytest.raises(InvalidInput, match=r"plugins_dir: is '.*nowhere', which cannot be read") as caught:
        load(path)
    assert caught.value.violations[0].field == "plugins_dir"


def test_registries_do_not_share_classes(folder: Path) -> None:
    (folder / "a.py").write_text(SCORER)
    first, second = load(folder), load(folder)
    assert first.scorers["one"] is not second.scorers["one"]
    assert isinstance(first.build_scorer("one"), Scorer)
