"""`ibctl commissions payouts`: from PENDING commissions to money that has arrived."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ibctl import days, db, errors, months, outfiles, output, rendering, utf8
from ibctl.commissions import completion, exporting, payouts, reconciling
from ibctl.commissions import payout_rules as rules
from ibctl.commissions.arguments import MonthOption, suggest_months
from ibctl.commissions.confirming import confirmed
from ibctl.commissions.payout_files import PayoutFile
from ibctl.errors import UsageError
from ibctl.output import Column, Format, Listing
from ibctl.users import completion as users_completion

payouts_app = typer.Typer(no_args_is_help=True, help="Batches of payouts, and the proof that they were paid.")

COLUMNS = [
    Column("id", "flag"),
    Column("method", "flag"),
    Column("status", "flag"),
    Column("items", "number"),
    Column("paid", "number"),
    Column("cancelled", "number", brief=False),
    Column("baseAmount", "money"),
    Column("basePaid", "money", brief=False),
    Column("baseCurrency", "flag", brief=False),
    Column("createdAt", "time", brief=False),
    Column("createdBy", brief=False),
    Column("approvedAt", "time", brief=False),
    Column("approvedBy"),
    Column("exportedAt", "time", brief=False),
    Column("executionDate", "date", brief=False),
]
ITEM_COLUMNS = [
    Column("id", brief=False),
    Column("reference", "flag"),
    Column("email"),
    Column("userId", brief=False),
    Column("commissionId", brief=False),
    Column("baseAmount", "money", brief=False),
    # The amount as people write it in its currency; the two by themselves come next.
    Column("pays", "flag"),
    Column("amount", "money", brief=False),
    Column("currency", "flag", brief=False),
    Column("rate", "rate", brief=False),
    Column("rateDate", "date", brief=False),
    Column("rateSource", brief=False),
    Column("status", "flag"),
    Column("sent", "money", brief=False),
    Column("paidAt", "time", brief=False),
    Column("findings"),
]
# Nothing of it is paid, or wrong, yet.
OF_NEW = "reference,email,pays"
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

BatchArgument = Annotated[
    str, typer.Argument(metavar="BATCH", help="Like 2025-10-1.", autocompletion=completion.batches)
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Only this IB; may be repeated, - reads a list from stdin.", autocompletion=users_completion.ibs
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", help="Not this IB; may be repeated, - reads a list.", autocompletion=users_completion.ibs
    ),
]


@payouts_app.command()
def create(
    month: Annotated[
        str, typer.Option("--month", help="Like 2025-10.", show_default=False, autocompletion=suggest_months)
    ],
    method: Annotated[
        Literal["bank_transfer", "paypal", "wise"], typer.Option("--method", help="Only payees of this method.")
    ] = "bank_transfer",
    only: OnlyOption = None,
    exclude: ExcludeOption = None,
    rate_date: Annotated[
        str | None, typer.Option("--rate-date", help="The day whose rates hold; default: the month's last.")
    ] = None,
    form: output.FormatOption = Format.table,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Make a batch of a month's payable commissions: PENDING becomes PROCESSING.

    An IB whose payee says so is paid in its own currency, at the stored rate of
    --rate-date, or of up to a week before; the rate is kept with the payment.
    Who is left out, and why, is listed on stderr; the exit code is 6 when
    that is for want of a payee or a rate.

    Example: ibctl commissions payouts create --month 2025-10 --exclude ib@x.y
    """
    wanted = payouts.Selection(method, _named(only), _named(exclude), _day("--rate-date", rate_date))
    chosen = months.parse(month)

    def make(session: db.Transaction) -> tuple[payouts.Created, list[dict[str, Any]]]:
        made = payouts.create(session, chosen, wanted)
        return made, payouts.item_rows(session, made.batch)

    (made, rows), written = confirmed(
        make, lambda found: f"pay out {chosen} by {method}: {found[0].effect}", dry_run=dry_run, reason=reason, yes=yes
    )
    output.show(rows, ITEM_COLUMNS, Listing(form, columns=OF_NEW if form is Format.table else None))
    for line in rules.grouped(made.skipped):
        output.note(line)
    _warn_of_new_destinations(made.moved)
    written.announce(f"batch {made.batch.id}: {made.effect}", back=_cancelling(made.batch.id))
    if made.in_trouble:
        raise typer.Exit(errors.PARTIAL)


