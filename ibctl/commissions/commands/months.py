"""`ibctl commissions close|drift|true-up|reopen|months`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

import typer
from sqlmodel import Session

from ibctl import config, db, errors, money, months, output, rendering
from ibctl.commissions import seals
from ibctl.commissions.calculation import rules
from ibctl.commissions.calculation.former import Former
from ibctl.commissions.commands.arguments import (
    ClosedMonthArgument,
    IbOption,
    OpenMonthArgument,
    RequiredReason,
    suggest_months,
)
from ibctl.commissions.commands.confirming import confirmed
from ibctl.commissions.months import closing, drifting
from ibctl.commissions.months.closing import Report
from ibctl.commissions.months.drifting import Drift
from ibctl.commissions.proof import explain
from ibctl.errors import RequestError, UsageError
from ibctl.months import Month
from ibctl.output import Column, Format, Listing
from ibctl.users import service as users

app = typer.Typer()

MONTH_COLUMNS = [
    Column("id"), Column("closedAt", "time"), Column("closedBy"), Column("reason"), Column("totals", brief=False),
    Column("digest", brief=False),
]  # fmt: skip
REPORT_COLUMNS = [Column("of"), Column("count", "number"), Column("sum", "base"), Column("remark")]
DRIFT_COLUMNS = [
    Column("month"), Column("email"), Column("status"), Column("then", "base"), Column("now", "base"),
    Column("booked", "base"), Column("difference", "base"), Column("inputs", "number", brief=False),
    Column("moved", brief=False), Column("causes", brief=False),
]  # fmt: skip
DRIFT_MONEY = {column.key for column in DRIFT_COLUMNS if column.kind == "base"}
SHOWN = 3

OneOrAll = Annotated[
    str | None, typer.Argument(metavar="MONTH", help="Default: all of them.", autocompletion=suggest_months)
]


@app.command()
def close(
    month: OpenMonthArgument,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Close a month: its figures are final, and what it does not pay is carried on.

    Calculates it once more, and shows first how sure it is: provisional spend
    days, expired tokens, MT5 accounts not read of late, what is held.

    Example: ibctl commissions close 2025-10 --reason 'broker statement agrees'
    """
    chosen = months.parse(month)
    with db.transaction(dry_run=True, reason=reason) as session:
        report = closing.prepare(session, chosen)
    output.show(_report_rows(report), REPORT_COLUMNS, Listing(Format(form)))
    _say_former(report.former)
    if dry_run:
        session.written.announce(f"{chosen} can be closed: {_effect(report)}")
        return
    output.confirm(f"close {chosen}: {_effect(report)}", yes=yes)
    with db.transaction(reason=reason) as session:
        report, _ = closing.close(session, chosen, digest=report.digest, reason=reason)
    session.written.announce(f"{chosen} is closed: {_effect(report)}")


def _say_former(former: Iterable[Former]) -> None:
    for one in former:
        output.warn(one.in_words)


def _effect(report: Report) -> str:
    base = config.settings().base_currency
    total, carried = money.show(report.total, base), money.show(report.carried, base)
    return f"{rendering.counted(report.ibs, 'IB')}, {total}, {carried} carried on"


def _report_rows(report: Report) -> list[dict[str, Any]]:
    final = report.days - report.provisional_days
    share = f"{final * 100 / report.days:.1f} % final" if report.days else "none"
    rows: list[tuple[str, int | None, Any, str]] = [
        ("commissions", report.ibs, report.total, "the most that can be paid"),
        ("certain to be paid", None, report.certain, "not held, and no longer in doubt"),
        ("held", report.held, report.held_sum, ""),
        ("being paid or paid", report.settled, None, "stay as they are"),
        ("carried on", None, report.carried, "not paid: too small, or negative"),
        ("written off", None, report.written_off, "negative, by a plan that resets"),
        ("former IBs", len(report.former), sum((one.earned for one in report.former), rules.ZERO), "not earned"),
        ("provisional spend days", report.provisional_days, None, f"of {report.days:,}; {share}"),
        ("expired Facebook tokens", report.expired_tokens, None, "of accounts with spend"),
        ("leads with old MT5 data", report.stale_accounts, None, f"not read for {closing.STALE_HOURS} hours"),
    ]
    return [dict(zip(("of", "count", "sum", "remark"), row, strict=True)) for row in rows]


