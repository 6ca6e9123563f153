"""A platform with IBs, whose leads a test looks at as the web application would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ibctl import ids
from tests.rows import Rows


@dataclass(frozen=True)
class Platform(Rows):
    """Puts rows into the shared tables, and reads them, outside ibctl."""

    def lead(self, **fields: object) -> str:
        lead = {"id": ids.cuid(), **fields}
        names = ", ".join(f'"{name}"' for name in lead)
        marks = ", ".join(["%s"] * len(lead))
        self.sql(f'INSERT INTO "Lead" ({names}, "updatedAt") VALUES ({marks}, now())', *lead.values())
        return str(lead["id"])

    def leads(self, columns: str) -> list[tuple[Any, ...]]:
        return self.sql(f'SELECT {columns} FROM "Lead" ORDER BY email, phone, "trackingToken"')

    def count(self) -> int:
        return int(self.sql('SELECT count(*) FROM "Lead"')[0][0])

    def everything(self) -> list[tuple[Any, ...]]:
        """All that an import may write, to compare before and after."""
        tables = (
            '"Lead"', '"LeadActivity"', "ibctl.lead_import", "ibctl.lead_import_reject", "ibctl.lead_mapping",
            "ibctl.change_set", "ibctl.change",
        )  # fmt: skip
        return [row for table in tables for row in self.sql(f"SELECT t::text FROM {table} t ORDER BY 1")]


@pytest.fixture
def platform(sql: Callable[..., list[tuple[Any, ...]]]) -> Platform:
    return Platform(sql)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file of these lines."""

    def write(*lines: str, name: str = "leads.csv") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
        return path

    return write
