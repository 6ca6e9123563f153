from __future__ import annotations

import pytest

from tests.benchmarks.conftest import psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

# One statement that writes the same figures, and keeps nothing of what they were made of.
BARE = """
INSERT INTO "IbCommission" (id, "userId", month, year, "totalAdSpend", "totalLeads", "qualifiedLeads",
  "totalCpaEarned", "commissionRate", "commissionAmount", "totalPayout", "updatedAt")
SELECT 'bare{month}' || "userId", "userId", {month}, 2025, coalesce(spend, 0), coalesce(captured, 0),
  coalesce(qualified, 0), coalesce(cpa, 0), 0.3, round(coalesce(cpa, 0) * 0.3, 2),
  round(coalesce(cpa, 0) * 0.3, 2), now()
FROM (
  SELECT "userId", count(*) FILTER (WHERE "leadCapturedAt" >= {first} AND "leadCapturedAt" < {next}) AS captured,
    count(*) FILTER (WHERE "qualifiedAt" >= {first} AND "qualifiedAt" < {next}) AS qualified,
    sum("cpaEarned"::numeric) FILTER (WHERE "qualifiedAt" >= {first} AND "qualifiedAt" < {next}) AS cpa
  FROM "Lead" WHERE ("leadCapturedAt" >= {first} AND "leadCapturedAt" < {next})
    OR ("qualifiedAt" >= {first} AND "qualifiedAt" < {next}) GROUP BY 1
) l FULL JOIN (
  SELECT "userId", sum("dailySpend"::numeric) AS spend FROM "AdSpendHistory"
  WHERE date >= {first} AND date < {next} GROUP BY 1
) s USING ("userId")
ON CONFLICT ("userId", month, year) DO UPDATE SET "totalPayout" = excluded."totalPayout"
"""


def bare(month: int) -> str:
    return BARE.format(month=month, first=f"'2025-{month:02}-01'", next=f"'2025-{month + 1:02}-01'")


def test_a_month_against_one_insert_of_the_same_figures(platform_url: str) -> None:
    limits = [psql(platform_url, bare(month)) for month in (2, 3, 4)]
    ours = [seconds(command(["commissions", "run", "--month", f"2025-{month:02}"])) for month in (5, 6, 7)]
    again = [seconds(command(["commissions", "run", "--month", f"2025-{month:02}"])) for month in (5, 6, 7)]
    report("a month of 2,000 IBs, whole process, with snapshots", min(ours), min(limits))
    report("the same month again, nothing changed", min(again), min(limits))
    # Start-up is a second of it on this size. What must not happen is a plan that loops.
    assert min(again) < min(ours) + 1
