"""`ibctl leads import`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ibctl import db, imports, output, rendering, tabular
from ibctl.errors import IbctlError, RequestError, UsageError
from ibctl.leads.commands.arguments import RegionOption
from ibctl.leads.commands.notices import warn_of_settled
from ibctl.leads.importing import batches, mappings, orders, terms
from ibctl.leads.importing.service import Imported, Importer, Order
from ibctl.models.imports import LeadImport
from ibctl.output import Column
from ibctl.users import completion

app = typer.Typer()

COLUMNS = [Column("rows", "number"), Column("outcome"), Column("code")]
EPILOG = (
    "Codes of refused rows: cells (too many or too few), contact_missing, email_invalid, phone_invalid, date_invalid, "
    "date_future, date_order (qualified before captured), date_backwards (a fact before the date that the lead has), "
    "amount_invalid, total_mismatch, status_unknown, "
    "status_conflict (a rejected lead that qualifies), type_unknown, owner_unknown, owner_inactive, owner_missing, "
    "text_invalid, duplicate (of an earlier row), exists (as a lead of which the row says something else), not_found, "
    "ambiguous (fits several leads), conflict (with what the lead says, where the rule is error)."
)


def complete_mapping(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a saved mapping."""
    return completion.answer(ctx, lambda session: mappings.names(session, incomplete))


def _modes(incomplete: str) -> list[str]:
    return [mode for mode in terms.MODES if mode.startswith(incomplete)]


