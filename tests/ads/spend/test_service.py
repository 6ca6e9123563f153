"""Spend that comes in pieces, in any order, at once, or is killed; days at the edge; files that are no CSV."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ibctl import db, tabular
from ibctl.ads.spend import service
from tests.ads.conftest import HEADER, Ads
from tests.conftest import Result, command

Run = Callable[..., Result]
DERIVED = 'ctr, cpc, cpl, "cumulativeSpend", "cumulativeLeads"'

amounts = st.decimals(min_value=0, max_value=100_000, places=3) | st.sampled_from(
    [Decimal("0.1"), Decimal("0.2"), Decimal("999999999999.99"), Decimal("0.00000001")]
)
counts = st.integers(0, 1_000)
reports = st.tuples(amounts, counts, counts, counts, counts)
places = st.tuples(st.sampled_from(["act_1", "act_2"]), st.dates(date(2025, 9, 1), date(2025, 9, 20)))
batches = st.lists(st.dictionaries(places, reports, min_size=1, max_size=12), min_size=1, max_size=5)


def write(ads: Ads, days: Mapping[tuple[str, date], tuple[Decimal, int, int, int, int]]) -> service.SpendImport:
    path = ads.file(
        *(
            f"{account},{day},{spend:f}," + ",".join(map(str, counts))
            for (account, day), (spend, *counts) in days.items()
        )
    )
    with tabular.open_table(path) as file, tabular.RejectFile(path.with_suffix(".rejects"), file) as rejects:  # noqa: SIM117 - in this order
        with db.transaction() as session:
            return service.import_spend(session, file, rejects)


@given(batches=batches)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_history_that_comes_in_pieces_and_in_any_order_equals_history_that_comes_at_once(
    ads: Ads, batches: list[dict[tuple[str, date], tuple[Decimal, int, int, int, int]]]
) -> None:
    ads.sql('DELETE FROM "AdSpendHistory"')
    if not ads.sql("""SELECT 1 FROM "FacebookAdAccount" WHERE "adAccountId" = 'act_2'"""):
        ads.account(ads.user("bo@x.y"), "act_2", currency="JPY")
    final: dict[tuple[str, date], tuple[Decimal, int, int, int, int]] = {}
    for batch in batches:
        new = len(batch.keys() - final.keys())
        same = sum(final.get(place) == report for place, report in batch.items())
        result = write(ads, batch)
        assert (result.added, result.unchanged, result.refused) == (new, same, {})
        final |= batch
    in_pieces = ads.days(DERIVED)

    ads.sql('DELETE FROM "AdSpendHistory"')
    write(ads, final)
    assert ads.days(DERIVED) == in_pieces
    assert_derived(in_pieces, final)


def assert_derived(
    rows: list[tuple[object, ...]], final: dict[tuple[str, date], tuple[Decimal, int, int, int, int]]
) -> None:
    """What is stored is what comes out with a pencil."""
    so_far: dict[object, tuple[Decimal, int]] = {}
    for (account, day), (spend, impressions, clicks, leads, _) in sorted(final.items()):
        total, total_leads = so_far.get(account, (Decimal(0), 0))
        so_far[account] = total, total_leads = total + spend, total_leads + leads
        found_account, found_day, ctr, cpc, cpl, cumulative, cumulative_leads = rows.pop(0)
        assert (found_account, found_day) == (account, str(day))
        assert ctr == (clicks * 100 / impressions if impressions else 0)
        for cost, count in ((cpc, clicks), (cpl, leads)):
            assert isinstance(cost, float)
            assert math.isclose(cost, float(spend / count) if count else 0, rel_tol=1e-15, abs_tol=1e-20)
        assert (cumulative, cumulative_leads) == (float(total), total_leads)
    assert rows == []


def test_what_the_web_application_wrote_wrongly_is_put_right_from_the_day_that_changed_on(ads: Ads) -> None:
    october = {("act_1", date(2025, 10, day)): (Decimal(1), 10, 1, 1, 0) for day in (1, 2, 3)}
    write(ads, october)
    ads.sql('UPDATE "AdSpendHistory" SET "cumulativeSpend" = 77, ctr = 0.1')
    assert write(ads, october).rederived == 0
    write(ads, {("act_1", date(2025, 10, 2)): (Decimal(2), 10, 1, 1, 0)})
    assert [row[2:] for row in ads.days('ctr, "cumulativeSpend"')] == [(0.1, 77), (10, 3), (10, 4)]


def test_two_imports_in_one_transaction_follow_each_other(ads: Ads) -> None:
    paths = [ads.file(f"act_1,2025-10-0{day},1,0,0,0,0", name=f"{day}.csv") for day in (2, 1)]
    with db.transaction() as session:
        for path in paths:
            with tabular.open_table(path) as file, tabular.RejectFile(path.with_suffix(".rejects"), file) as rejects:
                service.import_spend(session, file, rejects)
    assert [row[2] for row in ads.days('"cumulativeSpend"')] == [1, 2]


# ----------------------------------------------------------------------------------------------------- days at the edge


@freeze_time("2025-10-31T14:30:00Z")
def test_a_day_counts_once_it_has_begun_in_the_accounts_own_zone(ads: Ads, ibctl: Run) -> None:
    user = ads.user("bo@x.y")
    for number, zone in enumerate(["Asia/Tokyo", "Australia/Sydney", "America/New_York"], start=2):
        ads.account(user, f"act_{number}", zone=zone, currency="EUR")
    # 23:30 in Tokyo, 01:30 of the next day in Sydney.
    run = ibctl("ads", "spend", "import", ads.file(*(f"act_{number},2025-11-01,1,0,0,0,0" for number in (1, 2, 3, 4))))
    assert run.exit_code == 6
    assert ads.days("1") == [("act_3", "2025-11-01", 1)]
    assert "2025-11-01 has not begun yet in the account's zone, Asia/Tokyo" in run.stderr


def test_a_day_is_stored_as_the_day_that_it_is_in_any_server_zone(ads: Ads, ibctl: Run, database: str) -> None:
    name = database.split("/")[-1].split("?")[0]
    ads.sql(f"""ALTER DATABASE "{name}" SET TimeZone = 'Pacific/Kiritimati'""")
    ibctl("ads", "spend", "import", ads.file("act_1,2025-02-28,1,0,0,0,0", "act_1,2025-03-01,1,0,0,0,0"))
    assert [row[1] for row in ads.days("1")] == ["2025-02-28", "2025-03-01"]


# ------------------------------------------------------------------------------------------------- at once, and killed


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(["ads", "spend", "import", path]), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ),
    )  # fmt: skip


def wait_for_lock(ads: Ads) -> None:
    """Return once a session of this database waits for another's rows."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND application_name LIKE 'ibctl%'"
    )
    for _ in range(200):
        if ads.sql(waiting):
            return
        time.sleep(0.05)
    raise AssertionError("the import does not wait")


