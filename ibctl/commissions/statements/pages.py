"""A statement as Markdown, CSV and JSON. What an IB or an administrator typed is escaped wherever it is shown."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from typing import Any

from ibctl import money, output, rendering
from ibctl.commissions.calculation import rules
from ibctl.commissions.statements.html import WORDS, page
from ibctl.commissions.statements.service import Statement

FORMATS = {"html": "html", "md": "md", "csv": "csv", "json": "json"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|&~])")


def write(form: str, statement: Statement) -> str:
    """Write a statement in one of FORMATS."""
    return {"html": page, "md": markdown, "csv": table, "json": document}[form](statement)


# ----------------------------------------------------------------------------------------------------------- formats


def markdown(statement: Statement) -> str:
    """Write a statement as Markdown: the account as a table, then how the payout was calculated."""
    lines = [
        f"# Statement {statement.month}", "", f"For {_plain(statement.email)}, amounts in {statement.currency}.", "",
        "| day | entry | amount | balance |", "| --- | --- | ---: | ---: |",
        f"| {statement.month.first_day} | opening balance | | {statement.amount(statement.opening)} |",
    ]  # fmt: skip
    for entry in statement.entries:
        amounts = f"{statement.amount(entry.amount)} | {statement.amount(entry.balance)}"
        lines.append(f"| {entry.day} | {_plain(entry.label)} | {amounts} |")
    lines += [f"| | **closing balance** | | **{statement.amount(statement.closing)}** |", ""]
    lines += [f"{note}\n" for note in statement.notes]
    if statement.derivation is not None:
        lines += ["## How the payout was calculated", "", "| | amount | rate | value |", "| --- | ---: | ---: | ---: |"]
        lines += [_derived(statement, line) for line in rules.flat(statement.derivation)]
    return "\n".join(lines).rstrip() + "\n"


def _derived(statement: Statement, line: rules.Line) -> str:
    amount = "" if line.amount is None else statement.amount(line.amount, line.currency)
    rate = "" if line.rate is None else f"{line.rate:f}"
    words = _plain(WORDS.get(line.label, line.label))
    label = f"**{words}**" if line.total else words
    return f"| {label} | {amount} | {rate} | {statement.amount(line.value)} |"


def _plain(text: str) -> str:
    """Write foreign text so that Markdown shows it as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(rendering.printable(text).split()))


def table(statement: Statement) -> str:
    """Write the account as CSV, opening and closing balance as its first and last row."""
    stream = io.StringIO()
    account = [
        (statement.month.first_day, "opening", "opening balance", None, statement.opening),
        *((entry.day, entry.kind, _cell(entry.label), entry.amount, entry.balance) for entry in statement.entries),
        (None, "closing", "closing balance", None, statement.closing),
    ]
    writer = output.csv_writer(stream)
    writer.writerow(["email", "month", "day", "kind", "label", "amount", "balance", "currency"])
    writer.writerows([_cell(statement.email), statement.month, *row, statement.currency] for row in account)
    return stream.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if rendering.looks_like_formula(text) else text


def document(statement: Statement) -> str:
    """Write a statement as JSON, an array of one object; amounts are texts, so that they stay exact."""
    content = {
        "email": statement.email,
        "month": str(statement.month),
        "currency": statement.currency,
        "opening": _exact(statement.opening),
        "entries": [
            {"day": entry.day.isoformat(), "kind": entry.kind, "label": entry.label, "amount": _exact(entry.amount),
             "balance": _exact(entry.balance)}
            for entry in statement.entries
        ],
        "closing": _exact(statement.closing),
        "paymentStatus": statement.status,
        "totalPayout": _exact(statement.payout),
        "returned": _exact(statement.returned),
        "derivation": [_line(line) for line in rules.flat(statement.derivation)] if statement.derivation else [],
        "history": [{"month": str(month), "totalPayout": _exact(payout)} for month, payout in statement.history],
        "notes": list(statement.notes),
    }  # fmt: skip
    return json.dumps([content], ensure_ascii=False, indent=2) + "\n"


def _line(line: rules.Line) -> dict[str, Any]:
    return {
        "part": line.part, "label": line.label, "id": line.id, "date": line.date, "amount": _text(line.amount),
        "currency": line.currency, "rate": _text(line.rate), "value": _exact(line.value), "total": line.total,
    }  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _exact(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount == amount.quantize(money.CENT) else f"{amount:f}"
