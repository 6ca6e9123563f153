"""Where an IB may want its money, and how much of that is ever shown. Names and accounts are in no message.

A row of a payees file that does not fit is refused with a code, the field at fault, and what is wrong with it:

    cells               more or fewer cells than the header has
    ib_unknown          no IB has this email or id
    method_unknown      none of bank_transfer, paypal, wise
    currency_invalid    not the code of a currency
    name_invalid        empty, longer than 70 characters, or with control characters
    account_invalid     not a valid IBAN (bank_transfer), not an email address (paypal), neither (wise)
    duplicate           an earlier row of the file is about the same IB
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ibctl import currencies
from ibctl.imports import RowError

METHODS = ("bank_transfer", "paypal", "wise")
# What pain.001 leaves room for.
LONGEST_NAME = 70

ALIASES: Mapping[str, Sequence[str]] = {
    "ib": ("email", "ib email", "affiliate", "userId", "user id"),
    "method": ("payment method", "type"),
    "currency": ("currency code",),
    "name": ("account holder", "holder", "recipient", "recipient name"),
    "account": ("iban", "account number", "paypal", "paypal email", "recipient email", "wise email"),
}


@dataclass(frozen=True)
class Destination:
    """Checked: a method, a currency, and in plain text the holder's name and the account (an IBAN without blanks)."""

    method: str
    currency: str
    name: str = field(repr=False)
    account: str = field(repr=False)


def destination(cells: Mapping[str, str], *, base: str) -> Destination:
    """Read a payee, given by field; without a currency, `base` holds, without a method, bank_transfer.

    Raises RowError for the first thing that is wrong with it.
    """
    chosen = method(cells.get("method", "") or METHODS[0])
    return Destination(chosen, currency(cells.get("currency", "") or base), name(cells["name"]),
                       account(chosen, cells["account"]))  # fmt: skip


def method(text: str) -> str:
    """Read a method. Raises RowError."""
    word = text.strip().lower().replace(" ", "_").replace("-", "_")
    if word not in METHODS:
        raise RowError("method_unknown", "method", f"'{text}' is no way to pay: write one of {', '.join(METHODS)}")
    return word


def currency(text: str) -> str:
    """Read a currency's code. Raises RowError."""
    try:
        return currencies.parse(text)
    except ValueError as exc:
        raise RowError("currency_invalid", "currency", str(exc)) from None


def name(text: str) -> str:
    """Read the holder's name. Raises RowError."""
    cleaned = " ".join(text.split())
    if not cleaned or len(cleaned) > LONGEST_NAME or not cleaned.isprintable():
        raise RowError("name_invalid", "name", f"the holder's name needs 1 to {LONGEST_NAME} printable characters")
    return cleaned


def account(method: str, text: str) -> str:
    """Read the account that a method pays to. Raises RowError, which does not quote it."""
    if method == "bank_transfer" or (method == "wise" and "@" not in text):
        return _iban(text)
    return _email(text)


def _iban(text: str) -> str:
    import schwifty

    try:
        return str(schwifty.IBAN(text))
    except ValueError as exc:
        # The library's own message may quote it.
        problem = re.sub("(?<!^)(?=[A-Z])", " ", type(exc).__name__.replace("BBAN", "")).lower()
    raise RowError("account_invalid", "account", f"not a valid IBAN ({problem})")


def _email(text: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        pass
    raise RowError("account_invalid", "account", "not an email address, which PayPal and Wise pay to")


# -------------------------------------------------------------------------------------------------------- what is shown


def masked_account(account: str) -> str:
    """Show enough of an account to recognise it: `DE… 3000`, `r…@example.com`."""
    local, at, domain = account.partition("@")
    return f"{local[:1]}…@{domain}" if at else f"{account[:2]}… {account[-4:]}"


def masked_name(name: str) -> str:
    """Show a name's initials: `R… V…`."""
    return " ".join(f"{word[:1]}…" for word in name.split())
