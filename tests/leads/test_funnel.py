from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ibctl import config
from ibctl.leads import funnel
from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]
DAY = "2025-10-20"


def fill(platform: Platform) -> None:
    ib = platform.user("ib@x.com")
    for fields in (
        {"source": "ads", "userId": ib},
        {"source": "ads", "userId": ib, "status": "contacted", "broker": "Prime XBT"},
        {"source": "ads", "userId": ib, "status": "rejected"},
        {"source": "ads", "userId": ib, "depositedAt": DAY},
        {"source": "web", "tradingStartAt": DAY},  # traded: so it was contacted and made a deposit
        {"source": "web", "status": "qualified"},  # a word without a date
        {"source": "web", "qualifiedAt": DAY, "status": "qualified", "leadCapturedAt": "2025-11-01"},
    ):
        platform.lead(**{"leadCapturedAt": "2025-10-03", **fields})


def rows(ibctl: Run, *options: str) -> list[dict[str, Any]]:
    done = ibctl("leads", "funnel", "--format", "json", *options)
    assert done.exit_code == 0
    return list(json.loads(done.stdout))


def test_stages_count_whoever_came_so_far_or_further(platform: Platform, ibctl: Run) -> None:
    fill(platform)
    assert [tuple(row.values()) for row in rows(ibctl)] == [
        ("captured", 7, 100, 100),
        ("contacted", 5, 71.4, 71.4),
        ("deposited", 3, 42.9, 60),
        ("trading", 2, 28.6, 66.7),
        ("qualified", 1, 14.3, 50),
    ]


def test_groups_show_how_many_of_them_qualified(platform: Platform, ibctl: Run) -> None:
    fill(platform)
    assert [tuple(row.values()) for row in rows(ibctl, "--by", "source")] == [
        ("ads", 4, 2, 1, 0, 0, 0),
        ("web", 3, 3, 2, 2, 1, 33.3),
    ]
    assert {row["ib"]: row["captured"] for row in rows(ibctl, "--by", "ib")} == {"ib@x.com": 4, None: 3}
    assert {row["broker"]: row["captured"] for row in rows(ibctl, "--by", "broker")} == {"Prime XBT": 1, None: 6}
    assert [row["month"] for row in rows(ibctl, "--by", "month")] == ["2025-11", "2025-10"]


def test_the_span_and_the_ib_choose_the_leads(platform: Platform, ibctl: Run, monkeypatch: Any) -> None:
    fill(platform)
    assert rows(ibctl, "--month", "2025-10")[0]["leads"] == 6
    assert rows(ibctl, "--from", "2025-10-04", "--to", "2025-11-01")[0]["leads"] == 1
    assert rows(ibctl, "--ib", "ib@x.com")[0]["leads"] == 4
    monkeypatch.setenv("IBCTL_TIMEZONE", "America/New_York")
    config.use_env_file(None)
    assert [row["month"] for row in rows(ibctl, "--by", "month")] == ["2025-10"]
    assert rows(ibctl, "--month", "2025-10")[0]["leads"] == 7


def test_a_table_draws_bars_and_fits_80_columns(platform: Platform, ibctl: Run, monkeypatch: Any) -> None:
    fill(platform)
    monkeypatch.setenv("COLUMNS", "80")
    bars = [line.split()[-1] for line in ibctl("leads", "funnel").stdout.splitlines() if "█" in line]
    assert bars == ["█" * 20, "██████████████▎", "████████▋", "█████▊", "██▉"]
    by_ib = ibctl("leads", "funnel", "--by", "ib").stdout
    assert max(map(len, by_ib.splitlines())) <= 80
    assert "…" not in by_ib
    assert "█" not in ibctl("leads", "funnel", "--format", "csv").stdout


def test_wrong_usage_is_refused_and_nothing_is_said_as_such(platform: Platform, ibctl: Run) -> None:
    assert ibctl("leads", "funnel").stderr == "no leads\n"
    assert ibctl("leads", "funnel", "--by", "colour").exit_code == 2
    assert ibctl("leads", "funnel", "--month", "2025-10", "--from", "2025-10-01").exit_code == 2
    assert ibctl("leads", "funnel", "--ib", "nobody@x.com").exit_code == 3


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_bar_is_as_long_as_its_share(part: int, whole: int) -> None:
    part, whole = min(part, whole), max(part, whole)
    drawn = funnel.bar(part, whole)
    eighths = sum(8 if mark == "█" else " ▏▎▍▌▋▊▉".index(mark) for mark in drawn)
    assert abs(eighths - 8 * funnel.BAR * (part / whole if whole else 0)) <= 0.5 + 1e-6
    share = funnel.percent(part, whole)
    assert share is None if whole == 0 else share is not None and Decimal(0) <= share <= 100


def test_what_makes_no_span_names_the_funnels_own_options(database: str, ibctl: Run) -> None:
    for options, message in (
        (("--month", "2025-10", "--from", "2025-10-01"), "--month excludes --from and --to"),
        (("--from", "2025-10-02", "--to", "2025-10-01"), "--from 2025-10-02 is later than --to 2025-10-01"),
        (("--to", "1.10.2025"), "--to: '1.10.2025' is not a day"),
    ):
        done = ibctl("leads", "funnel", *options)
        assert done.exit_code == 2
        assert message in done.stderr
