"""Commissions of leads that changed hands: each month counts for whoever owned the lead then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ibctl import db, ids
from ibctl.commissions.calculation import draft_sql, service
from ibctl.months import Month
from tests.commissions.conftest import Platform
from tests.conftest import Result

DRAFT = sa.text(draft_sql.draft(draft_sql.IN_FORCE))
Run = Callable[..., Result]


def figures(platform: Platform) -> dict[tuple[str, int], tuple[Any, ...]]:
    rows = platform.sql(
        'SELECT email, month, "totalLeads", "qualifiedLeads", "totalPayout", "paymentStatus"'
        ' FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"'
    )
    return {(row[0], row[1]): row[2:] for row in rows}


def run(ibctl: Run, *months: int) -> list[Result]:
    done = [ibctl("commissions", "run", "--month", f"2025-{month:02d}") for month in months]
    assert [one.exit_code for one in done] == [0] * len(months)
    return done


def digests(platform: Platform) -> list[tuple[Any, ...]]:
    return platform.sql('SELECT "userId", digest FROM ibctl.commission_snapshot ORDER BY 1, 2')


def test_a_settled_month_stays_the_former_owners_and_does_not_drift(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.y")
    platform.user("two@x.y")
    lead = platform.lead(one, "2025-10-03", "2025-10-09", 100)
    run(ibctl, 10)
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    before = digests(platform)
    assert ibctl("leads", "transfer", lead, "--to", "two@x.y", "--yes").exit_code == 0
    again = run(ibctl, 10)[0]
    assert "would be different today" not in again.stderr
    assert figures(platform) == {("one@x.y", 10): (1, 1, 30.0, "PAID")}
    assert digests(platform) == before
    with db.reading() as session:
        draft = session.execute(DRAFT, service.draft_parameters(Month(2025, 10))).mappings().all()
    assert [(row["userId"], row["digest"]) for row in draft] == before


def test_what_happens_in_an_open_month_counts_for_the_new_owner(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.y")
    platform.user("two@x.y")
    moved = platform.lead(one, "2025-10-03", "2025-11-09", 100)
    platform.lead(one, "2025-10-04", "2025-11-10", 10)
    run(ibctl, 10, 11)
    assert figures(platform)["one@x.y", 11] == (0, 2, 33.0, "PENDING")
    ibctl("leads", "transfer", moved, "--to", "two@x.y", "--effective", "2025-11-01", "--yes")
    run(ibctl, 10, 11)
    assert figures(platform) == {
        ("one@x.y", 10): (2, 0, 0.0, "PENDING"),
        ("one@x.y", 11): (0, 1, 3.0, "PENDING"),
        ("two@x.y", 11): (0, 1, 30.0, "PENDING"),
    }


def test_a_transfer_within_a_month_splits_a_lead_between_its_two_owners(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.y")
    platform.user("two@x.y")
    lead = platform.lead(one, "2025-10-14T23:59:59.999", "2025-10-15", 100)
    ibctl("leads", "transfer", lead, "--to", "two@x.y", "--effective", "2025-10-15", "--yes")
    run(ibctl, 10)
    assert figures(platform) == {
        ("one@x.y", 10): (1, 0, 0.0, "PENDING"),
        ("two@x.y", 10): (0, 1, 30.0, "PENDING"),
    }
    explained = ibctl("commissions", "explain", "two@x.y", "2025-10")
    assert (explained.exit_code, "derives to" in explained.stderr) == (0, False)


def test_a_lead_that_went_from_hand_to_hand_counts_for_whoever_had_it(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.y")
    platform.user("two@x.y")
    platform.user("three@x.y")
    lead = platform.lead(one, "2025-08-03", "2025-10-09", 100)
    ibctl("leads", "transfer", lead, "--to", "two@x.y", "--effective", "2025-09-01", "--yes")
    ibctl("leads", "transfer", lead, "--to", "three@x.y", "--effective", "2025-11-01", "--yes")
    ibctl("leads", "transfer", lead, "--to", "one@x.y", "--effective", "2025-12-01", "--yes")
    run(ibctl, 8, 10)
    assert figures(platform) == {("one@x.y", 8): (1, 0, 0.0, "PENDING"), ("two@x.y", 10): (0, 1, 30.0, "PENDING")}
    platform.sql("""UPDATE "Lead" SET "qualifiedAt" = '2025-11-30T23:00'""")
    run(ibctl, 10, 11)
    assert figures(platform)["three@x.y", 11] == (0, 1, 30.0, "PENDING")
    assert ("two@x.y", 10) not in figures(platform)


def test_a_lead_of_the_platform_counts_for_nobody_until_it_is_transferred(platform: Platform, ibctl: Run) -> None:
    platform.user("one@x.y")
    lead = platform.lead(None, "2025-10-03", "2025-11-09", 100)
    ibctl("leads", "transfer", lead, "--to", "one@x.y", "--effective", "2025-11-01", "--yes")
    run(ibctl, 10, 11)
    assert figures(platform) == {("one@x.y", 11): (0, 1, 30.0, "PENDING")}


def test_a_transfer_is_taken_back_as_a_whole_or_not_at_all(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.y")
    platform.user("two@x.y")
    paid, free = platform.lead(one, "2025-10-03", "2025-10-09", 100), platform.lead(one, "2025-11-03")
    run(ibctl, 10)
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    ibctl("leads", "transfer", paid, free, "--to", "two@x.y", "--yes")
    number = platform.sql("SELECT max(id) FROM ibctl.change_set")[0][0]
    assert ibctl("undo", str(number), "--yes").exit_code in (0, 6)
    moved = platform.sql("""SELECT id FROM "Lead" WHERE "userId" <> %s ORDER BY 1""", one)
    assert moved == platform.sql('SELECT "leadId" FROM ibctl.lead_transfer ORDER BY 1')
    assert (free,) not in moved
    assert "would be different today" not in run(ibctl, 10)[0].stderr


def test_a_month_that_no_transfer_touches_keeps_its_digest(platform: Platform, ibctl: Run) -> None:
    one, two = platform.user("one@x.y"), platform.user("two@x.y")
    platform.lead(one, "2025-10-03", "2025-10-09", 100)
    platform.lead(two, "2025-10-03", "2025-10-09", 50)
    moved = platform.lead(one, "2025-11-03", "2025-11-09", 100)
    run(ibctl, 10)
    before = digests(platform)
    ibctl("leads", "transfer", moved, "--to", "two@x.y", "--yes")
    assert '"unchanged": 2' in ibctl("commissions", "run", "--month", "2025-10", "--format", "json").stdout
    assert digests(platform) == before


def test_a_bad_amount_is_named_with_the_owner_whom_it_counts_for(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.y")
    platform.user("two@x.y")
    lead = platform.lead(one, "2025-10-03", "2025-10-09", 100)
    ibctl("leads", "transfer", lead, "--to", "two@x.y", "--effective", "2025-11-01", "--yes")
    platform.sql("""UPDATE "Lead" SET "cpaEarned" = 'NaN'""")
    refused = ibctl("commissions", "run", "--month", "2025-10")
    assert (refused.exit_code, f"at lead {lead} of one@x.y" in refused.stderr) == (3, True)


# Days of 2025: a lead's capture, its qualification, and the days of its transfers from hand to hand.
LIVES = st.lists(
    st.tuples(
        st.integers(1, 59), st.none() | st.integers(1, 59), st.lists(st.integers(1, 59), max_size=3).map(sorted)
    ),
    min_size=1, max_size=12,
)  # fmt: skip


def test_every_event_counts_for_exactly_the_owner_of_its_day(platform: Platform) -> None:
    owners = [platform.user(f"ib{number}@x.y") for number in range(4)]

    @settings(max_examples=15, deadline=None)
    @given(LIVES)
    def check(lives: list[tuple[int, int | None, list[int]]]) -> None:
        counted = {(month, owner): [0, 0] for month in (1, 2) for owner in owners}  # captured, qualified
        with db.transaction(dry_run=True) as session:
            for captured, qualified, moves in lives:
                lead = ids.cuid()
                _insert(session, lead, owners[len(moves)], captured, qualified)
                for number, day in enumerate(moves):
                    _transfer(session, lead, owners[number], owners[number + 1], day, number)
                for kind, event in enumerate((captured, qualified)):
                    if event is not None:
                        owner = owners[sum(move <= event for move in moves)]
                        counted[1 if event <= 31 else 2, owner][kind] += 1
            for month in (1, 2):
                rows = session.execute(DRAFT, service.draft_parameters(Month(2025, month))).mappings()
                found = {row["userId"]: [row["totalLeads"], row["qualifiedLeads"]] for row in rows}
                assert found == {owner: counted[month, owner] for owner in owners if any(counted[month, owner])}

    check()


def _day(number: int) -> datetime:
    return datetime(2025, 1 if number <= 31 else 2, number if number <= 31 else number - 31)


def _insert(session: db.Transaction, lead: str, owner: str, captured: int, qualified: int | None) -> None:
    session.execute(
        sa.text(
            'INSERT INTO "Lead" (id, "userId", "leadCapturedAt", "qualifiedAt", "updatedAt")'
            " VALUES (:i, :o, :c, :q, :c)"
        ),
        {"i": lead, "o": owner, "c": _day(captured), "q": None if qualified is None else _day(qualified)},
    )


def _transfer(session: db.Transaction, lead: str, former: str, new: str, day: int, number: int) -> None:
    session.execute(
        sa.text("INSERT INTO ibctl.lead_transfer VALUES (:i, :l, :f, :t, :e, :c)"),
        {"i": ids.cuid(), "l": lead, "f": former, "t": new, "e": _day(day), "c": datetime(2026, 1, 1, number)},
    )
