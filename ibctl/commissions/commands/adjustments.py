"""`ibctl commissions adjust|clawback|adjustments|hold|release|holds`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

import typer

from ibctl import clock, config, days, db, money, months, output
from ibctl.commissions import ibs
from ibctl.commissions.calculation.service import RunResult
from ibctl.commissions.commands.arguments import IbArgument, IbOption, MonthArgument, MonthOption
from ibctl.commissions.commands.confirming import confirmed
from ibctl.commissions.months import adjustments, holding
from ibctl.errors import UsageError
from ibctl.leads import service as leads
from ibctl.leads.commands.arguments import LeadArgument
from ibctl.output import Column, Format, Listing
from ibctl.users import service as users

app = typer.Typer()

COLUMNS = [
    Column("id", brief=False), Column("email"), Column("month"), Column("kind"), Column("amount", "base"),
    Column("currency", brief=False), Column("reason", "prose"), Column("code", brief=False), Column("lead"),
    Column("source", brief=False), Column("actor", brief=False), Column("createdAt", "time", brief=False),
]  # fmt: skip
HOLD_COLUMNS = [
    Column("id", brief=False), Column("email"), Column("month"), Column("totalPayout", "base"),
    Column("reason", "prose"), Column("until", "date"), Column("overdue", "flag", brief=False), Column("actor"),
    Column("createdAt", "time", brief=False), Column("releasedAt", "time", brief=False),
    Column("releasedBy", brief=False), Column("releaseReason", brief=False),
]  # fmt: skip

WITH_RELEASED = "email,month,reason,actor,releasedAt,releasedBy"

# What is booked or held needs its reason: it is a line of the explanation.
ReasonArgument = Annotated[
    str, typer.Option("--reason", help="Why; required, kept, and shown in explanations and lists.", show_default=False)
]
KINDS = ("manual", "clawback", "true-up", "carry")


def _codes(incomplete: str) -> list[str]:
    return [code for code in adjustments.CODES if code.startswith(incomplete)]


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _kind(text: str) -> str:
    if text not in KINDS:
        raise UsageError(f"'{text}' is no kind of adjustment: write one of {', '.join(KINDS)}")
    return text


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > adjustments.LONGEST_REASON:
        raise UsageError(f"--reason: say why, in at most {adjustments.LONGEST_REASON} characters")
    return reason


def _amount(text: str) -> Decimal:
    try:
        amount = money.parse(text)
    except ValueError as exc:
        raise UsageError(str(exc)) from None
    if not amount or amount != money.to_cents(amount):
        raise UsageError(f"'{text}' is no sum to book: write whole cents and not 0, like 12.50 or -12.50")
    return money.to_cents(amount)


# -------------------------------------------------------------------------------------------------------------- booking


# A negative amount is no option.
@app.command(context_settings={"ignore_unknown_options": True})
def adjust(
    ib: IbArgument,
    month: MonthArgument,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Like 12.50, or -12.50 to take away.")],
    reason: ReasonArgument = "",
    lead: Annotated[str | None, typer.Option(help="The lead that it is about.", show_default=False)] = None,
    dry_run: output.DryRunOption = False,
    yes: output.YesOption = False,
) -> None:
    """Book a sum into an IB's month; it is a line of the explanation.

    The month has to be open, and its row not in a payout.

    Example: ibctl commissions adjust ib@x.y 2025-10 -12.50 --reason 'paid twice in May'
    """
    chosen, sum_, why = months.parse(month), _amount(amount), _reason(reason)
    shown = money.show(sum_, config.settings().base_currency)
    if not dry_run:
        output.confirm(f"{shown} for {ib} in {chosen}", yes=yes)
    with db.transaction(dry_run=dry_run, reason=why) as session:
        about = leads.find(session, lead) if lead else None
        result = adjustments.adjust(session, ibs.find(session, ib), chosen, sum_, reason=why, lead=about)
    session.written.announce(f"booked {shown} for {ib} in {chosen}")
    _say_how(chosen, result)


def _say_how(month: months.Month, result: RunResult | None) -> None:
    if result is None:
        output.note(
            f"{month} cannot be calculated yet, so its commission is without that until "
            f"`ibctl commissions run --month {month}`"
        )
        return
    for one in result.former:
        output.warn(one.in_words)


@app.command()
def clawback(
    lead: LeadArgument,
    code: Annotated[
        str, typer.Option("--code", help=f"Why: {', '.join(adjustments.CODES)}.", autocompletion=_codes)
    ] = "other",
    reason: ReasonArgument = "",
    dry_run: output.DryRunOption = False,
    yes: output.YesOption = False,
) -> None:
    """Take back what a lead earned, at the terms that it was earned at.

    It counts no more: open months are calculated again, whoever's they are.
    Where its month is closed or paid, the sum is booked into the IB's next
    open one.

    Example: ibctl commissions clawback lead@x.y --code refund --reason 'deposit charged back'
    """
    if code not in adjustments.CODES:
        raise UsageError(f"--code: '{code}' is none of {', '.join(adjustments.CODES)}")
    why = _reason(reason)
    found, written = confirmed(
        lambda session: adjustments.clawback(session, leads.find(session, lead), code=code, reason=why),
        lambda found: _clawback_in_words(found, lead), dry_run=dry_run, reason=why, yes=yes,
    )  # fmt: skip
    written.announce(_clawback_in_words(found, lead))
    _say_how(found.booked, found.run)
    for one in found.others:
        _say_how(one.month, one.run)
    if found.elsewhere:
        email, month = found.elsewhere
        output.note(
            f"{lead} counted in {month} of {email} by now: what a true-up booked there goes back by "
            f"`ibctl commissions true-up {month}`"
        )


def _clawback_in_words(found: adjustments.Clawback, lead: str) -> str:
    others = "".join(f"; {one.month} of {one.ib}, open too, does without it as well" for one in found.others)
    if found.booked == found.source:
        return f"{lead} counts no more in {found.source} of {found.ib}, which is open{others}"
    shown = money.show(found.amount, config.settings().base_currency)
    return f"{shown} for {found.ib} in {found.booked}: what {lead} earned in {found.source} by {found.plan}{others}"


@app.command("adjustments")
def list_adjustments(
    ib: IbOption = None,
    month: MonthOption = None,
    kind: Annotated[
        str | None,
        typer.Option(help="manual, clawback, true-up or carry.", parser=_kind, metavar="KIND", autocompletion=_kinds),
    ] = None,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List what was booked: adjustments, clawbacks, true-ups, carried balances.

    Example: ibctl commissions adjustments --month 2025-11 --kind carry
    """
    with db.reading() as session:
        who = users.find(session, ib) if ib else None
        rows = adjustments.listing(session, ib=who, month=months.parse(month) if month else None, kind=kind)
    output.show(rows, COLUMNS, Listing(form, to_file, columns))
    output.cut_note(len(rows), 0, len(rows), "adjustments")


