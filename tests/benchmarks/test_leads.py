from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

# A peer with its own libraries: `python -m venv /tmp/csvkit && /tmp/csvkit/bin/pip install csvkit 'psycopg[binary]'`.
SQL2CSV = Path("/tmp/csvkit/bin/sql2csv")


def test_an_export_against_copying_out(platform_url: str, tmp_path: Path) -> None:
    theirs, ours_file = tmp_path / "psql.csv", tmp_path / "ours.csv"
    limits, ours = [], []
    for _ in range(3):  # by turns: whatever else the machine does meets both
        limits.append(psql(platform_url, f"\\copy \"Lead\" TO '{theirs}' CSV HEADER"))
        ours.append(seconds(command(["leads", "export", "-o", ours_file])))
    idle = min(seconds(command(["users", "list", "--limit", "1"])) for _ in range(3))
    report("all leads exported, newest first", min(ours), min(limits))
    report("the same without the start of a Python process", min(ours) - idle, min(limits))
    assert ours_file.stat().st_size > theirs.stat().st_size
    assert len(ours_file.read_bytes().splitlines()) == len(theirs.read_bytes().splitlines())
    if SQL2CSV.exists():
        peer_url = platform_url.replace("postgresql:", "postgresql+psycopg:")
        peer = seconds([str(SQL2CSV), "--db", peer_url, "--query", 'SELECT * FROM "Lead"'])
        report("csvkit's sql2csv", peer, min(limits))
    # Python, cell by cell, stood at 12. Over half of ours is formatting, which the server shares out among its cores.
    assert min(ours) - idle < 6 * min(limits)
