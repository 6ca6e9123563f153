"""`ibctl leads import`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ibctl import config, db, imports, output, tabular
from ibctl.errors import ConfigError, RequestError, UsageError
from ibctl.leads import batches, contacts, mappings, rows, rules, service
from ibctl.leads import terms as import_terms
from ibctl.leads.importing import Imported, Importer, Order
from ibctl.leads.settled import Settled
from ibctl.leads.source_mapping import SourceMapping
from ibctl.models.imports import LeadImport
from ibctl.output import Column
from ibctl.users import completion

COLUMNS = [Column("rows", "number"), Column("outcome"), Column("code")]
EPILOG = (
    "Codes of refused rows: cells (too many or too few), contact_missing, email_invalid, phone_invalid, date_invalid, "
    "date_future, date_order (qualified before captured), date_backwards (a fact before the date that the lead has), "
    "amount_invalid, total_mismatch, status_unknown, type_unknown, owner_unknown, owner_inactive, owner_missing, "
    "text_invalid, duplicate (of an earlier row), exists (as a lead of which the row says something else), not_found, "
    "ambiguous (fits several leads), conflict (with what the lead says, where the rule is error)."
)


def complete_mapping(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a saved mapping."""
    return completion.answer(ctx, lambda session: mappings.names(session, incomplete))


