"""`ibctl leads imports …`: the batches that were imported, their refused rows, and the mappings of sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ibctl import db, outfiles, output, rendering
from ibctl.errors import UsageError
from ibctl.leads.commands.importing import complete_mapping
from ibctl.leads.importing import batches, mappings
from ibctl.models.imports import LeadImport
from ibctl.output import Column, Format, Listing
from ibctl.tabular.rejects import REASONS, harmless

imports_app = typer.Typer(no_args_is_help=True, help="What was imported: batches, refused rows, mappings of sources.")
mappings_app = typer.Typer(no_args_is_help=True, help="How the files of a source are read.")
imports_app.add_typer(mappings_app, name="mappings")

COLUMNS = [
    Column("id", "number"), Column("createdAt", "time"), Column("fileName"), Column("mode", "flag", brief=False),
    Column("state", "flag"), Column("rows", "number", brief=False), Column("created", "number"),
    Column("updated", "number"), Column("unchanged", "number", brief=False), Column("refused", "number"),
    Column("changeSetId", "number", brief=False),
    Column("finishedAt", "time", brief=False), Column("checkpoint", "number", brief=False),
    Column("actor", brief=False), Column("sha256", brief=False), Column("header", brief=False),
    Column("mapping", brief=False), Column("terms", brief=False),
]  # fmt: skip
MAPPING_COLUMNS = [
    Column("id", brief=False), Column("name"), Column("mode", "flag"), Column("match"), Column("columns", "number"),
    Column("constants", "number"), Column("rules", "number"), Column("createdAt", "time", brief=False),
    Column("updatedAt", "time"), Column("text", brief=False),
]  # fmt: skip

NumberArgument = Annotated[int, typer.Argument(metavar="IMPORT", help="Its number, as `leads imports list` shows it.")]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The mapping's name.", autocompletion=complete_mapping)
]


@imports_app.command("list")
def list_(
    limit: output.LimitOption = 50,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List what was imported, the newest first.

    `undone` says that the import was taken back, `unfinished` that it was
    cut short: `leads import FILE --resume IMPORT` goes on with it.
    """
    with db.reading() as session:
        rows, total = batches.listing(session, limit=limit)
    output.show(rows, COLUMNS, Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "imports")


@imports_app.command()
def show(
    number: NumberArgument,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show one import: its file, its terms, and how its rows fared."""
    with db.reading() as session:
        row = batches.row(session, batches.find(session, number))
    output.show_record(_in_words(row) if format is Format.table else row, COLUMNS, Listing(format, file, columns))


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    """Return a batch's record with its columns and terms as people say them."""
    terms, given = row["terms"], row["terms"].get("given", {})
    read = {*row["mapping"].values(), *({"userId"} if "ib" in row["mapping"].values() else ())}
    rules = [f"{name} {rule}" for name, rule in terms.get("collisions", {}).items() if name in read]
    said = [f"--{name.replace('_', '-')} {value}" for name, value in given.items() if value and value is not True]
    said += [f"--{name.replace('_', '-')}" for name, value in given.items() if value is True]
    constants = [f"{name} = {value}" for name, value in terms.get("mapping", {}).get("constants", {}).items()]
    return row | {
        "header": ", ".join(row["header"]),
        "mapping": ", ".join(f"{name} → {field}" for name, field in row["mapping"].items()),
        "terms": "; ".join(
            f"{what}: {', '.join(words)}"
            for what, words in (("match", terms["match"]), ("rules", rules), ("constants", constants), ("given", said))
            if words
        ),
    }


@imports_app.command()
def rejects(
    number: NumberArgument,
    limit: output.LimitOption = 50,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
) -> None:
    """Show the refused rows of an import and why, in the order of its file.

    As CSV they have the file's own columns, to be mended and imported as they are.

    Example: ibctl leads imports rejects 3 --format csv --output mended.csv
    """
    with db.reading() as session:
        batch = batches.find(session, number)
        if format is Format.csv:
            _write_csv(file, batch, batches.rejects(session, batch))
            return
        shown = output.show(_rejects(session, batch, limit), list(map(Column, REASONS)), Listing(format, file))
    if shown < batch.refused:
        output.note(f"the first {shown:,} of {batch.refused:,} refused rows; --limit 0 shows all that are kept")


def _rejects(session: Any, batch: LeadImport, limit: int) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(batches.rejects(session, batch)):
        if limit and number == limit:
            return
        yield {"_row": one.row, "_code": one.code, "_field": one.field, "_message": one.message}


def _write_csv(file: Path | None, batch: LeadImport, rejects: Iterator[Any]) -> None:
    """Write refused rows as the reject file has them: every cell as it stood, but harmless to a spreadsheet."""

    def write(stream: Any) -> None:
        writer = output.csv_writer(stream)
        # Those of an earlier round of mending, where the file was itself a reject file, do not count any more.
        own = [index for index, name in enumerate(batch.header) if name not in REASONS]
        old = set(range(len(batch.header))).difference(own)
        writer.writerow([*REASONS, *(rendering.cell(batch.header[index]) for index in own)])
        for one in rejects:
            cells = [cell for index, cell in enumerate(one.cells) if index not in old]
            writer.writerow([one.row, one.code, one.field, *map(harmless, [one.message, *cells])])

    if file is None:
        write(output.utf8_stdout())
        return
    with outfiles.atomic_file(file) as stream:
        write(stream)


# ------------------------------------------------------------------------------------------------------------- mappings


@mappings_app.command()
def save(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="A .toml file.", show_default=False)],
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Keep a mapping file under a name, for `leads import --mapping NAME`.

    Example: ibctl leads imports mappings save partner-x partner-x.toml
    """
    if str(file) == "-":
        raise UsageError("a mapping is saved from a file")
    text = mappings.from_file(file)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        replaced = mappings.save(session, name, text)
    session.written.announce(
        "nothing to do: it is so already" if session.written.nothing else f"mapping {name} "
        f"{'replaced' if replaced else 'saved'}"
    )  # fmt: skip


@mappings_app.command("list")
def list_mappings(
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List the saved mappings."""
    with db.reading() as session:
        rows = mappings.listing(session)
    output.show(rows, MAPPING_COLUMNS, Listing(format, file, columns))
    output.cut_note(len(rows), 0, len(rows), "mappings")


@mappings_app.command("show")
def show_mapping(
    name: NameArgument,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show a saved mapping, as the TOML text that it was saved as."""
    with db.reading() as session:
        row = mappings.row(mappings.find(session, name))
    if format is Format.table and file is None and columns is None:
        output.text(row["text"])
        return
    output.show_record(row, MAPPING_COLUMNS, Listing(format, file, columns))
