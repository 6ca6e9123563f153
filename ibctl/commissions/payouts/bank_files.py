"""What banks and providers report: camt.053, MT940 and CSV, read into movements of money. Plain values only.

A file is read whole or refused: evidence with a hole in it is none. Only what is booked counts; what a bank announces,
or a provider has not sent yet, is passed over, and so is what moves no money: an entry of 0.00, as banks book at a
quarter's end. A day that has not begun anywhere proves nothing. What a file says about people is not kept.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, TypeVar

from ibctl import currencies, days, imports, money, tabular
from ibctl.errors import RequestError
from ibctl.tabular.source import Source, open_source

Kind = Literal["camt.053", "mt940", "csv"]
Sign = Literal["positive", "negative"]
# A month of 10,000 payouts is a tenth of it.
LARGEST = 50 * 1024 * 1024
T = TypeVar("T")
# What an error may quote of a cell: an amount with separators, too short for an account's number, and a day.
_AMOUNT = re.compile(r"[-+]?[\d.,']{1,12}", re.ASCII)
_DAY = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}", re.ASCII)
_CURRENCY = re.compile("[A-Za-z]{3}")


@dataclass(frozen=True)
class Movement:
    """Money that left (`debit`) or came back (`credit`); the amount is above zero.

    `texts` is where a payment's reference may stand; `listed` says that the file lists payouts and nothing else.
    `paid_is` is the sign that was taken for money that left, where nothing but the sign tells the direction.
    """

    where: str
    direction: Literal["debit", "credit"]
    booked_on: date
    amount: Decimal
    currency: str
    texts: tuple[str, ...]
    bank_reference: str | None
    listed: bool = False
    paid_is: Sign | None = None

    @property
    def other_sign(self) -> Sign:
        """The sign that was not taken for money that left."""
        return "positive" if self.paid_is == "negative" else "negative"


def kind(source: Source) -> Kind:
    """Tell what a file is from how it begins. Raises RequestError when it cannot be read or is too large."""
    start = _content(source)[:4096]
    wide = start[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = start.decode("utf-16" if wide else "utf-8", "replace").lstrip("\ufeff \r\n\t")
    if text.startswith("<"):
        return "camt.053"
    return "mt940" if re.search(r"^:20:", text, re.MULTILINE) else "csv"


def _content(source: Source) -> bytes:
    with source.opened() as content:
        found = content.stream.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise RequestError(f"{source.path} is larger than {LARGEST // 1024 // 1024} MB: split it")
    return found


def read(path: Path, *, paid_is: Sign = "positive") -> list[Movement]:
    """Read a file's movements in their order, as `movements` does; `-` is standard input."""
    with open_source(path) as source:
        return movements(source, paid_is=paid_is)


def movements(source: Source, *, paid_is: Sign) -> list[Movement]:
    """Return a file's movements in their order; `paid_is` tells which sign in a CSV file means that money left.

    Raises RequestError, in one line that names the file and the place, for whatever cannot be read.
    """
    match kind(source):
        case "camt.053":
            found = _camt(source)
        case "mt940":
            found = _mt940(source)
        case _:
            found = _csv(source, paid_is)
    return [one for one in found if one.amount]


# ------------------------------------------------------------------------------------------------------------- camt.053


def _camt(source: Source) -> Iterator[Movement]:
    root, path = _xml(source), source.path
    statement = next((node for node in root.iter() if _name(node) in ("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn")), None)
    if statement is None:
        raise RequestError(f"{path} is no camt.053: it holds no BkToCstmrStmt, a bank's statement of what is booked")
    entries = [node for node in statement.iter() if _name(node) == "Ntry"]
    for number, entry in enumerate(entries, 1):
        if (_text(entry, "Sts", "Cd") or _text(entry, "Sts")) in ("BOOK", None):
            try:
                yield from _entry(f"entry {number}", entry)
            except (ValueError, InvalidOperation) as exc:
                raise RequestError(f"{path}, entry {number}: {_problem(exc)}") from None


def _problem(exc: Exception) -> str:
    return "its amount is none" if isinstance(exc, InvalidOperation) else str(exc)


def _xml(source: Source) -> Any:
    """Parse without entities and document types: they can read files, call out, or grow without end."""
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    path = source.path
    try:
        return ElementTree.fromstring(_content(source), forbid_dtd=True)
    except DefusedXmlException:
        raise RequestError(
            f"{path} declares a document type or entities, which no bank does: it was not read"
        ) from None
    except (ElementTree.ParseError, ValueError, LookupError) as exc:
        raise RequestError(f"{path} is not well-formed XML ({exc})") from None


