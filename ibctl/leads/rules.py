"""What a lead must be: its words, its values, and the codes with which a row of a file is refused.

    cells               more or fewer cells than the header has
    contact_missing     neither email, phone nor tracking token
    email_invalid       not an email address
    phone_invalid       not a phone number, or none that its country can have
    date_invalid        not a date, one that may mean two days, or outside the years 2000 to 2199
    date_future         a date that has not come yet
    date_order          qualifiedAt before leadCapturedAt
    amount_invalid      not a plain decimal of zero or more with at most two decimals, or 1e12 and above;
                        or FTD and CPA come to that much
    total_mismatch      totalEarned is not ftdEarned + cpaEarned
    status_unknown      none of captured, contacted, qualified, rejected
    status_conflict     a qualifiedAt for a lead that is rejected, or that the row itself rejects
    type_unknown        neither trader nor ib
    owner_unknown       no IB has this email or id, or two columns name different ones
    owner_inactive      the IB's account is not active
    text_invalid        a NUL character, or longer than 10,000 characters (500 for a tracking token)
    owner_missing       the row names no IB, and --assign by-column wants one
    duplicate           an earlier row of the file has the same tracking token, email or phone, or changes the same
                        lead; the first one counts
    exists              a lead has the same tracking token, email or phone, and the row says something else about it,
                        or --match does not let that field find it
    not_found           no lead has the row's tracking token, email or phone (--mode update)
    ambiguous           the row fits several leads: none is merged by an import
    conflict            the row's lead says something else, and the column's rule is error
    date_backwards      a deposit, first trade or qualification before the date that the lead has

A row that says nothing new about a lead that is there is not refused: it is `unchanged`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ibctl import money, rendering
from ibctl.errors import UsageError
from ibctl.imports import RowError
from ibctl.leads import contacts, dates

# The life of a lead, in its order; `rejected` ends it.
STATUSES = ("captured", "contacted", "qualified", "rejected")
TYPES = ("trader", "ib")
LONGEST_TEXT = 10_000
# What fits into an entry of a B-tree index, in the longest UTF-8.
LONGEST_TOKEN = 500
LONGEST_MESSAGE = 300

# What a file may call each field, besides the field's own name; case, blanks and marks do not matter. `ib` and `userId`
# both name the owner, by email or id: an export has both.
ALIASES: Mapping[str, Sequence[str]] = {
    "email": ("e-mail", "mail", "email address", "e-mail address"),
    "firstName": ("name", "first", "given name", "full name", "contact name"),
    "phone": ("mobile", "mobile phone", "phone number", "mobile number", "telephone", "tel", "cell"),
    "ib": ("affiliate", "affiliate email", "ib email", "ib owner", "owner", "partner", "introducing broker"),
    "userId": ("ib id", "affiliate id", "owner id"),
    "leadType": ("type",),
    "broker": ("broker name",),
    "source": ("lead source", "utm source", "channel"),
    "status": ("lead status", "stage"),
    "trackingToken": ("token", "tracking id", "tracking", "click id", "clickid", "sub id"),
    "leadCapturedAt": (
        "captured", "captured at", "created", "created time", "created date", "date", "signup", "signup date",
        "sign up date", "registered", "registered at", "registration date", "lead date", "submitted at",
    ),
    "depositedAt": ("deposited", "deposit date", "ftd date", "first deposit", "first deposit date"),
    "tradingStartAt": ("trading start", "trading started", "trading start date", "first trade", "first trade date"),
    "qualifiedAt": ("qualified", "qualified date", "qualification date"),
    "ftdEarned": ("ftd",),
    "cpaEarned": ("cpa",),
    "totalEarned": (),
    "systemeContactId": ("systeme contact", "systeme id", "systeme.io id"),
}  # fmt: skip
# At least one of these names a lead.
CONTACTS = ("email", "phone", "trackingToken")
NO_CONTACT = "the row has neither email, phone nor tracking token"
DATES = ("leadCapturedAt", "depositedAt", "tradingStartAt", "qualifiedAt")
# A row may also say of when it is.
MOMENTS = (*DATES, "updatedAt")
AMOUNTS = ("ftdEarned", "cpaEarned", "totalEarned")

CODES = {
    "email": "email_invalid",
    "phone": "phone_invalid",
    "status": "status_unknown",
    "leadType": "type_unknown",
    **dict.fromkeys(DATES, "date_invalid"),
    **dict.fromkeys(AMOUNTS, "amount_invalid"),
}
_PLAIN_AMOUNT = re.compile(r"\d{1,9}(?:\.\d{1,2})?", re.ASCII)
_COMMA_AMOUNT = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[-+]?[\d.]*\d,\d+", re.ASCII)


# --------------------------------------------------------------------------------------------------------------- values


@dataclass(frozen=True)
class Reading:
    """How values are read: the country of phone numbers without `+`, whether 03/04/2025 is the 3rd of April, and
    whether 1.234,50 is an amount.
    """

    region: str | None = None
    day_first: bool = False
    decimal_comma: bool = False

    def parser(self, field: str) -> Callable[[str], Any]:
        """Return what reads a field's text, which is not blank; it raises ValueError saying what is wrong."""
        if field == "phone":
            return lambda text: contacts.phone(rendering.unneutralise(text), self.region)
        if field in MOMENTS:
            return lambda text: dates.moment(text, day_first=self.day_first)
        if field in AMOUNTS and self.decimal_comma:
            return lambda text: amount(with_point(text))
        return _PARSERS.get(field, _text)


