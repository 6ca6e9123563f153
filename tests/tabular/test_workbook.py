import contextlib
import re
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import tabular
from ibctl.errors import NotFoundError, RequestError, UsageError
from ibctl.tabular import Misread, cell_faults, workbook


def made(tmp_path: Path, *rows: list[Any], name: str = "leads.xlsx") -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / name)
    return tmp_path / name


def read(path: Path, sheet: str | None = None) -> tuple[list[str], list[tuple[int, list[str]]]]:
    with tabular.open_table(path, sheet=sheet) as table:
        first = list(table.rows())
        assert list(table.rows()) == first
        return table.header, first


def refusal(path: Path, sheet: str | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        read(path, sheet)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("  two\nlines ", "  two\nlines "),
        ("'=x", "'=x"),
        (datetime(2025, 10, 31), "2025-10-31"),
        (date(2025, 10, 31), "2025-10-31"),
        (datetime(2025, 10, 31, 23, 59, 59), "2025-10-31 23:59:59"),
        (time(12, 30), "12:30:00"),
        (timedelta(hours=30, minutes=5), "30:05:00"),
        (491701234567, "491701234567"),
        (12.0, "12"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1234.5, "1234.5"),
        (1e-7, "0.0000001"),
        (1.5e20, "150000000000000000000"),
        (True, "true"),
        (False, "false"),
        (None, ""),
    ],
)
def test_a_typed_cell_becomes_what_a_csv_file_would_have(tmp_path: Path, value: Any, text: str) -> None:
    assert read(made(tmp_path, ["a", "b"], ["x", value]))[1] == [(2, ["x", text])]


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_its_fifteen_digits_without_an_exponent(value: float) -> None:
    text = workbook.as_text(value)
    assert re.fullmatch(r"-?\d+(\.\d+)?", text)
    assert float(text) == float(f"{value:.15g}")
    assert not text.endswith(".0")


def test_rows_have_the_spreadsheets_own_numbers(tmp_path: Path) -> None:
    path = tmp_path / "leads.xlsx"
    book = openpyxl.Workbook()
    for place, value in {"C3": "email", "D3": " name ", "C5": "a@x.com", "D9": "Bob"}.items():
        book.active[place] = value
    book.save(path)
    assert read(path) == (["email", "name"], [(5, ["a@x.com", ""]), (9, ["", "Bob"])])


def test_cells_behind_the_header_count_only_with_a_value(tmp_path: Path) -> None:
    path = made(tmp_path, ["email", "name", None], ["a@x.com", "Bob"], ["b@x.com", "Zoe", None, "more"])
    assert read(path) == (["email", "name"], [(2, ["a@x.com", "Bob"]), (3, ["b@x.com", "Zoe", "", "more"])])


def test_the_first_sheet_that_can_be_seen_is_read_and_the_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "book.xlsx"
    book = openpyxl.Workbook()
    book.active.title = "Hidden"
    book.active.append(["hidden"])
    book.active.sheet_state = "hidden"
    for title in ("October", "November & more"):
        book.create_sheet(title).append([title])
    book.active = 1
    book.save(path)
    assert read(path)[0] == ["October"]
    assert capsys.readouterr().err == "book.xlsx: sheet 'October' (others: November & more; --sheet names one)\n"
    assert read(path, "November & more")[0] == ["November & more"]
    assert read(path, "Hidden")[0] == ["hidden"]
    assert capsys.readouterr().err == ""
    with pytest.raises(NotFoundError, match="has no sheet 'Dec'; it has Hidden, October, November & more"):
        read(path, "Dec")


def test_progress_reaches_the_files_size(tmp_path: Path) -> None:
    path = made(tmp_path, ["email"], *[["a@x.com"]] * 5_000)
    done: list[int] = []
    with tabular.open_table(path) as table:
        list(table.rows(done.append))
    assert done == sorted(done)
    assert len(done) == 3
    assert done[-1] == path.stat().st_size


# ----------------------------------------------------------------------------------------- errors and formulas in cells


