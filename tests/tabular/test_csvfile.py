import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import output, rendering, tabular
from ibctl.errors import RequestError, UsageError
from ibctl.tabular import text


def made(tmp_path: Path, content: str | bytes, name: str = "leads.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path, encoding: str | None = None, delimiter: str | None = None) -> list[tuple[int, list[str]]]:
    with tabular.open_table(path, encoding=encoding, delimiter=delimiter) as file:
        return list(file.rows())


def refusal(path: Path, encoding: str | None = None, delimiter: str | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        rows(path, encoding, delimiter)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --------------------------------------------------------------------------------------------------------------- rows


def test_a_row_is_numbered_by_the_line_it_begins_on(tmp_path: Path) -> None:
    path = made(tmp_path, 'email,name\na@x.com,"Zoë\nof two lines"\n\nb@x.com,Bob\r\nc@x.com,"x\ry"\rd@x.com,z')
    assert rows(path) == [
        (2, ["a@x.com", "Zoë\nof two lines"]),
        (5, ["b@x.com", "Bob"]),
        (6, ["c@x.com", "x\ry"]),
        (8, ["d@x.com", "z"]),
    ]


def test_lines_without_a_value_are_no_rows(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "email,name\n,\n\na@x.com,\n,,\n")) == [(4, ["a@x.com", ""])]


def test_a_row_with_another_number_of_cells_is_left_to_the_importer(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "email,name\na@x.com\nb@x.com,Bob,Bobson\n")) == [
        (2, ["a@x.com"]),
        (3, ["b@x.com", "Bob", "Bobson"]),
    ]


def test_rows_can_be_read_again_and_report_how_far_they_are(tmp_path: Path) -> None:
    path = made(tmp_path, "email\n" + "someone@example.com\n" * 5_000)
    done: list[int] = []
    with tabular.open_table(path) as file:
        first = list(file.rows(done.append))
        assert list(file.rows()) == first
    assert len(first) == 5_000
    assert done == sorted(done)
    assert done[-1] == path.stat().st_size


def test_a_reader_that_stops_early_leaves_nothing_open(tmp_path: Path) -> None:
    with tabular.open_table(made(tmp_path, "email\na@x.com\nb@x.com\n")) as file:
        assert next(file.rows()) == (2, ["a@x.com"])


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, "email\na@x.com\n")
    with tabular.open_table(path) as file:
        reader = file.rows()
        next(reader)
        with path.open("a") as stream:
            stream.write("b@x.com\n")
        with pytest.raises(RequestError, match="was changed while it was being read"):
            list(reader)


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(table=st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8))
def test_what_ibctl_writes_as_csv_it_reads_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    listing = output.Listing(output.Format.csv, path)
    columns = [output.Column("email"), output.Column("firstName")]
    output.show([dict(zip(["email", "firstName"], row, strict=True)) for row in table], columns, listing)
    with tabular.open_table(path, delimiter=",") as file:
        read = [[rendering.unneutralise(cell).lstrip(" ") for cell in row] for _, row in file.rows()]
    # Spaces at a cell's beginning carry no meaning in CSV files made by people ("a, b"); quoted ones come back anyway.
    stripped = [[cell.lstrip(" ") for cell in row] for row in table]
    assert read == [row for row in stripped if any(row)]


# ----------------------------------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_marked_or_utf8_file_needs_no_option(tmp_path: Path, encoding: str) -> None:
    assert rows(made(tmp_path, "email,name\na@x.com,Ñandú 😀\n".encode(encoding))) == [(2, ["a@x.com", "Ñandú 😀"])]


def test_another_encoding_is_never_guessed_but_shown(tmp_path: Path) -> None:
    path = made(tmp_path, "email,name\na@x.com,Bob\nb@x.com,Ñandú\n".encode("cp1252"))
    message = refusal(path)
    assert "line 3: byte 0xD1 is not utf-8; pass --encoding" in message
    assert "cp1252" in message
    assert "'Ñandú'" in message
    assert "cp1251 reads 'Сandъ'" in message
    assert rows(path, "cp1252")[1] == (3, ["b@x.com", "Ñandú"])


def test_a_byte_that_is_wrong_far_into_the_file_is_found_before_any_row_is_given(tmp_path: Path) -> None:
    path = made(tmp_path, b"email\n" + b"someone@example.com\n" * 200_000 + b"S\xf8ren\n")
    assert "line 200002: byte 0xF8 is not utf-8" in refusal(path)


