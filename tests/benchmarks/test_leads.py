from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import LEADS, psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

ROWS = 200_000
# A peer with its own libraries: `python -m venv /tmp/csvkit && /tmp/csvkit/bin/pip install csvkit 'psycopg[binary]'`.
SQL2CSV = Path("/tmp/csvkit/bin/sql2csv")


def test_an_import_against_copying_finished_rows(platform_url: str, tmp_path: Path) -> None:
    finished, plain = tmp_path / "finished.csv", tmp_path / "plain.csv"
    with finished.open("w") as ready, plain.open("w") as raw:
        raw.write("email,trackingToken,userId,leadCapturedAt\n")
        for n in range(ROWS):
            owner = f"u{n % 2000 + 1}"
            ready.write(f"c{n:012},{owner},copied{n}@y.com,copied{n},2025-05-01,2025-05-01\n")
            raw.write(f"made{n}@y.com,made{n},{owner},2025-05-01\n")
    columns = 'id, "userId", email, "trackingToken", "leadCapturedAt", "updatedAt"'
    limit = psql(platform_url, f"\\copy \"Lead\" ({columns}) FROM '{finished}' CSV")
    ours = seconds(command(["leads", "import", plain]))
    report(f"{ROWS:,} leads imported into {LEADS + ROWS:,}, checked, matched and recorded", ours, limit)
    undone = seconds(command(["undo", "1", "--yes"]))
    report("undo of that import, against the import", undone, ours)
    assert undone < 2 * ours


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
    # Python, cell by cell, stood at 12.
    assert min(ours) - idle < 3 * min(limits)
