"""What a lead must be: its words, its values, and the codes with which a row of a file is refused.

    cells               more or fewer cells than the header has
    contact_missing     neither email, phone nor tracking token
    email_invalid       not an email address
    phone_invalid       not a phone number, or none that its country can have
    date_invalid        not a date, one that may mean two days, or outside the years 2000 to 2199
    date_future         a date that has not come yet
    date_order          qualifiedAt before leadCapturedAt
    amount_invalid      not a plain decimal of zero or more with at most two decimals, or 1e12 and above
    total_mismatch      totalEarned is not ftdEarned + cpaEarned
    status_unknown      none of captured, contacted, qualified, rejected
    type_unknown        neither trader nor ib
    owner_unknown       no IB has this email or id, or two columns name different ones
    owner_inactive      the IB's account is not active
    text_invalid        a NUL character, or longer than 10,000 characters (500 for a tracking token)
    duplicate           an earlier row of the file has the same tracking token, email or phone; the first one counts
    exists              a lead has the same tracking token, email or phone, and the row says something else about it

A row that says nothing new about a lead that is there is not refused: it is `unchanged`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ibctl import money, output
from ibctl.errors import UsageError
from ibctl.imports import RowError
from ibctl.leads import contacts, dates
from ibctl.tabular import misfit

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
DATES = ("leadCapturedAt", "depositedAt", "tradingStartAt", "qualifiedAt")
AMOUNTS = ("ftdEarned", "cpaEarned", "totalEarned")

_CODES = {
    "email": "email_invalid",
    "phone": "phone_invalid",
    "status": "status_unknown",
    "leadType": "type_unknown",
    **dict.fromkeys(DATES, "date_invalid"),
    **dict.fromkeys(AMOUNTS, "amount_invalid"),
}
_PLAIN_AMOUNT = re.compile(r"\d{1,9}(?:\.\d{1,2})?", re.ASCII)


# --------------------------------------------------------------------------------------------------------------- values


@dataclass(frozen=True)
class Reading:
    """How values are read: the country of phone numbers without `+`, and whether 03/04/2025 is the 3rd of April."""

    region: str | None = None
    day_first: bool = False

    def parser(self, field: str) -> Callable[[str], Any]:
        """Return what reads a field's text, which is not blank; it raises ValueError saying what is wrong."""
        if field == "phone":
            return lambda text: contacts.phone(output.unneutralise(text), self.region)
        if field in DATES:
            return lambda text: dates.moment(text, day_first=self.day_first)
        return _PARSERS.get(field, _text)


def amount(text: str) -> Decimal:
    """Read a sum of zero or more, in the base currency, with cents. Raises ValueError."""
    if _PLAIN_AMOUNT.fullmatch(text):
        return Decimal(text)
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
        value = output.unneutralise(value).strip()
    if "\0" in value:
        raise ValueError("it holds a NUL character")
    if len(value) > LONGEST_TEXT:
        raise ValueError(_too_long(value, LONGEST_TEXT))
    return value


def _too_long(text: str, limit: int) -> str:
    return f"it has {len(text):,} characters, more than {limit:,}"


def _token(text: str) -> str:
    value = _text(text)
    if len(value) > LONGEST_TOKEN:
        raise ValueError(_too_long(value, LONGEST_TOKEN))
    return value


def _email(text: str) -> str:
    return contacts.email(output.unneutralise(text))


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


@dataclass(frozen=True, slots=True)
class Owner:
    """An account that a row may name as the owner: its id, or the code and the reason why it owns no leads."""

    id: str
    code: str = ""
    reason: str = ""


