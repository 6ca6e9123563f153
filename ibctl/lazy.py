"""Groups of commands that are imported when they are called: neither the start of a command nor the shell, asking what
there is to complete, pays for all the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

# By its name: where a command is, as `load` takes it, and the first line of its help, which a test holds it to.
Places = Mapping[str, tuple[str, str]]


class Group(TyperGroup):
    """A group that knows of each command where it is; `places` are in the order of the help."""

    def __init__(self, places: Places, *, help: str) -> None:
        super().__init__(help=help, no_args_is_help=True)
        self.places = dict(places)

    def list_commands(self, _ctx: Any) -> list[str]:
        """Name the commands; imports nothing."""
        return [*self.places]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command. One that there is not imports all, among which Typer then looks for what was meant."""
        for name in [cmd_name] if cmd_name in self.places else self.places:
            if name not in self.commands:
                self.add_command(load(name, self.places[name][0]), name)
        return super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Name the commands that begin so, with their help; imports nothing."""
        loaded = self.commands
        self.commands = {name: TyperGroup(name=name, help=words) for name, (_, words) in self.places.items()}
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.commands = loaded


def load(name: str, place: str) -> Any:
    """Import a command or group: "module" has it in its `app`, "module:attribute" is that itself.

    An app of a single command is no group, as Typer has it.
    """
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute or "app")
    if isinstance(found, Group):
        found.name = name
        return found
    # Mounted, and not made a command of: that would offer to install its completion by itself.
    outer = typer.Typer(add_completion=False)
    outer.add_typer(found, name=name if attribute and len(found.registered_commands) > 1 else None)
    group: Any = get_command(outer)
    return group.commands[name]
