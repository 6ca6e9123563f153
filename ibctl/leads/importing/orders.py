"""What the command line and a mapping file say about an import, put together into what is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ibctl import config, db, tabular
from ibctl.errors import ConfigError, RequestError, UsageError
from ibctl.leads import contacts, rules, service
from ibctl.leads.importing import batches, mappings, rows
from ibctl.leads.importing import terms as import_terms
from ibctl.leads.importing.service import Order
from ibctl.leads.importing.source_mapping import SourceMapping
from ibctl.models.imports import LeadImport


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


def begun(given: Given, chunk: int | None) -> Job:
    """Read the mapping, and check what needs no database. Raises UsageError, or RequestError for the mapping."""
    if given.ib is not None and given.assign is not None:
        raise UsageError("--ib and --assign exclude each other: --assign IB is the same as --ib IB")
    found = mappings.named(given.mapping) if given.mapping is not None else SourceMapping()
    return Job(found, given, chunk)


def resumed(number: int, given: Given, chunk: int | None) -> Job:
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


def order(session: db.Transaction, job: Job, table: tabular.Table, *, all_or_nothing: bool) -> Order:
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
