import gzip
import io
import os
import sys
import tempfile
from pathlib import Path

import pytest

from ibctl import tabular
from ibctl.errors import RequestError, UsageError
from ibctl.tabular.source import STANDARD_INPUT, open_source, sha256

CSV = b"email,name\n" + b"".join(b"someone%d@example.com,Bob\n" % n for n in range(20_000))
PACKED = gzip.compress(CSV)


def made(tmp_path: Path, content: bytes, name: str = "leads.csv.gz") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(RequestError) as caught, tabular.open_table(path) as table:
        list(table.rows())
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Piped(io.TextIOWrapper):
    """Standard input, into which something is piped."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))


# --------------------------------------------------------------------------------------------------------------- gzip


def test_what_gzip_packed_is_read_as_it_was(tmp_path: Path) -> None:
    plain, packed = made(tmp_path, CSV, "leads.csv"), made(tmp_path, PACKED)
    with tabular.open_table(plain) as one, tabular.open_table(packed) as other:
        assert other.header == one.header
        assert list(other.rows()) == list(one.rows())


def test_gzip_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    with tabular.open_table(made(tmp_path, PACKED, "leads.csv")) as table:
        assert len(list(table.rows())) == 20_000
    with tabular.open_table(made(tmp_path, CSV, "leads.csv.gz")) as table:
        assert len(list(table.rows())) == 20_000


def test_progress_is_counted_in_packed_bytes(tmp_path: Path) -> None:
    done: list[int] = []
    with tabular.open_table(made(tmp_path, PACKED)) as table:
        assert table.size == len(PACKED)
        list(table.rows(done.append))
    assert done == sorted(done)
    assert done[-1] == len(PACKED)


def test_several_packed_files_behind_each_other_are_one(tmp_path: Path) -> None:
    path = made(tmp_path, gzip.compress(b"email\na@x.com\n") + gzip.compress(b"b@x.com\n") + b"\0" * 10)
    with tabular.open_table(path) as table:
        assert [cells for _, cells in table.rows()] == [["a@x.com"], ["b@x.com"]]


@pytest.mark.parametrize("kept", [1, 2, 9, 18, 30, len(PACKED) // 2, len(PACKED) - 8, len(PACKED) - 1])
def test_gzip_that_is_cut_off_is_refused_before_any_row_is_given(tmp_path: Path, kept: int) -> None:
    message = refusal(made(tmp_path, PACKED[:kept]))
    # Of the first byte alone nothing can be told.
    assert ("is cut off: its gzip data have no end" in message) == (kept > 1)


@pytest.mark.parametrize("at", [3, 12, 200, len(PACKED) // 2, len(PACKED) - 6, len(PACKED) - 2])
def test_gzip_with_a_wrong_byte_is_refused(tmp_path: Path, at: int) -> None:
    broken = bytearray(PACKED)
    broken[at] ^= 0xFF
    message = refusal(made(tmp_path, bytes(broken)))
    assert "leads.csv.gz" in message
    assert "gzip data" in message


def test_gzip_with_something_behind_its_end_is_refused(tmp_path: Path) -> None:
    assert "its gzip data are damaged" in refusal(made(tmp_path, PACKED + b"more"))


def test_what_is_wrong_with_packed_text_is_said_as_of_plain_text(tmp_path: Path) -> None:
    assert "line 3: byte 0xD1 is not utf-8" in refusal(made(tmp_path, gzip.compress(b"email\na@x.com\n\xd1\n")))
    assert "is empty" in refusal(made(tmp_path, gzip.compress(b"")))
    assert "unpack it first" in refusal(made(tmp_path, gzip.compress(b"PK\x03\x04\x14\0")))
    assert "gzip, twice" in refusal(made(tmp_path, gzip.compress(PACKED)))


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    assert "is longer than 64 MB" in refusal(made(tmp_path, gzip.compress(b"email\n" + b"x" * 80_000_000)))


# ----------------------------------------------------------------------------------------------------- standard input


def test_standard_input_is_read_again_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", Piped(CSV))
    with tabular.open_table(STANDARD_INPUT) as table:
        first, second = table.rows(), table.rows()
        # Both at once, each from its own place.
        assert [next(first), next(first)] == [next(second), next(second)]
        assert list(first) == list(second)
        assert table.path == Path("stdin")
        assert table.size == len(CSV)
        assert table.sha256() == sha256(made(tmp_path, CSV))
        assert {path.name for path in tmp_path.iterdir()} == {"leads.csv.gz"}
    assert {path.name for path in tmp_path.iterdir()} == {"leads.csv.gz"}


@pytest.mark.parametrize("content", [CSV, PACKED])
def test_standard_input_may_be_packed(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(content))
    with tabular.open_table(STANDARD_INPUT) as table:
        assert len(list(table.rows())) == 20_000


def test_the_copy_of_standard_input_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(CSV))
    with open_source(STANDARD_INPUT) as source, source.opened() as content:
        assert os.fstat(content.stream.fileno()).st_mode & 0o777 == 0o600


def test_an_empty_pipe_is_an_empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    assert refusal(STANDARD_INPUT) == "stdin is empty"


def test_a_terminal_is_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(Piped):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(b""))
    with pytest.raises(UsageError, match="nothing is piped in"), tabular.open_table(STANDARD_INPUT):
        pass
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="nothing is piped in"), tabular.open_table(STANDARD_INPUT):
        pass


# ------------------------------------------------------------------------------------------------------------- digest


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    path = made(tmp_path, b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(RequestError, match="does not exist"):
        sha256(tmp_path / "none")
