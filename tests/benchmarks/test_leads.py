from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import FULL_SIZE, psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

# A peer with its own libraries: `python -m venv /tmp/csvkit && /tmp/csvkit/bin/pip install csvkit 'psycopg[binary]'`.
SQL2CSV = Path("/tmp/csvkit/bin/sql2csv")


# What the export holds, as the server writes it of itself: times, decimals and formulas stay as they are.
SAME_ROWS = """(SELECT l.*, u.email FROM "Lead" l LEFT JOIN "User" u ON u.id = l."userId"
  ORDER BY l."leadCapturedAt" DESC, l.id DESC)""".replace("\n", " ")


def lines(path: Path) -> int:
    # Not all at once: what this process holds counts as the least that its children ever held.
    with path.open("rb") as stream:
        return sum(1 for _ in stream)


def test_an_export_against_copying_out(platform_url: str, tmp_path: Path) -> None:
    theirs, ours_file = tmp_path / "psql.csv", tmp_path / "ours.csv"
    limits, tables, ours = [], [], []
    for _ in range(3):  # by turns: whatever else the machine does meets both
        tables.append(psql(platform_url, f"\\copy \"Lead\" TO '{theirs}' CSV HEADER"))
        limits.append(psql(platform_url, f"\\copy {SAME_ROWS} TO '{theirs}' CSV HEADER"))
        ours.append(seconds(command(["leads", "export", "-o", ours_file])))
    report("all leads exported, against the same rows in the same order", min(ours), min(limits))
    idle = min(seconds(command(["users", "list", "--limit", "1"])) for _ in range(3))
    report("the same without the start of a Python process", min(ours) - idle, min(limits))
    report("all leads exported, against the bare table", min(ours), min(tables))
    assert ours_file.stat().st_size > theirs.stat().st_size
    assert lines(ours_file) == lines(theirs)
    if SQL2CSV.exists():
        peer_url = platform_url.replace("postgresql:", "postgresql+psycopg:")
        peer = seconds([str(SQL2CSV), "--db", peer_url, "--query", 'SELECT * FROM "Lead"'])
        report("csvkit's sql2csv", peer, min(limits))
    # Python, cell by cell, stood at 12. A million leads stand at 1.6; 1.2 without ISO times and exact decimals.
    assert min(ours) - idle < (1.9 if FULL_SIZE else 2.5) * min(limits)