def with_point(text: str) -> str:
    """Return an amount written with a decimal comma, and perhaps points between the thousands, as one with a point.

    Raises ValueError for a point that stands anywhere else.
    """
    if not _COMMA_AMOUNT.fullmatch(text):
        raise ValueError(f"'{text}' is not an amount with a decimal comma: write it like 1234,50 or 1.234,50")
    return text.replace(".", "").replace(",", ".")


def amount(text: str) -> Decimal:
    """Read a sum of zero or more, in the base currency, with cents. Raises ValueError."""
    if _PLAIN_AMOUNT.fullmatch(text):
        return Decimal(text)
    if _DECIMAL_COMMA.fullmatch(text):
        raise ValueError(f"'{text}' is not an amount: write it like 1234.50, or pass --decimal-comma")
    value = money.parse(text)
    if value < 0:
        raise ValueError(f"'{text}' is below zero")
    if value != money.to_cents(value):
        raise ValueError(f"'{text}' has more than two decimals")
    return abs(value)  # not -0


def status(text: str) -> str:
    """Read a status. Raises ValueError."""
    return _word(text, STATUSES, "status")


def lead_type(text: str) -> str:
    """Read a type of lead. Raises ValueError."""
    return _word(text, TYPES, "type of lead")


def _word(text: str, words: Sequence[str], what: str) -> str:
    word = text.strip().lower()
    if word not in words:
        raise ValueError(f"'{text}' is no {what}: write {', '.join(words[:-1])} or {words[-1]}")
    return word


def _text(text: str) -> str:
    value = text.strip()
    if value.startswith("'"):
        value = rendering.unneutralise(value).strip()
    if "\0" in value:
        raise ValueError("it holds a NUL character")
    if len(value) > LONGEST_TEXT:
        raise ValueError(too_long(value, LONGEST_TEXT))
    return value


def too_long(text: str, limit: int) -> str:
    """Say that a text is longer than `limit` characters."""
    return f"it has {len(text):,} characters, more than {limit:,}"


def _token(text: str) -> str:
    value = _text(text)
    if len(value) > LONGEST_TOKEN:
        raise ValueError(too_long(value, LONGEST_TOKEN))
    return value


def _email(text: str) -> str:
    return contacts.email(rendering.unneutralise(text))


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "email": _email,
    "leadType": lead_type,
    "status": status,
    "trackingToken": _token,
    **dict.fromkeys(AMOUNTS, amount),
}


def status_argument(text: str) -> str:
    """Read a status given on the command line. Raises UsageError."""
    try:
        return status(text)
    except ValueError as exc:
        raise UsageError(str(exc)) from None


def option(field: str) -> str:
    """Return the command-line option of a field: `--captured-at` for leadCapturedAt."""
    name = "capturedAt" if field == "leadCapturedAt" else field
    return "--" + re.sub("([A-Z])", r"-\1", name).lower()


def from_options(given: Mapping[str, str], reading: Reading, now: datetime) -> dict[str, Any]:
    """Read what options say about a lead, by field. Raises UsageError naming the option."""
    values: dict[str, Any] = {}
    for field, text in given.items():
        try:
            values[field] = reading.parser(field)(text.strip())
        except ValueError as exc:
            raise UsageError(f"{option(field)}: {exc}") from None
        if field in DATES and values[field] > now:
            raise UsageError(f"{option(field)}: {future(values[field])}")
        if values[field] == "":
            raise UsageError(f"{option(field)} is empty: `leads edit LEAD --clear {field}` empties a field")
    return values


# ---------------------------------------------------------------------------------------------------------- whole leads


def future(moment: datetime) -> str:
    """Say that a moment (naive UTC) has not come yet."""
    # Not what time it is now: the same file is to give the same messages.
    return f"{moment:%Y-%m-%d %H:%M} UTC has not come yet; where a time is not UTC, write its zone, like +02:00"


def before_capture(captured: datetime, qualified: datetime | None) -> str | None:
    """Say that a lead qualified before it was captured; a day without a time does not contradict a time on it."""
    if qualified is None or qualified >= captured:
        return None
    if qualified.date() == captured.date() and qualified.time() == qualified.time().min:
        return None
    return f"qualifiedAt {qualified:%Y-%m-%d %H:%M} is before leadCapturedAt {captured:%Y-%m-%d %H:%M}"


def beyond(total: Decimal) -> str | None:
    """Say that FTD and CPA come to more than an amount may be: no file could say it again."""
    if not total.is_finite() or total < money.LIMIT:
        return None
    return f"ftdEarned and cpaEarned come to {total:,.2f}, which is too large: the limit is {money.LIMIT:,.0f}"


def refusal(code: str, field: str, message: str) -> RowError:
    """Make a RowError of a message with a foreign value in it: short, on one line, and without NUL."""
    line = " ".join(message.split()).replace("\0", "\\0")
    return RowError(code, field, line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…")
