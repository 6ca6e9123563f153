"""The web application's own `.env`, read as the web application does.

Node's dotenv takes backticks for quotes, ends an unquoted value at a `#`, and fills in no `${NAME}`; other readers
differ in each. A key of which one character more is read opens nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

# Word for word `LINE` and `parse` of https://github.com/motdotla/dotenv/blob/v16.4.5/lib/main.js
_LINE = re.compile(
    r"""^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)"""
    r"""(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$""",
    re.MULTILINE | re.ASCII,
)
_QUOTED = re.compile(r"""^(['"`])(.*)\1$""", re.MULTILINE | re.DOTALL)


def find() -> Path | None:
    """Return the `.env` of the working directory, or of the nearest folder above it that has one.

    Raises FileNotFoundError when the working directory is gone.
    """
    here = Path.cwd()
    candidates = (folder / ".env" for folder in (here, *here.parents))
    # Not Path.is_file, which fails in a folder that may not be looked into.
    return next((path for path in candidates if os.path.isfile(path)), None)  # noqa: PTH113


def read(path: Path) -> dict[str, str]:
    """Return what an env file sets. Raises OSError, and UnicodeDecodeError for what is no UTF-8."""
    # A line's end of any kind becomes \n; a mark at the start is none of the first name.
    found = _LINE.finditer(path.read_text(encoding="utf-8-sig"))
    return {match[1]: _value(match[2] or "") for match in found}


def _value(text: str) -> str:
    value = text.strip()
    plain = _QUOTED.sub(r"\2", value)
    return plain.replace("\\n", "\n").replace("\\r", "\r") if value.startswith('"') else plain
