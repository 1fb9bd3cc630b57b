"""Numbers and times written in many ways, as SQL: first the form of a whole column is decided, then it is applied.

A column has one form. It is never guessed row by row, because `01/02/2010` and `1,234` cannot be told alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from visavis.store.source_files import quote

if TYPE_CHECKING:
    import duckdb

_OFFSET = r"^(.*:\d{2}(?:\.\d+)?)\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)$"
_LARGEST_OFFSET_HOURS = 14
_SLASHED = r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?:\D.*)?$"
_DATE_MARKS = r"^(\d{1,2})[/.-](\d{1,2})[/.-]"
_SLASHES = r"\1/\2/"
_GAPS = r"\s+"
_NO_SIGNS = r"[\s\x{00A0}\x{202F}€£$¥]"
_DOT_GROUPS = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"
_COMMA = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"
_COMMA_GROUPS = r"[+-]?[1-9]\d{0,2}(\.\d{3})+"
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DIGITS = {
    "seconds": (r"\d{9,10}(\.\d+)?", 1e6),
    "milliseconds": (r"\d{12,13}", 1e3),
    "microseconds": (r"\d{15,16}", 1),
}
_COMPACT = {"%Y%m%d": r"(19|20)\d{6}", "%Y%m%d%H%M%S": r"(19|20)\d{12}"}
_MONTHS = r"(\d{1,2}[ -][A-Za-z]{3,9}|[A-Za-z]{3,9} \d{1,2}),?[ -]\d{2,4}(\D.*)?"
_NAMED = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%y")


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How a column writes numbers: `plain` as a program does, `dot` 1,234.50, `comma` 1.234,50."""

    name: str
    note: str = ""

    def text(self, column: str) -> str:
        """SQL: the number as a program writes it; what is no number stays or becomes NULL."""
        if self.name == "plain":
            return column
        bare = f"regexp_replace({column}, {quote(_NO_SIGNS)}, '', 'g')"
        if self.name == "dot":
            grouped = f"regexp_full_match({bare}, {quote(_DOT_GROUPS)})"
            return f"CASE WHEN {grouped} THEN replace({bare}, ',', '') ELSE {bare} END"
        comma = f"regexp_full_match({bare}, {quote(_COMMA)})"
        return f"CASE WHEN {comma} THEN replace(replace({bare}, '.', ''), ',', '.') END"


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How a column writes times. `formats` are strptime's; `offsets`: some values carry a UTC offset."""

    name: str
    formats: tuple[str, ...] = ()
    offsets: bool = False
    note: str = ""

    def utc(self, column: str, zone: str) -> str:
        """SQL: the UTC TIMESTAMP, NULL if unreadable; a time without an offset is read in `zone` (SQL, never NULL).

        A local time that the clock shows twice is taken as the later one; one that it skips is read with the
        offset before the jump (02:30 becomes 03:30).
        """
        if self.name in _DIGITS:
            _, factor = _DIGITS[self.name]
            micros = f"try_cast(round(try_cast({column} AS DOUBLE) * {factor:.0f}) AS BIGINT)"
            return f"make_timestamp({micros})"
        local = f"regexp_extract({column}, {quote(_OFFSET)}, 1)"
        offset = f"regexp_extract({column}, {quote(_OFFSET)}, 2)"
        if not self.offsets:
            return _in_zone(_bounded(self._local(column)), zone)
        hours = f"try_cast(substr({offset}, 2, 2) AS BIGINT)"
        minutes = f"(CASE WHEN length({offset}) > 3 THEN try_cast(right({offset}, 2) AS BIGINT) ELSE 0 END)"
        exists = f"{hours} <= {_LARGEST_OFFSET_HOURS} AND {minutes} <= 59"
        sign = f"(CASE WHEN {offset}[1] = '-' THEN -1 ELSE 1 END)"
        shift = f"CASE WHEN {exists} THEN {sign} * ({hours} * 60 + {minutes}) END"
        return (
            f"CASE WHEN {offset} = '' THEN {_in_zone(_bounded(self._local(column)), zone)} "
            f"WHEN {offset} IN ('Z', 'z', 'UTC') THEN {_bounded(self._local(local))} "
            f"ELSE {_bounded(self._local(local))} - to_minutes({shift}) END"
        )

    def _local(self, column: str) -> str:
        if self.name == "iso":
            return f"try_cast({column} AS TIMESTAMP)"
        if self.name == "slashed":
            column = f"regexp_replace({column}, {quote(_DATE_MARKS)}, {quote(_SLASHES)})"
        column = f"regexp_replace(replace({column}, ',', ''), {quote(_GAPS)}, ' ', 'g')"
        return f"try_strptime({column}, [{', '.join(map(quote, self.formats))}])"


