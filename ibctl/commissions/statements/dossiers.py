"""What an IB can check alone: its statement, what its month was calculated from, and a program that does it again.

Leads are named by pseudonyms: the first twelve hex digits of the SHA-256 of "IB's id:lead's id". So an IB sees the same
name for a lead in every dossier, nobody can tell from it who the lead is, and an administrator can work it out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlmodel import Session

from ibctl import currencies, rendering
from ibctl.commissions import seals
from ibctl.commissions.calculation import plan_rules, rules
from ibctl.commissions.calculation.rules import Inputs, Line
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.commissions.statements import pages as statement_pages
from ibctl.commissions.statements import service as statements
from ibctl.commissions.statements import verifier
from ibctl.commissions.statements.service import Statement
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.platform import User
from ibctl.months import Month


def of_ib(session: Session, ib: User, month: Month) -> dict[str, str]:
    """Return the files of a dossier by their names, the manifest with their SHA-256 last.

    Raises NotFoundError as `statements.of_ib` does, and when the IB has nothing in a closed month; RequestError when
    ibctl did not calculate the month, the stored row is not what was calculated, or the dossier's own program comes to
    something else.
    """
    statement = statements.of_ib(session, ib, month)
    if statement.status is None and seals.closed(session, month):
        raise NotFoundError(f"{month} is closed, and {ib.email} has nothing in it: there is nothing to prove")
    snapshot = _snapshot(statement)
    content = document(statement, snapshot)
    _require_verified(content)
    named = _pseudonymised(statement, snapshot)
    files = {
        "dossier.json": json.dumps(content, ensure_ascii=False, indent=2) + "\n",
        "statement.html": statement_pages.write("html", named),
        "statement.json": statement_pages.write("json", named),
        **({"plan.toml": snapshot.text} if snapshot.text else {}),
        "verify.py": Path(verifier.__file__).read_text(encoding="utf-8"),
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return {**files, "manifest.json": json.dumps({"files": digests}, indent=2) + "\n"}


def pseudonym(user_id: str, lead_id: str) -> str:
    """Return the name under which an IB's dossiers show a lead."""
    return "lead-" + hashlib.sha256(f"{user_id}:{lead_id}".encode()).hexdigest()[:12]


def _snapshot(statement: Statement) -> Snapshot:
    found = statement.snapshot
    if found is None:
        raise RequestError(
            f"ibctl did not calculate {statement.month} of {statement.email}, so there is nothing to prove it by: "
            f"`ibctl commissions run --month {statement.month}` does, unless it is closed, being paid or was"
        )
    if found.figures["totalPayout"] != statement.payout:
        raise RequestError(
            f"the row of {statement.email} for {statement.month} says {statement.payout:f}, but it was calculated as "
            f"{found.figures['totalPayout']:f}: something else than ibctl changed it"
        )
    return found


def document(statement: Statement, snapshot: Snapshot) -> dict[str, Any]:
    """Return what the verifier reads: terms, inputs under pseudonyms, and the figures; numbers as text."""
    return {
        "email": statement.email,
        "month": str(statement.month),
        "digest": snapshot.digest,
        "terms": plan_rules.as_json(snapshot.terms),
        "inputs": counted(statement.user_id, snapshot.inputs),
        "figures": {name: f"{Decimal(value):f}" for name, value in snapshot.figures.items()},
    }


def counted(user_id: str, inputs: Inputs) -> dict[str, Any]:
    """Return what a month was calculated from as the verifier reads it, leads under their pseudonyms."""
    return {
        "baseCurrency": inputs.base,
        "smallestUnit": f"{currencies.unit(inputs.base):f}",
        "zone": inputs.zone,
        "from": rendering.plain(inputs.start),
        "to": rendering.plain(inputs.end),
        "leads": _leads(user_id, inputs),
        "spend": _spend(inputs),
        "adjustments": [
            {"kind": one.kind, "amount": f"{one.amount:f}", "reason": one.reason,
             "lead": one.lead_id and pseudonym(user_id, one.lead_id)}
            for one in inputs.adjustments
        ],
    }  # fmt: skip


def _leads(user_id: str, inputs: Inputs) -> list[dict[str, Any]]:
    """Leads in the order in which they qualified, which a marginal plan counts by; then those that did not."""
    order = {lead: number for number, (_, lead, _) in enumerate(inputs.earning, 1)}
    rows = zip(inputs.lead_ids, inputs.captured, inputs.qualified, inputs.cpas, strict=True)
    return [
        {"lead": pseudonym(user_id, lead), "capturedAt": rendering.plain(captured),
         "qualifiedAt": rendering.plain(qualified), "cpa": None if cpa is None else f"{cpa:f}",
         "order": order.get(lead)}
        for lead, captured, qualified, cpa in sorted(rows, key=lambda row: order.get(row[0], len(order) + 1))
    ]  # fmt: skip


def _spend(inputs: Inputs) -> list[dict[str, str]]:
    """Spend days; their accounts are numbered, as they too say who somebody is."""
    numbers = {account.id: number for number, account in enumerate(inputs.accounts, 1)}
    currencies = {account.id: account.currency for account in inputs.accounts}
    days = zip(inputs.day_accounts, inputs.dates, inputs.amounts, inputs.rates, strict=True)
    return [
        {"account": f"account {numbers[account]}", "date": str(date), "amount": f"{amount:f}",
         "currency": currencies[account], "rate": f"{rate:f}"}
        for account, date, amount, rate in days
    ]  # fmt: skip


def _require_verified(content: Mapping[str, Any]) -> None:
    """Refuse to hand out what its own program would not confirm."""
    stated, found = content["figures"], verifier.figures(content["terms"], content["inputs"])
    wrong = [name for name, value in found.items() if Decimal(stated[name]) != value]
    if wrong:
        raise RequestError(
            f"the verifier does not come to the stored figures of {content['email']} for {content['month']} "
            f"({', '.join(wrong)}): nothing was written, `ibctl commissions explain` shows the derivation"
        )


def _pseudonymised(statement: Statement, snapshot: Snapshot) -> Statement:
    """Return a statement whose account and derivation name leads by their pseudonyms alone."""
    derivation = rules.payout(snapshot.terms, snapshot.inputs)
    leads = {line.lead for line in rules.flat(derivation) if line.lead}
    names = {lead: pseudonym(statement.user_id, lead) for lead in leads}
    booked = {one.lead_id: names[one.lead_id] for one in snapshot.inputs.adjustments if one.lead_id}
    entries = [replace(one, label=_renamed(one.label, booked)) for one in statement.entries]
    return replace(statement, derivation=_without_ids(rules.named(derivation, names), names), entries=entries)


def _renamed(label: str, names: Mapping[str, str]) -> str:
    for lead, name in names.items():
        label = label.replace(f"({lead})", f"({name})")
    return label


def _without_ids(line: Line, names: Mapping[str, str]) -> Line:
    own, about = (names.get(one or "", one) for one in (line.id, line.lead))
    return replace(line, id=own, lead=about, lines=tuple(_without_ids(one, names) for one in line.lines))
