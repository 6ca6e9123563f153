"""What an email address and a password must be, and how an account's fate is put into words; plain values only."""

from __future__ import annotations

import datetime as dt
import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ibctl import money, rendering
from ibctl.errors import UsageError

PASSWORD_LENGTH = 8  # characters, at least
PASSWORD_BYTES = 72  # bcrypt ignores whatever follows, so two long passwords could be the same
BCRYPT_COST = 12
LIKELY = 0.75  # between 0, nothing in common, and 1


def email(text: str) -> str:
    """Return an address as ibctl stores it: trimmed, lower-case, Unicode composed (NFC). No DNS is asked.

    Raises UsageError with the value and what is wrong with it.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as exc:
        raise UsageError(f"'{text}' is not an email address: {str(exc).rstrip('.')}") from None


def check_password(password: str) -> None:
    """Raise UsageError when a password is too short, or is one of which bcrypt would not use the whole."""
    if len(password) < PASSWORD_LENGTH:
        raise UsageError(f"the password has {len(password)} characters: {PASSWORD_LENGTH} are the least")
    # "replace" puts one byte for what is no Unicode; the encoder's own exception would hold the password.
    size = len(password.encode(errors="replace"))
    if size > PASSWORD_BYTES:
        raise UsageError(f"the password has {size} bytes in UTF-8: bcrypt uses no more than {PASSWORD_BYTES}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise UsageError("the password holds control characters, or bytes that are not UTF-8: type it in anew")


def hash_password(password: str) -> str:
    """Return a bcrypt hash in the `$2b$` form, which Node's bcrypt and bcryptjs read too; takes about 0.2 s.

    Raises UsageError as `check_password` does.
    """
    import bcrypt

    check_password(password)
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST, prefix=b"2b")).decode()


def close_matches(wanted: str, known: Iterable[str]) -> list[str]:
    """Return up to three of the emails `known` that somebody who wrote `wanted` may have meant, the likeliest first.

    The parts before and after the @ are weighed apart: thousands of accounts share a domain.
    """
    folded = wanted.strip().lower()
    scored = [(_likeness(folded, name.lower()), name) for name in known]
    likely = sorted((-score, name) for score, name in scored if score >= LIKELY)
    return [name for _, name in likely[:3]]


def _likeness(wanted: str, known: str) -> float:
    if len(wanted) >= 3 and wanted in known:
        return LIKELY
    parts = zip(wanted.partition("@")[::2], known.partition("@")[::2], strict=True)
    # Without an @, only the part before it is compared.
    return min((difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() for a, b in parts if a), default=0)


@dataclass(frozen=True)
class Holdings:
    """What hangs on some accounts; `unpaid_total` is the sum of their payouts not yet paid, in `currency`.

    `open` of them are of open months and in no payout: the next run calculates them again.
    """

    emails: Sequence[str]
    leads: int
    unpaid: int
    unpaid_total: Decimal
    open: int
    open_total: Decimal
    currency: str

    @property
    def nothing(self) -> bool:
        """Whether there is neither a lead nor an unpaid commission."""
        return not self.leads and not self.unpaid

    def __str__(self) -> str:
        leads = rendering.counted(self.leads, "lead")
        return f"{leads} and {_sum_of(self.unpaid, self.unpaid_total, self.currency)}"


@dataclass(frozen=True)
class Uncounted:
    """Leads that qualified in open months and are in no commission yet, and the sum of their CPA, in `currency`."""

    leads: int
    cpa: Decimal
    currency: str

    @property
    def as_admin(self) -> str | None:
        """Say that they earn an ADMIN nothing; None when there is none."""
        if not self.leads:
            return None
        are = "is" if self.leads == 1 else "are"
        return (
            f"{rendering.counted(self.leads, 'qualified lead')} of open months, with a CPA of "
            f"{money.show(self.cpa, self.currency)}, {are} in no commission yet and will earn nothing"
        )


def deactivation_effect(held: Holdings) -> str:
    """Say what deactivating the accounts does, and what it leaves as it is."""
    who = held.emails[0] if len(held.emails) == 1 else f"{len(held.emails):,} accounts"
    return f"{who} can no longer sign in" + ("" if held.nothing else f"; {held} stay as they are")


def promotion_effect(held: Holdings, uncounted: Uncounted) -> str | None:
    """Say what making an IB an administrator does to what it earns; None when nothing hangs on it.

    Of its unpaid commissions, those of closed months and those in a payout stay; the others are calculated again.
    """
    if held.nothing and not uncounted.leads:
        return None
    stay = rendering.counted(held.leads, "lead")
    if settled := held.unpaid - held.open:
        sum_ = _sum_of(settled, held.unpaid_total - held.open_total, held.currency)
        stay += f" and {sum_} of closed months or in payouts"
    again = ""
    if held.open:
        sum_ = _sum_of(held.open, held.open_total, held.currency)
        again = (
            f"; the next run calculates {sum_} of open months without leads and ad spend, unless they are closed first"
        )
    lost = f"; {uncounted.as_admin}, unless their months are closed first" if uncounted.leads else ""
    return f"{held.emails[0]} becomes an ADMIN and earns no more commissions; {stay} stay as they are{again}{lost}"


def _sum_of(count: int, total: Decimal, currency: str) -> str:
    return f"{rendering.counted(count, 'unpaid commission')} ({money.show(total, currency)})"


def locked_note(email: str, locked_until: dt.datetime | None, now: dt.datetime) -> str | None:
    """Say that an account is locked, for whoever has just given it a new password; None when it is not."""
    if locked_until is None or locked_until <= now:
        return None
    return f"it stays locked until {locked_until:%Y-%m-%d %H:%M} UTC; `ibctl users unlock {email}` lifts that"