ISO = TimeForm("iso")


def _bounded(time: str) -> str:
    """Far-off years (and infinity) are moved to where time zones can be computed; they are refused later anyway."""
    return (
        f"CASE WHEN {time} > TIMESTAMP '2999-01-01' THEN TIMESTAMP '2999-01-01' "
        f"WHEN {time} < TIMESTAMP '1000-01-01' THEN TIMESTAMP '1000-01-01' ELSE {time} END"
    )


def _in_zone(time: str, zone: str) -> str:
    return time if zone == "'UTC'" else f"timezone('UTC', timezone({zone}, {time}))"


def decide_numbers(cursor: duckdb.DuckDBPyConnection, table: str, column: str, name: str) -> NumberForm:
    """The form in which most values of `column` (an SQL expression) are numbers; `name` is for the note."""
    plain, dot, comma = NumberForm("plain"), NumberForm("dot"), NumberForm("comma")

    def counted(*forms: NumberForm) -> list[int]:
        counts = ", ".join(f"count(try_cast({form.text(column)} AS DOUBLE))" for form in forms)
        return list(cursor.execute(f"SELECT count({column}), {counts} FROM {table}").fetchall()[0])

    filled, as_plain = counted(plain)
    if as_plain == filled:
        return plain
    _, as_dot, as_comma = counted(dot, comma)
    if as_comma > as_dot:
        return NumberForm("comma", f"column {name} was read with a decimal comma")
    if as_dot > as_plain:
        return NumberForm("dot", f"column {name} was read with commas between thousands and without currency signs")
    return plain


def has_dot_groups(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    """Whether some values of `column` (an SQL expression) have dots, and all of these only between thousands."""
    dotted, grouped = cursor.execute(
        f"SELECT count(*) FILTER (contains({column}, '.')), "
        f"count(*) FILTER (regexp_full_match({column}, {quote(_COMMA_GROUPS)})) FROM {table}"
    ).fetchall()[0]
    return bool(0 < dotted == grouped)


def decide_times(cursor: duckdb.DuckDBPyConnection, table: str, column: str, name: str) -> TimeForm:
    """The form in which most values of `column` (an SQL expression) are times; `name` is for the note."""
    filled, iso, offsets = cursor.execute(
        f"SELECT count({column}), count(try_cast({column} AS TIMESTAMP)), "
        f"count(*) FILTER (regexp_matches({column}, {quote(_OFFSET)})) FROM {table}"
    ).fetchall()[0]
    whole_iso = TimeForm("iso", offsets=offsets > 0)
    if 2 * iso > filled:
        return whole_iso
    patterns = {**{key: pattern for key, (pattern, _) in _DIGITS.items()}, **_COMPACT}
    patterns |= {"slashed": _SLASHED, "named": _MONTHS}
    counts = ", ".join(f"count(*) FILTER (regexp_full_match({column}, {quote(p)}))" for p in patterns.values())
    found = dict(zip(patterns, cursor.execute(f"SELECT {counts} FROM {table}").fetchall()[0], strict=True))
    most = max(found, key=lambda key: found[key])
    if not found[most] or found[most] < iso:
        return whole_iso
    if most in _DIGITS:
        return TimeForm(most, note=f"column {name} was read as {most} since 1970")
    if most in _COMPACT:
        return TimeForm("compact", (most,))
    if most == "named":
        return TimeForm("named", tuple(day + clock for day in _NAMED for clock in _CLOCKS), offsets > 0)
    return _slashed(cursor, table, column, name, offsets > 0)


def _slashed(cursor: duckdb.DuckDBPyConnection, table: str, column: str, name: str, offsets: bool) -> TimeForm:
    day, month, year = (f"regexp_extract({column}, {quote(_SLASHED)}, {group})" for group in (1, 2, 3))
    first, second, short, long = cursor.execute(
        f"SELECT count(*) FILTER (try_cast({day} AS INTEGER) > 12), "
        f"count(*) FILTER (try_cast({month} AS INTEGER) > 12), "
        f"count(*) FILTER (length({year}) = 2), count(*) FILTER (length({year}) = 4) FROM {table}"
    ).fetchall()[0]
    day_first = first >= second
    word = "day/month/year" if day_first else "month/day/year"
    note = f"column {name} was read as {word}"
    if first == second:
        note += ", but nothing in the file tells it from month/day/year; write times as 2010-12-31 if that is wrong"
    written = ("%d/%m/" if day_first else "%m/%d/") + ("%y" if short > long else "%Y")
    return TimeForm("slashed", tuple(written + clock for clock in _CLOCKS), offsets, note)


__all__ = ["ISO", "NumberForm", "TimeForm", "decide_numbers", "decide_times", "has_dot_groups"]