def _named(values: list[str] | None) -> list[str]:
    """Return the IBs of an option; `-` stands for the lines of stdin."""
    named: list[str] = []
    for value in values or ():
        named += utf8.listed() if value == "-" else [value]
    return named


def _warn_of_new_destinations(emails: list[str]) -> None:
    if emails:
        output.warn(
            f"{len(emails):,} of them changed their payee in the last {payouts.FRESH.days} days: {output.some(emails)}"
        )


def _cancelling(batch: str) -> str:
    return f"ibctl commissions payouts cancel {batch}"


def _day(option: str, text: str | None) -> date | None:
    try:
        return days.parse(text) if text else None
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from None


@payouts_app.command("list")
def list_(
    month: MonthOption = None,
    limit: output.LimitOption = 50,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List batches, newest first; amounts without what was cancelled.

    Example: ibctl commissions payouts list --month 2025-10
    """
    with db.reading() as session:
        rows, total = payouts.listing(session, month=months.parse(month) if month else None, limit=limit)
    output.show(rows, COLUMNS, Listing(form, to_file, columns))
    output.cut_note(len(rows), limit, total, "batches")


@payouts_app.command()
def show(
    batch: BatchArgument,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show a batch's payments: what each comes to, how far it is, what is wrong.

    `sent` is what has left and not come back, as far as bank files tell.

    Example: ibctl commissions payouts show 2025-10-1
    """
    with db.reading() as session:
        found = payouts.find(session, batch)
        ((head,), _), rows = payouts.listing(session, batch=found.id), payouts.item_rows(session, found)
    if form is Format.table and not any(row["findings"] for row in rows):
        columns = columns or f"{OF_NEW},status"
    output.show(rows, ITEM_COLUMNS, Listing(form, to_file, columns))
    signed = f", approved by {head['approvedBy']}" if head["approvedBy"] else ""
    output.note(
        f"batch {found.id}, {head['status']}: {head['paid']} of {head['items'] - head['cancelled']} paid, by "
        f"{found.method}; made by {found.created_by} at {rendering.shown(found.created_at)} UTC{signed}"
    )
    if head["unmatched"]:
        output.warn(f"{head['unmatched']} reported movements name no single payment of the batch")


@payouts_app.command()
def cancel(
    batch: BatchArgument,
    only: OnlyOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Cancel a batch, or some of its payments: PROCESSING becomes PENDING again.

    What is paid stays paid. A payment for which money has left cannot be
    cancelled. Of a batch that was exported, make sure that the bank has not
    got the file.

    Example: ibctl commissions payouts cancel 2025-10-1 --only ib@x.y
    """
    chosen = _named(only)
    with db.reading() as reading:
        found = payouts.find(reading, batch)
        unclear = [row["reference"] for row in payouts.item_rows(reading, found) if _is_unclear(row, chosen)]
    if unclear:
        output.warn(
            f"it is not clear whether money has left for {output.some(unclear)}: find out before it is paid anew"
        )
    exported = f"; it was exported at {rendering.shown(found.exported_at)} UTC" if found.exported_at else ""
    cancelled, written = confirmed(
        lambda session: payouts.effect(payouts.cancel(session, batch, only=chosen), found.base_currency),
        lambda effect: f"cancel of batch {found.id}: {effect}{exported}", dry_run=dry_run, reason=reason, yes=yes,
    )  # fmt: skip
    again = f"ibctl commissions payouts create --month {found.year}-{found.month:02d} --method {found.method}"
    written.announce(f"cancelled of batch {found.id}: {cancelled}, PENDING again", back=again)


def _is_unclear(row: dict[str, Any], chosen: list[str]) -> bool:
    wanted = not chosen or row["email"] in chosen or row["userId"] in chosen
    return wanted and row["status"] == "PROCESSING" and "turned" in (row["findings"] or "")


@payouts_app.command()
def approve(
    batch: BatchArgument,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Put the second signature under a batch; not the one who made it.

    With IBCTL_REQUIRE_APPROVAL=true no batch is exported without it.

    Example: ibctl commissions payouts approve 2025-10-1
    """
    with db.reading() as reading:
        found = payouts.find(reading, batch)
        left = payouts.items(reading, found, status="PROCESSING")
        effect = payouts.effect(left, found.base_currency)
        _warn_of_new_destinations(payouts.moved(reading, left))
    output.confirm(f"approve batch {found.id} of {found.created_by}: {effect}", yes=yes or dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        approved = payouts.approve(session, batch)
    _note(session.written, f"batch {approved.id} approved by {approved.approved_by}: {effect}")
    if not dry_run:
        output.note(f"a signature stays; `{_cancelling(approved.id)}` gives back the whole batch, while nothing is out")


@payouts_app.command()
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
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Write what the bank or provider is to pay, with a manifest of its sums.

    That is what is due and, by the evidence so far, not out. What went out is
    in a later file only when it was short or came back, even after it was paid;
    where there is nothing of the kind, the last file is written again.

    The files hold names and accounts: they can be read by you only. pain.001
    pays euros from IBCTL_PAYER_IBAN and is checked against its schema; wise and
    paypal are split where their uploads end.

    Example: ibctl commissions payouts export 2025-10-1 --layout pain.001 -o out
    """
    day = _day("--execution-date", execution_date)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        made = exporting.export(session, batch, layout, execution_date=day)
    files = made.files
    if not dry_run:
        # After the commit: what has not been noted must not lie about to be paid.
        _write(folder, files)
    rows = [
        {"file": file.name, "payments": len(file.payments), "sha256": file.sha256,
         "total": rules.sums((one.amount, one.currency) for one in file.payments)}
        for file in files[:-1]
    ]  # fmt: skip
    output.show(rows, FILE_COLUMNS, Listing(Format(form)))
    if made.earlier:
        output.note(f"not in it again, as nothing is known since they went out before: {output.some(made.earlier)}")
    if made.withheld:
        output.warn(
            f"left out, until it is clear what has left for them: {output.some(made.withheld)} (`ibctl commissions "
            f"payouts show {batch}`)"
        )
    _note(session.written, f"batch {batch} exported to {folder.absolute()}, with {files[-1].name}")
    if made.withheld:
        raise typer.Exit(errors.PARTIAL)


def _note(written: db.Written, done: str) -> None:
    """Say what was done that nothing takes back."""
    if written.dry_run:
        output.note(f"{done}; dry run: nothing was written")
    elif written.change_set is None:
        output.note(done)
    else:
        output.note(f"{done}; change set {written.change_set}")


def _write(folder: Path, files: list[PayoutFile]) -> None:
    outfiles.make_folder(folder)
    for file in files:
        with outfiles.atomic_file(folder / file.name, private=True) as stream:
            stream.write(file.text)


@payouts_app.command()
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
    its reference. Findings are listed and end with 7: unmatched, short, over,
    double, returned, unseen, turned, currency, cancelled. The same file again
    changes nothing; more files may follow, until all is paid. `ibctl undo`
    takes a file back that was misread, but for what made a payment PAID.

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
        raise typer.Exit(errors.FINDINGS)


def _announce(result: reconciling.Reconciliation, written: db.Written) -> None:
    left = f"{result.open:,} without evidence yet" if result.open else "none is open"
    nothing_new = "; nothing new in the file" if written.nothing else ""
    _note(written, f"batch {result.batch.id}: {result.paid:,} paid now, {left}{nothing_new}")
