"""`ibctl commissions payouts create|list|show|cancel|approve`: from PENDING commissions to what may be paid."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ibctl import db, errors, money, months, output, rendering
from ibctl.commissions.commands import arguments
from ibctl.commissions.commands.arguments import BatchArgument, ExcludeOption, MonthOption, OnlyOption, suggest_months
from ibctl.commissions.commands.confirming import confirmed, for_good
from ibctl.commissions.payouts import approving, rules
from ibctl.commissions.payouts import destinations as payout_destinations
from ibctl.commissions.payouts import listing as payout_listing
from ibctl.commissions.payouts import orders as payout_orders
from ibctl.commissions.payouts import service as payouts
from ibctl.output import Column, Format, Listing

app = typer.Typer()

COLUMNS = [
    Column("id", "flag"),
    Column("method", "flag"),
    Column("status", "flag"),
    Column("items", "number"),
    Column("paid", "number"),
    Column("returned", "number", brief=False),
    Column("cancelled", "number", brief=False),
    Column("baseAmount", "base"),
    Column("basePaid", "base", brief=False),
    Column("baseReturned", "base", brief=False),
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
    Column("baseAmount", "base", brief=False),
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
    Column("file", "number", brief=False),
    Column("redirectedTo", brief=False),
    Column("findings"),
]
# Nothing of it is paid, or wrong, yet.
OF_NEW = "reference,email,pays"


@app.command()
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
    wanted = payouts.Selection(
        method, arguments.named(only), arguments.named(exclude), arguments.day("--rate-date", rate_date)
    )
    chosen = months.parse(month)

    def make(session: db.Transaction) -> tuple[payouts.Created, list[dict[str, Any]]]:
        made = payouts.create(session, chosen, wanted)
        return made, payout_listing.item_rows(session, made.batch)

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


def _warn_of_new_destinations(emails: list[str]) -> None:
    if emails:
        output.warn(
            f"{len(emails):,} of them changed their payee in the last {payouts.FRESH.days} days: {output.some(emails)}"
        )


def _cancelling(batch: str) -> str:
    return f"ibctl commissions payouts cancel {batch}"


@app.command("list")
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
        rows, total = payout_listing.listing(session, month=months.parse(month) if month else None, limit=limit)
    if form is Format.table and any(row["returned"] for row in rows):
        columns = columns or ",".join(column.key for column in COLUMNS if column.brief or column.key == "returned")
    output.show(rows, COLUMNS, Listing(form, to_file, columns))
    output.cut_note(len(rows), limit, total, "batches")


@app.command()
def show(
    batch: BatchArgument,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show a batch's payments: what each comes to, how far it is, what is wrong.

    `sent` is what has left and not come back, as far as bank files tell;
    RETURNED what was PAID and came back. `file` is the number of the last file
    that a payment went out in, and `redirectedTo`, in part, where it went to
    then, if that was no more the payee that the batch was made with.

    Example: ibctl commissions payouts show 2025-10-1
    """
    with db.reading() as session:
        found = payouts.find(session, batch)
        ((head,), _), rows = payout_listing.listing(session, batch=found.id), payout_listing.item_rows(session, found)
    if form is Format.table:
        columns = columns or _telling(rows)
    output.show(rows, ITEM_COLUMNS, Listing(form, to_file, columns))
    signed = f", approved by {head['approvedBy']}" if head["approvedBy"] else ""
    output.note(
        f"batch {found.id}, {head['status']}: {head['paid']} of {head['items'] - head['cancelled']} paid"
        f"{_came_back(head)}, by {found.method}; "
        f"made by {found.created_by} at {rendering.shown(found.created_at)} UTC{signed}"
    )
    for row in rows:
        if row["redirectedTo"]:
            output.note(f"{row['reference']} came back, and went in file {row['file']} to {row['redirectedTo']}")
    for words in rules.astray(head["astray"] or {}):
        output.warn(words)


def _telling(rows: list[dict[str, Any]]) -> str:
    """Return the columns that tell of a batch what there is to tell: of what came back, how much is out, and where."""
    back = any("RETURNED" in row["status"] or row["redirectedTo"] for row in rows)
    # That money came back the status says.
    found = any(row["findings"] for row in rows if not (back and row["findings"] == "returned"))
    elsewhere = any(row["redirectedTo"] for row in rows)
    more = {"sent": back, "file": back, "redirectedTo": elsewhere, "findings": found}
    return ",".join([OF_NEW, "status", *(key for key, told in more.items() if told)])


def _came_back(head: dict[str, Any]) -> str:
    back = money.show(head["baseReturned"], head["baseCurrency"])
    return f", {back} of {head['returned']} came back" if head["returned"] else ""


@app.command()
def cancel(
    batch: BatchArgument,
    only: OnlyOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Cancel a batch, or some of its payments: PROCESSING becomes PENDING again.

    What is paid stays paid, also when it comes back: `payouts export` pays it
    again. A payment for which money has left cannot be cancelled. Of a batch
    that was exported, make sure that the bank has not got the file.

    Example: ibctl commissions payouts cancel 2025-10-1 --only ib@x.y
    """
    chosen = arguments.named(only)
    with db.reading() as reading:
        found = payouts.find(reading, batch)
        unclear = [row["reference"] for row in payout_listing.item_rows(reading, found) if _is_unclear(row, chosen)]
    if unclear:
        output.warn(
            f"it is not clear whether money has left for {output.some(unclear)}: find out before it is paid anew"
        )
    exported = f"; it was exported at {rendering.shown(found.exported_at)} UTC" if found.exported_at else ""
    cancelled, written = confirmed(
        lambda session: payouts.cancel(session, batch, only=chosen).effect,
        lambda effect: f"cancel of batch {found.id}: {effect}{exported}", dry_run=dry_run, reason=reason, yes=yes,
    )  # fmt: skip
    again = f"ibctl commissions payouts create --month {found.year}-{found.month:02d} --method {found.method}"
    written.announce(f"cancelled of batch {found.id}: {cancelled}", back=again)


def _is_unclear(row: dict[str, Any], chosen: list[str]) -> bool:
    wanted = not chosen or row["email"] in chosen or row["userId"] in chosen
    return wanted and row["status"] == "PROCESSING" and "turned" in (row["findings"] or "")


@app.command()
def approve(
    batch: BatchArgument,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Put the second signature under a batch; not the one who made it.

    With IBCTL_REQUIRE_APPROVAL=true no batch is exported without it, and what
    came back goes to no other account unless it is given once more, for that
    very account and not by the one who named it.

    Example: ibctl commissions payouts approve 2025-10-1
    """
    with db.reading() as reading:
        found = payouts.find(reading, batch)
        left = payout_orders.left(reading, found)
        items = [one.item for one in left]
        effect = payouts.effect(items, found.base_currency)
        destinations = payout_destinations.find(reading, found, left)
        _warn_of_new_destinations(payouts.moved(reading, items))
    for one in destinations.redirects.values():
        output.warn(one.words)
    output.confirm(f"approve batch {found.id} of {found.created_by}: {effect}", yes=yes or dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        approved = approving.approve(session, batch, destinations.digests)
    for_good(session.written, f"batch {approved.id} approved by {approved.approved_by}: {effect}")
    if not dry_run:
        output.note(f"a signature stays; `{_cancelling(approved.id)}` gives back the whole batch, while nothing is out")
