"""`ibctl secrets`: the encryption key, and whether it opens what is stored."""

from __future__ import annotations

import typer

from ibctl import crypto, db, errors, output
from ibctl.admin.secrets.service import Check
from ibctl.output import Column

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The encryption key and the fields under it.")

COLUMNS = [Column("table", "flag"), Column("column", "flag"), Column("id", "flag"), Column("problem")]


@app.command("generate-key")
def generate_key() -> None:
    """Print a new ENCRYPTION_KEY, for a platform that has none yet.

    Example: ibctl secrets generate-key
    """
    output.say(crypto.generate_key())
    output.note(
        "put it into .env as ENCRYPTION_KEY, the web application's too; never replace a key that is in use: "
        "what it encrypted could not be read again"
    )


@app.command()
def check(
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Decrypt every encrypted field, and list those that fail; no value is shown.

    Exit code 7 when some fail, 4 when ENCRYPTION_KEY is missing or of the wrong length.
    """
    run = Check()
    with db.reading() as session, output.progress("decrypting", run.count(session)) as progress:
        failures = run.failures(session, limit=limit, progress=progress)
        listed = output.show(failures, COLUMNS, output.Listing(format, file, columns))
    for tally in run.tallies.values():
        output.note(str(tally))
    output.note(run.verdict)
    if run.failed:
        output.cut_note(listed, limit, run.failed, "failures")
        raise typer.Exit(errors.FINDINGS)
