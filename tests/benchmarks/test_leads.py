from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import LEADS, psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

ROWS = 200_000


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
    assert undone < 4 * ours


def test_an_export_against_copying_out(platform_url: str, tmp_path: Path) -> None:
    limit = psql(platform_url, f"\\copy \"Lead\" TO '{tmp_path / 'psql.csv'}' CSV HEADER")
    ours = seconds(command(["leads", "export", "-o", tmp_path / "ours.csv"]))
    report("all leads exported", ours, limit)
    assert (tmp_path / "ours.csv").stat().st_size > 1_000_000
