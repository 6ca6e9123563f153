"""`ibctl leads import`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ibctl import config, csvfile, db, imports, output
from ibctl.errors import ConfigError, UsageError
from ibctl.leads import contacts, importing, rules, service
from ibctl.output import Column
from ibctl.users import completion

COLUMNS = [Column("rows", "number"), Column("outcome"), Column("code")]
EPILOG = (
    "Codes of refused rows: cells (too many or too few), contact_missing, email_invalid, phone_invalid, date_invalid, "
    "date_future, date_order (qualified before captured), amount_invalid, total_mismatch, status_unknown, "
    "type_unknown, owner_unknown, owner_inactive, text_invalid, duplicate (of an earlier row), exists (as a lead of "
    "which the row says something else)."
)

RegionOption = Annotated[str | None, typer.Option(help="Country of phone numbers without +, like DE.")]


def import_(
    file: Annotated[Path, typer.Argument(help=imports.FORMATS, show_default=False)],
    ib: Annotated[
        str | None, typer.Option(help="Owner of rows that name none: email or id.", autocompletion=completion.ibs)
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source of rows that name none.")] = None,
    rejects: imports.RejectsOption = None,
    encoding: imports.EncodingOption = None,
    delimiter: imports.DelimiterOption = None,
    sheet: imports.SheetOption = None,
    dayfirst: Annotated[bool, typer.Option("--dayfirst", help="03/04/2025 is the 3rd of April.")] = False,
    region: RegionOption = None,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Import leads from a file: new ones are created, none is changed.

    Columns are found by their names, in whatever order: email, first name,
    phone, ib (email or id), lead type, broker, source, status, tracking
    token, captured at, deposited at, trading start at, qualified at, ftd,
    cpa and more; each row needs an email, a phone or a tracking token. Times
    without a zone are UTC, amounts are in the base currency.

    A row that says nothing new about a lead that is there is unchanged. Rows
    that cannot be taken go to a file of their own, to mend and import. The
    same file again is not imported twice.

    Example: ibctl leads import leads.csv --ib ib@example.com --dry-run
    """
    with ExitStack() as stack:
        opened = stack.enter_context(csvfile.open_csv(file, encoding=encoding, delimiter=delimiter, sheet=sheet))
        digest = opened.sha256()
        session = stack.enter_context(db.transaction(dry_run=dry_run, reason=reason))
        # Complete before the commit: nothing may be imported whose refused rows are lost.
        refused = stack.enter_context(csvfile.RejectFile(rejects or csvfile.rejects_path(opened.path), opened))
        result = importing.run(
            session,
            opened,
            refused,
            digest=digest,
            owner=service.active_ib(session, ib),
            source=source,
            reading=reading(region, day_first=dayfirst),
            progress=output.progress,
        )
    output.show(_rows(result), COLUMNS, output.Listing(output.Format(format)))
    if result.again is not None:
        _tell_again(opened.path, result)
        return
    if result.good:
        session.written.announce(f"{result.created:,} leads created")
    _tell_consequences(result)
    imports.finish(refused, result.good)


def reading(region: str | None, *, day_first: bool = False) -> rules.Reading:
    """Return how phone numbers and dates are read: by `--region`, or else the setting.

    Raises UsageError or ConfigError for a region that has no phone numbers.
    """
    code = region or config.settings().phone_region
    try:
        return rules.Reading(contacts.region(code) if code else None, day_first)
    except ValueError as exc:
        if region:
            raise UsageError(f"--region: {exc}") from None
        raise ConfigError(f"IBCTL_PHONE_REGION: {exc}") from None


def _rows(result: importing.Imported) -> Iterator[dict[str, Any]]:
    if result.again is not None:
        return
    yield {"rows": result.read, "outcome": "read", "code": ""}
    yield {"rows": result.created, "outcome": "created", "code": ""}
    yield {"rows": result.unchanged, "outcome": "unchanged", "code": ""}
    for code, count in result.refused.items():
        yield {"rows": count, "outcome": "refused", "code": code}


def _tell_again(file: Path, result: importing.Imported) -> None:
    again = result.again
    assert again is not None
    refused = f"; for the {again.refused:,} rows refused then, import the reject file" if again.refused else ""
    output.note(
        f"{file} was imported on {again.created_at:%Y-%m-%d %H:%M} ({again.created:,} leads created, change set "
        f"{again.change_set_id}), nothing to do{refused}"
    )


def _tell_consequences(result: importing.Imported) -> None:
    warn_of_settled(result.settled)
    if result.undated:
        output.note(
            f"{result.undated:,} leads were created as qualified without a qualifiedAt: no commission counts them"
        )


def warn_of_settled(settled: Sequence[importing.Settled]) -> None:
    """Warn of months, being paid or paid, whose commissions no longer agree with their leads."""
    for month in settled:
        output.warn(
            f"{month.month} is {month.status} for {output.some(month.ibs)}: that commission stays as it is, though "
            f"{month.leads:,} leads that count in it have changed"
        )
