"""`ibctl audit …` and `ibctl undo`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import IO, Annotated, Any

import typer

from ibctl import db, errors, outfiles, output, rendering
from ibctl.admin.audit import completion, rules, service
from ibctl.admin.audit import undo as undoing
from ibctl.errors import RequestError
from ibctl.output import Column, Format, Listing

app = typer.Typer(no_args_is_help=True, help="Who changed what, when and why.")
undo_app = typer.Typer(add_completion=False)

COLUMNS = [
    Column("id", "text"),
    Column("createdAt", "time"),
    Column("actor"),
    Column("host", brief=False),
    Column("command"),
    Column("rows", "number", brief=False),
    Column("counts", brief=False),
    Column("reason", brief=False),
    Column("undoes", "text", brief=False),
    Column("undoneBy", "text"),
]
CHANGE_COLUMNS = [
    Column("changeSetId", "text"),
    Column("step", "text"),
    Column("table"),
    Column("id"),
    Column("operation"),
    Column("before"),
    Column("after"),
]
FIELD_COLUMNS = [*CHANGE_COLUMNS[:-2], Column("field"), *CHANGE_COLUMNS[-2:]]
RESULT_COLUMNS = [Column("result"), Column("table"), Column("id"), Column("why", "prose")]

NumberArgument = Annotated[
    int, typer.Argument(metavar="CHANGESET", help="Its number.", autocompletion=completion.change_sets)
]
RowOption = Annotated[str | None, typer.Option("--row", help="Only what was done to the row with this id.")]
TableOption = Annotated[str | None, typer.Option("--table", help="Only this table, like Lead.")]


@app.command("list")
def list_(
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this user did.")] = None,
    table: TableOption = None,
    row: RowOption = None,
    since: Annotated[str | None, typer.Option("--since", help="From this day or time (UTC) on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to this day or time (UTC).")] = None,
    limit: output.LimitOption = 50,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List the commands that wrote something, the newest first.

    With --row, that is the history of one row. undoneBy is the undo that holds.
    Reason, number of rows and the rest: --columns, or `ibctl audit show`.

    Example: ibctl audit list --table Lead --since 2025-10-01
    """
    wanted = service.Filter(
        actor=actor,
        table=service.table_name(table) if table else None,
        row=row,
        since=rules.moment("--since", since) if since else None,
        until=rules.moment("--until", until, end=True) if until else None,
    )
    with db.reading() as session:
        found = service.change_sets(session, wanted, limit=limit)
        if form is Format.table:
            # All of them begin so; the rest is what the list is read for, and has little room.
            found = ({**row, "command": row["command"].removeprefix("ibctl ")} for row in found)
        shown = output.show(found, COLUMNS, Listing(form, to_file, columns))
        output.cut_note(shown, limit, service.count(session, wanted), "change sets")


