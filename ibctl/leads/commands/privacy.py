"""`ibctl leads anonymize`: forgetting persons, and keeping the money and the dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from ibctl import config, db, output
from ibctl.errors import UsageError
from ibctl.leads import listing
from ibctl.leads.commands.arguments import LeadsOrNone
from ibctl.leads.commands.ownership import day_option, leads_named
from ibctl.leads.privacy import service as privacy
from ibctl.output import Column

app = typer.Typer()

COLUMNS = [Column("what"), Column("rows", "number")]


@app.command()
def anonymize(
    leads: LeadsOrNone = None,
    before: Annotated[str | None, typer.Option(metavar="DATE", help="All leads captured before this day.")] = None,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Erase the persons behind leads. This cannot be undone.

    Email, name, phone, tracking token, Systeme.io contact, the words of
    activities, the reasons of adjustments, and login and password of MT5
    accounts go, here and in the record of changes; so does what commands and
    reasons say about them. `ibctl undo` cannot bring them back. Dates, owner
    and money stay, and so does every commission.

    Files that were imported or exported, and backups, are not ibctl's.

    Example: ibctl leads anonymize anna@example.com --reason "GDPR request 17"
    """
    day = day_option("--before", before)
    if bool(leads) == (day is not None):
        raise UsageError("say whose: name leads, or --before DATE for all that were captured before it")
    names = leads_named(leads) if leads else []
    with db.transaction(dry_run=True) as session:
        planned = _erase(session, names, day, reason)
    rows = [
        {"what": "leads", "rows": planned.leads},
        {"what": "activities", "rows": planned.activities},
        {"what": "MT5 accounts", "rows": planned.credentials},
        {"what": "entries in the record of changes", "rows": planned.images},
    ]
    output.show(rows, COLUMNS, output.Listing(output.Format(format)))
    if dry_run or not planned.leads:
        output.note("dry run: nothing was written" if dry_run else "nothing to do: no such person is left")
        return
    output.confirm(f"erase {planned.words}: this cannot be undone, not even by `ibctl undo`", yes=yes)
    if before is not None:
        config.use_command(["leads", "anonymize", "--before", before])
    # The reason, too, may name the person.
    with db.transaction(reason=planned.reason) as session:
        erased = _erase(session, names, day, None)
    output.note(f"erased {erased.words}; change set {session.written.change_set}. Backups made before still hold them")


def _erase(session: db.Transaction, names: Sequence[str], day: date | None, reason: str | None) -> privacy.Erased:
    before = None if day is None else listing.midnight(day, config.settings().timezone)
    return privacy.erase(session, names, before=before, reason=reason)
