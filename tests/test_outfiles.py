"""Where output goes that is to go to a file: what stands there already is written into, followed or replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ibctl import outfiles
from ibctl.errors import RequestError
from tests.conftest import Result

Run = Callable[..., Result]


def write(path: Path, text: str = "new", *, private: bool = False) -> None:
    with outfiles.atomic_file(path, private=private) as stream:
        stream.write(text)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def read_from(pipe: Path) -> Iterator[list[str]]:
    """Read a pipe to its end in the background; a pipe that is none any more is left alone."""
    found: list[str] = []
    # Open for both, so that this never waits for a writer that does not come.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield found
        found.append(os.read(descriptor, 65_536).decode())
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_a_pipe_is_written_into_and_stays_one(ibctl: Run, database: str, tmp_path: Path, form: str) -> None:
    assert ibctl("leads", "add", "--email", "a@example.com").exit_code == 0
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for command in ("list", "export"):
        with read_from(pipe) as found:
            done = ibctl("leads", command, "--format", form, "--output", pipe)
        assert done.exit_code == 0, done.stderr
        assert "a@example.com" in found[0]
        assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_pipe_whose_reader_has_gone_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def leave() -> None:
        with outfiles.atomic_file(pipe) as stream:
            os.close(reader)
            stream.write("x" * 1_000_000)

    with pytest.raises(RequestError, match=r"cannot write .*pipe: Broken pipe"):
        leave()


def test_what_is_open_already_is_written_into_behind_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as stream:
        stream.write("before\n")
        stream.flush()
        inode = log.stat().st_ino
        write(Path(f"/proc/self/fd/{stream.fileno()}"))
        write(Path(f"/dev/fd/{stream.fileno()}"))
    assert log.read_text() == "before\nnewnew"
    assert log.stat().st_ino == inode


def test_a_link_goes_on_leading_to_the_file_which_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "report.csv", tmp_path / "latest.csv"
    target.write_text("old")
    link.symlink_to("data/report.csv")

    def fail() -> None:
        with outfiles.atomic_file(link) as stream:
            stream.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    write(link)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["report.csv"]


def test_a_link_to_what_is_not_there_yet_is_followed_and_one_to_itself_refused(tmp_path: Path) -> None:
    link, circle = tmp_path / "link", tmp_path / "circle"
    link.symlink_to("target")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    circle.symlink_to("circle")
    with pytest.raises(RequestError, match=r"cannot write .*circle: Too many levels"):
        write(circle)
    assert circle.is_symlink()


@pytest.mark.parametrize("before", [0o600, 0o640, 0o644, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, before: int) -> None:
    target = tmp_path / "people.csv"
    target.write_text("old")
    target.chmod(before)
    write(target)
    assert target.read_text() == "new"
    assert mode(target) == before


def test_a_private_file_is_its_owners_whatever_was_there(tmp_path: Path) -> None:
    target = tmp_path / "bank.xml"
    target.write_text("old")
    target.chmod(0o644)
    write(target, private=True)
    assert mode(target) == 0o600


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "new.csv")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new.csv") == 0o640


def test_who_may_not_give_a_file_away_opens_it_to_no_other_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    target = tmp_path / "people.csv"
    target.write_text("old")
    target.chmod(0o664)
    seen = os.stat_result((*target.stat()[:5], target.stat().st_gid + 1, *target.stat()[6:]))
    monkeypatch.setattr(os, "chown", refuse)
    outfiles._open_up(str(target), seen)
    assert mode(target) == 0o644


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RequestError, match=r"cannot write .*folder: Is a directory"):
        write(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
