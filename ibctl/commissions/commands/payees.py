"""`ibctl commissions payees`: where each IB wants its money."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ibctl import config, db, imports, output, tabular
from ibctl.commissions import ibs
from ibctl.commissions.commands.confirming import confirmed
from ibctl.commissions.payees import rules
from ibctl.commissions.payees import service as payees
from ibctl.errors import UsageError
from ibctl.imports import RowError
from ibctl.output import Column
from ibctl.users import completion
from ibctl.users import service as users

payees_app = typer.Typer(no_args_is_help=True, help="Where each IB wants its money.")

COLUMNS = [
    Column("id", brief=False),
    Column("email"),
    Column("method", "flag"),
    Column("currency", "flag"),
    Column("name"),
    Column("account"),
    Column("createdAt", "time", brief=False),
    Column("changedAt", "time", brief=False),
]
EPILOG = (
    "Codes of refused rows: cells (too many or too few), ib_unknown, method_unknown, currency_invalid, name_invalid, "
    "account_invalid, duplicate (of an earlier row)."
)

IbArgument = Annotated[str, typer.Argument(metavar="IB", help="The IB's email or id.", autocompletion=completion.ibs)]
MethodOption = Annotated[
    Literal["bank_transfer", "paypal", "wise"],
    typer.Option("--method", help="bank_transfer needs an IBAN, paypal an email, wise either."),
]


@payees_app.command("set")
def set_(
    ib: IbArgument,
    method: MethodOption = "bank_transfer",
    currency: Annotated[
        str | None, typer.Option(help="What the IB is paid in; default: the base currency.", show_default=False)
    ] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Say where an IB wants its money.

    The holder's name and the account come from hidden prompts, or as two lines
    from stdin where there is no terminal. They are kept encrypted, and shown
    only in part. Batches that were made before keep what they were made with;
    only what was sent and comes back is paid to the new payee.

    Example: ibctl commissions payees set ib@x.y --currency EUR
    """
    with db.reading() as session:
        ibs.find(session, ib)
    wanted = _asked(method, currency or config.settings().base_currency)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        user = ibs.find(session, ib)
        payees.save(session, user, wanted)
    shown = f"{wanted.currency} by {wanted.method} to {rules.masked_account(wanted.account)}"
    verb = "is paid" if not session.written.nothing else "nothing to do: it is paid already"
    session.written.announce(f"{user.email} {verb} in {shown}")


def _asked(method: str, currency: str) -> rules.Destination:
    account = {"bank_transfer": "IBAN", "paypal": "PayPal email", "wise": "IBAN or Wise email"}[method]
    try:
        code = rules.currency(currency)
        cells = {"name": output.secret("Account holder's name"), "account": output.secret(account)}
        return rules.destination({"method": method, "currency": code, **cells}, base=code)
    except RowError as exc:
        raise UsageError(f"{exc.field}: {exc.message}") from None


@payees_app.command()
def remove(
    ib: IbArgument,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Forget where an IB is paid; it is left out of payouts until it has a payee again.

    Not while a payment to it is under way.

    Example: ibctl commissions payees remove ib@x.y --reason 'has left'
    """
    was, written = confirmed(
        # Of somebody who is an IB no more, too.
        lambda session: payees.remove(session, users.find(session, ib)),
        lambda was: f"{ib}, paid in {was}, is paid no more", dry_run=dry_run, reason=reason, yes=yes,
    )  # fmt: skip
    written.announce(f"{ib}, who was paid in {was}, has no payee any more")


@payees_app.command()
def show(
    ib: IbArgument,
    form: output.FormatOption = output.Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show where an IB is paid; name and account in part only.

    Example: ibctl commissions payees show ib@x.y
    """
    with db.reading() as session:
        # Of somebody who is an IB no more, too: the list names it.
        user = users.find(session, ib)
        row = payees.as_row(user, payees.find(session, user))
    output.show_record(row, COLUMNS, output.Listing(form, to_file, columns))


@payees_app.command("list")
def list_(
    missing: Annotated[bool, typer.Option("--missing", help="Who has none, IB or to be paid still.")] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Those whose account is another IB's too.")] = False,
    limit: output.LimitOption = 50,
    form: output.FormatOption = output.Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List payees, the last changed first; names and accounts in part only.

    Example: ibctl commissions payees list --missing
    """
    if missing and shared:
        raise UsageError("--missing excludes --shared: give one or the other")
    with db.reading() as session:
        if shared:
            found = payees.shared(session)
            rows, total = iter(found[: limit or None]), len(found)
        else:
            rows, total = payees.listing(session, missing=missing, limit=limit)
        shown = output.show(rows, COLUMNS, output.Listing(form, to_file, columns))
    what = "IBs without a payee" if missing else "IBs that share an account" if shared else "payees"
    output.cut_note(shown, limit, total, what)


@payees_app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[
        Path, typer.Argument(help=f"Columns ib, name, account, method, currency. {imports.FORMATS}", show_default=False)
    ],
    rejects: imports.RejectsOption = None,
    encoding: imports.EncodingOption = None,
    delimiter: imports.DelimiterOption = None,
    sheet: imports.SheetOption = None,
    form: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Import payees from a file.

    IBANs are checked. Without a method, bank_transfer holds; without a
    currency, the base currency. A payee that is the same is left alone. Rows
    that cannot be taken go to a file of their own, readable by you only, to
    mend and import.

    Example: ibctl commissions payees import payees.csv
    """
    with (
        imports.unquoted(),
        tabular.open_table(file, encoding=encoding, delimiter=delimiter, sheet=sheet) as opened,
        db.transaction(dry_run=dry_run, reason=reason) as session,
        # Complete before the commit: nothing may be imported whose refused rows are lost.
        tabular.RejectFile(rejects or tabular.rejects_path(opened.path), opened, private=True) as refused,
    ):
        result = payees.import_payees(session, opened, refused)
    counts = {"added": result.added, "changed": result.changed, "unchanged": result.unchanged}
    output.show(imports.outcome(counts, result.refused), imports.COLUMNS, output.Listing(output.Format(form)))
    if result.rows:
        session.written.announce(f"payees written: {result.added + result.changed:,}")
    imports.finish(refused, result.rows)
