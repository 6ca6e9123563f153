"""The files that tell a bank or a provider whom to pay, in their own layouts. Plain values in, text out, the same
values giving the same bytes.

    generic     every figure of every payment, for people and for programs of one's own
    paypal      PayPal's Payouts Web: no header, one currency a file, at most 5,000 rows
                (developer.paypal.com/docs/payouts/standard/payouts-web)
    wise        Wise's batch template: at most 1,000 rows a file, emails and IBANs apart, exact amounts at the recipient
                (wise.com/help/articles/2663302)
    pain.001    ISO 20022 customer credit transfer, pain.001.001.09 as SEPA takes it: euros, from one IBAN to others
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from ibctl import currencies, output, rendering
from ibctl.commissions.payouts.rules import PAYPAL_WHOLE
from ibctl.errors import RequestError

PAYPAL_ROWS, WISE_ROWS = 5_000, 1_000
SCHEMA = "pain.001.001.09"
# Which methods of payees a layout can pay.
METHODS: Mapping[str, Sequence[str]] = {
    "generic": ("bank_transfer", "paypal", "wise"),
    "paypal": ("paypal",),
    "wise": ("wise", "bank_transfer"),
    "pain.001": ("bank_transfer",),
}


@dataclass(frozen=True)
class Payment:
    """One payment in plain text; `rate` is what one unit of `currency` was worth in the base currency."""

    reference: str
    email: str
    name: str = field(repr=False)
    account: str = field(repr=False)
    method: str
    amount: Decimal
    currency: str
    base_amount: Decimal
    rate: Decimal
    rate_date: date | None


@dataclass(frozen=True)
class Order:
    """What is common to the payments of a file: its batch and month, whose account they leave, and when.

    `name` is what the bank knows it by, and what its files are called after; no bank takes one twice.
    """

    name: str
    batch: str
    month: str
    base_currency: str
    created_at: datetime
    execution_date: date
    payer_name: str = ""
    payer_iban: str = field(default="", repr=False)


@dataclass(frozen=True)
class PayoutFile:
    """A file to hand in: its name, its text (UTF-8), and the payments in it."""

    name: str
    text: str = field(repr=False)
    payments: Sequence[Payment] = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of its bytes, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def totals(self) -> dict[str, Decimal]:
        """What its payments come to, by currency."""
        found: dict[str, Decimal] = {}
        for payment in self.payments:
            found[payment.currency] = found.get(payment.currency, Decimal(0)) + payment.amount
        return dict(sorted(found.items()))


def make(layout: str, order: Order, payments: Sequence[Payment]) -> list[PayoutFile]:
    """Write payments in a layout, and the manifest that says what is in the files.

    Raises RequestError naming what does not fit the layout.
    """
    _require_fitting(layout, payments)
    files = list(_WRITERS[layout](order, payments))
    return [*files, manifest(layout, order, files)]


def _require_fitting(layout: str, payments: Iterable[Payment]) -> None:
    wrong = sorted({payment.method for payment in payments} - set(METHODS[layout]))
    if wrong:
        raise RequestError(f"--layout {layout} cannot pay by {', '.join(wrong)}: use another, generic takes all")


def manifest(layout: str, order: Order, files: Sequence[PayoutFile]) -> PayoutFile:
    """Say what was made: each file with its rows, totals and the SHA-256 of its bytes. Nothing personal is in it."""
    content = {
        "batch": order.batch,
        "layout": layout,
        "executionDate": order.execution_date.isoformat(),
        "files": [
            {"name": file.name, "rows": len(file.payments), "totals": _written(file), "sha256": file.sha256}
            for file in files
        ],
    }
    return PayoutFile(f"payout-{order.name}.manifest.json", json.dumps(content, indent=2) + "\n", [])


def _written(file: PayoutFile) -> dict[str, str]:
    return {code: _amount(total, code) for code, total in file.totals.items()}


def _amount(amount: Decimal, currency: str) -> str:
    """Write an amount with the decimals of its currency, more where it has them, and no grouping."""
    return _with_decimals(amount, currencies.places(currency))


def _with_decimals(amount: Decimal, places: int) -> str:
    decimals = max(places, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:.{decimals}f}"


# ------------------------------------------------------------------------------------------------------------------ CSV


def _csv(header: Sequence[str] | None, rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = output.csv_writer(stream)
    if header is not None:
        writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def _text(value: str) -> str:
    """A holder may call himself what a spreadsheet would run."""
    return f"'{value}" if rendering.looks_like_formula(value) else value


def _generic(order: Order, payments: Sequence[Payment]) -> Iterator[PayoutFile]:
    header = [
        "reference", "email", "name", "account", "method", "amount", "currency", "baseAmount", "baseCurrency", "rate",
        "rateDate", "month",
    ]  # fmt: skip
    rows = (
        [one.reference, _text(one.email), _text(one.name), _text(one.account), one.method,
         _amount(one.amount, one.currency), one.currency, _amount(one.base_amount, order.base_currency),
         order.base_currency, f"{one.rate:f}", one.rate_date or "", order.month]
        for one in payments
    )  # fmt: skip
    yield PayoutFile(f"payout-{order.name}.csv", _csv(header, rows), payments)


def _split(
    order: Order, payments: Sequence[Payment], key: Callable[[Payment], str], limit: int
) -> Iterator[tuple[str, Sequence[Payment]]]:
    """Cut payments into files of one key and at most `limit` rows, with their names."""
    for kind, same in groupby(sorted(payments, key=lambda one: (key(one), one.reference)), key):
        for number, part in enumerate(_parts(list(same), limit), 1):
            yield f"payout-{order.name}-{kind}-{number}.csv", part


def _parts(payments: Sequence[Payment], limit: int) -> Iterator[Sequence[Payment]]:
    for start in range(0, len(payments), limit):
        yield payments[start : start + limit]


def _paypal(order: Order, payments: Sequence[Payment]) -> Iterator[PayoutFile]:
    for name, part in _split(order, payments, lambda one: one.currency, PAYPAL_ROWS):
        rows = (
            [one.account, _paypal_amount(one), one.currency, one.reference,
             f"Commission {order.month}", "PAYPAL"]
            for one in part
        )  # fmt: skip
        yield PayoutFile(name, _csv(None, rows), part)


def _paypal_amount(one: Payment) -> str:
    return _with_decimals(one.amount, 0 if one.currency in PAYPAL_WHOLE else currencies.places(one.currency))


_WISE = (
    "name", "recipientEmail", "paymentReference", "receiverType", "amountCurrency", "amount", "sourceCurrency",
    "targetCurrency", "IBAN", "type",
)  # fmt: skip


def _wise(order: Order, payments: Sequence[Payment]) -> Iterator[PayoutFile]:
    for name, part in _split(order, payments, lambda one: "email" if "@" in one.account else "iban", WISE_ROWS):
        yield PayoutFile(name, _csv(_WISE, (_wise_row(order, one) for one in part)), part)


def _wise_row(order: Order, one: Payment) -> list[str]:
    by_email = "@" in one.account
    return [
        _text(one.name), one.account if by_email else "", one.reference, "PRIVATE",
        # The recipient gets this amount, whatever it costs.
        "target", _amount(one.amount, one.currency), order.base_currency, one.currency,
        "" if by_email else one.account, "EMAIL" if by_email else "IBAN",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- pain.001

_NAMESPACE = f"{{urn:iso:std:iso:20022:tech:xsd:{SCHEMA}}}"
# The characters that every SEPA bank takes (EPC217-08).
_UNKNOWN = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]+")


def _pain(order: Order, payments: Sequence[Payment]) -> Iterator[PayoutFile]:
    from sepaxml import SepaTransfer

    _require_sepa(payments)
    payer = {"name": _plain(order.payer_name), "IBAN": order.payer_iban, "batch": True, "currency": "EUR"}
    transfer = SepaTransfer(payer, schema=SCHEMA, clean=False)
    for one in payments:
        transfer.add_payment(
            {"name": _plain(one.name) or one.reference, "IBAN": one.account, "amount": int(one.amount * 100),
             "execution_date": order.execution_date, "endtoend_id": one.reference,
             "description": f"Commission {order.month} {one.reference}"}
        )  # fmt: skip
    yield PayoutFile(f"payout-{order.name}.xml", _settled(order, transfer.export(validate=False)), payments)


def _require_sepa(payments: Iterable[Payment]) -> None:
    """Refuse what a SEPA bank would send back: other currencies, and accounts outside the area."""
    import schwifty

    others = sorted({one.currency for one in payments} - {"EUR"})
    if others:
        raise RequestError(f"--layout pain.001 pays in EUR, and there are payments in {', '.join(others)}: use generic")
    outside = [one.email for one in payments if not schwifty.IBAN(one.account).in_sepa_zone]
    if outside:
        raise RequestError(
            f"--layout pain.001 pays within SEPA, and {output.some(outside)} have accounts elsewhere: cancel those "
            "with --only, or use generic"
        )


def _plain(name: str) -> str:
    """Write a name in the characters that SEPA knows: Zoë Müller becomes Zoe Muller."""
    from text_unidecode import unidecode

    return " ".join(_UNKNOWN.sub(" ", unidecode(name)).split())[:70].strip()


def _settled(order: Order, made: bytes) -> str:
    """Put the batch's own names and time in the place of the random ones, and check the whole against its schema."""
    from defusedxml import ElementTree

    root = ElementTree.fromstring(made)
    values = {
        "GrpHdr/{0}MsgId": order.name, "GrpHdr/{0}CreDtTm": order.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "PmtInf/{0}PmtInfId": order.name,
        # Booked one by one, so that the bank's statement proves each.
        "PmtInf/{0}BtchBookg": "false",
    }  # fmt: skip
    for path, value in values.items():
        _found(root, path).text = value
    _name_bank(_found(root, "PmtInf/{0}DbtrAgt/{0}FinInstnId"), order.payer_iban)
    text: str = '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
    _require_valid(text)
    return text


