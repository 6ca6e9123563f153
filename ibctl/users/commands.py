"""`ibctl users`: the accounts of IBs and administrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ibctl import clock, db, output
from ibctl.models.platform import Role
from ibctl.models.platform import User as Account
from ibctl.output import Column
from ibctl.users import completion, rules, service

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="IBs and administrators: accounts, roles, passwords."
)

COLUMNS = [
    Column("id", brief=False),
    Column("email"),
    Column("role", "flag"),
    Column("isActive", "flag"),
    Column("emailVerified", "flag"),
    Column("failedLoginCount", "number", brief=False),
    Column("lockedUntil", "time"),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]
DETAILS = [
    *COLUMNS,
    Column("leads", "number"),
    Column("adAccounts", "number"),
    Column("commissions", "number"),
    Column("changeSet"),
    Column("changedAt", "time"),
    Column("changedBy"),
    Column("changedWith"),
]

User = Annotated[str, typer.Argument(metavar="USER", help="Email or id.", autocompletion=completion.users)]
Users = Annotated[list[str], typer.Argument(metavar="USER", help="Emails or ids.", autocompletion=completion.users)]
RoleOption = Annotated[Role, typer.Option(case_sensitive=False, help="What the account may do.")]


@app.command()
def add(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="What the user signs in with.")],
    role: RoleOption = Role.IB,
    verified: Annotated[bool, typer.Option("--verified", help="Take the email as proven.")] = False,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Create an account.

    The password comes from a hidden prompt, or as one line from stdin where there is no terminal.

    Example: ibctl users add anna@example.com --role IB --verified < password.txt
    """
    with db.reading() as session:
        service.require_free(session, rules.email(email))
    password_hash = rules.hash_password(output.secret("Password", twice=True))
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        user = service.add(session, email=email, role=role, verified=verified, password_hash=password_hash)
    session.written.announce(f"added {user.role} {user.email} with id {user.id}")


@app.command("list")
def list_(
    role: Annotated[Role | None, typer.Option(case_sensitive=False, help="Only this role.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Only active accounts, or only inactive ones.")
    ] = None,
    locked: Annotated[
        bool | None, typer.Option("--locked/--unlocked", help="Only accounts locked now, or only others.")
    ] = None,
    search: Annotated[str | None, typer.Option(help="A part of the email.")] = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List accounts, the newest first.

    Example: ibctl users list --locked --format ids | xargs -r ibctl users unlock
    """
    with db.reading() as session:
        rows, total = service.listing(session, role=role, active=active, locked=locked, search=search, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "users")


@app.command()
def show(
    user: User,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show an account, what hangs on it, and the last change set that touched it."""
    with db.reading() as session:
        row = service.describe(session, user)
    output.show_record(row, DETAILS, output.Listing(format, file, columns))


@app.command()
def edit(
    user: User,
    email: Annotated[str | None, typer.Option(help="The new email; unverified unless --verified is given.")] = None,
    verified: Annotated[bool | None, typer.Option("--verified/--unverified", help="Is the email proven?")] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Change an account's email, or whether it is verified."""
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.edit(session, user, email=email, verified=verified)
    state = f"{changed.id} has the email {changed.email}, {'verified' if changed.email_verified else 'unverified'}"
    _announce(session.written, state, nothing=state)


@app.command()
def deactivate(
    users: Users,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Keep accounts from signing in. Their leads and commissions stay as they are.

    The last active administrator stays active.
    """
    with db.reading() as session:
        effect = service.deactivation_effect(session, users)
    if effect is not None:
        output.confirm(effect, yes=yes or dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.deactivate(session, users)
    _announce(session.written, f"deactivated {_names(changed)}", nothing="inactive already")


@app.command()
def activate(
    users: Users,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Let accounts sign in again that were deactivated."""
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.activate(session, users)
    _announce(session.written, f"activated {_names(changed)}", nothing="active already")


@app.command()
def unlock(
    users: Users,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Lift the lock after failed sign-ins, and forget the failures.

    Example: ibctl users list --locked --format ids | xargs -r ibctl users unlock
    """
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.unlock(session, users)
    _announce(session.written, f"unlocked {_names(changed)}", nothing="not locked, no failed sign-ins")


@app.command("set-password")
def set_password(
    user: User,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Give an account a new password.

    It comes from a hidden prompt, or as one line from stdin where there is no terminal.
    """
    with db.reading() as session:
        service.find(session, user)
    password_hash = rules.hash_password(output.secret("New password", twice=True))
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.set_password(session, user, password_hash=password_hash)
    session.written.announce(f"{changed.email} has a new password")
    if locked := rules.locked_note(changed.email, changed.locked_until, clock.now()):
        output.note(locked)


@app.command("set-role")
def set_role(
    user: User,
    role: RoleOption,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Make an IB an administrator, or the other way round. The last active administrator stays one.

    Example: ibctl users set-role anna@example.com --role ADMIN
    """
    with db.reading() as session:
        effect = service.role_effect(session, user, role)
    if effect is not None:
        output.confirm(effect, yes=yes or dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        unearned = service.unearned(session, user, role)
        changed = service.set_role(session, user, role=role)
    _announce(session.written, f"{changed.email} is {changed.role} now", nothing=f"{changed.email} is {changed.role}")
    if unearned:
        output.warn(f"{unearned}; what is owed of it, `ibctl commissions adjust` books")


def _announce(written: db.Written, done: str, *, nothing: str) -> None:
    """Say what was done, or that there was nothing to do."""
    written.announce(f"nothing to do: {nothing}" if written.nothing else done)


def _names(users: Sequence[Account]) -> str:
    return ", ".join(user.email for user in users)
