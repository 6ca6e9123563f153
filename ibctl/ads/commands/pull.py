"""`ibctl leads pull`: what people filled in at Facebook's lead forms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ibctl import clock, db, errors, output
from ibctl.ads.accounts import service as accounts
from ibctl.ads.commands import arguments
from ibctl.ads.commands.trouble import Run
from ibctl.ads.forms import service as form_leads
from ibctl.ads.forms.service import Taken
from ibctl.ads.sync import rules as sync_rules
from ibctl.errors import NotFoundError, RequestError, ServiceError, UsageError
from ibctl.integrations.facebook import forms as facebook
from ibctl.integrations.facebook.client import Line
from ibctl.integrations.facebook.forms import DAYS_KEPT, Form, FormLead
from ibctl.leads import service
from ibctl.leads.commands.arguments import RegionOption
from ibctl.leads.commands.notices import warn_of_settled
from ibctl.leads.importing import orders
from ibctl.output import Column, Format, Listing
from ibctl.users import completion

if TYPE_CHECKING:
    from ibctl.ads.accounts.service import Connection

app = typer.Typer(add_completion=False)

COLUMNS = [
    Column("form", "flag"), Column("name"), Column("page", "flag", brief=False), Column("read", "number"),
    Column("created", "number"), Column("updated", "number"), Column("unchanged", "number"),
    Column("known", "number"), Column("tests", "number", brief=False), Column("refused", "number"),
]  # fmt: skip


@dataclass
class Pull:
    """What is asked for, and what has come of it so far."""

    run: Run
    order: form_leads.Order
    folder: Path
    form: str | None
    archived: bool
    until: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    # All forms are taken under one change set, each in a transaction of its own.
    written: db.Written = field(default_factory=lambda: db.Written(None, {}, False))
    # Forms whose owner is not clear; every other failure is Facebook's.
    unclear: int = 0


@app.command()
def pull(
    form: Annotated[str | None, typer.Option(help="This lead form's id.", show_default=False)] = None,
    page: Annotated[str | None, typer.Option(help="All forms of this page's id.", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="All forms of every connected page.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Archived forms, too.")] = False,
    ib: Annotated[
        str | None,
        typer.Option(
            help="Whose the leads are; default: the campaign's or the page's IB.", autocompletion=completion.ibs
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="The source of new leads.")] = "facebook",
    region: RegionOption = None,
    rejects: Annotated[Path, typer.Option(help="The folder for files of refused leads.", show_default="here")] = Path(),
    max_wait: arguments.MaxWaitOption = "5m",
    quiet: arguments.QuietOption = False,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Take in what people filled in at Facebook's lead forms.

    They go through the rules of `leads import`: somebody who is a lead
    already stays so, with the same IB, and what was filled in is added to
    the lead's activities, the form's own questions too. Each form is read
    from where the last pull ended; Facebook keeps leads for 90 days, so pull
    at least weekly. Leads of Facebook's testing tool are left out.

    Example: ibctl leads pull --all --quiet
    """
    if sum((form is not None, page is not None, all_)) != 1:
        raise UsageError("give one of --form, --page and --all")
    reading, patience = orders.reading(region), sync_rules.seconds("--max-wait", max_wait)
    with db.reading() as session:
        owner = service.active_ib(session, ib)
        known = accounts.connections(session, with_account=False)
        asked = page or (form_leads.page_of(session, form) if form else None)
        pages, until = form_leads.pages(known, asked), form_leads.read_until(session)
    order = form_leads.Order(owner.id if owner else None, source, reading)
    job = Pull(Run.of(known, dry_run=dry_run, reason=reason), order, rejects, form, archived, until)
    with Line(max_wait=patience) as line, db.pooled(1):
        for connection, one in _forms(line, job, pages):
            # Failures are told of the form, and noted with the account.
            named = replace(connection, facebook_id=f"form {one.id}")
            job.run.attempt(named, partial(_pull_one, line, job, connection, one))
    _tell(job, Listing(Format(format)), quiet=quiet)


