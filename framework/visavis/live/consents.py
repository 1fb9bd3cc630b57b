"""Each customer's word, and the one gate that every personal answer and every contact asks.

Of two words on the same purpose and channel the later one holds, whatever the order in which they arrive; of two given
at the same moment the objection. A word on all channels and one on a single channel stand side by side: a general
objection cancels the channel grants given before it, a general grant does not cancel an objection to one channel.
The view `consent_state` says the same in SQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visavis.model import Consent
from visavis.store.identities import read_consents

if TYPE_CHECKING:
    import duckdb

PERSONALIZATION = "personalization"
MARKETING = "marketing"
PURPOSES = (PERSONALIZATION, MARKETING)

_NEVER = datetime.min.replace(tzinfo=UTC)


class Consents:
    """The word of each customer that holds on each purpose and channel. Written by one thread, read by any."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._words: dict[int, dict[tuple[str, str], Consent]] = {}
        self._objectors: set[int] = set()
        for customer, purpose, channel, granted, source, at in read_consents(cursor):
            self.set(customer, Consent(purpose, granted, channel, source, at.replace(tzinfo=UTC)))

    def set(self, customer: int, consent: Consent) -> None:
        """Take in a word that was committed; one that is older than the word held changes nothing."""
        key = consent.purpose, consent.channel
        words = self._words.get(customer, {})
        held = words.get(key)
        if held is not None and _strength(consent) < _strength(held):
            return
        # A new dict, because a reader may hold the old one.
        self._words[customer] = {**words, key: consent}
        if key == (PERSONALIZATION, ""):
            (self._objectors.discard if consent.granted else self._objectors.add)(customer)

    def of(self, customer: int) -> tuple[Consent, ...]:
        """Every word that holds, oldest first."""
        words = self._words.get(customer, {})
        held = [word for word in words.values() if not _is_cancelled(word, words)]
        return tuple(sorted(held, key=lambda word: (word.at or _NEVER, word.purpose, word.channel)))

    def may_personalize(self, customer: int) -> bool:
        """Allowed until objected to (GDPR 21(1) on profiling by legitimate interest)."""
        return customer not in self._objectors

    def objecting(self, customers: NDArray[np.int32]) -> list[int]:
        """Places of those among these customers who may not be personalized."""
        if not self._objectors:
            return []
        return [place for place, code in enumerate(customers.tolist()) if code in self._objectors]

    def objectors(self) -> NDArray[np.int32]:
        """int32 [n]: codes of the customers who objected to personalization, ascending."""
        # A copy first: the writer may add to the set meanwhile, and copying is one step of the interpreter.
        return np.sort(np.array(list(self._objectors.copy()), dtype=np.int32))

    def may_market(self, customer: int, channel: str = "") -> bool:
        """Denied until granted, on a channel; empty: on at least one. The channel's own word is stronger."""
        words = self._words.get(customer, {})
        if channel:
            word = words.get((MARKETING, channel))
            if word is None or _is_cancelled(word, words):
                word = words.get((MARKETING, ""))
            return word is not None and word.granted
        return any(
            word.granted and word.purpose == MARKETING and not _is_cancelled(word, words) for word in words.values()
        )


def _strength(word: Consent) -> tuple[datetime, bool]:
    return word.at or _NEVER, not word.granted


def _is_cancelled(word: Consent, words: dict[tuple[str, str], Consent]) -> bool:
    """Whether a channel grant was overruled by an objection to all channels that is not older."""
    if not word.channel or not word.granted:
        return False
    general = words.get((word.purpose, ""))
    return general is not None and not general.granted and _strength(general) > _strength(word)


__all__ = ["MARKETING", "PERSONALIZATION", "PURPOSES", "Consents"]
