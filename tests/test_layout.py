"""Which modules may know what, by their names; the order of the imports stands in the contracts of `pyproject.toml`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "ibctl").rglob("*.py"))
RULES = [path for path in MODULES if path.stem.endswith("rules")]
# The root command, what stands between Typer and all commands, and what the shell completes.
PLUMBING = {"cli", "completion", "lazy", "output", "tables", "imports", "utf8"}
DATABASE = {"sqlalchemy", "sqlmodel", "psycopg", "ibctl.db", "ibctl.models"}


def imported(path: Path) -> Iterator[str]:
    """The names that a module imports anywhere in it, and the packages that they are in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def test_only_the_command_line_knows_typer() -> None:
    knowing = [path for path in MODULES if {"typer", "rich"} & set(imported(path))]
    assert len(knowing) > 40
    assert [
        str(path) for path in knowing if path.stem not in PLUMBING and "commands" not in (path.stem, path.parent.name)
    ] == []


@pytest.mark.parametrize("path", RULES, ids=[path.stem for path in RULES])
def test_rules_know_no_database(path: Path) -> None:
    assert DATABASE & set(imported(path)) == set()


def test_an_import_in_any_form_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text("def late():\n    from ibctl.models import ads\n    import psycopg.rows\n")
    assert set(imported(path)) == {"ibctl", "ibctl.models", "ibctl.models.ads", "psycopg", "psycopg.rows"}
