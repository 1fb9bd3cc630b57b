"""Which column of a stranger's file plays which role: by what the caller says, else by its name and its data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from visavis.errors import FieldViolation, InvalidInput
from visavis.store.imports import ColumnProfile

NAMES: Mapping[str, str] = {
    "customer": "customerid customer customerno customernumber custid cust clientid client userid user shopperid "
    "buyerid memberid member householdkey householdid household visitorid personid accountid reviewerid",
    "item": "itemid item stockcode sku productid productcode productno product articleid articleno article itemcode "
    "itemno itemnumber variantid asin isbn ean upc gtin movieid trackid contentid",
    "time": "occurredat timestamp datetime eventtime eventtimestamp time invoicedate invoicedat invoicetime orderdate "
    "orderedat ordertime purchasedate purchasedat purchasedon purchasetime transactiondate transactiontime "
    "transactedat soldat saledate createdat ratedat ts date day",
    "order": "orderid order orderno ordernumber invoice invoiceno invoiceid invoicenumber basketid basket receiptid "
    "receipt receiptno transactionid transaction billno billid ticketid",
    "quantity": "quantity qty units unitssold quantitysold pieces",
    "price": "unitprice price priceperunit itemprice sellingprice saleprice",
    "amount": "amount linetotal lineamount salesvalue totalprice totalamount netamount total revenue sales turnover",
    "cost": "unitcost cost costprice costperunit",
    "discount": "discount discountamount linediscount",
    "tax": "tax taxamount vat vatamount salestax",
    "kind": "kind event eventtype eventname interaction interactiontype action actiontype behavior behaviour "
    "behaviortype",
    "currency": "currency currencycode",
    "time_zone": "timezone timezonename tz",
    "id": "",
    "name": "description itemname productname name title itemtitle producttitle itemdescription productdescription",
    "category": "category itemcategory productcategory categoryname department categorycode",
    "brand": "brand brandname manufacturer",
    "rating": "rating stars score",
    "touchpoint": "touchpoint channel saleschannel storeid store shopid shop",
}
"""Roles, with the column names that are taken for them, best first; written without case, spaces and underscores.

An `id` is never guessed: numbers that repeat from file to file would make new rows look known.
"""

NEEDED = ("item", "time")
_NUMERIC = frozenset({"quantity", "price", "amount", "cost", "discount", "tax", "rating"})
_MOST_KINDS = 100
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Layout:
    """The place of each role's column, the roles that nobody named, and which names were not believed."""

    places: Mapping[str, int]
    guessed: tuple[str, ...]
    notes: tuple[str, ...] = ()


def lay_out(profiles: Sequence[ColumnProfile], named: Mapping[str, str]) -> Layout:
    """Find the column of each role. `named` maps roles to columns; an empty column switches the role off.

    Raises `InvalidInput` for an unknown role, a column that the file does not have, and when item or time is
    neither named, found nor (for the item) switched off.
    """
    columns = [profile.name for profile in profiles]
    named = {role.strip().lower().replace("-", "_"): column for role, column in named.items()}
    places: dict[str, int] = {}
    for role, column in named.items():
        if role not in NAMES:
            raise InvalidInput([FieldViolation(f"columns[{role!r}]", f"is no role; the roles are {', '.join(NAMES)}")])
        if column:
            places[role] = _find(columns, role, column)
        elif role == "time":
            raise InvalidInput([FieldViolation("columns['time']", "cannot be switched off; name the column of times")])
    guessed: list[str] = []
    for role, synonyms in NAMES.items():
        if role in named:
            continue
        for place in _candidates(columns, synonyms.split()):
            if place not in places.values() and _fits(role, profiles[place]):
                places[role] = place
                guessed.append(role)
                break
    if "time" not in places and (only := _only_time(profiles, places)) is not None:
        places["time"] = only
        guessed.append("time")
    _check_needed(profiles, places, named)
    return Layout(places, tuple(guessed), _doubts(profiles, places, named))


def _doubts(profiles: Sequence[ColumnProfile], places: Mapping[str, int], named: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each column that has the name of a role that nothing fills, but not its data."""
    taken = set(places.values())
    columns = [profile.name for profile in profiles]
    return tuple(
        f"column {columns[place]} was not taken for the {role}: its values do not fit; name it if it is"
        for role, synonyms in NAMES.items()
        if role not in places and role not in named
        for place in _candidates(columns, synonyms.split())
        if place not in taken and profiles[place].filled
    )


def _find(columns: Sequence[str], role: str, column: str) -> int:
    if column in columns:
        return columns.index(column)
    alike = [place for place, name in enumerate(columns) if _bare(name) == _bare(column)]
    if len(alike) == 1 and _bare(column):
        return alike[0]
    raise InvalidInput(
        [FieldViolation(f"columns[{role!r}]", f"is {column[:100]!r}, which the file does not have; {_has(columns)}")]
    )


def _check_needed(profiles: Sequence[ColumnProfile], places: Mapping[str, int], named: Mapping[str, str]) -> None:
    missing = [role for role in NEEDED if role not in places and named.get(role) != ""]
    if not missing:
        return
    columns = [profile.name for profile in profiles]
    options = " ".join(f"--{role} COLUMN" for role in missing)
    way_out = f"name {'it' if len(missing) == 1 else 'them'} with {options}"
    if "item" in missing:
        way_out += " (--item '' if the rows are about no item)"
    told = f"no column found for {' and '.join(missing)}"
    for role in missing:
        for place in list(_candidates(columns, NAMES[role].split()))[:1]:
            told += f"; {columns[place][:40]!r} {_misfit(role, profiles[place])}"
    raise InvalidInput([FieldViolation("columns", f"{told}; {way_out}; {_has(columns)}")])


def _misfit(role: str, profile: ColumnProfile) -> str:
    """Why a column that has the name of a needed role was not taken."""
    if not profile.filled:
        return "is empty"
    if _fits(role, profile):
        return "is taken for another role"
    return f"holds values that are not understood as {role}, such as {profile.sample[:40]!r}"


def _has(columns: Sequence[str]) -> str:
    shown = [repr(name[:40])[1:-1] for name in columns[:40]]
    more = f" and {len(columns) - 40} more" if len(columns) > 40 else ""
    return f"the file has {', '.join(shown)}{more}"


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _candidates(columns: Sequence[str], synonyms: Sequence[str]) -> Iterator[int]:
    bare = [_bare(name) for name in columns]
    for synonym in synonyms:
        yield from (place for place, name in enumerate(bare) if name == synonym)


def _fits(role: str, profile: ColumnProfile) -> bool:
    """Whether the data agree with the name. An empty column fits nothing."""
    if not profile.filled:
        return False
    if role in _NUMERIC:
        return profile.numbers > _MOST * profile.filled
    if role == "time":
        return profile.times > _MOST * profile.filled
    if role == "kind":
        return profile.distinct <= _MOST_KINDS
    return True


def _only_time(profiles: Sequence[ColumnProfile], places: Mapping[str, int]) -> int | None:
    """The one column that holds times and no plain numbers."""
    found = [
        place
        for place, profile in enumerate(profiles)
        if place not in places.values()
        and profile.filled
        and profile.times > _MOST * profile.filled
        and profile.numbers < _MOST * profile.filled
    ]
    return found[0] if len(found) == 1 else None


__all__ = ["NAMES", "NEEDED", "Layout", "lay_out"]
