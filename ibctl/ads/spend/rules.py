"""What a row of a spend file must look like, and which account it means.

A row that does not fit is refused with a code, the field at fault, and what is wrong with it:

    cells                more or fewer cells than the header has
    account_missing      no account is named
    account_unknown      no account has this id or name
    account_ambiguous    several accounts have this name
    date_invalid         not a day like 2025-10-31, or outside the years 2000 to 2199
    date_future          a day that has not begun yet in the account's zone
    amount_invalid       not a plain decimal like 1234.50, below zero, or 1e12 and above
    count_invalid        not a whole number from 0 to 2147483647
    currency_mismatch    the file names another currency than the account's
    duplicate            the same account and day again; the first such row counts
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ibctl import days, money
from ibctl.imports import RowError

# What a spend file may call each field, besides the field's own name; case, blanks and marks do not matter.
# Facebook's "Link clicks" is not `clicks`: those are all clicks ("Clicks (all)"), as its own CTR and CPC count them.
# Its "Reporting starts" is not `date` either: in a report that is not broken down by day a row covers many days.
ALIASES: Mapping[str, Sequence[str]] = {
    "account": ("adAccountId", "Ad account ID", "Account ID", "fbAccountId"),
    "accountName": ("adAccountName", "Account name", "Ad account name"),
    "date": ("Day", "Spend date"),
    "dailySpend": ("spend", "Amount spent"),
    "currency": ("Account currency",),
    "impressions": (),
    "clicks": ("Clicks (all)",),
    "leads": (),
    "conversions": ("Results",),
}
COUNTS = ("impressions", "clicks", "leads", "conversions")
LARGEST_COUNT = 2**31 - 1
_AMOUNT_HEADER = re.compile(r"(?:amount[ _]spent|daily[ _]?spend|spend) *\(([a-z]{3})\)", re.IGNORECASE)


# ------------------------------------------------------------------------------------------------------------- accounts


@dataclass(frozen=True, slots=True)
class Account:
    """An ad account, with the day that is running in its zone."""

    id: str
    facebook_id: str | None
    name: str | None
    currency: str
    zone: str
    today: date


class Accounts:
    """All accounts, found by any of the ways in which one is named."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_id: dict[str, Account] = {}
        self._by_name: dict[str, list[Account]] = defaultdict(list)
        for account in accounts:
            if account.facebook_id:
                self._by_id[_digits(account.facebook_id)] = account
            if account.name and account.name.strip():
                self._by_name[_plain(account.name)].append(account)
            self._by_id[account.id] = account

    def find(self, text: str) -> Account:
        """Return the account that a row id, a Facebook id with or without `act_`, or a unique name means.

        Raises RowError: account_missing, account_unknown, account_ambiguous.
        """
        wanted = text.strip()
        if not wanted:
            raise RowError("account_missing", "account", "no account is named")
        if account := self._by_id.get(wanted) or self._by_id.get(_digits(wanted)):
            return account
        named = self._by_name.get(_plain(wanted), [])
        if len(named) > 1:
            ways = ", ".join(sorted(account.facebook_id or account.id for account in named)[:5])
            raise RowError(
                "account_ambiguous", "account", f"{len(named)} accounts are called '{wanted}': name one by id ({ways})"
            )
        if not named:
            raise RowError("account_unknown", "account", f"there is no ad account '{wanted}'")
        return named[0]


def _digits(facebook_id: str) -> str:
    return facebook_id.strip().lower().removeprefix("act_")


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


# ----------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class SpendDay:
    """What was reported for an account and a day; None is a column that the file does not have."""

    account: Account
    date: date
    daily_spend: Decimal
    counts: tuple[int | None, ...]


def currency_of(header: str) -> str | None:
    """Return the currency that a header like `Amount spent (EUR)` names."""
    found = _AMOUNT_HEADER.fullmatch(header.strip())
    return found[1].upper() if found else None


def read(cells: Mapping[str, str], accounts: Accounts, currency: str | None) -> SpendDay:
    """Read one row, given by field; `currency` is the one that the amount's header names.

    Raises RowError for the first thing that is wrong with it.
    """
    account = accounts.find(cells.get("account", "").strip() or cells.get("accountName", ""))
    day = _day(cells["date"], account)
    if currency:
        _require_currency(currency, account, "dailySpend")
    if named := cells.get("currency"):
        _require_currency(named, account, "currency")
    amount = _amount(cells["dailySpend"])
    return SpendDay(
        account, day, amount, tuple(_count(cells[name], name) if name in cells else None for name in COUNTS)
    )


def _require_currency(named: str, account: Account, field: str) -> None:
    if named.strip() and named.strip().upper() != account.currency.upper():
        raise RowError(
            "currency_mismatch",
            field,
            f"the amount is in {named.strip()}, but account {account.facebook_id or account.id} has {account.currency}",
        )


def _day(text: str, account: Account) -> date:
    try:
        day = days.parse(text)
    except ValueError as exc:
        raise RowError("date_invalid", "date", str(exc)) from None
    if day > account.today:
        raise RowError("date_future", "date", f"{day} has not begun yet in the account's zone, {account.zone}")
    return day


def _amount(text: str) -> Decimal:
    try:
        amount = money.parse(text)
    except ValueError as exc:
        raise RowError("amount_invalid", "dailySpend", str(exc)) from None
    if amount < 0:
        raise RowError("amount_invalid", "dailySpend", f"'{text}' is below zero: what was spent is 0 or more")
    return abs(amount)  # -0 is legal and must not be stored as such


def _count(text: str, field: str) -> int:
    """Read a count; an empty cell is 0, as Facebook's exports leave it where nothing happened."""
    cleaned = text.strip()
    if not cleaned:
        return 0
    # Leading zeros aside, ten digits are more than the column holds; int() is not fed with thousands of them.
    if cleaned.isascii() and cleaned.isdigit() and len(cleaned.lstrip("0")) <= 10:
        count = int(cleaned)
        if count <= LARGEST_COUNT:
            return count
    raise RowError("count_invalid", field, f"'{text}' is not a whole number from 0 to {LARGEST_COUNT}")


class FirstRows:
    """Which row of a file named each account and day first; 32 small numbers for each account and month."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int, int], array[int]] = defaultdict(
            lambda: array("L", bytes(32 * array("L").itemsize))
        )

    def claim(self, account: Account, day: date, row: int) -> None:
        """Note that `row` names this day. Raises RowError (duplicate) when an earlier one did."""
        month = self._rows[account.id, day.year, day.month]
        if first := month[day.day]:
            raise RowError("duplicate", "date", f"row {first} has this account and day already")
        month[day.day] = row