def _found(root: Any, path: str) -> Any:
    return root.find(f"{{0}}CstmrCdtTrfInitn/{{0}}{path}".format(_NAMESPACE))


def _name_bank(node: Any, iban: str) -> None:
    """Name the payer's bank by its BIC where that is known, or say as SEPA does that it is not given."""
    import schwifty

    bic = schwifty.IBAN(iban).bic
    if bic is not None:
        _child(node, "BICFI").text = str(bic)
    else:
        _child(_child(node, "Othr"), "Id").text = "NOTPROVIDED"


def _child(node: Any, name: str) -> Any:
    child = node.makeelement(f"{_NAMESPACE}{name}", {})
    node.append(child)
    return child


def _require_valid(text: str) -> None:
    from sepaxml.validation import ValidationError, try_valid_xml

    try:
        try_valid_xml(text.encode(), SCHEMA)
        return
    except ValidationError:
        pass
    # Raised out here: the validator's own exception quotes the payee.
    raise RequestError(f"the payments do not make a valid {SCHEMA} file: check the payer's settings, or use generic")


_WRITERS: Mapping[str, Callable[[Order, Sequence[Payment]], Iterator[PayoutFile]]] = {
    "generic": _generic, "paypal": _paypal, "wise": _wise, "pain.001": _pain,
}  # fmt: skip