def test_a_character_across_two_reads_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "CHUNK", 7)
    assert len(rows(made(tmp_path, "email\nüüüüüüü\naaaaaaaaaaaaaaaa\n"))) == 2
    assert "line 3" in refusal(made(tmp_path, "email\nüüüüüüü\naaaaaaaaaaaaaaaa".encode() + b"\xc3"))


def test_an_encoding_against_the_files_own_mark_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, "email\nü\n".encode("utf-8-sig"))
    assert "begins with the mark of utf-8, so it is not cp1252" in refusal(path, "cp1252")
    assert rows(path, "UTF-8") == [(2, ["ü"])]
    assert "does not begin with the mark of utf-16" in refusal(made(tmp_path, "email\n"), "utf-16")


@pytest.mark.parametrize("name", ["klingon", "base64", "idna\0"])
def test_an_unknown_encoding_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--encoding"):
        rows(made(tmp_path, "email\n"), name)


# ---------------------------------------------------------------------------------------------- what is no CSV at all


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"sep=;\n", "is empty"),
        (b"PK\x03\x04\x14\0\x06\0", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel workbook"),
        (b"\x1f\x8b\x08\x08abcd", "gzip"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (b"SQLite format 3\0\x10\0", "binary"),
        ("email\na@x.com\n".encode("utf-16-le"), "utf-16-le"),
        (b"a@x.com,Bob\nb@x.com,Zoe\n", "line 1 looks like data"),
        (b"name,2025-10-31\n", "looks like data"),
        (b"sep=;\nBob;+49 170 1234567\n", "line 2 looks like data"),
        (b'email,name\na@x.com,"Bob\nb@x.com,Zoe\n', "line 2: a quote is opened and never closed"),
        (b'email,name\na@x.com,Bob\nb@x.com,"Zo"e"\n', "line 3: text follows the quote"),
        (b'email,name\n"a,b\nc,d\n"e,f"\n', "line 2: text follows the quote"),
        (b'email,name\nx,"' + b"a" * 1_000_001 + b'"\n', "line 2: a cell is longer than 1,000,000"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = made(tmp_path, content)
    assert message in refusal(path)
    assert str(path) in refusal(path)


def test_a_nul_in_one_cell_is_that_rows_fault(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "email,name\na@x.com,B\0b\n")) == [(2, ["a@x.com", "B\0b"])]


def test_paths_that_are_no_readable_file(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.csv")
    assert "is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(tmp_path / "pipe")
    assert "Not a directory" in refusal(made(tmp_path, "email\n") / "x")


# ------------------------------------------------------------------------------------------------ delimiter and header


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_what_header_and_rows_agree_on(tmp_path: Path, delimiter: str) -> None:
    lines = [["email", "first name", "cpa"], ["a@x.com", "Bob, of Rome; and | Co", "1.5"], ["b@x.com", "Zoë", ""]]
    path = tmp_path / "x.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(lines)
    with tabular.open_table(path) as file:
        assert file.delimiter == delimiter
        assert [file.header, *(row for _, row in file.rows())] == lines


def test_decimal_commas_do_not_make_commas_the_delimiter(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "email;cpa\na@x.com;1,5\nb@x.com;2,5\n"))[0] == (2, ["a@x.com", "1,5"])


def test_excels_own_separator_line_is_honoured(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "sep=;\r\nemail;name\r\na,b@x.com;Bob\r\n")) == [(3, ["a,b@x.com", "Bob"])]
    assert rows(made(tmp_path, '"sep=\t"\nemail\tname\na@x.com\tBob\n')) == [(3, ["a@x.com", "Bob"])]


def test_a_file_of_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "email\na@x.com\n")) == [(2, ["a@x.com"])]


def test_an_undecidable_delimiter_is_asked_for(tmp_path: Path) -> None:
    path = made(tmp_path, "email,na;me\na,b;c\n")
    assert "comma or semicolon" in refusal(path)
    assert rows(path, delimiter="semicolon") == [(2, ["a,b", "c"])]
    assert rows(path, delimiter=",") == [(2, ["a", "b;c"])]


@pytest.mark.parametrize("name", ["", "ab", '"', "\n", "a", "@"])
def test_an_impossible_delimiter_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--delimiter"):
        rows(made(tmp_path, "email\n"), delimiter=name)
