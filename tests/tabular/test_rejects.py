import dataclasses
import os
from pathlib import Path

import pytest

from ibctl import tabular
from ibctl.errors import RequestError, UsageError


def made(tmp_path: Path, content: str | bytes, name: str = "leads.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_reject_file_can_be_mended_and_read_again(tmp_path: Path) -> None:
    path = made(tmp_path, 'email;name;cpa\nbad;"Zoë;\n=cmd";-1.5\nshort\nlong;a;b;c\n'.encode("utf-8-sig"))
    target = tabular.rejects_path(path)
    with tabular.open_table(path) as file, tabular.RejectFile(target, file) as rejects:
        for row, record in file.rows():
            rejects.add(row, record, "email", "email", "=is no address")
    assert rejects.count == 3
    assert rejects.path == tmp_path / "leads.csv.rejects.csv"
    with tabular.open_table(target) as file:
        assert file.header == ["_row", "_code", "_field", "_message", "email", "name", "cpa"]
        assert file.delimiter == ";"
        assert list(file.rows()) == [
            (2, ["2", "email", "email", "'=is no address", "bad", "Zoë;\n=cmd", "-1.5"]),
            (4, ["4", "email", "email", "'=is no address", "short"]),
            (5, ["5", "email", "email", "'=is no address", "long", "a", "b", "c"]),
        ]
        # Refused once more, it keeps only the new reasons.
        with tabular.RejectFile(tmp_path / "again.csv", file) as rejects:
            for row, record in file.rows():
                rejects.add(row, record, "phone", "", "other")
    with tabular.open_table(tmp_path / "again.csv") as file:
        assert file.header == ["_row", "_code", "_field", "_message", "email", "name", "cpa"]
        assert next(file.rows())[1] == ["2", "phone", "", "other", "bad", "Zoë;\n=cmd", "-1.5"]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd()", "'=cmd()"),
        ("'=cmd()", "'=cmd()"),
        ("@x", "'@x"),
        ("-12.50", "-12.50"),
        ("+49170", "+49170"),
        ("-x", "'-x"),
    ],
)
def test_a_rejected_cell_cannot_run_in_a_spreadsheet(tmp_path: Path, cell: str, written: str) -> None:
    path = made(tmp_path, "email\nx\n")
    with tabular.open_table(path) as file, tabular.RejectFile(tmp_path / "r.csv", file) as rejects:
        rejects.add(2, [cell], "code", "email", "m")
    with tabular.open_table(tmp_path / "r.csv") as table:
        assert next(table.rows())[1][4] == written


def test_no_rejects_no_file(tmp_path: Path) -> None:
    with tabular.open_table(made(tmp_path, "email\nx\n")) as file, tabular.RejectFile(tmp_path / "r.csv", file):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"leads.csv"}


def test_a_failure_leaves_no_reject_file(tmp_path: Path) -> None:
    def fail() -> None:
        with tabular.open_table(path) as file, tabular.RejectFile(tmp_path / "r.csv", file) as rejects:
            rejects.add(2, ["x"], "code", "email", "m")
            raise ZeroDivisionError

    path = made(tmp_path, "email\nx\n")
    with pytest.raises(ZeroDivisionError):
        fail()
    assert {path.name for path in tmp_path.iterdir()} == {"leads.csv"}


def test_an_older_reject_file_is_kept_unless_it_is_the_same(tmp_path: Path) -> None:
    def refuse(message: str) -> tabular.RejectFile:
        target = tmp_path / "leads.csv.rejects.csv"
        with tabular.open_table(tmp_path / "leads.csv") as file, tabular.RejectFile(target, file) as rejects:
            rejects.add(2, ["x"], "code", "email", message)
        return rejects

    made(tmp_path, "email\nx\n")
    assert refuse("one").path.name == refuse("one").path.name == "leads.csv.rejects.csv"
    second = refuse("two")
    assert second.path.name == "leads.csv.rejects-2.csv"
    assert second.kept == tmp_path / "leads.csv.rejects.csv"
    assert refuse("three").path.name == "leads.csv.rejects-3.csv"
    assert refuse("two").path.name == "leads.csv.rejects-2.csv"
    assert "one" in (tmp_path / "leads.csv.rejects.csv").read_text()
    assert len(list(tmp_path.iterdir())) == 4


def test_an_unwritable_place_for_rejects_is_named(tmp_path: Path) -> None:
    with (
        tabular.open_table(made(tmp_path, "email\nx\n")) as file,
        pytest.raises(RequestError, match="cannot write"),
        tabular.RejectFile(tmp_path / "no" / "r.csv", file),
    ):
        pass


def test_a_folder_and_standard_output_are_no_reject_files(tmp_path: Path) -> None:
    with tabular.open_table(made(tmp_path, "email\nx\n")) as file:
        with pytest.raises(RequestError, match="is a directory"), tabular.RejectFile(tmp_path, file):
            pass
        with pytest.raises(UsageError, match="--rejects -"), tabular.RejectFile(Path("-"), file):
            pass
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}-*"))


def test_what_is_no_regular_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for target in (Path(os.devnull), pipe):
        with tabular.open_table(made(tmp_path, "email\nx\n")) as file, tabular.RejectFile(target, file) as rejects:
            rejects.add(2, ["x"], "code", "email", "m")
        assert (rejects.path, rejects.count, rejects.kept) == (target, 1, None)
    assert os.read(reader, 1000) == b"_row,_code,_field,_message,email\n2,code,email,m,x\n"
    os.close(reader)
    assert pipe.is_fifo()
    assert Path(os.devnull).is_char_device()
    assert not Path(f"{os.devnull}-2").exists()


def test_a_file_that_is_open_already_is_no_reject_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log, tabular.open_table(made(tmp_path, "email\nx\n")) as file:
        target = Path(f"/dev/fd/{log.fileno()}")
        with pytest.raises(UsageError, match=f"--rejects {target} will not do"), tabular.RejectFile(target, file):
            pass
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize("name", ["=cmd|x", "'=cmd|x", "@SUM(A1)", "''-x", "'quoted'", "email"])
def test_a_header_cannot_run_in_a_spreadsheet_and_is_read_back(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, "x\n1\n")
    with tabular.open_table(path) as file:
        header = dataclasses.replace(file, header=[name])
        with tabular.RejectFile(tmp_path / "r.csv", header) as rejects:
            rejects.add(2, ["1"], "code", "", "m")
    assert (tmp_path / "r.csv").read_text().splitlines()[0].split(",")[4][0] not in "=+-@"
    with tabular.open_table(tmp_path / "r.csv") as table:
        assert table.header[4:] == [name]
