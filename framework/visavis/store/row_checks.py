"""One SQL statement that names the columns of a staged file by role, computes each row, and says what is wrong with it.

`CHECKS` is the list of reasons, in order: a row that breaks several is refused for the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from visavis.store.parsing import ISO, NumberForm, TimeForm
from visavis.store.source_files import NESTED, quote

TEXTS = ("customer", "item", "order", "id", "touchpoint", "name", "category", "brand", "kind", "currency", "time_zone")
NUMBERS = ("quantity", "price", "amount", "cost", "discount", "tax", "rating")
LONGEST_ID = 256
LARGEST_MINOR_UNITS = 2**53
LARGEST_QUANTITY = 10**9
LARGEST_RATING = 1_000_000
_IDS = ("customer", "item", "order", "id", "touchpoint")
_NOTHING = "('nan', 'null', 'none', '<na>', '\\n')"
_CONTROL = r"[\x00-\x1f\x7f]"
_KINDS = {
    "purchase": ("buy", "bought", "sale", "sold", "order", "purchased", "transaction"),
    "return": ("refund", "returned", "refunded", "cancellation", "cancelled", "canceled", "credit"),
    "cart": ("add_to_cart", "addtocart", "cart_add"),
    "view": ("page_view", "pageview", "product_view", "viewed"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows are read: columns, the place of each role, forms, and what holds where a column says nothing.

    `whole_ids` are the roles whose ids all end in `.0`; `cancellations`: order ids that begin with C are returns.
    `zones` are the time zones of the file that exist. `now` and `latest` in microseconds.
    """

    source: str
    places: Mapping[str, int]
    names: tuple[str, ...]
    kind: str
    currency: str
    time_zone: str
    now: int
    latest: int
    numbers: Mapping[str, NumberForm]
    time: TimeForm = ISO
    whole_ids: frozenset[str] = frozenset()
    zones: tuple[str, ...] = ()
    cancellations: bool = False
    notes: tuple[str, ...] = ()


class Check(NamedTuple):
    """Why a row is refused: `code` inside, `reason` for people, the role to blame, and the SQL that finds it."""

    code: str
    reason: str
    role: str
    condition: str = ""


def _number_checks(role: str) -> list[Check]:
    return [
        Check(
            f"{role}_number",
            f"{role} is not a number below 1e12",
            role,
            f"{role}_t IS NOT NULL AND ({role}_d IS NULL OR abs({role}_d) >= 1e12)",
        )
    ]


def _id_checks(role: str) -> list[Check]:
    return [
        Check(
            f"{role}_nested",
            f"{role} is an object or a list, not a text",
            role,
            f"starts_with({role}_t, chr({NESTED}) || '{{') OR starts_with({role}_t, chr({NESTED}) || '[')",
        ),
        Check(
            f"{role}_long", f"{role} is longer than {LONGEST_ID} characters", role, f"length({role}_t) > {LONGEST_ID}"
        ),
        Check(
            f"{role}_control",
            f"{role} holds a control character",
            role,
            f"regexp_matches({role}_t, {quote(_CONTROL)})",
        ),
    ]