@app.command()
def reopen(
    month: ClosedMonthArgument,
    dry_run: output.DryRunOption = False,
    reason: RequiredReason = None,
    yes: output.YesOption = False,
) -> None:
    """Open a closed month again, while nothing of it is paid.

    Takes back what closing it carried on, and the true-ups about it.

    Example: ibctl commissions reopen 2025-10 --reason 'spend of 30 October was missing'
    """
    if not (reason and reason.strip()):
        raise UsageError("--reason is missing: why is the month opened again?")
    chosen = months.parse(month)
    undone, written = confirmed(
        lambda session: closing.reopen(session, chosen),
        lambda undone: f"open {chosen} again, and take back {_taken_back(undone)}", dry_run=dry_run, reason=reason,
        yes=yes,
    )  # fmt: skip
    _say_former(undone.former)
    written.announce(
        f"{chosen} is open; {_taken_back(undone)} taken back. Run it and later months again: "
        f"`ibctl commissions run --month {chosen}`"
    )


def _taken_back(undone: closing.Reopened) -> str:
    adjustments = rendering.counted(undone.count, "adjustment")
    return f"{adjustments} ({_added_and_taken([undone.added, undone.taken])})" if undone.count else adjustments


def _added_and_taken(amounts: Iterable[Decimal]) -> str:
    """Write what is added and what is taken away, which one sum would hide: `+30.00 USD and -12.50 USD`."""
    base, found = config.settings().base_currency, list(amounts)
    more = sum((one for one in found if one > 0), rules.ZERO)
    less = sum((one for one in found if one < 0), rules.ZERO)
    words = [f"+{money.show(more, base)}"] if more or not less else []
    return " and ".join(words + ([money.show(less, base)] if less else []))


