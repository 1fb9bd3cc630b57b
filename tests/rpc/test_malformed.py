"""The short form of the corpus of malformed calls; `make soak` has the long one."""

from __future__ import annotations

from pathlib import Path

from tests.soak.malformed import attempts, methods, run


def test_malformed_calls_are_the_callers_fault_and_change_nothing_else(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=20260101))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) == 3


def test_the_corpus_covers_every_call_and_is_the_same_each_time() -> None:
    once = [(method.full_name, messages) for method, messages in attempts(200, 7)]
    again = [(method.full_name, messages) for method, messages in attempts(200, 7)]
    assert once == again
    assert {name for name, _ in once} == {method.full_name for method in methods()}
    assert len({tuple(messages) for _, messages in once}) > 150
