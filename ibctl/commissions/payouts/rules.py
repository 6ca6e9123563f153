"""What a batch is called, what each payment amounts to, and who is left out of it. Plain values only.

An IB with a commission in the month is left out of a batch with a code:

    excluded        by --exclude
    not_named       by --only, which names others
    in_payout       a batch has claimed it already, though its row was set back to PENDING outside ibctl
    money_is_out    its payment was cancelled, and money has left for that, or may have
    held            a hold of it is in force, though its row says PENDING
    not_due         not before its plan's day
    to_calculate    something was booked into the month since it was calculated
    no_payee        nobody has said where its money goes
    other_method    its payee is paid in another way
    no_rate         there is no exchange rate into its payee's currency
    too_small       less than the smallest unit of its payee's currency
    nothing_due     named by --only, without a PENDING commission above zero
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ibctl import currencies, output, rendering
from ibctl.errors import UsageError
from ibctl.months import Month

# Left out although nobody asked for it: something has to be done about them.
TROUBLE = ("in_payout", "money_is_out", "to_calculate", "no_payee", "no_rate", "too_small", "nothing_due")
# A rate may be this old: banks publish none on weekends and holidays.
OLDEST_RATE = timedelta(days=7)
# What PayPal sends no decimals of, besides what has none (developer.paypal.com/reference/currency-codes).
PAYPAL_WHOLE = frozenset({"HUF", "JPY", "TWD"})
REFERENCE = re.compile(r"IB(\d{4})(\d{2})B(\d+)N(\d{5,})")


@dataclass(frozen=True)
class Rate:
    """What one unit of a currency was worth in the base currency; of the base currency itself, 1 and nothing else."""

    rate: Decimal
    id: str | None = None
    date: date | None = None
    source: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A commission that is left out of a batch; `amount` in the base currency."""

    email: str
    amount: Decimal
    code: str
    why: str


def batch_id(month: Month, number: int) -> str:
    """Name the month's batch with this number: 2025-10-1."""
    return f"{month}-{number}"


def parse_batch(text: str) -> str:
    """Read a batch's name. Raises UsageError."""
    cleaned = text.strip()
    if not re.fullmatch(r"\d{4}-\d{2}-[1-9]\d{0,5}", cleaned, re.ASCII):
        raise UsageError(
            f"'{text}' is not a batch: write it like 2025-10-1; `ibctl commissions payouts list` shows them"
        )
    return cleaned


def reference(month: Month, number: int, position: int) -> str:
    """Name a payment for the bank, which may drop all but letters and digits: IB202510B2N00001.

    MT940 has room for 16 characters; what is cut off behind them leaves no other payment's name.
    """
    return f"IB{month.year:04d}{month.month:02d}B{number}N{position:05d}"


def payable(base_amount: Decimal, rate: Rate, currency: str, method: str) -> Decimal:
    """Return what is paid for an amount in the base currency, half up to what `method` can send of `currency`."""
    amount = base_amount / rate.rate
    if method == "paypal" and currency in PAYPAL_WHOLE:
        return amount.quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return currencies.round_to(amount, currency)


@dataclass(frozen=True)
class Choice:
    """Who is to be paid: by their ids, and by which method, out of commissions that are due by `today`.

    `rate_day` is the last day whose rates hold.
    """

    method: str
    only: Collection[str]
    exclude: Collection[str]
    today: date
    rate_day: date


def reason_to_skip(row: Mapping[str, Any], choice: Choice, rates: Mapping[str, Rate]) -> tuple[str, str] | None:
    """Say why a candidate is left out, as a code and in words; None when it is paid.

    `row` has user_id, amount (in the base currency), payableFrom (a date or None), obstacle, batch and payment (see
    `payable`), out (what may be out for a cancelled payment, in words, or None), and of the payee method and currency
    (None without one).
    """
    if row["user_id"] in choice.exclude:
        return "excluded", "--exclude"
    if choice.only and row["user_id"] not in choice.only:
        return "not_named", "--only names others"
    if row["obstacle"] == "claimed":
        return "in_payout", _in_payout(row["batch"], row["payment"])
    if row["out"] is not None:
        return "money_is_out", row["out"]
    if row["obstacle"] == "early":
        return "not_due", f"not before {row['payableFrom']}"
    if row["obstacle"] == "stale":
        return (
            "to_calculate",
            "something was booked into it, or it was edited, since: `ibctl commissions run` first",
        )
    if row["obstacle"] is not None:
        return "held", "a hold is in force: `ibctl commissions release` ends it"
    return _trouble_with_payee(row, choice, rates)