def test_two_imports_at_once_leave_the_totals_of_both(ads: Ads, database: str) -> None:
    first = ads.file(*(f"act_1,2025-08-{day:02},0.1,0,0,1,0" for day in range(1, 31, 2)), name="odd.csv")
    second = ads.file(*(f"act_1,2025-08-{day:02},0.1,0,0,1,0" for day in range(2, 31, 2)), name="even.csv")
    runs = [start(path) for path in (first, second, first)]
    told = [run.communicate(timeout=60)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], told
    assert sorted("spend days written: 15" in text for text in told) == [False, True, True]
    totals = [row[2:] for row in ads.days('"cumulativeSpend", "cumulativeLeads"')]
    assert totals == [(day / 10, day) for day in range(1, 31)]


def test_an_import_waits_for_one_that_has_not_finished(ads: Ads) -> None:
    with db.transaction() as session:
        db.lock(session, "ads spend")
        run = start(ads.file("act_1,2025-10-01,1,0,0,0,0"))
        wait_for_lock(ads)
    assert "waiting for" in run.communicate(timeout=60)[1]
    assert run.returncode == 0


def test_a_day_that_the_web_application_is_changing_keeps_that_change(ads: Ads, ibctl: Run, database: str) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-02,5,0,0,0,0"))
    with psycopg.connect(database) as web:
        web.execute('UPDATE "AdSpendHistory" SET "dailySpend" = 7')
        run = start(ads.file("act_1,2025-10-01,1,0,0,0,0"))
        wait_for_lock(ads)
        web.commit()
        run.communicate(timeout=60)
    assert [row[2:] for row in ads.days('"dailySpend", "cumulativeSpend"')] == [(1, 1), (7, 8)]


def test_a_day_that_the_web_application_is_adding_is_waited_for_and_counted(ads: Ads, database: str) -> None:
    ads.sql("SELECT 1")
    with psycopg.connect(database) as web:
        web.execute(
            'INSERT INTO "AdSpendHistory" (id, "userId", "adAccountId", "date", "dailySpend", "updatedAt")'
            """ SELECT 'web', "userId", id, '2025-10-02', 5, now() FROM "FacebookAdAccount" """
        )
        run = start(ads.file("act_1,2025-10-01,1,0,0,0,0", "act_1,2025-10-03,1,0,0,0,0"))
        wait_for_lock(ads)
        web.commit()
        assert run.communicate(timeout=60)[1].count("written: 2") == 1
    assert [row[2:] for row in ads.days('"cumulativeSpend"')] == [(1,), (6,), (7,)]


