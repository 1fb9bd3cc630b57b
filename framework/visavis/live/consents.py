"""Each customer's word, and the one gate that every personal answer and every contact asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from visavis.model import Consent
from visavis.store.identities import read_consents

if TYPE_CHECKING:
    import duckdb

PERSONALIZATION = "personalization"
MARKETING = "marketing"
PURPOSES = (PERSONALIZATION, MARKETING)


class Consents:
    """The last word of each customer on each purpose and channel."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._words: dict[int, dict[tuple[str, str], Consent]] = {}
        for customer, purpose, channel, granted, source, at in read_consents(cursor):
            self.set(customer, Consent(purpose, granted, channel, source, at.replace(tzinfo=UTC)))

    def set(self, customer: int, consent: Consent) -> None:
        """Take in a word that was committed. A word on all channels replaces what was said of single ones."""
        words = dict(self._words.get(customer, {}))
        if not consent.channel:
            words = {key: word for key, word in words.items() if key[0] != consent.purpose}
        words[consent.purpose, consent.channel] = consent
        self._words[customer] = words

    def of(self, customer: int) -> tuple[Consent, ...]:
        """Every word that holds, oldest first."""
        never = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(self._words.get(customer, {}).values(), key=lambda word: word.at or never))

    def may_personalize(self, customer: int) -> bool:
        """Allowed until objected to (GDPR 21(1) on profiling by legitimate interest)."""
        word = self._words.get(customer, {}).get((PERSONALIZATION, ""))
        return word is None or word.granted

    def may_market(self, customer: int, channel: str = "") -> bool:
        """Denied until granted; a word on the channel itself is stronger than one on all."""
        words = self._words.get(customer, {})
        word = words.get((MARKETING, channel)) or words.get((MARKETING, ""))
        return word is not None and word.granted


__all__ = ["MARKETING", "PERSONALIZATION", "PURPOSES", "Consents"]