RegionOption = Annotated[str | None, typer.Option(help="Country of phone numbers without +, like DE.")]
ModeOption = Annotated[
    str | None,
    typer.Option(
        help="create (new leads only), update (those that are there) or upsert (both).", show_default="create"
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
    chunk: Annotated[int | None, typer.Option(min=1, help="Commit after so many rows.", show_default=False)] = None,
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
    given = Given(mode, match, mapping, ib, assign, source, encoding, delimiter, sheet, dayfirst, decimal_comma, region)
    job = _resumed(resume, given, chunk) if resume is not None else _begun(given, chunk)
    if all_or_nothing and job.chunk is not None:
        raise UsageError("--all-or-nothing and --chunk exclude each other: chunks are committed one by one")
    if dry_run and job.batch is not None:
        raise UsageError("--dry-run and --resume exclude each other")
    with ExitStack() as stack:
        table = stack.enter_context(tabular.open_table(file, **job.opening))
        outcome = _run(stack, job, table, rejects, again=again, all_or_nothing=all_or_nothing, dry=dry_run, why=reason)
    _tell(outcome, output.Listing(output.Format(format)), table.path)


# ------------------------------------------------------------------------------------------------------- what is to do


@dataclass(frozen=True)
class Given:
    """What the command line says about the file and the terms."""

    mode: str | None
    match: str | None
    mapping: str | None
    ib: str | None
    assign: str | None
    source: str | None
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    dayfirst: bool
    decimal_comma: bool
    region: str | None


@dataclass(frozen=True)
class Job:
    """An import to be made: how the file is opened and read, on what terms; a batch that it goes on with."""

    mapping: SourceMapping
    given: Given
    chunk: int | None
    batch: LeadImport | None = None

    @property
    def opening(self) -> dict[str, Any]:
        """How the file is opened."""
        return {
            name: getattr(self.given, name) or getattr(self.mapping, name)
            for name in ("encoding", "delimiter", "sheet", "decimal_comma")
        }

    @property
    def options(self) -> dict[str, Any]:
        """What `--resume` must know, as JSON takes it."""
        return {
            "mapping": self.mapping.model_dump(mode="json"),
            "given": {**vars(self.given), "mapping": None},
            "chunk": self.chunk,
        }


def _begun(given: Given, chunk: int | None) -> Job:
    """Read the mapping, and check what needs no database. Raises UsageError, or RequestError for the mapping."""
    if given.ib is not None and given.assign is not None:
        raise UsageError("--ib and --assign exclude each other: --assign IB is the same as --ib IB")
    found = mappings.named(given.mapping) if given.mapping is not None else SourceMapping()
    return Job(found, given, chunk)


def _resumed(number: int, given: Given, chunk: int | None) -> Job:
    """Take up a batch, on its own terms. Raises UsageError where others are given, and as `batches.find` does."""
    named = [f"--{name.replace('_', '-')}" for name, value in vars(given).items() if value]
    if named:
        raise UsageError(f"--resume goes on with the terms of import {number}: leave {', '.join(named)} out")
    with db.reading() as session:
        batch = batches.find(session, number)
        batches.require_unfinished(session, batch)
    terms = batch.terms
    return Job(
        SourceMapping.model_validate(terms["mapping"]), Given(**terms["given"]), chunk or terms.get("chunk"), batch
    )


def _order(session: db.Transaction, job: Job, table: tabular.Table, *, all_or_nothing: bool) -> Order:
    """Put together what is to be imported. Raises UsageError, and RequestError where the file lacks columns."""
    given, mapping = job.given, job.mapping
    terms = _terms(given, mapping, all_or_nothing=all_or_nothing)
    by_column = given.assign in ("round-robin", "by-column")
    owner = service.active_ib(session, given.ib if by_column else given.ib or given.assign)
    defaults = {"userId": owner.id if owner else None, "source": given.source}
    columns = tabular.columns(
        table, _aliases(terms.newer_by), any_of=_needed(mapping.constants), renamed=mapping.columns
    )
    _require_sense(terms, columns, mapping.constants)
    return Order(
        table,
        {name: index for name, index in columns.items() if name not in mapping.constants},
        table.sha256(),
        terms,
        reading(given.region or mapping.region, day_first=given.dayfirst or mapping.dayfirst,
                decimal_comma=given.decimal_comma or mapping.decimal_comma),
        rows.Given(
            mapping.constants, {name: value for name, value in defaults.items() if value is not None},
            mapping.translations,
        ),
        job.options,
    )  # fmt: skip


def _terms(given: Given, mapping: SourceMapping, *, all_or_nothing: bool) -> import_terms.Terms:
    return import_terms.Terms(
        import_terms.mode(given.mode or mapping.mode or "create"),
        import_terms.match(given.match or ",".join(mapping.match) or ",".join(import_terms.Terms.match)),
        mapping.rules,
        mapping.newer_by,
        round_robin=given.assign == "round-robin",
        owner_required=given.assign == "by-column",
        all_or_nothing=all_or_nothing,
    )


def _aliases(newer_by: str | None) -> Mapping[str, Sequence[str]]:
    # Any export has the time of a lead's last change; it is read only where it decides something.
    dated = {"updatedAt": ("updated", "last modified", "report date")} if newer_by == "updatedAt" else {}
    return {**rules.ALIASES, **dated}


def _needed(constants: Mapping[str, str]) -> Sequence[str]:
    return () if set(rules.CONTACTS) & set(constants) else rules.CONTACTS


def _require_sense(terms: import_terms.Terms, columns: Mapping[str, int], constants: Mapping[str, str]) -> None:
    """Raise UsageError for terms that no row of a file with these columns can meet."""
    named = {*columns, *constants}
    if terms.owner_required and not {"ib", "userId"} & named:
        raise UsageError("--assign by-column: the file has no column that names an IB")
    if terms.newer_by is not None and terms.newer_by not in named:
        raise RequestError(f"the mapping's newer_by is {terms.newer_by}, for which the file has no column")
    if terms.mode != "create" and not set(terms.match) & named:
        raise UsageError(f"--match {','.join(terms.match)}: the file has none of these columns")


def reading(region: str | None, *, day_first: bool = False, decimal_comma: bool = False) -> rules.Reading:
    """Return how phone numbers, dates and amounts are read: by `--region`, or else the setting.

    Raises UsageError or ConfigError for a region that has no phone numbers.
    """
    code = region or config.settings().phone_region
    try:
        return rules.Reading(contacts.region(code) if code else None, day_first, decimal_comma)
    except ValueError as exc:
        if region:
            raise UsageError(f"--region: {exc}") from None
        raise ConfigError(f"IBCTL_PHONE_REGION: {exc}") from None


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
    stack: ExitStack, job: Job, table: tabular.Table, rejects: Path | None, *, again: bool, all_or_nothing: bool,
    dry: bool, why: str | None,
) -> Outcome:  # fmt: skip
    """Make the import, in one transaction or one for each chunk. Raises RequestError where nothing may be written."""
    refused = tabular.RejectFile(rejects or tabular.rejects_path(table.path), table)
    if job.chunk is not None and not dry:
        return _by_chunks(stack.enter_context(refused), job, table, again=again, why=why)
    with db.transaction(dry_run=dry, reason=why) as session:
        order = _order(session, job, table, all_or_nothing=all_or_nothing)
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


def _by_chunks(refused: tabular.RejectFile, job: Job, table: tabular.Table, *, again: bool, why: str | None) -> Outcome:
    """Import chunk by chunk, each in a transaction of its own, all under one change set."""
    importer: Importer | None = None
    result, written, batch = Imported(), None, job.batch
    while importer is None or not importer.done:
        continued = importer.batch if importer is not None else batch
        change_set = continued.change_set_id if continued is not None else None
        with db.transaction(reason=why, continues=change_set) as session:
            if importer is None:
                order = _order(session, job, table, all_or_nothing=False)
                earlier = batches.earlier(session, order.digest) if batch is None else None
                if earlier is not None and not again:
                    return Outcome(refused, result, again=earlier)
                if batch is not None:
                    _require_same(batch, order.digest)
                    for kept in batches.rejects(session, batch):
                        refused.add(kept.row, kept.cells, kept.code, kept.field, kept.message)
                importer = Importer(order, refused, progress=output.progress, batch=batch)
            result += importer.step(session, job.chunk)
        written = session.written
    return Outcome(refused, result, written, batch=importer.batch)


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
    if result.good:
        what = f"{result.created:,} leads created" + (f", {result.updated:,} updated" if result.updated else "")
        outcome.written.announce(f"import {batch.id}: {what}" if batch is not None else what)
    _tell_consequences(result)
    imports.finish(outcome.rejects, result.good)


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
            f"the import of {file} was cut short after row {again.checkpoint:,}: `--resume {again.id}` goes on with "
            f"it, `ibctl undo {again.change_set_id}` takes back what it has done"
        )
    output.note(
        f"{file} was imported on {again.created_at:%Y-%m-%d %H:%M} (import {again.id}: {again.created:,} leads created"
        f", {again.updated:,} updated, change set {again.change_set_id}), nothing to do{refused}; "
        "--again imports it anew"
    )


def _tell_consequences(result: Imported) -> None:
    warn_of_settled(result.settled)
    if result.undated:
        output.note(
            f"{result.undated:,} leads were created as qualified without a qualifiedAt: no commission counts them"
        )
    if result.kept:
        kept = ", ".join(f"{name} ({count:,})" for name, count in result.kept.items())
        output.note(f"what leads say stayed where rows say otherwise, by the columns' rules: {kept}")


def warn_of_settled(settled: Sequence[Settled]) -> None:
    """Warn of months, being paid or paid, whose commissions no longer agree with their leads."""
    for month in settled:
        output.warn(
            f"{month.month} is {month.status} for {output.some(month.ibs)}: that commission stays as it is, though "
            f"{month.leads:,} leads that count in it have changed"
        )
