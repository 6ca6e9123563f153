"""Figures by day, of an account, a campaign or a report run. All numbers are strings, and what is zero is left out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tests.fakes.graph import faults
from tests.fakes.graph.faults import Fault
from tests.fakes.graph.identity import the_account
from tests.fakes.graph.routing import Request, paged, route
from tests.fakes.graph.world import OPEN, Account, Stats, World

MONTHS_KEPT = 37
ALIASES = {
    "lead": ("onsite_conversion.lead_grouped", "leadgen_grouped"),
    "purchase": ("omni_purchase", "offsite_conversion.fb_pixel_purchase"),
    "complete_registration": ("omni_complete_registration", "offsite_conversion.fb_pixel_complete_registration"),
}


@route("GET", r"act_(\d+)/insights")
def of_account(request: Request) -> Any:
    account = the_account(request)
    rows = list(_rows(request.world, account, request.params, request.fields))
    if request.world.most_rows is not None and len(rows) > request.world.most_rows:
        raise Fault(100, 1487534, "(#100) The number of rows exceeds the limit of data per call")
    return paged(request, rows)


@route("POST", r"act_(\d+)/insights")
def start_report(request: Request) -> Any:
    account = the_account(request)
    id_ = request.world.new_id()
    request.world.reports[id_] = Report(account.id, dict(request.params), request.fields)
    return {"report_run_id": id_}


@dataclass
class Report:
    """A report run that is looked at until it is done."""

    account: str
    params: dict[str, Any]
    fields: list[str]
    polls: int = 0


@route("GET", r"(12\d+)/insights")
def of_object(request: Request) -> Any:
    """The rows of a finished report run, or of one campaign in whatever state."""
    request.require("ads_read", "ads_management")
    world, id_ = request.world, request.caught[0]
    if report := world.reports.get(id_):
        return paged(request, list(_rows(world, world.accounts[report.account], report.params, report.fields)))
    found = world.objects.get(id_)
    if found is None or found["kind"] != "campaign":
        raise faults.no_such_object(id_)
    params = {**request.params, "level": "campaign", "campaign": id_}
    return paged(request, list(_rows(world, world.accounts[found["account_id"]], params, request.fields)))


def report_status(world: World, id_: str) -> dict[str, Any]:
    """How far a report run is; each look brings it on."""
    report = world.reports[id_]
    report.polls += 1
    done = report.polls > world.report_polls
    status = {
        "id": id_, "account_id": report.account, "time_ref": int(time.time()),
        "async_status": world.report_ends if done else "Job Running",
        "async_percent_completion": 100 if done and world.report_ends == "Job Completed" else 40,
    }  # fmt: skip
    if done and world.report_ends == "Job Failed":
        status |= {"error_code": -2, "error_subcode": 2490547, "error_message": "The report could not be made"}
    return status


# ----------------------------------------------------------------------------------------------------------------- rows


def _rows(world: World, account: Account, params: Mapping[str, Any], fields: list[str]) -> Iterator[dict[str, Any]]:
    if "summary" in params or "date_format" in params:
        raise faults.invalid("Cannot include summary or date_format in an insights request")
    first, last = _range(account, params)
    step = params.get("time_increment", "all_days")
    level = params.get("level", "account")
    states = _states(params)
    shown: dict[tuple[str, date], Stats] = {}
    for (campaign, day), stats in sorted(account.days.items(), key=lambda item: (item[0][1], item[0][0])):
        state = world.objects.get(campaign, {}).get("effective_status", "ACTIVE")
        left_out = level == "campaign" and "campaign" not in params and state not in states
        if not first <= day <= last or left_out or params.get("campaign", campaign) != campaign:
            continue
        key = (campaign if level == "campaign" else "", _bucket(day, step, first))
        shown[key] = shown[key] + stats if key in shown else stats
    for (campaign, start), stats in shown.items():
        stop = _stop(start, step, last)
        yield _row(account, campaign, world.objects.get(campaign, {}), stats, fields, start, stop)


def _range(account: Account, params: Mapping[str, Any]) -> tuple[date, date]:
    today = account.today()
    if params.get("date_preset") == "maximum":
        return _months_back(today), today
    span = params.get("time_range")
    if not isinstance(span, Mapping):
        return today - timedelta(days=30), today - timedelta(days=1)
    first, last = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
    if first < _months_back(today):
        raise Fault(
            3018, None, "(#3018) The start date of the time range cannot be beyond 37 months from the current date"
        )
    if first > last:
        raise faults.invalid("The start date must be before the end date", "time_range")
    return first, last


def _months_back(today: date) -> date:
    months = today.year * 12 + today.month - 1 - MONTHS_KEPT
    return date(months // 12, months % 12 + 1, min(today.day, 28))


def _bucket(day: date, step: Any, first: date) -> date:
    if step == "monthly":
        return max(day.replace(day=1), first)
    if step == "all_days":
        return first
    return first + timedelta(days=(day - first).days // int(step) * int(step))


def _stop(start: date, step: Any, last: date) -> date:
    if step == "monthly":
        return min((start.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1), last)
    return last if step == "all_days" else min(start + timedelta(days=int(step) - 1), last)


def _states(params: Mapping[str, Any]) -> set[str]:
    """Archived and deleted campaigns are in a list only where a filter asks for them."""
    for one in params.get("filtering") or []:
        if one["field"] == "campaign.effective_status" and one["operator"] == "IN":
            return set(one["value"])
    return set(OPEN)


def _row(
    account: Account, campaign: str, found: Mapping[str, Any], stats: Stats, fields: list[str], start: date, stop: date
) -> dict[str, Any]:
    row = {
        "account_id": account.id,
        "account_currency": account.currency,
        "spend": str(stats.spend),
        "impressions": str(stats.impressions) if stats.impressions else None,
        "clicks": str(stats.clicks) if stats.clicks else None,
        "cpc": f"{stats.spend / stats.clicks:.6f}" if stats.clicks else None,
        "ctr": f"{stats.clicks * 100 / stats.impressions:.6f}" if stats.impressions else None,
        "actions": _actions(stats.actions),
        "action_values": [{"action_type": name, "value": str(value)} for name, value in stats.action_values.items()],
        "campaign_id": campaign or None,
        "campaign_name": found.get("name", f"Campaign {campaign}") if campaign else None,
        "objective": found.get("objective", "OUTCOME_LEADS") if campaign else None,
    }
    shown = {name: row[name] for name in fields if row.get(name) not in (None, [])}
    return {**shown, "date_start": start.isoformat(), "date_stop": stop.isoformat()}


def _actions(actions: Mapping[str, int]) -> list[dict[str, str]]:
    """Every family of actions comes under all of its names, next to engagement that nests."""
    named = dict(actions)
    for name, count in actions.items():
        named.update(dict.fromkeys(ALIASES.get(name, ()), count))
    if actions:
        named["page_engagement"] = sum(actions.values()) + 7
    return [{"action_type": name, "value": str(count)} for name, count in named.items()]