CHECKS: tuple[Check, ...] = (
    Check("empty", "row is empty or cannot be read", "", "is_empty"),
    Check("item_missing", "item is missing", "item", "needs_item AND item_t IS NULL"),
    *(check for role in _IDS for check in _id_checks(role)),
    Check("id_missing", "id is missing", "id", "needs_id AND id_t IS NULL"),
    Check("zone", "time zone is unknown", "time_zone", "NOT zone_known"),
    Check("time_missing", "time is missing", "time", "time_t IS NULL"),
    Check("time", "time cannot be read", "time", "occurred IS NULL"),
    Check("time_old", "time is before 1970", "time", "occurred < TIMESTAMP '1970-01-01'"),
    Check("time_future", "time is in the future", "time", "occurred > latest"),
    Check(
        "kind",
        "kind is not 1 to 64 lower-case letters, digits or _",
        "kind",
        "NOT regexp_full_match(kind_w, '[a-z][a-z0-9_]{0,63}')",
    ),
    Check(
        "quantity_number",
        "quantity is not a number up to 1e9",
        "quantity",
        f"quantity_t IS NOT NULL AND (quantity_d IS NULL OR abs(quantity_d) > {LARGEST_QUANTITY})",
    ),
    Check("quantity_tiny", "quantity is less than a millionth", "quantity", "quantity_d = 0 AND quantity_n <> 0"),
    Check("quantity_zero", "quantity is zero", "quantity", "quantity_d = 0"),
    Check("quantity_negative", "quantity is negative", "quantity", "quantity_d < 0 AND NOT is_return"),
    Check(
        "currency", "currency is not a three-letter code", "currency", "NOT regexp_full_match(currency_w, '[A-Z]{3}')"
    ),
    *_number_checks("price"),
    Check("price_negative", "price is negative", "price", "price_d < 0"),
    *_number_checks("amount"),
    Check("amount_negative", "amount is negative", "amount", "amount_d < 0 AND NOT is_return"),
    *(check for role in ("cost", "discount", "tax") for check in _number_checks(role)),
    Check("cost_negative", "cost is negative", "cost", "cost_d < 0"),
    Check(
        "rating",
        f"rating is not a number from -{LARGEST_RATING:,} to {LARGEST_RATING:,}",
        "rating",
        # NaN is above every number.
        f"rating_t IS NOT NULL AND (rating_n IS NULL OR abs(rating_n) > {LARGEST_RATING})",
    ),
    Check("rating_missing", "rating is missing", "rating", "kind_w = 'rating' AND rating_t IS NULL"),
    Check(
        "rating_kind", "rating belongs to the kind rating only", "rating", "kind_w <> 'rating' AND rating_t IS NOT NULL"
    ),
    Check("net_negative", "discount and tax are more than the price", "discount", "net < 0"),
    Check(
        "amount_large",
        "amount is larger than 2**53 minor units",
        "amount",
        f"(net IS NOT NULL AND coalesce(amount_minor, {LARGEST_MINOR_UNITS + 1}) > {LARGEST_MINOR_UNITS}) OR "
        f"(cost_line IS NOT NULL AND coalesce(cost_minor, {LARGEST_MINOR_UNITS + 1}) > {LARGEST_MINOR_UNITS})",
    ),
)
"""Every reason for which a row that could be split into fields is refused."""

ROW_REASONS: tuple[Check, ...] = (
    Check("MISSING COLUMNS", "record has too few fields", ""),
    Check("TOO MANY COLUMNS", "record has too many fields", ""),
    Check("UNQUOTED VALUE", "a quoted field does not end as it should", ""),
    Check("LINE SIZE OVER MAXIMUM", "record is too long", ""),
    Check("NO JSON OBJECT", "line is no JSON object", ""),
    Check("INVALID ENCODING", "record is not UTF-8", ""),
)
"""Reasons for records that could not be split, by DuckDB's name of the fault."""