@app.command()
def show(
    number: NumberArgument,
    table: TableOption = None,
    row: RowOption = None,
    limit: output.LimitOption = 50,
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show what one command wrote, row by row and field by field.

    JSON has one object for each row with its images before and after, CSV one
    line for each field. Secrets are hidden.

    Example: ibctl audit show 42 --row clx0a1b2c3d4e5f6g7h8i9j0k
    """
    filters = {"table": service.table_name(table) if table else None, "row": row}
    with db.reading() as session:
        head = service.head(session, number)
        changes = service.changes(session, number, limit=limit, **filters)
        if form is Format.table and columns is None:
            with outfiles.atomic_file(to_file) if to_file else nullcontext() as stream:
                _print_changes(head, changes, stream)
        elif form in (Format.json, Format.ids):
            output.show(changes, CHANGE_COLUMNS, Listing(form, to_file, columns))
        else:
            output.show(service.fields(changes), FIELD_COLUMNS, Listing(form, to_file, columns))
        total = service.count_changes(session, number, **filters)
    if not total:
        output.note("no row changes")
    elif limit and total > limit:
        output.note(f"the first {limit:,} of {total:,} row changes; --limit 0 shows all")


def _print_changes(head: dict[str, Any], changes: Iterable[dict[str, Any]], stream: IO[str] | None) -> None:
    def line(text: str) -> None:
        if stream is None:
            output.say(text)
        else:
            stream.write(rendering.one_line(text) + "\n")

    for text in _head_lines(head):
        line(text)
    for change in changes:
        line("")
        line(f"{change['table']} {change['id']} {rules.WRITTEN[change['operation']]}")
        for text in _field_lines(change):
            line(text)


def _head_lines(head: dict[str, Any]) -> Iterator[str]:
    yield f"change set {head['id']}"
    yield f"  by       {head['actor']} on {head['host']}"
    yield f"  at       {rendering.shown(head['createdAt'])} UTC"
    yield f"  command  {head['command']}"
    yield f"  reason   {rendering.shown(head['reason'])}"
    yield f"  wrote    {rules.in_words(head['counts'])}"
    if head["undoes"]:
        yield f"  undoes   change set {head['undoes']}"
    if head["undoneBy"]:
        yield f"  undone   by change set {head['undoneBy']}"


def _field_lines(change: dict[str, Any]) -> Iterator[str]:
    fields = [field for field in change["fields"] if field != "id"]
    width = max(map(len, fields), default=0)
    for field in fields:
        old, new = (rendering.shown((change[side] or {}).get(field)) for side in ("before", "after"))
        both = {"insert": new, "delete": old}.get(change["operation"], f"{old} → {new}")
        yield f"  {field:<{width}}  {both}"


# ----------------------------------------------------------------------------------------------------------------- undo


@undo_app.command("undo")
def undo(
    number: NumberArgument,
    everything: Annotated[bool, typer.Option("--all", help="List the rows that were taken back, too.")] = False,
    limit: output.LimitOption = 50,
    form: output.FormatOption = Format.table,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Take back everything that one command wrote.

    New rows are deleted, changed rows set back, deleted rows put back, each
    exactly as it was. Rows written again since are kept, rows that count in a
    PROCESSING or PAID commission are blocked, what the database refuses has
    failed: these are listed with the reason, and the exit code is 6 (3 when
    nothing could be taken back).

    An undo is a change set as well: undo it, and all is as before.

    Example: ibctl undo 42
    """
    asked = not yes and not dry_run
    if asked:
        # Nothing to ask for where nothing can be taken back; nor may it be done then.
        dry_run = not _confirm(number)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        with db.transaction(dry_run=dry_run, reason=reason, undoes=number) as session:
            outcome = undoing.undo(session, number)
            # The list may be long, is known only inside the transaction, and must not be shown before its end.
            spool.writelines(
                json.dumps(row) + "\n" for row in undoing.rows(session, everything=everything, limit=limit)
            )
        spool.seek(0)
        try:
            shown = output.show(map(json.loads, spool), RESULT_COLUMNS, Listing(form))
        finally:
            # It is done, even if nobody reads the list to its end.
            _announce(outcome, session.written)
    if not asked:
        _warn(outcome)
    _finish(outcome, everything=everything, shown=shown)


def _confirm(number: int) -> bool:
    """Find out what would be done, by doing it and taking it back, and ask; say whether there is anything to do."""
    with db.transaction(dry_run=True) as session:
        expected = undoing.undo(session, number)
    if expected.reversed:
        _warn(expected)
        it = expected.change_set
        what = f"change set {number} ({it.actor}, {rendering.shown(it.created_at)} UTC: {it.command})"
        output.confirm(f"take back {what}: {expected.words}", yes=False)
    return bool(expected.reversed)


def _announce(outcome: undoing.Outcome, written: db.Written) -> None:
    if outcome.reversed:
        done = "would take back" if written.dry_run else "took back"
        written.announce(f"{done} change set {outcome.change_set.id}: {outcome.words}")


def _warn(outcome: undoing.Outcome) -> None:
    if outcome.unopened:
        output.warn(
            f"this ENCRYPTION_KEY does not open {outcome.unopened:,} secret(s) in the rows that go back: they were "
            "encrypted with another one; `ibctl secrets check` lists what does not open"
        )
    for words in outcome.relied:
        output.warn(words)


def _finish(outcome: undoing.Outcome, *, everything: bool, shown: int) -> None:
    number, listed = outcome.change_set.id, outcome.left + outcome.already
    if everything:
        listed += rules.total(outcome.reversed)
    if listed > shown:
        output.note(f"{shown:,} of {listed:,} rows are listed; `ibctl undo {number} --dry-run --limit 0` lists all")
    if not outcome.reversed:
        raise RequestError(
            f"nothing of change set {number} could be taken back: {outcome.words.removeprefix('nothing; ')}"
        )
    if outcome.left:
        raise typer.Exit(errors.PARTIAL)
