"""`ibctl leads activity`: what happened to a lead."""

from __future__ import annotations

from typing import Annotated

import typer

from ibctl import db, output
from ibctl.leads import activities
from ibctl.leads.commands.arguments import LeadArgument
from ibctl.output import Column

activity_app = typer.Typer(no_args_is_help=True, help="What happened to a lead: note it down, look at it.")

COLUMNS = [
    Column("id", brief=False),
    Column("createdAt", "time"),
    Column("activityType", "flag"),
    Column("description"),
    Column("metadata", brief=False),
]


@activity_app.command()
def add(
    lead: LeadArgument,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="A word like call or email.", show_default=False)],
    description: Annotated[str | None, typer.Option(help="What happened.")] = None,
    metadata: Annotated[str | None, typer.Option(metavar="JSON", help="Details for programs.")] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Note down what happened to a lead.

    Example: ibctl leads activity add anna@example.com call --description "Asked
    for the terms"
    """
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        activity = activities.add(session, lead, kind, description=description, metadata=metadata)
    session.written.announce(f"activity {activity} noted down for {lead}")


@activity_app.command("list")
def list_(
    lead: LeadArgument,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List what happened to a lead, the newest first.

    Example: ibctl leads activity list anna@example.com
    """
    with db.reading() as session:
        rows, total = activities.listing(session, lead, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "activities")
