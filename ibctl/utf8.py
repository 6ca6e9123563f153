"""Text from outside that should be UTF-8, and may not be: words of the command line, and lists on standard input.

Python keeps a byte that is no text as half a surrogate pair. A file may be called so; the database, JSON and the
terminal cannot hold it.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperGroup

from ibctl.errors import UsageError

_UNDECODED = re.compile("[\ud800-\udfff]")


def escaped(text: str) -> str:
    r"""Write what is no UTF-8 in a file's name or a word as escapes: `n\xff.csv`."""
    return _UNDECODED.sub(_escape, text)


def writings(text: str) -> list[str]:
    """Return a text as it is and, where that is another, composed (NFC), as addresses are stored.

    Some keyboards and files part a letter from its accent, which nobody can see.
    """
    return list(dict.fromkeys((text, unicodedata.normalize("NFC", text))))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def require(command: Any, context: Any, arguments: Sequence[str]) -> None:
    """Refuse a text among a command's arguments that is no UTF-8; the name of a file may be none.

    `arguments` are what the command's parser has left over. Raises UsageError.
    """
    # Hardly ever is there one; only then is the command line taken apart twice, for who wants a text and who a file.
    if not any(map(_UNDECODED.search, arguments)):
        return
    rest = list(arguments)
    while isinstance(command, TyperGroup) and rest:
        name, command, rest = command.resolve_command(context, rest)
        if command is None:  # an unknown one, as it will be said
            return
        context = command.make_context(name, rest, parent=context, resilient_parsing=True)
        rest = [*context._protected_args, *context.args]
    for text in _texts(context.params.values()):
        if _UNDECODED.search(text):
            raise UsageError(f"'{escaped(text)}' is not UTF-8 text: write it in UTF-8")


def _texts(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _texts(value)


def from_stdin() -> str:
    """Return what comes in on standard input as text, without a mark at its start. Raises UsageError for no UTF-8."""
    return _decoded(sys.stdin.buffer.read())


def line_from_stdin() -> str:
    """Return the next line of standard input without its end, and else as `from_stdin`."""
    return _decoded(sys.stdin.buffer.readline()).rstrip("\r\n")


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise UsageError(f"standard input, line {line}: byte 0x{content[exc.start]:02X} is not UTF-8") from None


def listed() -> list[str]:
    """Return the lines of standard input that are not blank, stripped. Raises UsageError for no UTF-8."""
    return [line.strip() for line in from_stdin().splitlines() if line.strip()]
