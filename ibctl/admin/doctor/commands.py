"""`ibctl doctor`."""

from __future__ import annotations

from typing import Any

import typer

from ibctl import errors, output
from ibctl.admin.doctor import service
from ibctl.output import Column, Format, Listing

app = typer.Typer(add_completion=False, help="Check the settings and the database, and say how to mend them.")

COLUMNS = [Column("check"), Column("state"), Column("value"), Column("remedy")]
MARKS = {"ok": "ok ", "warning": "!! ", "problem": "XX "}


@app.command()
def doctor(
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Check the settings and the database, and say how to mend them; exit code 7 when there is a problem.

    Secrets are masked, so the answer can be sent to somebody who helps.
    """
    found = list(service.examine())
    if form is Format.table and to_file is None and columns is None:
        for one in found:
            _say(one)
    else:
        output.show(map(_row, found), COLUMNS, Listing(form, to_file, columns))
    problems = sum(one.state == "problem" for one in found)
    if problems:
        output.note(f"{problems} problem(s)")
        raise typer.Exit(errors.FINDINGS)
    output.note("all is well" if all(one.state == "ok" for one in found) else "works, with warnings")


def _say(one: service.Finding) -> None:
    output.say(f"{MARKS[one.state]} {one.check}: {one.value}")
    if one.remedy:
        output.say(f"     {one.remedy}")


def _row(one: service.Finding) -> dict[str, Any]:
    return {"id": one.check, "check": one.check, "state": one.state, "value": one.value, "remedy": one.remedy}
