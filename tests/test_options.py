"""A dataclass of options as one parameter of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ibctl.options import spread


@dataclass(frozen=True)
class Span:
    first: Annotated[int, typer.Option("--from", help="The first day.")] = 1
    last: Annotated[int | None, typer.Option("--to", parser=int, metavar="DAY")] = None


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()

    @made.command()
    @spread
    def show(
        name: Annotated[str, typer.Argument()], span: Span, loud: Annotated[bool, typer.Option("--loud")] = False
    ) -> None:
        """Show a span."""
        typer.echo(repr((name, span, loud)))

    return made


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        (["a"], ("a", Span(), False)),
        (["--from", "3", "a", "--loud"], ("a", Span(3), True)),
        (["a", "--to", "9"], ("a", Span(1, 9), False)),
    ],
)
def test_the_command_gets_the_dataclass_of_what_was_given(
    app: typer.Typer, arguments: list[str], got: tuple[object, ...]
) -> None:
    assert CliRunner().invoke(app, arguments).stdout == f"{got!r}\n"


def test_the_help_has_each_field_in_its_place_and_what_is_no_field_is_refused(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    places = [shown.index(word) for word in ("Show a span.", "--from", "The first day.", "--to", "DAY", "--loud")]
    assert places == sorted(places)
    assert CliRunner().invoke(app, ["a", "--span", "3"]).exit_code == 2
    assert CliRunner().invoke(app, ["a", "--from", "x"]).exit_code == 2