def checked_rows_sql(
    schema: str, plan: Plan, exponents: Mapping[str, int], start: int, end: int, *, broken: bool
) -> str:
    """A SELECT with one row for each row of `raw` from rowid `start` to before `end`: values by role,
    `interaction_id`, and `reason` (a code) or NULL.

    Amounts: the column `amount` is the whole line; else quantity x price less discount and tax, which are of the
    line (their sign does not matter); `cost` is of one unit, like `price`. Rounded half to even, in decimals.
    Row numbers count records, with the broken ones if there are any. Equal rows are told apart by `repeated`.
    """
    here = f"rowid >= {start} AND rowid < {end}"
    source = (
        f"(SELECT rowid AS place, * FROM {schema}.raw WHERE {here}) w LEFT JOIN (SELECT * FROM {schema}.repeated "
        f"WHERE place >= {start} AND place < {end}) f ON f.place = w.place"
    )
    number = "w.place + 1"
    if broken:
        # A broken record is missing in raw: those before a row move its number up.
        source += (
            f" ASOF LEFT JOIN (SELECT * FROM {schema}.shifts WHERE before < {end} AND before >= coalesce("
            f"(SELECT max(before) FROM {schema}.shifts WHERE before <= {start}), 0)) s ON w.place >= s.before"
        )
        number += " + coalesce(s.n, 0)"
    fingerprint = "NULL" if "id" in plan.places else f"md5({row_text(plan)})"
    return f"""
WITH texts AS (
    SELECT {number} AS "row", w.place, {fingerprint} AS base, coalesce(f.ordinal, 1) AS ordinal, {_texts(plan)}
    FROM {source}
), parsed AS (
    SELECT *, {_numbers(plan)}, {_kind(plan)} AS kind_w, {_currency(plan)} AS currency_w,
        {_zone_known(plan)} AS zone_known
    FROM texts
), timed AS (
    SELECT *, {_time(plan)} AS occurred, {_factor(exponents)}::DECIMAL(4, 0) AS factor,
        {_row_is_empty(plan)} AS is_empty,
        coalesce(kind_w = 'return' OR (kind_w = 'purchase' AND ({_reversed(plan)})), false) AS is_return
    FROM parsed
), valued AS (
    SELECT *, {_needs_item(plan)} AS needs_item,
        {str("id" in plan.places).lower()} AS needs_id, make_timestamp({plan.latest}) AS latest,
        CASE WHEN amount_t IS NOT NULL THEN abs(amount_d)::DECIMAL(38, 12)
             ELSE abs(coalesce(quantity_d, 1)) * price_d - coalesce(abs(discount_d), 0) - coalesce(abs(tax_d), 0)
        END AS net,
        abs(coalesce(quantity_d, 1)) * cost_d AS cost_line
    FROM timed
), scaled AS (
    SELECT *, {_scaled("net")} AS net_m, {_scaled("cost_line")} AS cost_m, {_scaled("abs(discount_d)")} AS discount_m,
        {_scaled("abs(tax_d)")} AS tax_m, {_scaled("price_d")} AS price_m
    FROM valued
), rounded AS (
    SELECT *, {_rounded("net_m")} AS amount_minor, {_rounded("cost_m")} AS cost_minor,
        {_rounded("discount_m")} AS discount_minor, {_rounded("tax_m")} AS tax_minor,
        {_rounded("price_m")} AS price_minor
    FROM scaled
), judged AS (
    SELECT *, coalesce({"id_t" if "id" in plan.places else "NULL"}, md5(base || ':' || ordinal))
        AS interaction_id, CASE {_reasons()} END AS reason
    FROM rounded
)
SELECT "row", place, interaction_id, md5_number_lower(interaction_id) AS id_hash, reason, CASE {_values()} END AS value,
    customer_t AS customer, item_t AS item, CASE WHEN is_return THEN 'return' ELSE kind_w END AS kind,
    least(occurred, make_timestamp({plan.now})) AS occurred_at, abs(coalesce(quantity_n, 1)) AS quantity, amount_minor,
    CASE WHEN coalesce(amount_minor, cost_minor, discount_minor, tax_minor) IS NOT NULL THEN currency_w END AS currency,
    rating_n AS rating, cost_minor, discount_minor, tax_minor,
    order_t AS order_id, touchpoint_t AS touchpoint, name_t AS name, category_t AS category, brand_t AS brand,
    CASE WHEN price_minor > 0 AND NOT is_return THEN price_minor END AS price_minor, currency_w AS price_currency
FROM judged
"""


def row_text(plan: Plan) -> str:
    """SQL: all that a row of `raw` says, and its source, as one text; the row's id is made of it."""
    # By name and without what is empty: a file that gains a column, or changes their order, has its old rows unchanged.
    named = sorted((name, place) for place, name in enumerate(plan.names))
    columns = ", ".join(f"{quote(name)} || chr(30) || c{place}" for name, place in named)
    return f"concat_ws(chr(31), {quote(plan.source)}, {columns})"


def _texts(plan: Plan) -> str:
    selected = []
    for role in (*TEXTS, *NUMBERS, "time"):
        text = "NULL::VARCHAR"
        if role in plan.places:
            nested = "" if role in _IDS else f"\\x{NESTED:x}"
            text = f"nullif(trim(w.c{plan.places[role]}, e' \\t\\r\\n{nested}'), '')"
            if role in plan.whole_ids:
                text = f"regexp_replace({text}, '\\.0$', '')"
            if role in ("customer", "item", "order"):
                text = f"CASE WHEN lower({text}) IN {_NOTHING} THEN NULL ELSE {text} END"
        selected.append(f"{text} AS {role}_t")
    return ", ".join(selected)


