"""`ibctl commissions statement` and `ibctl commissions dossier`: what an IB is given in hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from ibctl import config, db, months, outfiles, output
from ibctl.commissions import ibs
from ibctl.commissions.commands.arguments import IbArgument, MonthArgument, suggest_months
from ibctl.commissions.statements import dossiers
from ibctl.commissions.statements import pages as statement_pages
from ibctl.commissions.statements import service as statements
from ibctl.errors import RequestError, UsageError
from ibctl.users import completion

FormOption = Annotated[
    Literal["html", "md", "csv", "json"], typer.Option("--format", "-f", help="html prints well on A4.")
]


app = typer.Typer()


def _ib_then_month(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete an IB, and after it, or with --all, a month."""
    named = len(ctx.params.get("ib_and_month") or ()) + bool(ctx.params.get("everybody"))
    return suggest_months(incomplete) if named else completion.ibs(ctx, incomplete)


@app.command()
def statement(
    ib_and_month: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IB] [MONTH]", help="With --all, at most a month.", autocompletion=_ib_then_month),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Of every IB, a file each.")] = False,
    form: FormOption = "html",
    to_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, or with --all the folder.")
    ] = None,
) -> None:
    """State an IB's account in a month, for the IB and its accountant.

    Opening balance, commission, bonus and adjustments, payments, closing
    balance, and how the payout was calculated. The HTML page needs nothing
    else, prints on A4, and charts the last twelve months. Without a month,
    the last full one.

    Example: ibctl commissions statement ib@x.y 2025-10 -o 2025-10.html
    """
    words = ib_and_month or []
    if everybody:
        _state_all(words, form, to_file)
    elif 1 <= len(words) <= 2:
        _state_one(words[0], _month(words[1:]), form, to_file)
    else:
        raise UsageError("name an IB and a month, like ib@x.y 2025-10; or --all")


def _month(words: Sequence[str]) -> months.Month:
    return months.parse(words[0]) if words else months.last_full(config.settings().timezone)


def _state_one(ib: str, month: months.Month, form: str, to_file: Path | None) -> None:
    with db.reading() as session:
        found = statements.of_ib(session, ibs.find(session, ib), month)
    text = statement_pages.write(form, found)
    if to_file is None:
        output.data(text)
    else:
        _save(to_file, text)
        output.note(f"statement of {found.email} for {month}: {to_file}")


def _state_all(words: Sequence[str], form: str, folder: Path | None) -> None:
    if len(words) > 1 or folder is None:
        raise UsageError("--all takes a folder, and at most a month: statement --all 2025-10 -o DIR")
    month, count = _month(words), 0
    outfiles.make_folder(folder)
    with db.reading() as session:
        for found in statements.build(session, month):
            path = folder / f"statement-{month}-{found.user_id}.{form}"
            _save(path, statement_pages.write(form, found), lasting=False)
            count += 1
    if not count:
        raise RequestError(f"there is no commission up to {month}: nothing to state")
    output.note(f"{count:,} statements of {month}: {folder}")


def _save(path: Path, text: str, *, lasting: bool = True) -> None:
    # What an IB earns is its own affair.
    with outfiles.atomic_file(path, private=True, lasting=lasting) as stream:
        stream.write(text)


@app.command()
def dossier(
    ib: IbArgument,
    month: MonthArgument,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Default: dossier-IB-MONTH, here.")
    ] = None,
) -> None:
    """Make a folder from which an IB can recalculate its payout alone.

    It holds the statement, the plan, every lead (under a pseudonym) and spend
    day that counted, and verify.py, one file that needs nothing but Python.
    The dossier is not written unless that program confirms it.

    Example: ibctl commissions dossier ib@x.y 2025-10
    """
    chosen = months.parse(month)
    with db.reading() as session:
        user = ibs.find(session, ib)
        files = dossiers.of_ib(session, user, chosen)
    place = folder or Path(f"dossier-{user.id}-{chosen}")
    outfiles.make_folder(place)
    for name, text in files.items():
        _save(place / name, text)
    output.note(f"dossier of {user.email} for {chosen}: {place}; the IB runs `python3 verify.py` in it")
