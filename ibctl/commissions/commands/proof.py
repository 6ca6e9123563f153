"""`ibctl commissions explain|why-not|verify`: why a figure is what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from ibctl import config, db, errors, money, months, outfiles, output, rendering
from ibctl.commissions.calculation import rules
from ibctl.commissions.calculation.rules import Line
from ibctl.commissions.commands.arguments import IbArgument, MonthArgument, suggest_months
from ibctl.commissions.proof import explain as explaining
from ibctl.commissions.proof import verifying, whynot
from ibctl.output import Column, Format, Listing
from ibctl.users import service as users

app = typer.Typer()

LINE_COLUMNS = [
    Column("part"), Column("label"), Column("id"), Column("date"), Column("amount", "money"), Column("currency"),
    Column("rate", "rate"), Column("value", "base"), Column("total", "flag"),
]  # fmt: skip
PAYOUT_COLUMNS = [
    Column("lead"), Column("qualifiedAt"), Column("cpaEarned", "base"), Column("rate", "rate"),
    Column("value", "base"),
]  # fmt: skip
SPEND_COLUMNS = [
    Column("account"), Column("date"), Column("dailySpend", "money"), Column("currency"), Column("rate", "rate"),
    Column("value", "base"),
]  # fmt: skip


@app.command()
def explain(
    ib: IbArgument,
    month: MonthArgument,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Derive a commission from its single leads and spend days; the lines add up to the cent.

    --format json gives a tree: a line's `lines` are what it is made of. CSV
    gives the same lines, each after those that it is made of.

    Example: ibctl commissions explain ib@x.y 2025-10
    """
    with db.reading() as session:
        user = users.find(session, ib)
        found = explaining.explain(session, user, months.parse(month))
    if form == "json" and columns is None:
        _write_tree(found, to_file)
    elif form == "table" and to_file is None and columns is None:
        _show_derivation(found)
    else:
        lines = [_row(line) for tree in (found.payout, found.spend) for line in rules.flat(tree)]
        output.show(lines, LINE_COLUMNS, Listing(Format(form), to_file, columns))
    _warn_of_differences(found)


def _row(line: Line) -> dict[str, Any]:
    return {column.key: getattr(line, column.key) for column in LINE_COLUMNS}


def _write_tree(found: explaining.Explanation, to_file: Path | None) -> None:
    text = json.dumps([_tree(found.payout), _tree(found.spend)], ensure_ascii=False, indent=2)
    if to_file is None:
        output.data(text + "\n")
    else:
        with outfiles.atomic_file(to_file) as stream:
            stream.write(text + "\n")


def _tree(line: Line) -> dict[str, Any]:
    known = {key: rendering.plain(value) for key, value in _row(line).items() if value is not None}
    return known | ({"lines": [_tree(one) for one in line.lines]} if line.lines else {})


def _show_derivation(found: explaining.Explanation) -> None:
    row, inputs, terms = found.commission, found.snapshot.inputs, found.snapshot.terms
    captured = sum(at is not None for at in inputs.captured)
    output.say(f"{found.email}  {row.year}-{row.month:02d}  {row.payment_status}")
    output.say(f"month     {rendering.plain(inputs.start)} to {rendering.plain(inputs.end)}, cut in {inputs.zone}")
    output.say(f"plan      {terms.label}, {terms.in_words}")
    output.say(f"leads     {captured:,} captured in the month (totalLeads), {row.qualified_leads:,} qualified in it")
    if inputs.role != "IB":
        output.say(f"role      {inputs.role}: leads and spend count only for IBs")
    base = inputs.base
    output.show(_payout_rows(found), PAYOUT_COLUMNS, Listing(), title=f"Payout: Σ CPA × rate, in {base}")
    if inputs.zone != "UTC":
        output.note(f"qualifiedAt is UTC, the month is cut in {inputs.zone}")
    output.show(_spend_rows(found), SPEND_COLUMNS, Listing(), title=f"Ad spend: Σ amount × rate, in {base}")


def _payout_rows(found: explaining.Explanation) -> list[dict[str, Any]]:
    lines = [line for line in rules.flat(found.payout) if not _idle(found, line)]
    return [
        {"lead": line.label, "qualifiedAt": (line.date or "")[:16].replace("T", " "), "cpaEarned": _blank(line.amount),
         "rate": _blank(line.rate), "value": line.value}
        for line in lines
    ]  # fmt: skip


def _idle(found: explaining.Explanation, line: Line) -> bool:
    """Whether a line of the table would only repeat others: no bonus, a balance that is the payout."""
    if line.label == "bonusAmount":
        return not line.value and not line.lines
    return line.part == "balance" and len(found.payout.lines) == 1


def _spend_rows(found: explaining.Explanation) -> list[dict[str, Any]]:
    return [
        {"account": line.label, "date": line.date or "", "dailySpend": _blank(line.amount),
         "currency": line.currency or "", "rate": _blank(line.rate), "value": line.value}
        for line in rules.flat(found.spend)
    ]  # fmt: skip


def _blank(value: Any) -> Any:
    return "" if value is None else value


