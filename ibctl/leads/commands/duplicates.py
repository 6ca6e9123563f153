"""`ibctl leads dupes` and `ibctl leads merge`: finding leads that are one person, and making one of them."""

from __future__ import annotations

from typing import Annotated

import typer

from ibctl import db, output, rendering
from ibctl.leads.commands.notices import warn_of_settled
from ibctl.leads.duplicates import merging
from ibctl.leads.duplicates import service as duplicates
from ibctl.leads.duplicates.rules import Money
from ibctl.output import Column
from ibctl.users import completion

app = typer.Typer()

COLUMNS = [
    Column("group", "number"),
    Column("id", brief=False),
    Column("email"),
    Column("phone", brief=False),
    Column("trackingToken", brief=False),
    Column("ib"),
    Column("status", "flag", brief=False),
    Column("leadCapturedAt", "time", brief=False),
    Column("totalEarned", "money"),
    Column("evidence"),
]


@app.command()
def dupes(
    ib: Annotated[
        str | None, typer.Option(help="Only groups with a lead of this IB.", autocompletion=completion.ibs)
    ] = None,
    by: Annotated[str | None, typer.Option(help="Evidence that counts: email,phone,token.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, max=output.MOST_ROWS, help="At most this many groups; 0 means all.")
    ] = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Find leads that are probably one person.

    Evidence is the same mailbox (case, +tags, and the dots of Gmail do not
    count), the same phone number, or the same tracking token in another
    case. Leads are one group, too, when a third one links them. The group
    with the newest lead comes first, in a group the oldest lead.

    Example: ibctl leads dupes --ib ib@example.com --by email,phone
    """
    kinds = duplicates.kinds(by)
    with db.reading() as session:
        found = duplicates.find(session, by=kinds, ib=ib, limit=limit)
        output.show(found.rows, COLUMNS, output.Listing(format, file, columns))
    output.cut_note(min(limit or found.groups, found.groups), limit, found.groups, "groups of duplicates")


@app.command()
def merge(
    keep: Annotated[str, typer.Argument(metavar="KEEP", help="The lead that stays.", show_default=False)],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Leads that go.", show_default=False)],
    money: Annotated[Money | None, typer.Option(help="Which sums count where they differ.", show_default=False)] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Merge leads that are one person into the one named first.

    Their activities and MT5 accounts move to it. IB, source and tracking
    token are those of the lead that was captured first; of each date the
    earliest counts, of the statuses the furthest, and empty fields are
    filled. Sums earned that differ need --money: keep those of KEEP, sum
    them up, or take the largest (max).

    A lead that counts in a paid month cannot go, but it can be KEEP. One
    that was clawed back stays apart.

    Example: ibctl leads merge anna@example.com anna+fx@example.com
    """
    if not (yes or dry_run):
        with db.transaction(dry_run=True) as session:
            planned = merging.merge(session, keep, others, money_rule=money)
        output.confirm(f"{planned.words}; {rendering.counted(len(planned.others), 'lead')} to be deleted", yes=False)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        merged = merging.merge(session, keep, others, money_rule=money)
    session.written.announce(merged.words)
    warn_of_settled(merged.changed.settled)
