"""`ibctl commissions payouts export|reconcile`: what the bank is told, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ibctl import db, errors, outfiles, output
from ibctl.commissions.commands import arguments
from ibctl.commissions.commands.arguments import BatchArgument, ExcludeOption
from ibctl.commissions.commands.confirming import for_good
from ibctl.commissions.payouts import exporting, reconciling, rules
from ibctl.commissions.payouts.files import PayoutFile
from ibctl.errors import UsageError
from ibctl.output import Column, Format, Listing

app = typer.Typer()

FILE_COLUMNS = [
    Column("file", "flag"),
    Column("payments", "number"),
    Column("total"),
    Column("sha256", brief=False),
]

EVIDENCE_COLUMNS = [
    Column("where", "flag"),
    Column("reference", "flag"),
    Column("direction", "flag"),
    Column("bookedOn", "date"),
    Column("moved", "flag"),
    Column("amount", "money", brief=False),
    Column("currency", "flag", brief=False),
    Column("due", "money", brief=False),
    Column("bankReference", brief=False),
    Column("finding", "flag"),
    Column("open", "flag", brief=False),
    Column("explanation", brief=False),
]


@app.command()
def export(
    batch: BatchArgument,
    layout: Annotated[
        Literal["generic", "paypal", "wise", "pain.001"], typer.Option("--layout", help="Whose layout.")
    ] = "generic",
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the files go; default: here.")
    ] = Path(),
    execution_date: Annotated[
        str | None, typer.Option("--execution-date", help="When the bank is to pay; default: today, or as before.")
    ] = None,
    again: Annotated[
        int | None, typer.Option("--again", metavar="N", min=1, help="Write file N of the batch again.")
    ] = None,
    instead_of: Annotated[
        int | None,
        typer.Option("--instead-of", metavar="N", min=1, help="In the place of file N, which was not handed in."),
    ] = None,
    exclude: ExcludeOption = None,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Write what the bank or provider is to pay, with a manifest of its sums.

    That is what is due and, by the evidence so far, not out. What went out is
    in a later file only when it was short or came back, even after it was paid;
    where there is nothing of the kind, the last file is written again. What
    came back, whole or in part, goes to the payee as it is now, and where that
    is, is said.

    The files are numbered; `payouts show` says which payment is in which. What
    was written in vain can be taken back with --instead-of: make sure that
    nobody hands it in. What is left of it is written into another file. What is
    to be kept back for now, also of what came back, --exclude leaves out.

    The files hold names and accounts: they can be read by you only. pain.001
    pays euros from IBCTL_PAYER_IBAN and is checked against its schema; wise and
    paypal are split where their uploads end.

    Example: ibctl commissions payouts export 2025-10-1 --layout pain.001 -o out
    """
    if again is not None and (instead_of is not None or exclude):
        raise UsageError("--again excludes --instead-of and --exclude: it writes a file as it was")
    day = arguments.day("--execution-date", execution_date)
    wanted = exporting.Wanted(layout, day, again, instead_of, arguments.named(exclude))
    if instead_of is not None:
        output.confirm(
            f"file {instead_of} of batch {batch} was not handed in and never will be: what is left goes into another",
            yes=yes or dry_run,
        )
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        made = exporting.export(session, batch, wanted)
    if made.files and not dry_run:
        # After the commit: what has not been noted must not lie about to be paid.
        _write(folder, made.files)
    output.show(_rows(made.files), FILE_COLUMNS, Listing(Format(form)))
    _say(made)
    for_good(session.written, f"batch {batch}, file {made.number}, {_done(made, folder)}")
    if made.in_part:
        raise typer.Exit(errors.PARTIAL)


def _done(made: exporting.Exported, folder: Path) -> str:
    if not made.files:
        return "withdrawn: nothing is left to be written in its place"
    return f"{'written again' if made.again else 'exported'} to {folder.absolute()}, with {made.files[-1].name}"


def _rows(files: list[PayoutFile]) -> list[dict[str, Any]]:
    return [
        {"file": file.name, "payments": len(file.payments), "sha256": file.sha256,
         "total": rules.sums((one.amount, one.currency) for one in file.payments)}
        for file in files[:-1]
    ]  # fmt: skip


def _say(made: exporting.Exported) -> None:
    """Say what is in the files that was out before, and to whom it goes now; and what is not in them."""
    for one in made.returned:
        output.note(_returned(one, made.number))
    if made.known:
        output.note(f"not in it again, as more is known of them since: {output.some(made.known)}")
    if made.earlier:
        output.note(f"not in it again, as nothing is known since they went out before: {output.some(made.earlier)}")
    if made.excluded:
        output.note(f"left out, as excluded; it stays left to pay: {output.some(made.excluded)}")
    for line in [*made.homeless, *made.stale]:
        output.warn(f"left out: {line}")
    if made.withheld:
        output.warn(
            f"left out, until it is clear what has left for them: {output.some(made.withheld)} (`payouts show` says "
            "what is known)"
        )


def _returned(one: exporting.Returned, number: int) -> str:
    if one.redirected:
        return f"{one.reference} came back, and goes to another account now, {one.email}'s: {one.destination}"
    return (
        f"{one.reference} came back, and goes to the same account again, {one.email}'s: {one.destination}; "
        f"`ibctl commissions payees set` names another, and --instead-of {number} writes a file with that"
    )


def _write(folder: Path, files: list[PayoutFile]) -> None:
    outfiles.make_folder(folder)
    for file in files:
        with outfiles.atomic_file(folder / file.name, private=True) as stream:
            stream.write(file.text)


@app.command()
def reconcile(
    batch: BatchArgument,
    file: Annotated[Path, typer.Argument(help="A camt.053, MT940 or CSV file; - is stdin.", show_default=False)],
    paid_is: Annotated[
        Literal["positive", "negative"] | None,
        typer.Option("--paid-is", help="In CSV: the sign of an amount that left.", show_default=False),
    ] = None,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Take a bank's or provider's file as evidence: what it proves is PAID.

    A payment is paid when exactly what is due has left, in its currency, under
    its reference. Findings are listed and end with 7: unmatched, early, short,
    over, double, returned, repeated, unseen, turned, currency, cancelled. The
    same file again changes nothing; more files may follow, until all is paid. A
    file that was misread `ibctl undo` takes back, but for what made one PAID.

    CSV needs the columns reference, amount, currency and date; id, status and
    direction are understood. Where but a sign says that money came back, and
    not the same file that it left, --paid-is has to say what the sign means.

    Example: ibctl commissions payouts reconcile 2025-10-1 statement.xml
    """
    read = reconciling.read(file, paid_is=paid_is)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        result = reconciling.reconcile(session, batch, read)
    output.show(result.rows, EVIDENCE_COLUMNS, Listing(Format(form)))
    if result.passed_over:
        output.note(f"{read.file}: {result.passed_over:,} movements are none of the batch's")
    _announce(result, session.written)
    if result.findings:
        for row in result.rows:
            if row["open"]:
                output.note(
                    f"{row['where']}, {row['reference'] or row['moved']}: {row['finding']}, {row['explanation']}"
                )
        output.warn(f"{result.findings:,} of the file's movements need somebody")
    for line in result.kept:
        output.warn(line)
    if result.findings or result.kept:
        raise typer.Exit(errors.FINDINGS)


def _announce(result: reconciling.Reconciliation, written: db.Written) -> None:
    left = f"{result.open:,} not paid yet" if result.open else "none is open"
    nothing_new = "; nothing new in the file" if written.nothing else ""
    for_good(written, f"batch {result.batch.id}: {result.paid:,} paid now, {left}{nothing_new}")