ModeOption = Annotated[
    str | None,
    typer.Option(
        help="create (new leads only), update (those that are there) or upsert (both).",
        show_default="create",
        autocompletion=_modes,
    ),
]
MatchOption = Annotated[
    str | None,
    typer.Option(
        help="The fields by which a row may find its lead, the surest first.",
        show_default="trackingToken,email,phone",
    ),
]
MappingOption = Annotated[
    str | None,
    typer.Option(
        help="How the file is read: a saved mapping's name, or a .toml file.", autocompletion=complete_mapping
    ),
]
AssignOption = Annotated[
    str | None,
    typer.Option(
        help="Who owns new leads: an IB (as --ib), round-robin, or by-column (a row without an IB is refused).",
        autocompletion=completion.ibs,
    ),
]


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(help=imports.FORMATS, show_default=False)],
    mode: ModeOption = None,
    match: MatchOption = None,
    mapping: MappingOption = None,
    ib: Annotated[
        str | None, typer.Option(help="Owner of rows that name none: email or id.", autocompletion=completion.ibs)
    ] = None,
    assign: AssignOption = None,
    source: Annotated[str | None, typer.Option(help="Source of rows that name none.")] = None,
    all_or_nothing: Annotated[
        bool, typer.Option("--all-or-nothing", help="Write nothing where a row is refused.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Import a file that was imported already.")] = False,
    chunk: Annotated[
        int | None,
        typer.Option(min=1, max=output.MOST_ROWS, help="Commit after so many rows.", show_default=False),
    ] = None,
    resume: Annotated[
        int | None, typer.Option(help="Go on with this import, which was cut short.", show_default=False)
    ] = None,
    rejects: imports.RejectsOption = None,
    encoding: imports.EncodingOption = None,
    delimiter: imports.DelimiterOption = None,
    sheet: imports.SheetOption = None,
    dayfirst: Annotated[bool, typer.Option("--dayfirst", help="03/04/2025 is the 3rd of April.")] = False,
    decimal_comma: Annotated[bool, typer.Option("--decimal-comma", help="1.234,50 is an amount.")] = False,
    region: RegionOption = None,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Import leads from a file: create new ones, or update those that are there.

    Columns are found by their names, in whatever order: email, first name,
    phone, ib (email or id), lead type, broker, source, status, tracking
    token, captured at, deposited at, trading start at, qualified at, ftd,
    cpa and more; each row needs an email, a phone or a tracking token. Times
    without a zone are UTC, amounts are in the base currency. A mapping file
    says it where a source has names and words of its own.

    A row that says nothing new about a lead that is there is unchanged. Rows
    that cannot be taken go to a file of their own, to mend and import. The
    same file again is not imported twice.

    Example: ibctl leads import leads.csv --ib ib@example.com --dry-run

    Example: ibctl leads import report.csv --mode update --mapping partner-x
    """
    given = orders.Given(
        mode, match, mapping, ib, assign, source, encoding, delimiter, sheet, dayfirst, decimal_comma, region
    )
    job = orders.resumed(resume, given, chunk) if resume is not None else orders.begun(given, chunk)
    if all_or_nothing and job.chunk is not None:
        raise UsageError("--all-or-nothing and --chunk exclude each other: chunks are committed one by one")
    if dry_run and job.batch is not None:
        raise UsageError("--dry-run and --resume exclude each other")
    with ExitStack() as stack:
        table = stack.enter_context(tabular.open_table(file, **job.opening))
        outcome = _run(stack, job, table, rejects, again=again, all_or_nothing=all_or_nothing, dry=dry_run, why=reason)
    _tell(outcome, output.Listing(output.Format(format)), table.path)


# ------------------------------------------------------------------------------------------------------------- doing it


@dataclass
class Outcome:
    """What became of an import: its figures, or the earlier import that makes it superfluous."""

    rejects: tabular.RejectFile
    result: Imported
    written: db.Written | None = None
    again: LeadImport | None = None
    batch: LeadImport | None = None


def _run(
    stack: ExitStack, job: orders.Job, table: tabular.Table, rejects: Path | None, *, again: bool, all_or_nothing: bool,
    dry: bool, why: str | None,
) -> Outcome:  # fmt: skip
    """Make the import, in one transaction or one for each chunk. Raises RequestError where nothing may be written."""
    refused = tabular.RejectFile(rejects or tabular.rejects_path(table.path), table)
    if job.chunk is not None and not dry:
        return _by_chunks(stack.enter_context(refused), job, table, again=again, why=why)
    with db.transaction(dry_run=dry, reason=why) as session:
        order = orders.order(session, job, table, all_or_nothing=all_or_nothing)
        earlier = batches.earlier(session, order.digest)
        if earlier is not None and not again:
            return Outcome(refused, Imported(), again=earlier)
        # Complete before the commit: nothing may be imported whose refused rows are lost.
        with refused:
            importer = Importer(order, refused, progress=output.progress)
            result = importer.step(session)
        if all_or_nothing and refused.count:
            raise RequestError(
                f"{refused.count:,} of {result.read:,} rows were refused, and with --all-or-nothing nothing was "
                f"written; they are in {refused.path}"
            )
    return Outcome(refused, result, session.written, batch=importer.batch)


def _by_chunks(
    refused: tabular.RejectFile, job: orders.Job, table: tabular.Table, *, again: bool, why: str | None
) -> Outcome:
    """Import chunk by chunk, each in a transaction of its own, all under one change set."""
    importer: Importer | None = None
    result, batch = Imported(), job.batch
    while importer is None or not importer.done:
        with _unfinished(batch, job), db.transaction(reason=why, continues=_change_set(batch)) as session:
            if importer is None:
                order = orders.order(session, job, table, all_or_nothing=False)
                earlier = batches.earlier(session, order.digest) if batch is None else None
                if earlier is not None and not again:
                    return Outcome(refused, result, again=earlier)
                importer = _importer(session, order, refused, batch)
            result += importer.step(session, job.chunk)
        batch = importer.batch
    # The last chunk may have written nothing.
    written = replace(session.written, change_set=_change_set(batch))
    return Outcome(refused, result, written, batch=batch)


def _change_set(batch: LeadImport | None) -> int | None:
    return batch.change_set_id if batch is not None else None


@contextmanager
def _unfinished(batch: LeadImport | None, job: orders.Job) -> Iterator[None]:
    """Where a chunk fails or is interrupted, say what has become of those before it in this run."""
    try:
        yield
    except (KeyboardInterrupt, IbctlError):
        if batch is not None and batch is not job.batch:
            output.note(f"import {batch.id} is unfinished: {batches.ways_on(batch)}")
        raise


def _importer(session: db.Transaction, order: Order, refused: tabular.RejectFile, batch: LeadImport | None) -> Importer:
    """Begin an import, or go on with a batch, whose refused rows are in the reject file too."""
    if batch is not None:
        _require_same(batch, order.digest)
        for kept in batches.rejects(session, batch):
            refused.add(kept.row, kept.cells, kept.code, kept.field, kept.message)
    return Importer(order, refused, progress=output.progress, batch=batch)


def _require_same(batch: LeadImport, digest: str) -> None:
    if batch.sha256 != digest:
        raise RequestError(
            f"import {batch.id} is of another file, {batch.file_name}: only that one can be gone on with"
        )


# ----------------------------------------------------------------------------------------------------------- telling it


def _tell(outcome: Outcome, listing: output.Listing, path: Path) -> None:
    output.show(_rows(outcome), COLUMNS, listing)
    if outcome.again is not None:
        _tell_again(path, outcome.again)
        return
    result, batch = outcome.result, outcome.batch
    assert outcome.written is not None
    # A run that goes on with a batch has done some of its rows before.
    good = batch.created + batch.updated + batch.unchanged if batch is not None else result.good
    if good:
        updated = f", {result.updated:,} updated" if result.updated else ""
        what = f"{rendering.counted(result.created, 'lead')} created{updated}"
        outcome.written.announce(f"import {batch.id}: {what}" if batch is not None else what)
    _tell_consequences(result)
    imports.finish(outcome.rejects, good)


def _rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    if outcome.again is not None:
        return
    result = outcome.result
    changed = {"updated": result.updated} if result.updated else {}
    yield from imports.outcome({"created": result.created, **changed, "unchanged": result.unchanged}, result.refused)


def _tell_again(file: Path, again: LeadImport) -> None:
    refused = f"; for the {again.refused:,} rows refused then, import the reject file" if again.refused else ""
    if again.finished_at is None:
        raise RequestError(
            f"the import of {file} was cut short after row {again.checkpoint:,}: {batches.ways_on(again)}"
        )
    output.note(
        f"{file} was imported on {again.created_at:%Y-%m-%d %H:%M} (import {again.id}: "
        f"{rendering.counted(again.created, 'lead')} created, {again.updated:,} updated, "
        f"change set {again.change_set_id}), nothing to do{refused}; --again imports it anew"
    )


def _tell_consequences(result: Imported) -> None:
    warn_of_settled(result.settled)
    if result.undated:
        output.note(
            "created as qualified without a qualifiedAt, so that no commission counts them: "
            f"{rendering.counted(result.undated, 'lead')}"
        )
    if result.kept:
        kept = ", ".join(f"{name} ({count:,})" for name, count in result.kept.items())
        output.note(f"what leads say stayed where rows say otherwise, by the columns' rules: {kept}")