class RowReader:
    """Checks the rows of one file, whose fields are in `columns`; `fields` names the values that `read` returns.

    `owners` finds accounts by id and by lower-case email. `defaults` holds a `userId` or `source` for the rows without.
    `now` is naive UTC.
    """

    def __init__(
        self,
        columns: Mapping[str, int],
        width: int,
        *,
        owners: Mapping[str, Owner],
        defaults: Mapping[str, str],
        reading: Reading,
        now: datetime,
    ) -> None:
        self.width, self.owners, self.now = width, owners, now
        own = [field for field in columns if field not in ("ib", "userId")]
        self.owner_columns = [(name, columns[name]) for name in ("ib", "userId") if name in columns]
        added = ["userId"] if self.owner_columns else []
        self.fields = [*own, *added, *(field for field in defaults if field not in (*own, *added))]
        place = {field: number for number, field in enumerate(self.fields)}
        self._plan = [(place[field], columns[field], field, reading.parser(field)) for field in own]
        self._defaults = [(place[field], value) for field, value in defaults.items()]
        self._owner_place = place.get("userId", -1)
        # A field that the file lacks is looked up in a place behind the others, which stays empty.
        self._contacts = [place.get(field, -1) for field in CONTACTS]
        self._dates = [(field, place[field]) for field in DATES if field in place]
        self._captured, self._qualified = place.get("leadCapturedAt", -1), place.get("qualifiedAt", -1)
        self._ftd, self._cpa, self._total = (place.get(field, -1) for field in AMOUNTS)

    def read(self, cells: Sequence[str]) -> list[Any]:
        """Return a row's values in the order of `fields`, None for an empty cell. Raises RowError."""
        if len(cells) != self.width:
            raise RowError("cells", "", misfit(cells, self.width))
        values: list[Any] = [None] * (len(self.fields) + 1)
        for place, index, field, parse in self._plan:
            if text := cells[index].strip():
                if len(text) > LONGEST_TEXT:
                    raise RowError("text_invalid", field, _too_long(text, LONGEST_TEXT))
                try:
                    value = parse(text)
                except ValueError as exc:
                    raise _refusal(_CODES.get(field, "text_invalid"), field, str(exc)) from None
                if value != "":
                    values[place] = value
        self._check(values)
        if self.owner_columns:
            values[self._owner_place] = self._owner(cells)
        for place, default in self._defaults:
            if values[place] is None:
                values[place] = default
        values.pop()
        return values

    def _check(self, values: list[Any]) -> None:
        """Refuse what the fields of a row cannot be together."""
        email, phone, token = self._contacts
        if not (values[email] or values[phone] or values[token]):
            raise RowError("contact_missing", "", "the row has neither email, phone nor tracking token")
        for field, place in self._dates:
            moment = values[place]
            if moment is not None and moment > self.now:
                raise RowError("date_future", field, future(moment))
        if (qualified := values[self._qualified]) is not None:
            # A row without leadCapturedAt is a lead captured now.
            wrong = before_capture(values[self._captured] or self.now, qualified)
            if wrong is not None:
                raise RowError("date_order", "qualifiedAt", wrong)
        if (total := values[self._total]) is not None:
            parts = (values[self._ftd] or 0) + (values[self._cpa] or 0)
            if total != parts:
                message = f"totalEarned {total} is not ftdEarned + cpaEarned, which are {parts}"
                raise RowError("total_mismatch", "totalEarned", message)

    def _owner(self, cells: Sequence[str]) -> str | None:
        owner_id: str | None = None
        for field, index in self.owner_columns:
            name = output.unneutralise(cells[index].strip())
            if not name:
                continue
            owner = self.owners.get(name) or self.owners.get(name.lower())
            if owner is None:
                raise _refusal("owner_unknown", field, f"there is no IB '{name}'")
            if owner.code:
                raise _refusal(owner.code, field, owner.reason)
            if owner_id not in (None, owner.id):
                raise _refusal("owner_unknown", field, f"'{name}' is another IB than the one in the row's other column")
            owner_id = owner.id
        return owner_id


def _refusal(code: str, field: str, message: str) -> RowError:
    """Make a RowError of a message with a foreign value in it: short, on one line, and without NUL."""
    line = " ".join(message.split()).replace("\0", "\\0")
    return RowError(code, field, line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…")
