"""The root command: groups mounted lazily, global options, and the one place where a failure becomes an exit code."""

from __future__ import annotations

import codecs
import errno
import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ibctl import __version__, config, lazy, output, rendering, utf8
from ibctl.errors import INTERRUPTED, IbctlError, RequestError

# name: (where its Typer app is, its line in `ibctl --help`). A group's module is imported when the group is called, so
# that help, version and completion stay fast.
GROUPS: dict[str, tuple[str, str]] = {
    "leads": ("ibctl.leads.commands:group", "Leads: import, look at, assign and export them."),
    "ads": ("ibctl.ads.commands:group", "Facebook: ad accounts, spend, campaigns."),
    "commissions": ("ibctl.commissions.commands:group", "What each IB earned in a month, and why."),
    "users": ("ibctl.users.commands:app", "IBs and administrators: accounts, roles, passwords."),
    "db": ("ibctl.admin.database.commands:app", "The database: embedded server, migrations, checks."),
    "secrets": ("ibctl.admin.secrets.commands:app", "The encryption key and the fields under it."),
    "audit": ("ibctl.admin.audit.commands:app", "Who changed what, when and why."),
    "undo": ("ibctl.admin.audit.commands:undo_app", "Take back everything that one command wrote."),
    "doctor": ("ibctl.admin.doctor.commands:app", "Check the settings and the database, and say how to mend them."),
    "demo": ("ibctl.admin.demo.commands:app", "See a month from CSV files to commissions, on a server of its own."),
}
# Commands of a group that live further down the stream than the group itself: `leads pull` knows Facebook.
ADDED: dict[str, lazy.Places] = {
    "leads": {"pull": ("ibctl.ads.commands.pull", "Take in what people filled in at Facebook's lead forms.")}
}
# The exit code of a process that a closed pipe ended (128 + SIGPIPE), as shells expect of `ibctl leads list | head`.
CLOSED_PIPE = 141
# What a write says where nothing more fits, or the device is gone.
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class RootGroup(TyperGroup):
    """`ibctl` itself: loads a group when it is called, and ends every failure with its exit code."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for name, (_, summary) in GROUPS.items():
            self.add_command(TyperGroup(name=name, help=summary))

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Keep the command line for the audit record, before parsing takes it apart."""
        config.use_command(args)
        return super().make_context(info_name, args, parent, **extra)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Replace the placeholder that `--help` shows by the real group."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name else placeholder, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; end with the documented exit code, without a traceback unless it is a bug."""
        try:
            return self._invoke(ctx)
        except IbctlError as exc:
            output.error(str(exc))
            raise typer.Exit(exc.exit_code) from None
        except (KeyboardInterrupt, typer.Abort, EOFError):
            output.error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(CLOSED_PIPE) from None
        except OSError as exc:
            if exc.errno not in UNWRITABLE:
                raise
            _forget_stdout()
            output.error(f"cannot write to {exc.filename or 'standard output'}: {exc.strerror}")
            raise typer.Exit(RequestError.exit_code) from None

    def _invoke(self, ctx: Any) -> Any:
        utf8.require(self, ctx, [*ctx._protected_args, *ctx.args])
        try:
            return super().invoke(ctx)
        finally:
            # What only now does not fit is to be said too.
            sys.stdout.flush()


def _load(name: str) -> Any:
    command = lazy.load(name, GROUPS[name][0])
    if isinstance(command, lazy.Group):
        command.places |= ADDED.get(name, {})
    return command


def _forget_stdout() -> None:
    # Python would complain once more when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_streams() -> None:
    """Have all three standard streams: what is opened later would take the place of a closed one, and get its data."""
    closed = sys.stdout is None
    # In the order of their numbers, of which the lowest that is free is taken.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for good
    if closed:
        output.error("standard output is closed: send it to a file, or to /dev/null")
        sys.exit(RequestError.exit_code)
    # A name, or the dash of an empty cell, that the terminal's encoding lacks must not end what is done already.
    codecs.register_error("degrade", rendering.degrade)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="degrade")  # type: ignore[union-attr] # a real one, not a test's


app = typer.Typer(cls=RootGroup, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ibctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    env_file: Annotated[
        Path | None, typer.Option(help="Read settings from this file instead of .env.", envvar="IBCTL_ENV_FILE")
    ] = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.", envvar="IBCTL_NO_COLOR")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Administer an IB affiliate platform: leads, ad spend, commissions, and the record of every change."""
    config.use_env_file(env_file)
    output.use_color(not no_color)


def main() -> None:
    """Run `ibctl` (the console script)."""
    # A short life: to look for cycles after every 700 new objects takes a tenth of a small command's time, and to look
    # through everything once more at its end, where the system takes it all back anyway, a fifth.
    gc.set_threshold(50_000)
    _require_streams()
    try:
        app(prog_name="ibctl")
    finally:
        gc.freeze()
