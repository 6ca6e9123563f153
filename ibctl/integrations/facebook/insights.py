"""What ad accounts spent, by day of the account's own zone.

One call for up to 90 days. Where Facebook finds that too much, a report run; where that fails too, the span is halved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ibctl.integrations.facebook.client import Graph
from ibctl.integrations.facebook.failures import GraphError, RefusedError, TooMuchDataError, UnavailableError

CHUNK = 90  # days in one call
DAY_FIELDS = "account_id,account_currency,spend,impressions,clicks,actions"
# Without this filter, campaigns that were archived or deleted are missing from a list that their money is in.
ALL_CAMPAIGNS = [
    {
        "field": "campaign.effective_status",
        "operator": "IN",
        "value": ["ACTIVE", "PAUSED", "ARCHIVED", "DELETED", "IN_PROCESS", "WITH_ISSUES"],
    }
]
# Seconds: how often a report run is looked at, and when it is given up (practice of connectors: 0 % after 5 minutes,
# not done after 30).
POLL, LONGEST_POLL = 2.0, 30.0
STUCK, GIVE_UP = 300.0, 1800.0
# A run that has just been made may not be found yet (100/33).
RACE_POLLS = 3


@dataclass(frozen=True)
class Day:
    """One day's figures. `spend` is in the currency's major unit; `actions` is by action type."""

    date: date
    currency: str
    spend: Decimal
    impressions: int
    clicks: int
    actions: Mapping[str, Decimal]


def daily(graph: Graph, account: str, first: date, last: date) -> list[Day]:
    """Return the days with delivery of an account (`act_…`), both ends included, in order; others have no row.

    Complete or an error, never a part. Raises GraphError.
    """
    found = [
        day for start in _starts(first, last) for day in _span(graph, account, start, min(start + _LESS_ONE, last))
    ]
    if len({day.date for day in found}) != len(found):
        raise UnavailableError(f"Facebook named a day of {account} twice")
    return sorted(found, key=lambda day: day.date)


_LESS_ONE = timedelta(days=CHUNK - 1)


def _starts(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=CHUNK)


def _span(graph: Graph, account: str, first: date, last: date) -> list[Day]:
    asked = _asked(first, last)
    try:
        rows = graph.rows(f"{account}/insights", asked, limit=(last - first).days + 1)
    except TooMuchDataError:
        return _reported(graph, account, first, last)
    return [_day(account, row, first, last) for row in rows]


def _asked(first: date, last: date) -> dict[str, Any]:
    span = {"since": first.isoformat(), "until": last.isoformat()}
    return {"level": "account", "time_increment": 1, "time_range": span, "fields": DAY_FIELDS}


def _reported(graph: Graph, account: str, first: date, last: date) -> list[Day]:
    """Read a span by report run; where that fails, its halves."""
    try:
        rows = report(graph, account, _asked(first, last))
    except (TooMuchDataError, ReportFailedError):
        if first == last:
            raise
        middle = first + (last - first) // 2
        return [
            *_reported(graph, account, first, middle),
            *_reported(graph, account, middle + timedelta(days=1), last),
        ]
    return [_day(account, row, first, last) for row in rows]


class ReportFailedError(GraphError):
    """A report run that Facebook gave up, or did not finish in time."""


def report(graph: Graph, account: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Let Facebook work out a report, wait for it, and return its rows. Raises ReportFailedError, GraphError.

    A run that is made twice costs a moment of Facebook's, nothing else.
    """
    answer = graph.post(f"{account}/insights", asked, again=True)
    run = str(answer.get("report_run_id") or answer.get("id"))
    _wait(graph, run)
    return graph.rows(f"{run}/insights", limit=500)


def _wait(graph: Graph, run: str) -> None:
    waited, step, polls = 0.0, POLL, 0
    while True:
        status, percent = _look(graph, run, patient=polls < RACE_POLLS)
        if status == "Job Completed" and percent == 100:
            return
        if status in ("Job Failed", "Job Skipped"):
            raise ReportFailedError(f"Facebook gave up report run {run} ({status})")
        if waited >= GIVE_UP or (waited >= STUCK and percent == 0):
            raise ReportFailedError(f"Facebook's report run {run} is at {percent} % after {waited:.0f} s")
        graph.line.pause(step)
        waited, step, polls = waited + step, min(step * 2, LONGEST_POLL), polls + 1


def _look(graph: Graph, run: str, *, patient: bool) -> tuple[str, int]:
    try:
        answer = graph.get(run)
    except RefusedError as exc:
        if patient and (exc.code, exc.subcode) == (100, 33):
            return "Job Not Started", 0
        raise
    return str(answer.get("async_status")), int(answer.get("async_percent_completion") or 0)


# ----------------------------------------------------------------------------------------------------------------- rows


def _day(account: str, row: Mapping[str, Any], first: date, last: date) -> Day:
    """Read a row. Raises UnavailableError for what was not asked for: Facebook ignores a range it cannot read."""
    try:
        day = date.fromisoformat(row["date_start"])
        if row["date_stop"] != row["date_start"] or not first <= day <= last:
            raise UnavailableError(
                f"Facebook answered about {row['date_start']} to {row['date_stop']} for {account}, not asked for"
            )
        return Day(
            day, str(row["account_currency"]), amount(row.get("spend", "0")), count(row.get("impressions", "0")),
            count(row.get("clicks", "0")), actions(row.get("actions")),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, InvalidOperation):
        raise UnavailableError(f"Facebook answered figures of {account} that cannot be read") from None


def amount(text: Any) -> Decimal:
    """Read an amount in major units. Raises ValueError for what is none."""
    value = Decimal(str(text))
    if not value.is_finite():
        raise ValueError(text)
    return value


def count(text: Any) -> int:
    """Read a whole number; Facebook writes them as text. Raises ValueError."""
    value = amount(text)
    if value != value.to_integral_value() or value < 0:
        raise ValueError(text)
    return int(value)


def actions(listed: Any) -> dict[str, Decimal]:
    """Return the values by action type; the first one counts where a type comes twice."""
    found: dict[str, Decimal] = {}
    for one in listed or ():
        found.setdefault(str(one["action_type"]), amount(one["value"]))
    return found


# --------------------------------------------------------------------------------------------------------------- totals


def total(graph: Graph, account: str, first: date, last: date) -> Decimal:
    """Return what an account (`act_…`) spent in a span, as Facebook sums it up."""
    rows = graph.rows(f"{account}/insights", _summed(first, last, "account"), limit=10)
    return sum((_spend(account, row) for row in rows), start=Decimal(0))


def total_of_campaigns(graph: Graph, account: str, first: date, last: date) -> Decimal:
    """Return what all campaigns of an account spent in a span, archived and deleted ones included."""
    asked = {**_summed(first, last, "campaign"), "filtering": ALL_CAMPAIGNS}
    return sum((_spend(account, row) for row in graph.rows(f"{account}/insights", asked)), start=Decimal(0))


def _summed(first: date, last: date, level: str) -> dict[str, Any]:
    span = {"since": first.isoformat(), "until": last.isoformat()}
    return {"level": level, "time_range": span, "fields": "spend"}


def _spend(account: str, row: Mapping[str, Any]) -> Decimal:
    try:
        return amount(row.get("spend", "0"))
    except (ValueError, InvalidOperation):
        raise UnavailableError(f"Facebook answered figures of {account} that cannot be read") from None