def _in_payout(batch: str, payment: str) -> str:
    if payment == "PAID":
        return f"was paid in {batch}, and its row says PENDING: set paymentStatus back to PAID in the web application"
    return (
        f"is in {batch}, though its row says PENDING: `ibctl commissions payouts reconcile {batch}` sets it right once "
        "it is paid, `payouts cancel` takes it out"
    )


def still_out(reference: str, batch: str, sent: Decimal, currency: str) -> str:
    """Say that money is out for a cancelled payment, or that it is not clear whether, and what to do."""
    if sent:
        left = f"{currencies.show(sent, currency)} left under {reference} of the cancelled {batch}"
        return f"{left}: have it returned, then reconcile the return"
    return (
        f"it is not clear whether money has left under {reference} of the cancelled {batch}: "
        f"`ibctl commissions payouts show {batch}` says what is known"
    )


_FINER = "PENDING until `payees set` names another currency; a plan's minimum carries such sums on"


def _trouble_with_payee(row: Mapping[str, Any], choice: Choice, rates: Mapping[str, Rate]) -> tuple[str, str] | None:
    if row["method"] is None:
        return "no_payee", "`ibctl commissions payees set` says where its money goes"
    if row["method"] != choice.method:
        return "other_method", f"is paid by --method {row['method']}"
    if row["currency"] not in rates:
        days = f"from {choice.rate_day - OLDEST_RATE} to {choice.rate_day}"
        return "no_rate", f"no rate of {row['currency']} {days}: `ibctl commissions rates import`"
    if not payable(row["amount"], rates[row["currency"]], row["currency"], choice.method):
        return "too_small", f"less than the smallest unit of {row['currency']}: {_FINER}"
    return None


def status(counts: Mapping[str, int], *, approved: bool, exported: bool) -> str:
    """Say how far a batch is, from how many of its payments are PROCESSING, PAID, RETURNED and CANCELLED.

    RETURNED are those that were PAID and of which something came back, PAID the others; one is enough for the batch.
    """
    if counts.get("RETURNED"):
        return "RETURNED"
    if counts.get("PAID"):
        return "PART PAID" if counts.get("PROCESSING") else "PAID"
    if not counts.get("PROCESSING"):
        return "CANCELLED"
    return "EXPORTED" if exported else "APPROVED" if approved else "CREATED"


# In the order in which they are said.
_BECAME = {"PENDING": "PENDING again", "HELD": "HELD, so not paid anew until it is released", "GONE": "deleted since"}


def became(counts: Mapping[str, int]) -> str:
    """Say what commissions became that a batch gave back, counted by PENDING, HELD and GONE."""
    found = {words: counts[status] for status, words in _BECAME.items() if counts.get(status)}
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{count:,} {words}" for words, count in found.items())


_ASTRAY = {
    "unmatched": ("names", "name", "no single payment of the batch"),
    "early": ("is", "are", "dated before the month was over: that proves nothing"),
    "repeated": ("tells", "tell", "again of what another file had told of: that counts nothing"),
}


def astray(counts: Mapping[str, int]) -> Iterable[str]:
    """Say of movements that belong to no payment, counted by their findings, what is wrong: a line for each finding."""
    for finding, (one, many, rest) in _ASTRAY.items():
        if count := counts.get(finding):
            yield f"{rendering.counted(count, 'reported movement')} {one if count == 1 else many} {rest}"


def sums(amounts: Iterable[tuple[Decimal, str]]) -> str:
    """Write what amounts come to, by currency: `1,200.00 EUR, 50,000 JPY`."""
    totals: dict[str, Decimal] = {}
    for amount, currency in amounts:
        totals[currency] = totals.get(currency, Decimal(0)) + amount
    return ", ".join(currencies.show(totals[code], code) for code in sorted(totals)) or "nothing"


def grouped(skipped: Iterable[Skipped]) -> Iterable[str]:
    """Say who was left out and why, a line for each reason; how many, where there are more than one."""
    by_code: dict[tuple[str, str], list[str]] = {}
    for one in skipped:
        by_code.setdefault((one.code, one.why), []).append(one.email)
    for (code, why), emails in by_code.items():
        count = f"{rendering.counted(len(emails), 'IB')}, " if len(emails) > 1 else ""
        yield f"left out, {code}: {count}{output.some(emails)} ({why})"
