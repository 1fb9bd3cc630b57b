"""Keys as values: made, rotated, revoked, found by their secret, kept as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.errors import Conflict, InvalidInput, NotFound
from visavis.rpc import keys as module
from visavis.rpc.keys import Key, check_new, create, find, from_json, new_secret, revoke, rotate, to_json

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def made(key_id: str = "web", *, expires_at: datetime | None = None) -> tuple[dict[str, Key], str]:
    key, secret = create({}, NOON, scopes=("read",), key_id=key_id, expires_at=expires_at, note="till 3")
    return {key_id: key}, secret


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(1000)}
    assert len(secrets) == 1000
    assert {len(secret) for secret in secrets} == {43}  # 256 bits, six a sign
    assert not [secret for secret in secrets if "." in secret or not secret.isascii()]


def test_a_key_keeps_no_secret() -> None:
    keys, secret = made()
    kept = json.dumps(to_json(keys)) + repr(keys)
    assert secret not in kept
    # Salted: the same secret leaves something else each time.
    first, second = module.keep("same", NOON), module.keep("same", NOON)
    assert first.hash != second.hash
    assert first.matches("same")
    assert not first.matches("same ")
    assert first.hash.hex() not in repr(first)


def test_a_secret_finds_its_own_key_only() -> None:
    keys, secret = made()
    other, _ = create(keys, NOON, scopes=("read",), key_id="other", expires_at=None, note="")
    keys["other"] = other
    assert find(keys, "web", secret, NOON) is keys["web"]
    for key_id, text in (("web", secret[:-1]), ("web", ""), ("other", secret), ("", secret), ("nobody", secret)):
        assert find(keys, key_id, text, NOON) is None
    assert find(keys, "web", "\udcff\x00", NOON) is None
    assert find({}, "web", secret, NOON) is None


@pytest.mark.parametrize("key_id", ["web", "rotated", "expired", "revoked", "nobody", ""])
@pytest.mark.parametrize("right", [True, False])
def test_every_answer_costs_the_same_comparisons(monkeypatch: pytest.MonkeyPatch, key_id: str, right: bool) -> None:
    """Two comparisons in constant time, whatever is wrong: no measure of time, but nothing that could make one."""
    keys, secret = made()
    keys["rotated"], newer = rotate({"rotated": made("rotated")[0]["rotated"]}, "rotated", NOON, overlap=DAY)
    keys["expired"], _ = create({}, NOON, scopes=(), key_id="expired", expires_at=NOON, note="")
    keys["revoked"] = revoke(made("revoked")[0], "revoked", NOON)
    compared: list[tuple[int, int]] = []
    real = module.hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return real(a, b)

    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    find(keys, key_id, {"web": secret, "rotated": newer}.get(key_id, "x") if right else "wrong", NOON)
    assert compared == [(32, 32), (32, 32)]


def test_rotation_leaves_the_secret_before_for_a_while() -> None:
    keys, first = made()
    keys["web"], second = rotate(keys, "web", NOON, overlap=DAY)
    assert first != second
    assert find(keys, "web", second, NOON + 9 * DAY)
    assert find(keys, "web", first, NOON + DAY - timedelta(seconds=1))
    assert find(keys, "web", first, NOON + DAY) is None
    keys["web"], third = rotate(keys, "web", NOON, overlap=DAY)
    assert [bool(find(keys, "web", secret, NOON)) for secret in (first, second, third)] == [False, True, True]
    keys["web"], fourth = rotate(keys, "web", NOON, overlap=timedelta(0))
    assert [bool(find(keys, "web", secret, NOON)) for secret in (third, fourth)] == [False, True]


def test_expired_keys_are_renewed_only_on_request() -> None:
    keys, _ = made(expires_at=NOON + DAY)
    assert (keys["web"].state(NOON), keys["web"].state(NOON + DAY)) == ("valid", "expired")
    with pytest.raises(InvalidInput, match="the key 'web' is expired; renew it with --expires"):
        rotate(keys, "web", NOON + DAY, overlap=DAY)
    renewed, _ = rotate(keys, "web", NOON + DAY, overlap=DAY, expires_at=NOON + 9 * DAY)
    assert renewed.state(NOON + 2 * DAY) == "valid"
    kept, _ = rotate(keys, "web", NOON, overlap=DAY)
    assert kept.expires_at == NOON + DAY


def test_revoked_is_for_ever() -> None:
    keys, _ = made()
    keys["web"] = revoke(keys, "web", NOON)
    assert revoke(keys, "web", NOON + DAY).revoked_at == NOON
    assert keys["web"].state(NOON - 9 * DAY) == "revoked"  # also for a clock that was set back
    with pytest.raises(InvalidInput, match="is revoked; make another key"):
        rotate(keys, "web", NOON, overlap=DAY, expires_at=NOON + DAY)
    with pytest.raises(Conflict, match=r"the key 'web' exists already \(revoked\)"):
        create(keys, NOON, scopes=("read",), key_id="web", expires_at=None, note="")


def test_unknown_ids_are_named() -> None:
    for change in (lambda: revoke({}, "web", NOON), lambda: rotate({}, "web", NOON, overlap=DAY)):
        with pytest.raises(NotFound, match="there is no key 'web'; `visavis keys list` shows"):
            change()


def test_ids_are_made_up_without_a_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aa", "aa", "bb"])
    monkeypatch.setattr(module.secrets, "token_hex", lambda _: next(drawn))
    keys: dict[str, Key] = {}
    for _ in range(2):
        key, _ = create(keys, NOON, scopes=("read",), key_id=None, expires_at=None, note="")
        keys[key.key_id] = key
    assert list(keys) == ["key-aa", "key-bb"]


@pytest.mark.parametrize("key_id", ["", "a.b", "-a", "_a", "a b", "ä", "a" * 65, "a\n", "owner"])
def test_ids_that_cannot_be(key_id: str) -> None:
    with pytest.raises(InvalidInput, match="--id: is "):
        check_new(key_id, "")


def test_notes_are_short_and_printable() -> None:
    check_new("a" * 64, "Käthe ☕" + "x" * 100)
    for note in ("x" * 201, "a\nb", "\x1b[31m"):
        with pytest.raises(InvalidInput, match="--note: "):
            check_new(None, note)


moments = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
some_keys = st.builds(
    Key,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True).filter(lambda name: name != "owner"),
    st.lists(st.sampled_from(["ingest", "decide", "read"]), unique=True).map(tuple),
    st.lists(
        st.builds(
            module.Secret,
            st.binary(min_size=16, max_size=16),
            st.binary(min_size=32, max_size=32),
            moments,
            st.none() | moments,
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    moments,
    st.none() | moments,
    st.none() | moments,
    st.text(max_size=20).filter(str.isprintable),
)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(some_keys, max_size=4, unique_by=lambda key: key.key_id))
def test_what_is_kept_comes_back(several: list[Key]) -> None:
    keys = {key.key_id: key for key in several}
    assert from_json(json.loads(json.dumps(to_json(keys)))) == keys


def spoiled(**changes: Any) -> dict[str, Any]:
    table = to_json(made()[0])
    table["keys"][0].update(changes)
    return table


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ([], "is not a file of keys"),
        ({}, "is not a file of keys"),
        ({"version": 2, "keys": []}, "is of another version of Visavis"),
        ({"version": 1, "keys": [3]}, r"its keys\[0\] is not a key"),
        (spoiled(id="a.b"), "is not a key"),
        (spoiled(id="owner"), "is not a key"),
        (spoiled(id=3), "is not a key"),
        (spoiled(scopes="read"), "is not a key"),
        (spoiled(scopes=["everything"]), "is not a key"),
        (spoiled(scopes=[["read"]]), "is not a key"),
        (spoiled(secrets=[]), "is not a key"),
        (
            spoiled(secrets=[{"salt": "00", "sha256": "00", "created_at": "2026-01-01", "expires_at": None}]),
            "not a key",
        ),
        (spoiled(created_at=None), "is not a key"),
        (spoiled(created_at="2026-01-01T00:00:00"), "is not a key"),  # without a zone
        (spoiled(revoked_at="0001-01-01T00:00:00+14:00"), "is not a key"),
        (spoiled(revoked_at=False), "is not a key"),
        (spoiled(note=None), "is not a key"),
        ({"version": 1, "keys": spoiled()["keys"] * 2}, "repeats the id 'web'"),
    ],
)
def test_damage_is_told(table: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        from_json(table)


def test_nothing_of_a_key_may_be_missing() -> None:
    for name in spoiled()["keys"][0]:
        table = spoiled()
        del table["keys"][0][name]
        with pytest.raises(ValueError, match="is not a key"):
            from_json(table)