@app.command("months")
def list_months(
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List the closed months, the newest first.

    Example: ibctl commissions months
    """
    with db.reading() as session:
        rows = [
            {"id": one.id, "closedAt": one.closed_at, "closedBy": one.closed_by, "reason": one.reason,
             "totals": one.totals, "digest": one.digest}
            for one in seals.all_closed(session)
        ]  # fmt: skip
    output.show(rows, MONTH_COLUMNS, Listing(form, to_file, columns))
    output.cut_note(len(rows), 0, len(rows), "closed months")


@app.command()
def drift(
    month: OneOrAll = None,
    ib: IbOption = None,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show what closed and paid months would earn today, and why.

    At the terms that they were calculated by; less what was booked about them
    already. Ends with 7 where there is a difference.

    Example: ibctl commissions drift 2025-10
    """
    listing, tally = Listing(Format(form), to_file, columns), Tally()
    shown = {column.key for column in output.pick(DRIFT_COLUMNS, listing)}
    # All rows may be more than memory holds, and none is shown before every month is known to be sound.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        with db.reading() as session:
            chosen = [months.parse(month)] if month else drifting.final_months(session)
            only = users.find(session, ib).id if ib else None
            for one in tally.counting(session, chosen, ib=only):
                spool.write(_spooled(one, shown))
            unmade = drifting.unmade(session, chosen[0] if month else None, ib=only)
            names = _names(session, tally.first)
        spool.seek(0)
        output.show(map(_unspooled, spool), DRIFT_COLUMNS, listing)
    _say_why(tally, names)
    _say_unmade(unmade)
    if tally.count:
        total = _added_and_taken([tally.more, tally.less])
        output.note(
            f"{rendering.counted(tally.count, 'IB')}, {total} not booked: "
            "`ibctl commissions true-up` books it into an open month" + _waiting(tally.waiting)
        )
        raise typer.Exit(errors.FINDINGS)
    output.note("nothing is different")


@dataclass
class Tally:
    """What is said of the drift of all months beside its rows; what is added and taken away in the base currency."""

    count: int = 0
    more: Decimal = rules.ZERO
    less: Decimal = rules.ZERO
    # In a payout under way.
    waiting: int = 0
    # The ones that are explained.
    first: list[Drift] = field(default_factory=list)

    def counting(self, session: Session, chosen: Iterable[Month], *, ib: str | None) -> Iterator[Drift]:
        """Yield the drift of these months, and count it."""
        for month in chosen:
            closed = seals.closed(session, month) is not None
            for one in drifting.drift(session, month, ib=ib):
                self._count(one, closed=closed)
                yield one

    def _count(self, one: Drift, *, closed: bool) -> None:
        self.count += 1
        self.more += max(one.difference, rules.ZERO)
        self.less += min(one.difference, rules.ZERO)
        self.waiting += one.status == "PROCESSING" and not closed
        if len(self.first) < SHOWN:
            self.first.append(one)


def _waiting(waiting: int) -> str:
    return f", but {waiting:,} only when their payout is reconciled, or cancelled" if waiting else ""


def _drift_row(one: Drift) -> dict[str, Any]:
    return {
        "month": str(one.month), "email": one.email, "status": one.status or "no row", "then": one.then, "now": one.now,
        "booked": one.booked, "difference": one.difference, "inputs": len(one.moved),
        "moved": [moved.in_words for moved in one.moved], "causes": list(one.causes),
    }  # fmt: skip


def _spooled(one: Drift, shown: Collection[str]) -> str:
    row = {key: value for key, value in _drift_row(one).items() if key in shown}
    return json.dumps(row, default=str) + "\n"


def _unspooled(line: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    return row | {key: Decimal(row[key]) for key in DRIFT_MONEY & row.keys()}


def _names(session: Session, found: list[Drift]) -> Mapping[str, str]:
    return explain.names_of(session, [moved.id for one in found for moved in one.moved if moved.what == "lead"])


def _say_why(tally: Tally, names: Mapping[str, str]) -> None:
    for one in tally.first:
        words = [moved.in_words.replace(moved.id, names.get(moved.id, moved.id)) for moved in one.moved]
        because = output.some(words, SHOWN) or "its terms were met otherwise"
        output.note(f"{one.email}: {because}; by {output.some(one.causes, SHOWN) or 'nothing that was recorded'}")
    if tally.count > SHOWN:
        output.note("--format json names every input of every IB")


def _say_unmade(unmade: list[str]) -> None:
    if unmade:
        output.note(
            f"left out, as ibctl did not calculate {rendering.counted(len(unmade), 'commission')} and cannot know what "
            f"stands behind: {output.some(unmade)}. `ibctl commissions explain IB MONTH` holds one against the data of "
            "today; `ibctl commissions adjust` books what is missing"
        )


@app.command("true-up")
def true_up(
    month: OneOrAll = None,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Book the drift of closed and paid months as adjustments into an open month.

    What was paid stays as it is. Booked twice it is not.

    Example: ibctl commissions true-up 2025-10 --reason 'restated spend'
    """
    booked, written = _book(month, dry_run=True, reason=reason)
    with db.reading() as session:
        unmade = drifting.unmade(session, months.parse(month) if month else None)
    rows = (
        {"month": str(one.month), "email": one.email, "difference": one.difference, "booked": str(one.booked)}
        for one in booked
    )
    columns = [Column("month"), Column("email"), Column("difference", "base"), Column("booked")]
    output.show(rows, columns, Listing(Format(form)))
    _say_unmade(unmade)
    if booked and not dry_run:
        output.confirm(f"book {_sum_of(booked)}", yes=yes)
        booked, written = _book(month, dry_run=False, reason=reason, expected=None if yes else booked)
    if not booked:
        output.note("nothing is different: there is nothing to book")
        return
    first = min(one.booked for one in booked)
    written.announce(f"booked {_sum_of(booked)}; `ibctl commissions run --month {first}` counts it")


def _sum_of(booked: list[drifting.TrueUp]) -> str:
    targets = [str(each) for each in sorted({one.booked for one in booked})]
    total = _added_and_taken(one.difference for one in booked)
    return f"{rendering.counted(len(booked), 'IB')}, {total} into {output.some(targets)}"


def _book(
    month: str | None, *, dry_run: bool, reason: str | None, expected: list[drifting.TrueUp] | None = None
) -> tuple[list[drifting.TrueUp], db.Written]:
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        chosen = [months.parse(month)] if month else drifting.final_months(session)[::-1]
        booked = [one for each in chosen for one in drifting.true_up(session, each)]
        if expected is not None and booked != expected:
            raise RequestError("something else is different by now; nothing was written: look again")
    return booked, session.written