def _warn_of_differences(found: explaining.Explanation) -> None:
    if not found.kept:
        output.warn("this row was not made by ibctl: derived from the data of today")
    for name, stored, derived in found.differences:
        output.warn(f"{name} is stored as {_figure(name, stored)}, but derives to {_figure(name, derived)}")


def _figure(name: str, value: Decimal) -> str:
    if name in ("totalLeads", "qualifiedLeads", "commissionRate"):
        return f"{Decimal(value).normalize():f}"
    return money.show(value, config.settings().base_currency)


# -------------------------------------------------------------------------------------------------------------- why-not

VERDICT_COLUMNS = [
    Column("id", brief=False), Column("lead"), Column("code"), Column("why"), Column("status", brief=False),
    Column("captured", "time", brief=False), Column("qualified", "time", brief=False), Column("fix", brief=False),
]  # fmt: skip


@app.command("why-not")
def why_not(
    ib: IbArgument,
    month: MonthArgument,
    lead: Annotated[str | None, typer.Argument(metavar="LEAD", help="Only this lead.", show_default=False)] = None,
    limit: output.LimitOption = 20,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Say why each lead of an IB counts in a month or does not.

    Every lead is counted, or excluded with a reason; the two sides add up. For
    leads that have not qualified it names what is missing, and until when.

    Example: ibctl commissions why-not ib@x.y 2025-10
    """
    with db.reading() as session:
        found = whynot.account(session, users.find(session, ib), months.parse(month), lead=lead, fixes=limit or 10_000)
    missing = [one for one in found.verdicts if lead or one.code != whynot.COUNTED]
    shown = missing[:limit] if limit else missing
    output.show([_verdict(one, form) for one in shown], VERDICT_COLUMNS, Listing(form, to_file, columns))
    if len(shown) < len(missing):
        output.note(f"the newest {len(shown):,} of {len(missing):,}; --limit 0 shows all")
    _say_balance(found)


def _verdict(one: whynot.Verdict, form: Format) -> dict[str, Any]:
    """Return a row; a table says what would help, where something would, as its code says why already."""
    return vars(one) | {"why": one.fix or one.why if form is Format.table else one.why}


def _say_balance(found: whynot.Account) -> None:
    parts = [f"{found.counted:,} counted"]
    parts += [f"{found.excluded[code]:,} {code}" for code in whynot.REASONS if code in found.excluded]
    output.note(f"{found.email} {found.month}: {found.total:,} leads = " + " + ".join(parts))


# --------------------------------------------------------------------------------------------------------------- verify

FINDING_COLUMNS = [
    Column("month"), Column("email"), Column("kind"), Column("what"), Column("before"), Column("after"), Column("by"),
    Column("settled", "flag"), Column("id", brief=False),
]  # fmt: skip
# At a terminal, where eight columns have no room.
FINDING_IN_WORDS = [Column("month"), Column("email"), Column("finding"), Column("by"), Column("settled", "flag")]


@app.command()
def verify(
    month: Annotated[
        str | None, typer.Argument(metavar="MONTH", help="Default: all.", autocompletion=suggest_months)
    ] = None,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Calculate months again from what was kept, and compare with the rows and with the data of today.

    Names each input that has moved since, and what wrote it. Ends with 7 where
    anything is not as it was, unless it is settled: an input of a closed or
    paid month of which nothing is left to book.

    Example: ibctl commissions verify 2025-10
    """
    counted = verifying.Verified()
    with db.reading() as session:
        chosen = verifying.stored_months(session, months.parse(month) if month else None)
        found = chain.from_iterable([verifying.verify(session, each, counted) for each in chosen])
        if form == "table" and to_file is None and columns is None:
            rows, shown = iter(_in_words(session, list(found))), FINDING_IN_WORDS
        else:
            rows, shown = (vars(one) | {"month": str(one.month)} for one in found), FINDING_COLUMNS
        printed = output.show(rows, shown, Listing(Format(form), to_file, columns))
    if counted.unmade:
        unmade = rendering.counted(counted.unmade, "commission")
        output.note(f"not made by ibctl, and so with nothing to verify them by: {unmade}")
    settled = f", of which settled: {counted.settled:,}" if counted.settled else ""
    output.note(f"commissions verified: {counted.rows:,}; months: {len(chosen):,}; findings: {printed:,}{settled}")
    if printed > counted.settled:
        raise typer.Exit(errors.FINDINGS)


def _in_words(session: Session, found: list[verifying.Finding]) -> list[dict[str, Any]]:
    names = explaining.names_of(session, [one.id for one in found if one.kind == "lead" and one.id])
    return [
        {"month": str(one.month), "email": one.email, "finding": f"{one.kind} {_what(one, names)}", "by": one.by,
         "settled": one.settled}
        for one in found
    ]  # fmt: skip


def _what(one: verifying.Finding, names: Mapping[str, str]) -> str:
    what = one.what.replace(one.id, names.get(one.id, one.id)) if one.id else one.what
    if one.before is None and one.after is None:
        return what
    if one.what == verifying.MISSING:
        return f"{what}: would pay {one.after}"
    return f"{what}: {one.before or 'did not count'} → {one.after or 'does not count'}"
