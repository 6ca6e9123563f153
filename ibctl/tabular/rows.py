"""Rows that come from no file: what a vendor answered, for an importer that reads files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ibctl.tabular.source import Source
from ibctl.tabular.table import Table


@dataclass(frozen=True, kw_only=True)
class Rows(Table):
    """Rows in memory, numbered from 1. As it is no file, an import of it may come again."""

    content: Sequence[list[str]] = field(repr=False)

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[int, list[str]]]:  # noqa: ARG002 - there are no bytes
        """Yield the number and the cells of each row."""
        yield from enumerate(self.content, 1)


def of_rows(name: str, header: Sequence[str], content: Sequence[list[str]]) -> Rows:
    """Return rows as a table; `name` is what messages call it, and what its reject file is named after."""
    nothing = Source(Path(name), packed=False, stamp=(0, 0, 0, 0), _raw=lambda: io.BufferedReader(io.BytesIO()))
    return Rows(source=nothing, header=list(header), content=content)