def with_cells(path: Path, *cells: str) -> Path:
    """Put cells, as XML, into row 2 of a workbook's sheet."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    part = "xl/worksheets/sheet1.xml"
    parts[part] = parts[part].replace(b"</sheetData>", f'<row r="2">{"".join(cells)}</row></sheetData>'.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('<c r="B2" t="e"><v>#N/A</v></c>', "cell B2 (cpa) is an error, #N/A"),
        ("<c r='B2' t='e'><f>1/0</f><v>#DIV/0!</v></c>", "cell B2 (cpa) is an error, #DIV/0!"),
        ('<c r="B2"><f>A1+1</f><v></v></c>', "cell B2 (cpa) is a formula without a value"),
        ('<c r="B2"><f>A1+1</f></c>', "cell B2 (cpa) is a formula without a value"),
        ('<c r="B2"><f>A1+1</f><v/></c>', "cell B2 (cpa) is a formula without a value"),
        ('<c r="B2"><f t="shared" si="0"/></c>', "cell B2 (cpa) is a formula without a value"),
    ],
)
def test_a_cell_that_is_no_value_refuses_its_row(tmp_path: Path, cell: str, reason: str) -> None:
    path = with_cells(made(tmp_path, ["email", "cpa"]), '<c r="A2"><v>1</v></c>', cell)
    (number, cells) = read(path)[1][0]
    assert (number, cells) == (2, ["1", "", "B2"])
    assert isinstance(cells, Misread)
    assert cells.reason.startswith(reason)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="B2"><f>A1+1</f><v>3</v></c>', "3"),
        ('<c r="B2" t="str"><f>""</f><v></v></c>', ""),
        ('<c r="B2" t="str"><f>"x"</f><v>x</v></c>', "x"),
        ('<c r="B2"><f t="shared" si="0"/><v>4</v></c>', "4"),
        ('<c r="B2" t="b"><f>TRUE</f><v>1</v></c>', "true"),
    ],
)
def test_a_formula_is_the_value_that_was_computed(tmp_path: Path, cell: str, text: str) -> None:
    path = with_cells(made(tmp_path, ["email", "cpa"]), '<c r="A2"><v>1</v></c>', cell)
    assert read(path)[1] == [(2, ["1", text])]


def test_an_error_that_nobody_wants_refuses_nothing(tmp_path: Path) -> None:
    path = made(tmp_path, ["email", "check"], ["a@x.com", "#N/A"], ["b@x.com", "=1/0"])
    with tabular.open_table(path) as table:
        assert tabular.columns(table, {"email": ()}) == {"email": 0}
        assert list(table.rows()) == [(2, ["a@x.com", ""]), (3, ["b@x.com", ""])]


def test_a_row_of_nothing_but_errors_is_not_lost(tmp_path: Path) -> None:
    (row,) = read(made(tmp_path, ["email"], ["#REF!"]))[1]
    assert isinstance(row[1], Misread)
    assert row[0] == 2


@given(column=st.integers(0, 16_383))
def test_columns_are_lettered_as_in_excel(column: int) -> None:
    assert cell_faults.letters(column) == openpyxl.utils.get_column_letter(column + 1)


# ---------------------------------------------------------------------------------------------- what is no workbook


def test_a_damaged_workbook_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = made(tmp_path, ["email", "cpa"], *[["a@x.com", n] for n in range(3_000)]).read_bytes()
    path = tmp_path / "broken.xlsx"
    for kept in (4, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        assert "it is damaged" in refusal(path)
    for at in range(50, len(whole) - 30, len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        # Not every byte matters, but none may end in anything else than a row or a refusal.
        with contextlib.suppress(RequestError):
            read(path)


def test_what_is_another_archive_an_empty_sheet_or_an_old_workbook(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
        archive.writestr("leads.csv", "email\na@x.com\n")
    assert "no Excel workbook (.xlsx) but another kind of archive" in refusal(tmp_path / "x.xlsx")
    assert "is empty: its sheet 'Sheet' has no cell with a value" in refusal(made(tmp_path, []))
    assert "row 1 looks like data ('a@x.com'): the first row must name" in refusal(made(tmp_path, ["a@x.com", 1]))
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    assert "an old one (.xls) or one with a password" in refusal(tmp_path / "old.xls")


def test_a_sheet_that_memory_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, ["email"], ["a@x.com"])
    monkeypatch.setattr(workbook, "MOST_BYTES", 100)
    assert "which would have to be in memory: save it as CSV" in refusal(path)


def test_options_of_other_formats_are_wrong_usage(tmp_path: Path) -> None:
    path = made(tmp_path, ["email"])
    options: list[Any] = [{"encoding": "utf-8"}, {"delimiter": ";"}]
    for option in options:
        with (
            pytest.raises(UsageError, match="is an Excel workbook, which has none"),
            tabular.open_table(path, **option),
        ):
            pass
    (tmp_path / "x.csv").write_text("email\n")
    with pytest.raises(UsageError, match="is CSV, which has none"), tabular.open_table(tmp_path / "x.csv", sheet="S"):
        pass


def test_its_reject_file_is_csv_that_a_spreadsheet_reads(tmp_path: Path) -> None:
    with tabular.open_table(made(tmp_path, ["email"], ["Zoë"])) as table:
        with tabular.RejectFile(tabular.rejects_path(table.path), table) as rejects:
            for number, cells in table.rows():
                rejects.add(number, cells, "email_invalid", "email", "no address")
        expected = "\ufeff_row,_code,_field,_message,email\n2,email_invalid,email,no address,Zoë\n"
        assert (tmp_path / "leads.xlsx.rejects.csv").read_bytes() == expected.encode()
