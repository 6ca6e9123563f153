from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import ids
from ibctl.leads.duplicates import rules as merge_rules
from tests.conftest import Result, ok
from tests.leads.conftest import Platform

Run = Callable[..., Result]
TABLES = ('"Lead"', '"LeadActivity"', '"InvestorCredential"', "ibctl.lead_transfer")


def everything(platform: Platform) -> dict[str, list[tuple[Any, ...]]]:
    return {table: platform.sql(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id") for table in TABLES}


def activity(platform: Platform, lead: str) -> None:
    platform.sql(
        'INSERT INTO "LeadActivity" (id, "leadId", "activityType", metadata, "updatedAt")'
        " VALUES (%s, %s, 'call', '{\"a\": null}', now())",
        ids.cuid(), lead,
    )  # fmt: skip


def credential(platform: Platform, lead: str, login: str = "900") -> None:
    platform.sql(
        'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, "updatedAt")'
        " VALUES (%s, %s, %s, 'cipher', 's', now())",
        ids.cuid(), lead, login,
    )  # fmt: skip


def three(platform: Platform) -> None:
    """One person three times: k was captured last, o1 first, o2 went furthest."""
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.lead(
        id="k", email="k@x.com", userId=two, source="web", leadCapturedAt="2025-10-03", status="rejected",
        depositedAt="2025-10-09",
    )  # fmt: skip
    platform.lead(
        id="o1", email="o1@x.com", firstName="Zoë", userId=one, source="ads", trackingToken="t1",
        leadCapturedAt="2025-10-01",
    )  # fmt: skip
    platform.lead(
        id="o2", email="o2@x.com", phone="+4917012345678", trackingToken="t2", leadCapturedAt="2025-10-02",
        depositedAt="2025-10-05", qualifiedAt="2025-10-20", status="qualified", cpaEarned=150.1, ftdEarned=0.2,
        totalEarned=150.3,
    )  # fmt: skip
    for lead in ("k", "o1", "o2"):
        activity(platform, lead)
        credential(platform, lead)


def test_a_merge_keeps_the_first_attribution_the_furthest_life_and_all_that_hangs_on_them(
    platform: Platform, ibctl: Run
) -> None:
    three(platform)
    done = ibctl("leads", "merge", "k@x.com", "o1", "t2", "--yes")
    assert done.exit_code == 0
    assert "o1@x.com, o2@x.com merged into k@x.com (k): 2 activities and 2 MT5 accounts move to it" in done.stderr
    rows = platform.sql(
        'SELECT l.id, l.email, u.email, source, "trackingToken", "firstName", phone, status, "leadCapturedAt",'
        ' "depositedAt", "qualifiedAt", "ftdEarned", "cpaEarned", "totalEarned" FROM "Lead" l'
        ' LEFT JOIN "User" u ON u.id = "userId"'
    )
    assert rows == [
        ("k", "k@x.com", "one@x.com", "ads", "t1", "Zoë", "+4917012345678", "qualified", datetime(2025, 10, 1),
         datetime(2025, 10, 5), datetime(2025, 10, 20), 0.2, 150.1, 150.3)
    ]  # fmt: skip
    for table in ("LeadActivity", "InvestorCredential"):
        assert platform.sql(f'SELECT "leadId", count(*) FROM "{table}" GROUP BY 1') == [("k", 3)]


def test_undo_brings_back_every_row_of_a_merge_as_it_was(platform: Platform, ibctl: Run) -> None:
    three(platform)
    for lead, day in (("o1", "2025-10-15"), ("k", "2025-10-16")):
        platform.sql(
            'INSERT INTO ibctl.lead_transfer (id, "leadId", "toUserId", "effectiveAt", "createdAt")'
            " VALUES (%s, %s, 'x', %s, now())",
            ids.cuid(), lead, day,
        )  # fmt: skip
    before = everything(platform)
    assert ibctl("leads", "merge", "k", "o1", "o2", "--yes").exit_code == 0
    assert everything(platform)["ibctl.lead_transfer"] != before["ibctl.lead_transfer"]
    # The hand-overs of the lead that the attribution comes from are the merged lead's.
    assert platform.sql('SELECT "leadId", "effectiveAt" FROM ibctl.lead_transfer') == [("k", datetime(2025, 10, 15))]
    number = platform.sql("SELECT max(id) FROM ibctl.change_set")[0][0]
    assert ibctl("undo", str(number), "--yes").exit_code == 0
    assert everything(platform) == before


def test_a_merge_whose_lead_was_changed_since_is_undone_as_a_whole_or_not_at_all(
    platform: Platform, ibctl: Run
) -> None:
    platform.lead(id="k", email="k@x.com", cpaEarned=100, totalEarned=100, leadCapturedAt="2025-10-01")
    platform.lead(id="o", email="o@x.com", cpaEarned=200, totalEarned=200, leadCapturedAt="2025-10-02")
    sums = 'SELECT sum("cpaEarned"), count(*) FROM "Lead"'
    assert ibctl("leads", "merge", "k", "o", "--money", "sum", "--yes").exit_code == 0
    assert ibctl("leads", "edit", "k", "--first-name", "Zed").exit_code == 0
    merge, edit = (number for (number,) in platform.sql("SELECT id FROM ibctl.change_set ORDER BY id"))
    refused = ibctl("undo", str(merge), "--yes")
    assert (refused.exit_code, "goes with a merge, of which lead k cannot be set back" in refused.stdout) == (3, True)
    assert platform.sql(sums) == [(300, 1)]
    for number in (edit, merge):
        assert ibctl("undo", str(number), "--yes").exit_code == 0
    assert platform.sql(sums) == [(300, 2)]
    # And back again: what takes the undo of a merge back is a merge.
    assert ibctl("leads", "edit", "o", "--first-name", "Zoe").exit_code == 0
    assert ibctl("undo", str(edit + 2), "--yes").exit_code == 3
    assert platform.sql(sums) == [(300, 2)]


def test_sums_that_differ_are_merged_only_as_somebody_says(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="k", email="k@x.com", cpaEarned=100, totalEarned=100, leadCapturedAt="2025-10-01")
    platform.lead(id="o", email="o@x.com", cpaEarned=150.55, totalEarned=150.55, leadCapturedAt="2025-10-02")
    refused = ibctl("leads", "merge", "k", "o", "--yes")
    assert refused.exit_code == 3
    assert "cpaEarned is 100.00 and 150.55: say which counts, --money keep, --money sum or" in refused.stderr
    for rule, total in (("keep", "100.00"), ("sum", "250.55"), ("max", "150.55")):
        done = ibctl("leads", "merge", "k", "o", "--money", rule, "--dry-run")
        assert f"totalEarned {total} USD; dry run: nothing was written" in done.stderr
    assert platform.count() == 2


def test_sums_that_are_no_amount_together_are_not_merged(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="k", email="k@x.com", cpaEarned=999_999_999_999.99, leadCapturedAt="2025-10-01")
    platform.lead(id="o", email="o@x.com", cpaEarned=0.01, leadCapturedAt="2025-10-02")
    refused = ibctl("leads", "merge", "k", "o", "--money", "sum", "--yes")
    assert refused.exit_code == 3
    assert "come to 1,000,000,000,000.00, which is too large: the limit is 1,000,000,000,000" in refused.stderr
    assert platform.count() == 2


def test_a_lead_that_counts_in_a_paid_month_cannot_go_but_can_be_kept(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.com")
    platform.lead(id="paid", email="paid@x.com", userId=ib, leadCapturedAt="2025-10-03")
    ibctl("commissions", "run", "--month", "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    # Captured in the same month, but after it was paid: it does not count there.
    platform.lead(id="late", email="late@x.com", userId=ib, leadCapturedAt="2025-10-04", qualifiedAt="2025-11-02")
    refused = ibctl("leads", "merge", "late", "paid", "--yes")
    assert refused.exit_code == 3
    assert "paid@x.com (paid) in 2025-10, which is PAID" in refused.stderr
    assert platform.count() == 2
    done = ibctl("leads", "merge", "paid", "late", "--yes")
    assert done.exit_code == 0
    assert platform.sql('SELECT id, "qualifiedAt" FROM "Lead"') == [("paid", datetime(2025, 11, 2))]


@pytest.mark.parametrize("names", [("good", "bad"), ("bad", "good")])
def test_a_lead_that_was_clawed_back_is_not_merged(platform: Platform, ibctl: Run, names: tuple[str, str]) -> None:
    ib = platform.user("ib@x.com")
    for name in names:
        platform.lead(
            id=name, email=f"{name}@x.com", userId=ib, leadCapturedAt="2025-10-03", qualifiedAt="2025-10-04",
            cpaEarned=100,
        )  # fmt: skip
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    ok(ibctl("commissions", "clawback", "bad", "--code", "fraud", "--reason", "r", "--yes"))
    refused = ibctl("leads", "merge", *names, "--money", "sum", "--yes")
    assert (refused.exit_code, platform.count()) == (3, 2)
    assert "bad@x.com (bad) was clawed back (fraud), booked into 2025-11 by change set 2: merged" in refused.stderr
    ok(ibctl("undo", "2", "--yes"))
    ok(ibctl("leads", "merge", *names, "--money", "sum", "--yes"))


def test_in_a_paid_month_of_the_web_application_every_lead_counts(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.com")
    platform.lead(id="k", email="k@x.com", userId=ib, leadCapturedAt="2025-11-03")
    platform.lead(id="o", email="o@x.com", userId=ib, leadCapturedAt="2025-10-03")
    platform.commission(ib, 2025, 10, "PROCESSING")
    refused = ibctl("leads", "merge", "k", "o", "--yes")
    assert refused.exit_code == 3
    assert "o@x.com (o) in 2025-10, which is PROCESSING" in refused.stderr


def test_a_merge_asks_first_and_names_its_effect(platform: Platform, process: Run, ibctl: Run) -> None:
    platform.lead(id="k", email="k@x.com")
    platform.lead(id="o", email="o@x.com")
    asked = process("leads", "merge", "k", "o")
    assert asked.exit_code == 2
    assert "o@x.com merged into k@x.com (k): 0 activities and 0 MT5 accounts move to it" in asked.stderr
    assert "1 lead to be deleted: nobody is here to confirm; pass --yes" in asked.stderr
    assert ibctl("leads", "merge", "k", "k", "--yes").exit_code == 2
    assert ibctl("leads", "merge", "k", "nobody", "--yes").exit_code == 3
    assert platform.count() == 2


LEADS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids().map(str),
            "leadCapturedAt": st.datetimes(datetime(2025, 1, 1), datetime(2025, 12, 31)),
            "status": st.sampled_from(["captured", "contacted", "qualified", "rejected", "callback"]),
            "source": st.sampled_from(["ads", "web"]),
            **{name: st.none() | st.sampled_from(["a", "b"]) for name in (*merge_rules.FILLED, "userId")},
            **{name: st.none() | st.datetimes(datetime(2025, 1, 1)) for name in merge_rules.FACTS},
            **{name: st.sampled_from([Decimal(0), Decimal("1.5"), Decimal(3)]) for name in merge_rules.EARNED},
        }
    ),
    min_size=2,
    max_size=5,
)


@given(LEADS, st.sampled_from(["keep", "sum", "max"]))
def test_no_fact_and_no_contact_is_lost_by_a_merge(leads: list[dict[str, Any]], rule: merge_rules.Money) -> None:
    merged = merge_rules.combine(leads, rule)
    first = min(leads, key=lambda lead: lead["leadCapturedAt"])
    assert [merged[name] for name in ("leadCapturedAt", "userId", "source")] == [
        first[name] for name in ("leadCapturedAt", "userId", "source")
    ]
    for name in (*merge_rules.FILLED, *merge_rules.FACTS):
        assert (merged[name] is None) == all(lead[name] is None for lead in leads)
    assert (merged["status"] == "rejected") == all(lead["status"] == "rejected" for lead in leads)
    assert merged["totalEarned"] == merged["ftdEarned"] + merged["cpaEarned"]


@pytest.mark.parametrize(("amounts", "outcome"), [([0, 150], "150"), ([150, 150, 0], "150"), ([0, 0], "0")])
def test_sums_that_do_not_contradict_each_other_need_no_rule(amounts: list[int], outcome: str) -> None:
    lead = {"leadCapturedAt": datetime(2025, 1, 1), "status": "captured", "source": "web", "userId": None}
    empty = dict.fromkeys([*merge_rules.FILLED, *merge_rules.FACTS])
    leads = [{**lead, **empty, "ftdEarned": Decimal(0), "cpaEarned": Decimal(amount)} for amount in amounts]
    assert merge_rules.combine(leads, None)["cpaEarned"] == Decimal(outcome)


def test_a_merge_warns_of_every_closed_month_that_loses_a_lead(platform: Platform, ibctl: Run) -> None:
    for letter in "ab":
        ib = platform.user(f"{letter}@x.io")
        platform.sql(
            'INSERT INTO "Lead" (id, "userId", email, "leadCapturedAt", "qualifiedAt", "cpaEarned", "totalEarned",'
            " \"updatedAt\") VALUES (%s, %s, %s, '2025-09-03', '2025-09-04', 100, 100, now())",
            f"{letter}1", ib, f"{letter}1@x.com",
        )  # fmt: skip
    assert ibctl("commissions", "close", "2025-09", "--yes").exit_code == 0
    merged = ibctl("leads", "merge", "a1", "b1", "--money", "sum", "--yes")
    assert merged.exit_code == 0
    assert "2025-09 is CLOSED for a@x.io, b@x.io: that commission stays as it is" in merged.stderr
    assert "2 leads" in merged.stderr
