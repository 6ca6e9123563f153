"""What an undo leaves of a commission, and of the word for which snapshot stands behind it: both, or neither."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]
WHY = ("--reason", "r", "--yes")


def ok(result: Result) -> Result:
    assert result.exit_code == 0, result.stdout + result.stderr
    return result


@pytest.fixture
def clawback(platform: Platform, ibctl: Run) -> str:
    """The number of a clawback of 30 that made a November of its own, which pays nothing."""
    lead = platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    ok(ibctl("commissions", "clawback", lead, *WHY))
    assert november(platform) == [(0, True)]
    return str(platform.sql("SELECT max(id) FROM ibctl.change_set")[0][0])


def november(platform: Platform) -> list[tuple[Any, ...]]:
    """What each row or state of the month pays, and whether both are there."""
    return platform.sql(
        'SELECT c."totalPayout"::numeric, c.id = s.id FROM ibctl.commission_state s'
        ' FULL JOIN "IbCommission" c USING (id) WHERE c.month IS DISTINCT FROM 10'
    )


def test_a_clawback_that_made_a_row_is_undone_without_a_rest(clawback: str, platform: Platform, ibctl: Run) -> None:
    ok(ibctl("undo", clawback, "--yes"))
    assert november(platform) == []


def test_a_row_whose_state_was_written_since_is_not_deleted_by_an_undo(
    clawback: str, platform: Platform, ibctl: Run
) -> None:
    # Still it pays nothing: only what stands behind it is another.
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-11", "-3", *WHY))
    undone = ibctl("undo", clawback, "--yes", "--format", "json")
    assert undone.exit_code == 6
    why = {row["table"]: row["why"] for row in json.loads(undone.stdout) if row["result"] == "kept"}
    assert "edited since by change set 3" in why["commission_state"]
    assert why["IbCommission"].startswith("goes with commission_state ")
    assert november(platform) == [(0, True)]
    ok(ibctl("commissions", "run", "--month", "2025-11"))
    assert november(platform) == [(0, True)]


def test_a_state_whose_row_was_written_outside_ibctl_is_not_deleted_by_an_undo(
    clawback: str, platform: Platform, ibctl: Run
) -> None:
    platform.sql('UPDATE "IbCommission" SET "totalPayout" = 1 WHERE month = 11')
    undone = ibctl("undo", clawback, "--yes")
    assert undone.exit_code == 6
    assert november(platform) == [(1, True)]


def test_the_state_of_a_row_that_the_database_refuses_does_not_come_back_alone(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    platform.sql('UPDATE "Lead" SET "userId" = NULL')
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    # The web application makes the row anew.
    platform.sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "totalAdSpend", "totalLeads", "qualifiedLeads",'
        ' "totalCpaEarned", "commissionRate", "commissionAmount", "bonusAmount", "totalPayout", "updatedAt")'
        " VALUES ('web', %s, 10, 2025, 0, 0, 0, 0, 0, 0, 0, 0, now())",
        ib,
    )
    undone = ibctl("undo", "2", "--yes")
    assert (undone.exit_code, "another row has what must be unique" in undone.stdout) == (3, True)
    assert platform.sql("SELECT count(*) FROM ibctl.commission_state") == [(0,)]