# ---------------------------------------------------------------------------------------------------------------- holds


@app.command()
def hold(
    ib: IbArgument,
    month: MonthArgument,
    reason: ReasonArgument = "",
    until: Annotated[str | None, typer.Option(help="A day to look at it again, like 2025-12-01.")] = None,
    dry_run: output.DryRunOption = False,
    _yes: output.YesOption = False,
) -> None:
    """Keep an IB's month from being paid out, until it is released.

    Nothing releases it by itself; `holds` shows those whose day is over.

    Example: ibctl commissions hold ib@x.y 2025-10 --reason 'five leads from one address'
    """
    why, day = _reason(reason), _to_come(days.option("--until", until))
    with db.transaction(dry_run=dry_run, reason=why) as session:
        holding.hold(session, ibs.find(session, ib), months.parse(month), reason=why, until=day)
    session.written.announce(f"{month} of {ib} is held")


def _to_come(day: date | None) -> date | None:
    if day is not None and day < clock.now().date():
        raise UsageError(f"--until: {day} is past; name a day to come")
    return day


@app.command()
def release(
    ib: IbArgument,
    month: MonthArgument,
    reason: ReasonArgument = "",
    dry_run: output.DryRunOption = False,
    _yes: output.YesOption = False,
) -> None:
    """Let an IB's month be paid out again.

    Example: ibctl commissions release ib@x.y 2025-10 --reason 'leads are different persons'
    """
    why = _reason(reason)
    with db.transaction(dry_run=dry_run, reason=why) as session:
        carried = holding.release(session, ibs.find(session, ib), months.parse(month), reason=why)
    base = config.settings().base_currency
    rest = f"; {money.show(carried, base)} carried on" if carried else ""
    session.written.announce(f"{month} of {ib} is released{rest}")


@app.command("holds")
def list_holds(
    month: MonthOption = None,
    released: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List what is held, why and by whom.

    Example: ibctl commissions holds --month 2025-10
    """
    chosen, today = months.parse(month) if month else None, clock.now().date()
    with db.reading() as session:
        rows = holding.holds(session, month=chosen, released=released, today=today)
    if released and form is Format.table:
        columns = columns or WITH_RELEASED
    output.show(rows, HOLD_COLUMNS, Listing(form, to_file, columns))
    output.cut_note(len(rows), 0, len(rows), "holds")
    overdue = sum(bool(row["overdue"]) for row in rows if row["releasedAt"] is None)
    if overdue:
        output.warn(f"{overdue:,} of them were to be looked at by now")