def _name(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _find(node: Any, *path: str) -> Any:
    for name in path:
        node = next((child for child in node if _name(child) == name), None)
        if node is None:
            return None
    return node


def _text(node: Any, *path: str) -> str | None:
    found = _find(node, *path)
    return (found.text or "").strip() or None if found is not None else None


def _entry(where: str, entry: Any) -> Iterator[Movement]:
    """Yield an entry's transactions where the bank lists each with its amount, else the entry as one movement."""
    details = [node for node in entry.iter() if _name(node) == "TxDtls"]
    if len(details) == 1:
        # What the bank writes beside its only transaction (AddtlNtryInf) is about that one.
        yield _movement(where, entry, details[0], about=entry)
    elif details and all(_instructed(one) is not None for one in details):
        for one in details:
            yield _movement(where, entry, one, about=one)
    else:
        yield _movement(where, entry, None, about=entry)


def _movement(where: str, entry: Any, transaction: Any, *, about: Any) -> Movement:
    """Make a movement of an entry or one of its transactions; `about` holds all that is written about it."""
    amount = None if transaction is None else _instructed(transaction)
    amount = _find(entry, "Amt") if amount is None else amount
    if amount is None:
        raise ValueError("it has no amount")
    sign = (None if transaction is None else _text(transaction, "CdtDbtInd")) or _text(entry, "CdtDbtInd")
    if sign not in ("DBIT", "CRDT"):
        raise ValueError("it does not say whether money left or came (CdtDbtInd)")
    own = None if transaction is None else _text(transaction, "Refs", "AcctSvcrRef")
    value = _not_negative(Decimal((amount.text or "").strip()))
    return Movement(
        where, "debit" if sign == "DBIT" else "credit", _booked_on(entry), value,
        _code(amount.get("Ccy")), tuple(_texts(about)), own or _text(entry, "AcctSvcrRef"),
    )  # fmt: skip


def _instructed(transaction: Any) -> Any:
    """Return what was ordered, in its own currency, before what the account was charged."""
    for path in (("AmtDtls", "InstdAmt", "Amt"), ("AmtDtls", "TxAmt", "Amt"), ("Amt",)):
        found = _find(transaction, *path)
        if found is not None:
            return found
    return None


def _texts(node: Any) -> Iterator[str]:
    """Yield where references stand: the identifiers that travel along, and what is written for people."""
    for child in node.iter():
        if (
            _name(child) in ("EndToEndId", "InstrId", "TxId", "Ustrd", "Ref", "AddtlTxInf", "AddtlNtryInf")
            and child.text
        ):
            yield child.text


def _booked_on(entry: Any) -> date:
    for element in ("BookgDt", "ValDt"):
        text = _text(entry, element, "Dt") or _text(entry, element, "DtTm")
        if text:
            return _begun(_read(text[:10], days.parse, _DAY, "as its day", "a day: write it like 2025-10-31"))
    raise ValueError("it has no date of booking")


def _begun(day: date) -> date:
    if day > days.latest():
        raise ValueError(f"its day {day} is yet to come: nothing is booked then")
    return day


def _read(text: str, parse: Callable[[str], T], shape: re.Pattern[str], where: str, wanted: str) -> T:
    """Read a value; one that has not the shape of its kind may be a name or an account, which no error quotes.

    Raises ValueError.
    """
    try:
        return parse(text)
    except ValueError:
        shown = f"'{text}'" if shape.fullmatch(text) else "what stands"
        raise ValueError(f"{shown} {where} is not {wanted}") from None


def _code(currency: str | None) -> str:
    """Return a currency as a statement names it. Metals have a code, too, and are none of `currencies`."""
    code = (currency or "").upper()
    if not re.fullmatch("[A-Z]{3}", code):
        raise ValueError("its currency is no code of three letters")
    return code


def _not_negative(amount: Decimal) -> Decimal:
    if not amount.is_finite() or not 0 <= amount < money.LIMIT:
        raise ValueError(f"its amount {amount} is below zero or none")
    return amount


# ---------------------------------------------------------------------------------------------------------------- MT940


def _mt940(source: Source) -> Iterator[Movement]:
    import mt940

    # It logs the line that it cannot read, with the names and accounts in it.
    logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)
    text, path = _decoded(source), source.path
    _require_commas(path, text)
    wanted = len(re.findall(r"^:61:", text, re.MULTILINE))
    try:
        # A handle: a text could be taken for a file's name. Field 86 is left as it is: each bank fills it differently.
        found = list(mt940.parse(io.StringIO(text), processors={"post_transaction_details": []}))
    except (ValueError, RuntimeError, KeyError, InvalidOperation) as exc:
        raise RequestError(f"{path} cannot be read as MT940 ({type(exc).__name__})") from None
    if len(found) != wanted:
        raise RequestError(
            f"{path} has {wanted} movements, of which {len(found)} can be read as MT940: nothing was taken"
        )
    for number, transaction in enumerate(found, 1):
        yield _transaction(path, number, transaction.data)


# Two dates, the mark, the third letter of the currency, the amount, the type; the library takes any case, and breaks an
# amount off where it is written otherwise.
_STATEMENT_LINE = re.compile(r":61:\d{6}(?:\d{4}| {4})?R?[DC][A-Z]? ?\d+,\d*(?=[A-Z]|\s*$)", re.ASCII)


