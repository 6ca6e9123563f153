"""What ad accounts and their campaigns spent, by day of the account's own zone.

One call for up to 90 days. Where Facebook finds that too much, a report run; where that fails too, the span is halved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ibctl.integrations.facebook.client import Graph
from ibctl.integrations.facebook.failures import GraphError, RefusedError, TooMuchDataError, UnavailableError

CHUNK = 90  # days in one call
ROWS = 500  # on one page
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
    found = [_day(account, day, row) for day, row in _rows(graph, account, first, last, _OF_ACCOUNT)]
    if len({day.date for day in found}) != len(found):
        raise UnavailableError(f"Facebook named a day of {account} twice")
    return sorted(found, key=lambda day: day.date)


def spent_by_campaigns(graph: Graph, account: str, first: date, last: date) -> dict[date, Decimal]:
    """Return what all campaigns of an account spent together on each day, archived and deleted ones included.

    Complete or an error. Raises GraphError.
    """
    found: dict[date, Decimal] = defaultdict(Decimal)
    for day, row in _rows(graph, account, first, last, _OF_CAMPAIGNS):
        found[day] += _spend(account, row)
    return dict(found)


_BY_DAY = {"time_increment": 1}
_OF_ACCOUNT = {"level": "account", **_BY_DAY, "fields": DAY_FIELDS}
_OF_CAMPAIGNS = {"level": "campaign", **_BY_DAY, "fields": "spend", "filtering": ALL_CAMPAIGNS}
_LESS_ONE = timedelta(days=CHUNK - 1)


def _rows(
    graph: Graph, account: str, first: date, last: date, asked: Mapping[str, Any]
) -> Iterator[tuple[date, Mapping[str, Any]]]:
    """Yield the rows of a span, each with its day."""
    for start in _starts(first, last):
        end = min(start + _LESS_ONE, last)
        for row in _span(graph, account, start, end, asked):
            yield _date(account, row, start, end), row


def _starts(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=CHUNK)


def _span(graph: Graph, account: str, first: date, last: date, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return graph.rows(f"{account}/insights", {**asked, **_range(first, last)}, limit=ROWS)
    except TooMuchDataError:
        return _reported(graph, account, first, last, asked)


def _range(first: date, last: date) -> dict[str, Any]:
    return {"time_range": {"since": first.isoformat(), "until": last.isoformat()}}


def _reported(graph: Graph, account: str, first: date, last: date, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read a span by report run; where that fails, its halves."""
    try:
        return report(graph, account, {**asked, **_range(first, last)})
    except (TooMuchDataError, ReportFailedError):
        if first == last:
            raise
        middle = first + (last - first) // 2
        return [
            *_reported(graph, account, first, middle, asked),
            *_reported(graph, account, middle + timedelta(days=1), last, asked),
        ]


class ReportFailedError(GraphError):
    """A report run that Facebook gave up, or did not finish in time."""


def report(graph: Graph, account: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Let Facebook work out a report, wait for it, and return its rows. Raises ReportFailedError, GraphError.

    A run that is made twice costs a moment of Facebook's, nothing else.
    """
    answer = graph.post(f"{account}/insights", asked, again=True)
    run = str(answer.get("report_run_id") or answer.get("id"))
    _wait(graph, run)
    return graph.rows(f"{run}/insights", limit=ROWS)


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


def _date(account: str, row: Mapping[str, Any], first: date, last: date) -> date:
    """Read a row's day. Raises UnavailableError for what was not asked for: Facebook ignores a range it cannot read."""
    try:
        day = date.fromisoformat(row["date_start"])
        if row["date_stop"] == row["date_start"] and first <= day <= last:
            return day
    except (KeyError, ValueError, TypeError):
        raise _unreadable(account) from None
    raise UnavailableError(
        f"Facebook answered about {row['date_start']} to {row['date_stop']} for {account}, not asked for"
    )


def _day(account: str, day: date, row: Mapping[str, Any]) -> Day:
    try:
        return Day(
            day, str(row["account_currency"]), amount(row.get("spend", "0")), count(row.get("impressions", "0")),
            count(row.get("clicks", "0")), actions(row.get("actions")),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, InvalidOperation):
        raise _unreadable(account) from None


def _spend(account: str, row: Mapping[str, Any]) -> Decimal:
    try:
        return amount(row.get("spend", "0"))
    except (ValueError, InvalidOperation):
        raise _unreadable(account) from None


def _unreadable(account: str) -> UnavailableError:
    return UnavailableError(f"Facebook answered figures of {account} that cannot be read")


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
