"""Every table is in the catalogue, whatever a command imports."""

from __future__ import annotations

import re
from pathlib import Path

from ibctl import models
from ibctl.models import catalogue

FOLDER = Path(models.__file__).parent
SOURCES = FOLDER.parent


def test_every_module_with_tables_is_in_the_catalogue() -> None:
    with_tables = {path.stem for path in FOLDER.glob("*.py") if "table=True" in path.read_text()}
    assert with_tables <= set(catalogue.__all__)
    assert {"platform", "ledger", "payouts"} <= with_tables


def test_nobody_asks_for_all_tables_elsewhere() -> None:
    # SQLModel knows those that happen to be imported: an encrypted column would be overlooked, and shown.
    asking = re.compile(r"SQLModel\.(metadata\.|_sa_registry)|\.metadata\.(tables|sorted_tables)")
    found = [path for path in SOURCES.rglob("*.py") if asking.search(path.read_text()) and path.stem != "catalogue"]
    assert found == []
