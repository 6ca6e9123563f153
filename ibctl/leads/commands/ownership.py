"""`ibctl leads assign` and `ibctl leads transfer`: whose leads these are, from always or from a day on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from ibctl import config, days, db, output, utf8
from ibctl.errors import UsageError
from ibctl.leads import naming
from ibctl.leads.commands.arguments import LeadsArgument, LeadsOrNone
from ibctl.leads.commands.notices import warn_of_settled
from ibctl.leads.ownership import service as ownership
from ibctl.output import Column
from ibctl.users import completion

app = typer.Typer()

COLUMNS = [Column("ib"), Column("leads", "number"), Column("changed", "number")]


def leads_named(names: Sequence[str]) -> list[str]:
    """Return the names given, or for `-` those on stdin, one a line. Raises UsageError where there is none."""
    return naming.read_list(names, utf8.listed() if list(names) == ["-"] else [])


def day_option(name: str, text: str | None) -> date | None:
    """Read a day given as an option. Raises UsageError naming it."""
    try:
        return None if text is None else days.parse(text)
    except ValueError as exc:
        raise UsageError(f"{name}: {exc}") from None


@app.command()
def assign(
    leads: LeadsArgument,
    ib: Annotated[
        str | None, typer.Option("--ib", "--to", help="The new owner: email or id.", autocompletion=completion.ibs)
    ] = None,
    unassign: Annotated[bool, typer.Option("--unassign", help="Make them the platform's own.")] = False,
    round_robin: Annotated[
        str | None, typer.Option(metavar="IBS", help="By turns: IBs separated by commas, or all.")
    ] = None,
    weighted: Annotated[str | None, typer.Option(metavar="IB=N,...", help="By turns, each as often as N.")] = None,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Give leads to an IB, share them among IBs, or take them away.

    Turns go by the IBs' emails and the order in which the leads are named;
    `all` stands for all active IBs. With - the leads are read from stdin,
    one a line.

    The new owner gets what the leads earn in every month that is open;
    `leads transfer` leaves what happened before a day to the former one.

    Example: ibctl leads assign anna@example.com --ib ib@example.com

    Example: ibctl leads list --unassigned -n 0 -f ids | ibctl leads assign -
    --round-robin all
    """
    everyone, weights = ownership.wanted(ib, unassign=unassign, round_robin=round_robin, weighted=weighted)
    names = leads_named(leads)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        shared = ownership.share(session, names, weights, everyone=everyone)
    if round_robin or weighted:
        rows = [{"ib": one.ib, "leads": one.leads, "changed": one.changed} for one in shared.shares]
        output.show(rows, COLUMNS, output.Listing(output.Format(format)))
    session.written.announce("nothing to do: it is so already" if session.written.nothing else shared.words)
    warn_of_settled(shared.settled)


@app.command()
def transfer(
    to: Annotated[str, typer.Option(help="The new owner: email or id.", autocompletion=completion.ibs)],
    leads: LeadsOrNone = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="IB", help="All leads of this IB.", autocompletion=completion.ibs)
    ] = None,
    effective: Annotated[
        str | None, typer.Option(metavar="DATE", help="The first day that counts for the new owner.")
    ] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Hand leads over to another IB from a day on.

    A lead that was captured or qualified before that day counts there for
    its former owner, as it did; what happens from then on counts for the new
    one. Days begin in the platform's time zone. Without --effective it is
    the first day that no settled month (closed, PROCESSING or PAID) can be
    changed by; an earlier one is refused.

    Example: ibctl leads transfer --from old@example.com --to new@example.com

    Example: ibctl leads transfer anna@example.com --to new@example.com
    --effective 2025-11-01
    """
    day = day_option("--effective", effective)
    names = leads_named(leads) if leads else []
    wanted = {"to": to, "source": source, "effective": day}
    if not (yes or dry_run):
        with db.transaction(dry_run=True) as session:
            planned = ownership.transfer(session, names, **wanted)  # type: ignore[arg-type]
        if planned.leads:
            output.confirm(planned.words, yes=False)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        done = ownership.transfer(session, names, **wanted)  # type: ignore[arg-type]
    nothing = f"nothing to do: {done.to} has all of these leads, or there are none"
    session.written.announce(done.words if done.leads else nothing)
    zone = config.settings().timezone.key
    if done.leads:
        output.note(
            f"counts from {done.effective} 00:00 in {zone}; `ibctl commissions run` brings open months up to date"
        )
