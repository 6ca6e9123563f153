"""The few kinds of failure, each with its exit code.

    0    done
    1    a bug in ibctl (the only case that shows a traceback)
    2    wrong usage                                            UsageError (and Typer's own)
    3    the request cannot be carried out                      RequestError
    4    configuration, or the database cannot be reached       ConfigError
    5    an outside service failed                              ServiceError
    6    done in part; what was refused, and why, is listed     (a command's own exit, `errors.PARTIAL`)
    7    a check found something                                (a command's own exit, `errors.FINDINGS`)
    130  interrupted
    141  whoever read stdout has gone                           (`cli.py`, as shells expect)

A message is one line: what is wrong, with the value, and what to do next. It never holds a secret. `cli.py` prints it
and exits; services only raise.
"""

from __future__ import annotations

PARTIAL = 6
FINDINGS = 7
INTERRUPTED = 130


class IbctlError(Exception):
    """A failure that the user can understand and act upon."""

    exit_code = 1


class UsageError(IbctlError):
    """The command line itself is wrong: a missing flag, two that exclude each other, a malformed value."""

    exit_code = 2


class RequestError(IbctlError):
    """The request is well formed but cannot be carried out: not found, invalid, in conflict with what is there."""

    exit_code = 3


class NotFoundError(RequestError):
    """What was named does not exist."""


class ConfigError(IbctlError):
    """A setting is missing or wrong, or the database cannot be reached."""

    exit_code = 4


class ServiceError(IbctlError):
    """Something outside the database failed: Facebook, a terminal, a web site."""

    exit_code = 5
