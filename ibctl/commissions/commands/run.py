"""`ibctl commissions run`: calculate a month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ibctl import config, db, money, months, output, rendering
from ibctl.commissions.calculation import service
from ibctl.commissions.calculation.service import Waiting
from ibctl.commissions.commands.arguments import MonthOption
from ibctl.models.commissions import ClosedMonth
from ibctl.output import Column, Format, Listing

app = typer.Typer()

RUN_COLUMNS = [
    Column("month"),
    Column("created", "number"),
    Column("updated", "number"),
    Column("unchanged", "number"),
    Column("removed", "number"),
    Column("former", brief=False),
    Column("held", "number", brief=False),
    Column("sealed", "number"),
    Column("drifted", "number", brief=False),
    Column("totalPayout", "base"),
]


@app.command()
def run(
    month: MonthOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all is well (for cron).")] = False,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Calculate a month's commissions for all IBs; without --month, the last full one.

    Safe to repeat: open rows (PENDING, HELD) are brought up to date, PROCESSING and PAID ones are never touched.

    Example: ibctl commissions run --month 2025-10
    """
    zone = config.settings().timezone
    chosen = months.parse(month) if month else months.last_full(zone)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        result = service.run(session, chosen)
    if result.closed is not None:
        if not quiet:
            output.show([], RUN_COLUMNS, Listing(Format(form)))
            _say_closed(result.closed)
        return
    if not quiet:
        _show_run(result, session.written, Format(form))
    _warn(result)
    _say_waiting(result.waiting, quiet=quiet)
    if not quiet and chosen == months.current(zone):
        output.note(f"{chosen} is not over yet in {zone.key}: run it again when it is")


def _warn(result: service.RunResult) -> None:
    for one in result.former:
        output.warn(one.in_words)
    if result.drifted:
        output.warn(
            f"{result.drifted} of {result.sealed} PROCESSING or PAID rows of {result.month} would be different today; "
            f"they are left as they are, and `ibctl commissions drift {result.month}` says why"
        )


def _say_waiting(waiting: Sequence[Waiting], *, quiet: bool) -> None:
    """Say where balances wait for a month to be closed; quietly only where a later one is closed already."""
    for one in waiting:
        shown = money.show(one.sum, config.settings().base_currency)
        words = f"{rendering.counted(one.rows, 'balance')} of {one.month}, {shown}: carried on when it is closed"
        if one.late:
            output.warn(f"{words}; a later month is closed already: `ibctl commissions close {one.month}` does so late")
        elif not quiet:
            output.note(words)


def _say_closed(closed: ClosedMonth) -> None:
    output.note(
        f"{closed.id} was closed on {closed.closed_at:%Y-%m-%d} by {closed.closed_by} and stays as it is; "
        f"`ibctl commissions drift {closed.id}` shows what it would be today"
    )


def _show_run(result: service.RunResult, written: db.Written, form: Format) -> None:
    row = {
        "month": str(result.month), "created": result.created, "updated": result.updated,
        "unchanged": result.unchanged, "removed": result.removed,
        "former": [one.as_json for one in result.former], "held": result.held, "sealed": result.sealed,
        "drifted": result.drifted, "totalPayout": result.total_payout,
    }  # fmt: skip
    output.show([row], RUN_COLUMNS, Listing(form))
    count = result.created + result.updated + result.unchanged
    payout = money.show(result.total_payout, config.settings().base_currency)
    written.announce(f"{result.month}: {rendering.counted(count, 'open commission')}, {payout} to pay out")
