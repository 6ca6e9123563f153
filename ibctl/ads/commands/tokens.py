"""`ibctl ads tokens`: how long the tokens hold, and making them last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from ibctl import clock, db, errors, output
from ibctl.ads.accounts import rules as account_rules
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts import survey
from ibctl.ads.accounts.service import Connection
from ibctl.ads.commands import arguments, trouble
from ibctl.errors import UsageError
from ibctl.integrations.facebook import identity
from ibctl.integrations.facebook.client import Line
from ibctl.integrations.facebook.identity import TokenFacts
from ibctl.output import Column

app = typer.Typer(no_args_is_help=True, help="Facebook tokens: how long they hold, and making them last.")

COLUMNS = [
    Column("id", brief=False),
    Column("email"),
    Column("adAccountId", "flag"),
    Column("isConnected", "flag"),
    Column("tokenExpiresAt", "time", brief=False),
    Column("dataAccessExpiresAt", "time", brief=False),
    Column("daysLeft", "number"),
    Column("problem", brief=False),
]
CHECK_COLUMNS = [
    Column("id", brief=False),
    Column("email"),
    Column("adAccountId", "flag"),
    Column("valid", "flag"),
    Column("tokenExpiresAt", "time", brief=False),
    Column("dataAccessExpiresAt", "time", brief=False),
    Column("missing"),
]

ExpiringOption = Annotated[
    str | None, typer.Option(metavar="DAYS", help="Only those that expire within so many days, like 14d.")
]


def _days(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})d?", text.strip())
    if not found:
        raise UsageError(f"--expiring: '{text}' is no number of days: write it like 14d")
    return timedelta(days=int(found[1]))


@app.command("list")
def list_(
    expiring: ExpiringOption = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List the accounts that have a token, the one that expires first first.

    A token stops working when it expires, or 90 days after its user last
    consented (dataAccessExpiresAt); daysLeft counts to the earlier of the two.

    Example: ibctl ads tokens list --expiring 14d
    """
    with db.reading() as session:
        rows, total = accounts.tokens(session, within=_days(expiring), limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, file, columns))
    if not rows:
        output.note("no tokens" if expiring is None else f"no token expires within {expiring}")
    elif limit and total > len(rows):
        output.note(f"the first {len(rows):,} of {total:,} to expire; --limit 0 shows all")


@app.command()
def extend(
    account: arguments.AccountsArgument = None,
    expiring: ExpiringOption = None,
    quiet: arguments.QuietOption = False,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Exchange tokens for new ones before they expire; afterwards it is too late.

    The page's token is renewed with it. A token that has expired can only be
    replaced by its user: connect the account again.

    Example: ibctl ads tokens extend --expiring 14d
    """
    with db.reading() as session:
        names = _named(session, account or (), _days(expiring))
        known = accounts.connections(session, names, with_account=False) if names or expiring is None else None
    if known is None:
        if not quiet:
            output.note(f"no token expires within {expiring}")
        return
    run = trouble.Run.of(known, dry_run=dry_run, reason=reason)
    renewed: dict[str, survey.Survey] = {}
    with Line() as line:
        line.app_credentials()
        for one in known.usable:
            run.attempt(one, lambda one=one: _extend(line, one, renewed, run, quiet))  # type: ignore[misc]
    run.finish("tokens extended", quiet=quiet)


def _named(session: Any, names: Sequence[str], within: timedelta | None) -> list[str]:
    if names or within is None:
        return list(names)
    rows, _ = accounts.tokens(session, within=within)
    return [row["id"] for row in rows if row["isConnected"]]


def _extend(line: Line, one: Connection, renewed: dict[str, survey.Survey], run: trouble.Run, quiet: bool) -> None:
    if one.token not in renewed:
        renewed[one.token] = survey.look(line, survey.lasting(line, one.token))
    with db.transaction(dry_run=run.dry_run, reason=run.reason) as session:
        stored = accounts.refresh(session, one.id, renewed[one.token])
    run.wrote(session.written)
    for warning in stored.warnings:
        output.warn(warning)
    if quiet:
        return
    row = stored.row
    until = f"until {row.token_expires_at:%Y-%m-%d}" if row.token_expires_at else "for ever"
    output.say(f"{one.owned_name}: holds {until}")


@app.command()
def check(
    account: arguments.AccountsArgument = None,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Ask Facebook whether the tokens are valid, until when, and what they lack.

    What it says is stored. A token that is not valid makes its account not
    connected, and the command end with 7.

    Example: ibctl ads tokens check
    """
    with db.reading() as session:
        known = accounts.connections(session, account or (), with_account=False)
    run = trouble.Run.of(known, dry_run=dry_run, reason=reason)
    rows: list[dict[str, Any]] = []
    with Line() as line:
        line.app_credentials()
        for one in known.usable:
            run.attempt(one, lambda one=one: rows.append(_check(line, one, run)))  # type: ignore[misc]
    output.show(rows, CHECK_COLUMNS, output.Listing(format, file, columns))
    run.finish("tokens looked into")
    if any(not row["valid"] for row in rows):
        raise typer.Exit(errors.FINDINGS)


def _check(line: Line, one: Connection, run: trouble.Run) -> dict[str, Any]:
    facts = identity.inspect(line, one.token)
    with db.transaction(dry_run=run.dry_run, reason=run.reason) as session:
        accounts.note_facts(session, one.id, facts)
    run.wrote(session.written)
    return {
        "id": one.id,
        "email": one.email,
        "adAccountId": one.facebook_id,
        "valid": facts.valid,
        "tokenExpiresAt": facts.expires_at,
        "dataAccessExpiresAt": facts.data_access_expires_at,
        "missing": _missing(facts),
    }


def _missing(facts: TokenFacts) -> str:
    if not facts.valid:
        return facts.why
    lacking = account_rules.lacking(facts.scopes)
    if facts.data_access_expires_at is not None and facts.data_access_expires_at < clock.now():
        lacking.insert(0, "the user's consent has expired")
    return ", ".join(lacking)
