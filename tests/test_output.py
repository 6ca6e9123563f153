from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import config, output, rendering
from ibctl.errors import RequestError, UsageError
from ibctl.output import Column, Format, Listing

COLUMNS = [Column("id", brief=False), Column("name"), Column("amount", "money"), Column("at", "time")]
ROW: dict[str, Any] = {"id": "c1", "name": "Zoë", "amount": 1234.5, "at": datetime(2025, 10, 31, 23, 59, 59, 999_000)}


def test_json_is_one_array_of_objects_under_the_schemas_names(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([ROW, ROW | {"amount": None}], COLUMNS, Listing(Format.json))
    first, second = json.loads(capsys.readouterr().out)
    assert first == {"id": "c1", "name": "Zoë", "amount": 1234.5, "at": "2025-10-31T23:59:59.999Z"}
    assert second["amount"] is None


def test_json_of_nothing_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([], COLUMNS, Listing(Format.json))
    assert json.loads(capsys.readouterr().out) == []


def test_a_table_shows_the_brief_columns_and_cents(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([ROW], COLUMNS, Listing())
    text = capsys.readouterr().out
    assert "1,234.50" in text
    assert "2025-10-31 23:59" in text
    assert "c1" not in text


def test_amounts_stand_with_their_points_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [ROW | {"amount": amount} for amount in (Decimal("63.705"), Decimal("1234.50"), Decimal("0.0005"), None)]
    output.show(rows, [Column("amount", "money"), Column("name")], Listing())
    lines = [line for line in capsys.readouterr().out.splitlines() if "." in line]
    assert len(lines) == 3
    assert len({line.index(".") for line in lines}) == 1


def test_ids_are_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([ROW, ROW], COLUMNS, Listing(Format.ids))
    assert capsys.readouterr().out == "c1\nc1\n"


def test_columns_picks_and_orders(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([ROW], COLUMNS, Listing(Format.csv, columns="amount,ID"))
    assert capsys.readouterr().out == "amount,id\n1234.5,c1\n"


def test_an_unknown_column_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no column 'password'; there are id, name, amount, at"):
        output.show([ROW], COLUMNS, Listing(columns="name,password"))


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+49301234", "-12.50", "@SUM(A1)", "\tx", "'=x", "''-x"])
def test_a_text_that_a_spreadsheet_would_run_is_neutralised_and_read_back(text: str) -> None:
    stream = io.StringIO()
    output._write_csv([{"name": text, "amount": -12.5}], [Column("name"), Column("amount", "money")], stream)
    _, (cell, number) = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    assert cell.startswith("'")
    assert number == "-12.5"
    assert rendering.unneutralise(cell) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_export_then_import_gives_every_text_back(text: str) -> None:
    assert rendering.unneutralise(str(rendering.cell(text))) == text


def test_what_a_lead_typed_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([ROW | {"name": "a\x1b[2J\u202eb\rc"}], COLUMNS, Listing())
    output.note("x\x1b]0;title\x07")
    shown = "".join(capsys.readouterr())
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"a\x1b[2J\u202eb\rc" in shown


@pytest.mark.parametrize("say", [output.note, output.warn, output.error])
def test_what_is_said_is_one_line_whatever_a_lead_typed(
    say: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    say("lead a\nError: all is lost\tb\x1b[2J is not there")
    assert capsys.readouterr().err.endswith("lead a\\nError: all is lost\\tb\\x1b[2J is not there\n")


@pytest.mark.parametrize("say", [output.say, output.heading])
def test_a_line_of_data_is_one_line_too(say: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    say("lead a\nall is well\x85\u2028\u2029b")
    assert capsys.readouterr().out == "lead a\\nall is well\\x85\\u2028\\u2029b\n"


def test_a_text_of_several_lines_keeps_them_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    output.text("[plan]\n\tname = 'a\x1b[2J'\n\n")
    assert capsys.readouterr().out == "[plan]\n\tname = 'a\\x1b[2J'\n"


@pytest.mark.parametrize("mark", "\u061c\u200b\u200e\u2028\u2029\u202e\u2060\u2064\u2066\ufeff")
def test_what_hides_or_turns_text_is_shown_as_an_escape(mark: str) -> None:
    assert rendering.one_line(f"a{mark}b") == f"a\\u{ord(mark):04x}b"


def test_markup_in_data_is_not_interpreted(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([ROW | {"name": "[red]x[/red]"}], COLUMNS, Listing())
    output.note("[bold]y[/bold]")
    shown = "".join(capsys.readouterr())
    assert "[red]x[/red]" in shown
    assert "[bold]y[/bold]" in shown


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")

    def failing() -> Any:
        yield ROW
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        output.show(failing(), COLUMNS, Listing(Format.csv, target))
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    output.show([ROW], COLUMNS, Listing(Format.csv, target))
    assert target.read_text().startswith("id,name,amount,at\nc1,")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot write .*no/such/out\.csv: No such file"):
        output.show([ROW], COLUMNS, Listing(Format.csv, tmp_path / "no" / "such" / "out.csv"))


def test_without_a_terminal_a_question_is_an_error_that_names_the_flag() -> None:
    with pytest.raises(UsageError, match=r"37 IBs, 12,480\.55 USD: nobody is here to confirm; pass --yes"):
        output.confirm("37 IBs, 12,480.55 USD", yes=False)
    output.confirm("37 IBs", yes=True)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "text", "–"),
        (1234567, "number", "1,234,567"),
        (Decimal("1.0850"), "rate", "1.0850"),
        (True, "flag", "yes"),
        (date(2025, 10, 1), "date", "2025-10-01"),
        (0.3, "rate", "0.3"),
        (0.1 + 0.2, "money", "0.30"),
    ],
)
def test_values_are_written_for_people(value: Any, kind: str, text: str) -> None:
    assert rendering.shown(value, kind) == text


def test_a_table_too_wide_for_the_terminal_cuts_no_amount_and_folds_no_name_to_letters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    sums = [Column(f"totalOfMonth{number}", "money") for number in range(6)]
    row = {"email": "rosa.vidal@example.com", "note": "x"} | {column.key: 1234567.5 for column in sums}
    output.show([row], [Column("email"), Column("note"), *sums], Listing())
    printed = capsys.readouterr().out
    assert printed.count("1,234,567.50") == 6
    assert "rosa.vidal@e" in printed
    assert "…" not in printed


def test_money_of_the_base_currency_has_its_decimals_and_that_of_others_cents(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_BASE_CURRENCY", "JPY")
    config.use_env_file(None)
    row = {"due": Decimal("1500.00"), "carried": 0.45, "spend": Decimal("12.5"), "none": None}
    columns = [Column("due", "base"), Column("carried", "base"), Column("spend", "money"), Column("none", "base")]
    output.show([row], columns, Listing())
    assert capsys.readouterr().out.split()[-4:] == ["1,500", "0.45", "12.50", "–"]
    output.show_record(row, columns, Listing())
    assert capsys.readouterr().out.split() == ["due", "1,500", "carried", "0.45", "spend", "12.50", "none", "–"]


def test_sentences_that_make_a_table_too_wide_stand_below_its_rows_unbroken_and_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [Column("id"), Column("why", "prose"), Column("sum", "money")]
    first, other = f"run `ibctl commissions payouts cancel --reason {'x' * 30}` before this can be done", "other"
    rows = [{"id": str(number), "why": why, "sum": Decimal(number)} for number, why in enumerate([first, first, other])]
    output.show(rows, columns, Listing())
    assert capsys.readouterr().out.count(first) == 2  # a pipe has room: a line for each row
    monkeypatch.setenv("COLUMNS", "60")
    output.show(rows, columns, Listing())
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 60
    assert [line.split() for line in printed.splitlines() if line.strip()][2:4] == [["0", "0.00"], ["1", "1.00"]]
    assert " ".join(printed.split()).endswith(f"1 1.00 {first} 2 2.00 other")


def test_a_terminal_shows_the_beginning_of_a_cell_that_would_fill_it_and_a_pipe_the_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    row = {"email": "rosa.vidal@example.com", "broker": "x" * 10_000}
    columns = [Column("email"), Column("broker")]
    output.show([row], columns, Listing())
    assert capsys.readouterr().out.count("x") == 10_001
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.show([row], columns, Listing())
    printed = capsys.readouterr().out
    assert printed.count("x") == output.LONGEST
    assert "…" in printed