def _require_commas(path: Path, text: str) -> None:
    """Refuse a movement whose amount is not the standard's: digits, a comma, digits."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(":61:") and not _STATEMENT_LINE.match(line):
            raise RequestError(
                f"{path}, line {number}: no movement as MT940 writes it, with an amount of digits, a comma and digits "
                "behind the dates and D, C, RD or RC; nothing was taken"
            )


def _decoded(source: Source) -> str:
    content = _content(source)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _transaction(path: Path, number: int, data: Mapping[str, Any]) -> Movement:
    amount = data.get("amount")
    if amount is None or data.get("date") is None:
        raise RequestError(f"{path}, movement {number}: it has no amount or no date")
    try:
        day, currency = _begun(date(*data["date"].timetuple()[:3])), _code(amount.currency)
    except ValueError as exc:
        raise RequestError(f"{path}, movement {number}: {exc}") from None
    # D and C, and RD and RC for one that is taken back.
    left = data.get("status") in ("D", "RC")
    names = ("customer_reference", "extra_details", "transaction_details")
    return Movement(
        f"movement {number}", "debit" if left else "credit", day,
        abs(amount.amount), currency, tuple(str(data[name]) for name in names if data.get(name)),
        data.get("bank_reference"),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------ CSV

ALIASES: Mapping[str, Sequence[str]] = {
    "reference": ("payment reference", "end to end id", "endtoendid", "customer id", "reference id", "unique id"),
    "amount": ("gross", "target amount", "target amount (after fees)", "paid amount", "net amount"),
    "currency": ("currency code", "target currency", "amount currency"),
    "date": ("booked on", "booking date", "finished on", "paid at", "completed", "value date"),
    "id": ("transaction id", "bank reference", "transfer id", "payout item id"),
    "status": ("state", "transaction status"),
    "direction": (),
}
_SENT = frozenset(
    {"", "paid", "completed", "complete", "sent", "success", "successful", "booked", "outgoing_payment_sent"}
)
_BACK = frozenset({"returned", "refunded", "reversed", "bounced", "bounced_back", "funds_refunded"})
_NOT_SENT = frozenset({
    "pending", "processing", "unclaimed", "failed", "denied", "blocked", "on_hold", "held", "cancelled", "canceled",
    "incoming_payment_waiting", "funds_converted",
})  # fmt: skip


def _csv(source: Source, paid_is: Sign) -> Iterator[Movement]:
    with imports.unquoted():
        file = tabular.table_of(source)
        columns = tabular.columns(file, ALIASES, ["reference", "amount", "currency", "date"])
    for line, cells in file.rows():
        try:
            if len(cells) != len(file.header):
                raise ValueError(tabular.misfit(cells, len(file.header)))
            row = {name: cells[at].strip() for name, at in columns.items()}
            movement = _row(line, row, {name: file.header[at] for name, at in columns.items()}, paid_is)
        except ValueError as exc:
            raise RequestError(f"{source.path}, row {line}: {exc}; nothing was taken") from None
        if movement is not None:
            yield movement


def _row(line: int, cells: Mapping[str, str], headers: Mapping[str, str], paid_is: Sign) -> Movement | None:
    """Read a row by its fields, whose columns are called `headers`. Raises ValueError, which names the column."""
    status = re.sub(r"[\s-]+", "_", cells.get("status", "").lower())
    if status in _NOT_SENT:
        return None
    if status not in _SENT | _BACK:
        raise ValueError(f"what stands in column {headers['status']} is not a known status")

    def read(name: str, parse: Callable[[str], T], shape: re.Pattern[str], wanted: str) -> T:
        return _read(cells[name], parse, shape, f"in column {headers[name]}", wanted)

    amount = read("amount", money.parse, _AMOUNT, "an amount: write it like 1234.50")
    currency = read("currency", _currency, _CURRENCY, "a currency: write a code like EUR")
    day = _begun(read("date", lambda text: days.parse(text[:10]), _DAY, "a day: write it like 2025-10-31"))
    left = _is_debit(cells, headers, amount, paid_is) and status not in _BACK
    told = cells.get("direction") or status in _BACK
    return Movement(
        f"row {line}", "debit" if left else "credit", day, abs(amount), currency, (cells["reference"],),
        cells.get("id") or None, listed=True, paid_is=None if told else paid_is,
    )  # fmt: skip


def _currency(text: str) -> str:
    return currencies.parse(text, former=True)


def _is_debit(cells: Mapping[str, str], headers: Mapping[str, str], amount: Decimal, paid_is: Sign) -> bool:
    direction = cells.get("direction", "").lower()
    if direction in ("debit", "out", "outgoing"):
        return True
    if direction in ("credit", "in", "incoming"):
        return False
    if direction:
        raise ValueError(f"what stands in column {headers['direction']} is neither debit nor credit")
    return (amount > 0) == (paid_is == "positive")