def _forms(line: Line, job: Pull, pages: Sequence[Connection]) -> Iterator[tuple[Connection, Form]]:
    """Yield the forms that are asked for. Raises NotFoundError where none of them is the one that was named."""
    met, failed = False, len(job.run.failed)
    for connection in pages:
        found: list[Form] = []
        named = replace(connection, facebook_id=f"page {connection.page_id}")
        job.run.attempt(named, partial(_list_forms, line, connection, found))
        for one in found:
            if job.form in (None, one.id) and (one.status == "ACTIVE" or job.archived or job.form):
                met = True
                yield connection, one
    if job.form is not None and not met and len(job.run.failed) == failed:
        raise NotFoundError(f"no connected page has the form {job.form}")


def _list_forms(line: Line, connection: Connection, found: list[Form]) -> None:
    found += facebook.forms(line.graph(connection.page_token), str(connection.page_id))


def _pull_one(line: Line, job: Pull, connection: Connection, form: Form) -> None:
    """Read a form, outside of any transaction, and take its leads in."""
    span = form_leads.span(job.until.get(form.id), clock.now())
    found = facebook.leads(line.graph(connection.page_token), form.id, span.since)
    _tell_lost(job, form, span)
    whole = Taken()
    pending: Sequence[FormLead] = found
    # A second round is for people who filled it in twice: by then the first one has made them a lead.
    for number in itertools.count():
        path = job.folder / f"facebook-form-{form.id}{f'-{number}' if number else ''}.rejects.csv"
        begun = job.written.change_set
        try:
            with db.transaction(dry_run=job.run.dry_run, reason=job.run.reason, continues=begun) as session:
                taken = form_leads.take(session, form, pending, job.order, path)
        except RequestError:
            job.unclear += 1
            raise
        if begun is None:
            job.written = session.written
        whole = taken if not number else whole.plus(taken)
        pending = taken.repeated
        if not pending or job.run.dry_run:
            break
    job.taken.append(whole)
    job.rows.append(_row(form, whole, repeated=len(pending)))


def _row(form: Form, taken: Taken, *, repeated: int) -> dict[str, Any]:
    return {
        "form": form.id, "name": form.name, "page": form.page, "read": taken.read, "created": taken.created,
        "updated": taken.updated, "unchanged": taken.unchanged + repeated, "known": taken.known,
        "tests": taken.tests, "refused": sum(taken.refused.values()),
    }  # fmt: skip


def _tell_lost(job: Pull, form: Form, span: form_leads.Span) -> None:
    if span.lost is not None:
        output.warn(
            f"the form '{form.name}' ({form.id}) was last read up to {span.lost:%Y-%m-%d}: what was filled in since, "
            f"but over {DAYS_KEPT} days ago, Facebook has no longer"
        )
    elif form.id not in job.until and form.expired:
        output.note(
            f"the form '{form.name}' ({form.id}) has {form.expired:,} leads that are over {DAYS_KEPT} days old: "
            "Facebook has them no longer"
        )


def _tell(job: Pull, listing: Listing, *, quiet: bool) -> None:
    """Say what was taken, and end: 6 when leads were refused or some forms failed, 5 or 3 when all did."""
    refused, failed = sum(row["refused"] for row in job.rows), job.run.failed
    silent = quiet and not refused and not failed
    if not silent:
        output.show(job.rows, COLUMNS, listing)
    warn_of_settled(form_leads.settled(job.taken))
    if elsewhere := sum(one.elsewhere for one in job.taken):
        output.note(f"leads that stay with another IB, whose they were already: {elsewhere:,}")
    if not silent:
        created = sum(row["created"] for row in job.rows)
        job.written.announce(f"forms read: {len(job.rows):,}, leads created: {created:,}")
    if refused:
        files = [str(path) for one in job.taken for path in one.rejects]
        output.note(f"leads refused: {refused:,}; to mend and import: {output.some(files)}")
    if failed:
        output.note(f"what failed: {output.some(failed)}{job.run.way_back}")
    if refused or failed:
        none = RequestError.exit_code if job.unclear == len(failed) else ServiceError.exit_code
        raise typer.Exit(errors.PARTIAL if job.rows else none)
