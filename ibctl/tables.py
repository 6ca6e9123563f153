"""Tables on a terminal: amounts on their points, long names folded, sentences below the rows that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibctl.output import Column

# What a column of text is folded to, and no further.
NARROWEST = 12


def draw(console: Any, columns: list[Column], lines: list[list[str]], title: str | None) -> None:
    """Draw lines of cells, one for each column, as wide as the console is, or wider if amounts would not be whole."""
    prose = next((place for place, column in enumerate(columns) if column.kind == "prose"), None)
    if prose is not None and len(columns) > 1 and _width(columns, lines) > console.width:
        _draw_stacked(console, columns, lines, prose, title)
        return
    # Never an amount that is cut, or a name of one letter a line: rather does the terminal wrap the lines.
    console.width = max(console.width, _width(columns, lines, narrowest=NARROWEST))
    console.print(_table(columns, lines, title))


def _draw_stacked(console: Any, columns: list[Column], lines: list[list[str]], prose: int, title: str | None) -> None:
    """Draw a table whose sentences stand below its rows: once below those that follow each other with the same one."""
    sentences, wide = [line.pop(prose) for line in lines], console.width
    others = columns[:prose] + columns[prose + 1 :]
    console.width = max(wide, _width(others, lines))
    with console.capture() as captured:
        console.print(_table(others, lines, title, folds=False))
    printed = captured.get().splitlines()
    head, body = printed[: -1 - len(lines)], printed[-1 - len(lines) : -1]
    out = [line + "\n" for line in head]
    for row, (line, sentence) in enumerate(zip(body, sentences, strict=True)):
        out.append(line + "\n")
        if sentences[row + 1 : row + 2] != [sentence]:
            out += [f"   {part}\n" for part in wrap(sentence, wide - 3, break_long_words=False, break_on_hyphens=False)]
            out.append("\n")
    console.file.writelines(out)


def _table(columns: Sequence[Column], lines: list[list[str]], title: str | None, *, folds: bool = True) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for column in columns:
        fixed = not (folds and column.folds)
        table.add_column(
            Text(column.key, justify="right" if column.right else "left"),
            # Amounts are brought to one width with their points in line; justified right, they would lose that again.
            justify="left" if column.pointed or not column.right else "right",
            no_wrap=fixed,
            overflow="ellipsis" if fixed else "fold",
        )
    by_column = [_on_the_point(*one) for one in zip(columns, zip(*lines, strict=True), strict=True)]
    for cells in zip(*by_column, strict=True):
        table.add_row(*map(Text, cells))
    return table


def _width(columns: Sequence[Column], lines: list[list[str]], *, narrowest: int | None = None) -> int:
    """Return how wide a table is with all cells whole; with `narrowest`, where text is folded to that."""
    from rich.cells import cell_len

    by_column = [_on_the_point(*one) for one in zip(columns, zip(*lines, strict=True), strict=True)]
    widths = [max(len(column.key), *map(cell_len, cells)) for column, cells in zip(columns, by_column, strict=True)]
    if narrowest is not None:
        widths = [
            min(width, narrowest) if column.folds else width for column, width in zip(columns, widths, strict=True)
        ]
    return sum(widths) + 3 * len(columns) - 1


def _on_the_point(column: Column, cells: Sequence[str]) -> list[str]:
    """Pad amounts so that their points stand under each other, where some have more digits than the cents."""
    if not column.pointed:
        return list(cells)
    behind = [len(cell) - len(cell.partition(".")[0]) for cell in cells]
    padded = [cell + " " * (max(behind) - length) for cell, length in zip(cells, behind, strict=True)]
    width = max(len(column.key), *map(len, padded))
    return [cell.rjust(width) for cell in padded]
