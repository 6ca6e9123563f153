"""How one value is written: for people in a table, for programs in JSON, for spreadsheets in CSV.

Times are UTC, `2025-10-31T23:59:59.999Z` (JSON, CSV) or `2025-10-31 23:59` (table); money has its cents. What a lead
typed in a form can neither move the terminal's cursor nor run in a spreadsheet.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ibctl import money, utf8

# Everything that moves a cursor, hides text or turns its direction: C0 and C1 controls, line and paragraph separators,
# bidi and zero-width marks.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


def counted(number: int, thing: str) -> str:
    """Write how many there are: `1 lead`, `1,200 leads`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Make foreign text safe for a terminal: control and direction characters become visible escapes."""
    return utf8.escaped(_UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text))


def one_line(text: str) -> str:
    """Make foreign text safe for one line of a terminal: as `printable`, and line breaks and tabs are escaped too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


# What tables and messages of ibctl's own hold beyond ASCII, for a terminal that cannot show it.
_PLAIN = {"–": "-", "…": "...", "→": "->", "×": "x", "Σ": "sum", **dict.fromkeys("█▉▊▋▌▍▎▏▐", "#")}


def degrade(error: UnicodeError) -> tuple[str, int]:
    """Write what a terminal's encoding lacks in a plainer way: its own marks alike, all else as escapes.

    An error handler as `codecs.register_error` takes them.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = (_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in missing)
    return "".join(plain), error.end


def shown(value: Any, kind: str = "text", currency: str = "") -> str:
    """Write one value for a table; `currency` says which decimals money has, cents where it is not given."""
    if value is None:
        return "–"
    if value == "":
        return ""
    if kind in ("money", "base") or (isinstance(value, float) and not math.isfinite(value)):
        return money.digits(value, currency)
    if kind == "rate":
        return f"{value:f}" if isinstance(value, Decimal) else f"{value:.15g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, int):
        return f"{value:,}" if kind == "number" else str(value)
    if isinstance(value, dict | list):
        return one_line(json.dumps(value, ensure_ascii=False))
    return one_line(str(value))


def plain(value: Any) -> Any:
    """Turn one value into what JSON holds; times as the web application writes them."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        # JSON knows neither NaN nor infinities.
        return None
    if isinstance(value, Decimal):
        # The shared tables keep money as doubles: this is the number that they would hold.
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
    return value


# A spreadsheet runs a cell that begins with one of these. Apostrophes before it count too, so that taking one off at
# import is the exact opposite of putting one on here.
_FORMULA = re.compile("'*[=+\\-@\t\r]")
FORMULA_STARTS = frozenset("'=+-@\t\r")


def cell(value: Any) -> Any:
    """Turn one value into what a CSV writer takes; a text that a spreadsheet would run gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, str):
        # Its first character clears nearly every cell of a long export.
        return f"'{value}" if value[:1] in FORMULA_STARTS and _FORMULA.match(value) else value
    if isinstance(value, datetime):
        return plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    return plain(value)


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet might run a cell with this text, and an export therefore puts an apostrophe before it."""
    return _FORMULA.match(text) is not None


def unneutralise(cell: str) -> str:
    """Undo what a CSV export did to a text that looks like a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