def _numbers(plan: Plan) -> str:
    # By way of 18 digits, because DuckDB reads texts far slower into wider decimals; then more than 18, because it
    # multiplies two narrower decimals in 18 digits and overflows.
    selected = []
    for role in NUMBERS:
        text = plan.numbers[role].text(f"{role}_t") if role in plan.places else f"{role}_t"
        selected.append(
            f"try_cast({text} AS DOUBLE) AS {role}_n, try_cast({text} AS DECIMAL(18, 6))::DECIMAL(19, 6) AS {role}_d"
        )
    return ", ".join(selected)


def _kind(plan: Plan) -> str:
    word = "lower(regexp_replace(kind_t, '[\\s-]+', '_', 'g'))"
    cases = "".join(
        f"WHEN {word} IN ({', '.join(map(quote, words))}) THEN {quote(kind)} " for kind, words in _KINDS.items()
    )
    return f"CASE WHEN kind_t IS NULL THEN {quote(plan.kind)} {cases}ELSE {word} END"


def _currency(plan: Plan) -> str:
    return f"upper(coalesce(currency_t, {quote(plan.currency)}))"


def _zone_known(plan: Plan) -> str:
    if "time_zone" not in plan.places:
        return "true"
    known = f"time_zone_t IN ({', '.join(map(quote, plan.zones))})" if plan.zones else "false"
    return f"(time_zone_t IS NULL OR {known})"


def _time(plan: Plan) -> str:
    default = quote(plan.time_zone)
    if "time_zone" not in plan.places:
        return plan.time.utc("time_t", default)
    zone = f"CASE WHEN zone_known THEN coalesce(time_zone_t, {default}) ELSE {default} END"
    return plan.time.utc("time_t", zone)


def _needs_item(plan: Plan) -> str:
    # Sales of nothing in particular make sense (a till's totals), tastes for nothing do not.
    kinds = ["rating", "like", "skip"] + (["purchase", "return"] if "item" in plan.places else [])
    return f"kind_w IN ({', '.join(map(quote, kinds))})"


def _row_is_empty(plan: Plan) -> str:
    roles = [role for role in (*TEXTS, *NUMBERS, "time") if role in plan.places]
    return f"coalesce({', '.join(f'{role}_t' for role in roles)}) IS NULL"


def _reversed(plan: Plan) -> str:
    signs = "quantity_n < 0 OR (quantity_t IS NULL AND amount_n < 0)"
    # NULL OR true is true, but NULL OR false is NULL, which counts as no return.
    return f"{signs} OR regexp_full_match(order_t, 'C\\d+')" if plan.cancellations else signs


def _factor(exponents: Mapping[str, int]) -> str:
    cases = "".join(
        f"WHEN currency_w = {quote(currency)} THEN {10**exponent} " for currency, exponent in sorted(exponents.items())
    )
    return f"CASE {cases}ELSE 100 END"


def _scaled(value: str) -> str:
    # The narrower type first: what does not fit becomes NULL instead of an overflow.
    return f"try_cast(try_cast({value} AS DECIMAL(28, 12)) AS DECIMAL(34, 12)) * factor"


def _rounded(value: str) -> str:
    whole = f"floor({value})::DECIMAL(38, 12)"
    up = f"{value} - {whole} > 0.5 OR ({value} - {whole} = 0.5 AND floor({value}) % 2 = 1)"
    return f"try_cast(floor({value}) + CASE WHEN {up} THEN 1 ELSE 0 END AS BIGINT)"


def _reasons() -> str:
    return " ".join(f"WHEN {check.condition} THEN {quote(check.code)}" for check in CHECKS)


def _values() -> str:
    return " ".join(f"WHEN reason = {quote(check.code)} THEN {check.role}_t" for check in CHECKS if check.role)


__all__ = [
    "CHECKS",
    "LARGEST_MINOR_UNITS",
    "LARGEST_QUANTITY",
    "LARGEST_RATING",
    "LONGEST_ID",
    "NUMBERS",
    "ROW_REASONS",
    "TEXTS",
    "Check",
    "Plan",
    "checked_rows_sql",
    "row_text",
]