def test_an_import_killed_in_the_middle_of_its_work_leaves_nothing(ads: Ads, ibctl: Run, database: str) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-05,1,0,0,0,0"))
    before, path = ads.whole(), ads.file("act_1,2025-10-01,1,0,0,0,0", "act_404,2025-10-01,1,0,0,0,0")
    with psycopg.connect(database) as web:
        web.execute('SELECT FROM "AdSpendHistory" FOR UPDATE')
        run = start(path)
        wait_for_lock(ads)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
    assert (ads.whole(), ads.change_sets()) == (before, 1)
    assert not path.with_name("spend.csv.rejects.csv").exists()
    assert ibctl("ads", "spend", "import", path).exit_code == 6


def test_an_import_killed_at_any_point_leaves_all_or_nothing(ads: Ads, database: str) -> None:
    first = date(2000, 1, 1)
    path = ads.file(*(f"act_1,{first + timedelta(days=day)},1,0,0,1,0" for day in range(9_000)))
    for after in (0.55, 0.75, 0.95, 1.15):
        run = start(path)
        time.sleep(after)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
        whole = ads.sql('SELECT count(*), coalesce(max("cumulativeLeads"), 0) FROM "AdSpendHistory"')
        assert whole in ([(0, 0)], [(9_000, 9_000)])
        assert ads.change_sets() == (1 if whole[0][0] else 0)


# ----------------------------------------------------------------------------------------- files that come from outside


GOOD = f"{HEADER}\nact_1,2025-10-02,1,0,0,0,0\n"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", 3, "is empty"),
        (f"{HEADER}\nact_1,2025-10-01,NaN,0,0,0,0\nact_404,2025-10-01,1,0,0,0,0\n".encode(), 3, "rows refused: 2"),
        (f"{GOOD}act_1,2025-10-01,1,0,0\n".encode(), 6, "the row has 5 cells, the header 7"),
        (GOOD.replace(",", "\t").encode("utf-16"), 0, "written: 1"),
    ],
    ids=["empty", "nothing good", "short row", "utf-16"],
)
def test_the_process_ends_with_the_code_that_says_what_became_of_the_file(
    ads: Ads, process: Run, content: bytes, code: int, message: str
) -> None:
    check(ads, process, content, code, message)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (f"{HEADER}\n".encode(), 3, "has no row that can be imported"),
        (b"\x00\x01\x02\xff\xfe\x00" * 50, 3, "is binary"),
        (b"act_1,2025-10-01,1\n", 3, "the first line must name the columns"),
        (b"account,dailySpend\nact_1,1\n", 3, "has no column date"),
        (b"account,date\nact_1,2025-10-01\n", 3, "has no column dailySpend"),
        (b"account,date,spend,dailySpend\nact_1,2025-10-01,1,1\n", 3, "both mean dailySpend"),
        (f"{GOOD}act_1,9999-12-31,1,0,0,0,0\n".encode(), 6, "outside the years 2000 to 2199"),
        (f'{GOOD}"act_1,2025-10-01,1,0,0,0,0\n'.encode(), 3, "a quote is opened and never closed"),
        (GOOD.replace(",", ";").encode(), 0, "written: 1"),
        (GOOD.encode("utf-8-sig"), 0, "written: 1"),
    ],
    ids=[
        "header only",
        "binary",
        "no header",
        "no day",
        "no amount",
        "two amounts",
        "9999",
        "quote",
        ";",
        "bom",
    ],
)
def test_whatever_the_file_is_there_is_one_clear_answer(
    ads: Ads, ibctl: Run, content: bytes, code: int, message: str
) -> None:
    check(ads, ibctl, content, code, message)


def check(ads: Ads, run: Run, content: bytes, code: int, message: str) -> None:
    path = ads.folder / "outside.csv"
    path.write_bytes(content)
    result = run("ads", "spend", "import", path)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    # A file that ends with 3 has changed nothing; all others here hold one good row.
    assert len(ads.days("1")) == (code != 3)


def test_a_delimiter_and_an_encoding_can_be_named(ads: Ads, ibctl: Run) -> None:
    ads.account(ads.user("bo@x.y"), "act_2", "Zoë")
    path = ads.folder / "outside.csv"
    path.write_bytes("account|date|dailySpend\nZoë|2025-10-01|1\n".encode("cp1252"))
    assert ibctl("ads", "spend", "import", path).exit_code == 3
    assert ibctl("ads", "spend", "import", path, "--encoding", "cp1252", "--delimiter", "|").exit_code == 0
    assert [row[0] for row in ads.days("1")] == ["act_2"]
