"""Campaigns, ad sets, creatives and ads: what there is, what they did, making them, and switching them.

Amounts of budgets are in minor units of the account's currency, as Graph has them; spend and values are in major units.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ibctl.integrations.facebook import insights
from ibctl.integrations.facebook.client import Graph, Inner
from ibctl.integrations.facebook.failures import GraphError, RefusedError, TooMuchDataError, UnavailableError
from ibctl.integrations.facebook.text import clean

# Every state but DELETED, which an edge refuses to filter for.
LISTED = ["ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"]
_FIELDS = (
    "id,name,objective,status,effective_status,daily_budget,lifetime_budget,budget_remaining,start_time,stop_time,"
    "issues_info"
)
# The states of ads that somebody may still expect to be shown.
LIVE_ADS = [
    "ACTIVE", "PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "PENDING_REVIEW", "PREAPPROVED", "PENDING_BILLING_INFO",
    "IN_PROCESS", "DISAPPROVED", "WITH_ISSUES",
]  # fmt: skip
STOPPED_ADS = frozenset({"DISAPPROVED", "WITH_ISSUES"})
_METRICS = "account_currency,spend,impressions,clicks,actions,action_values"


# -------------------------------------------------------------------------------------------------------- what there is


@dataclass(frozen=True)
class Campaign:
    """A campaign as Graph has it. Times are naive UTC; budgets include those of its ad sets, in minor units."""

    id: str
    name: str
    objective: str
    status: str
    effective_status: str
    daily_budget: int | None
    lifetime_budget: int | None
    budget_remaining: int | None
    start: datetime | None
    stop: datetime | None
    # Why Facebook does not deliver it; "": no such reason is known.
    trouble: str = ""


@dataclass(frozen=True)
class Metrics:
    """What a campaign, or a whole account, did in the time asked for. `spend` is in major units."""

    currency: str
    spend: Decimal
    impressions: int
    clicks: int
    actions: Mapping[str, Decimal]
    # What was earned, by action type, in major units.
    values: Mapping[str, Decimal]
    name: str = ""
    objective: str = ""


@dataclass(frozen=True)
class Picture:
    """All campaigns of an account, with what each did in its life, and what the account did as a whole.

    `metrics` may name campaigns that `campaigns` does not: deleted ones, which no list has.
    """

    campaigns: Mapping[str, Campaign]
    metrics: Mapping[str, Metrics]
    account: Metrics | None


def picture(graph: Graph, account: str, known: Iterable[str] = ()) -> Picture:
    """Look at an account (`act_…`). `known` are campaigns that must be in it, however Facebook lists them.

    Complete, or an error. Raises GraphError.
    """
    listed, metrics = _campaigns(graph, account), _metrics_by_campaign(graph, account)
    listed |= _by_ids(graph, sorted(set(known) - listed.keys()))
    metrics |= _lives(graph, sorted(set(known) - metrics.keys()))
    return Picture(listed, metrics, _life(graph, account))


def _campaigns(graph: Graph, account: str) -> dict[str, Campaign]:
    rows = graph.rows(f"{account}/campaigns", {"fields": _FIELDS, "effective_status": LISTED})
    budgets, trouble = _budgets(graph, account), troubles(graph, account)
    return {row["id"]: _campaign(row, budgets.get(row["id"]), trouble.get(row["id"], "")) for row in rows}


def _by_ids(graph: Graph, ids: Sequence[str]) -> dict[str, Campaign]:
    """Read campaigns in whatever state; one that Facebook has no longer is left out."""
    answers = _each(graph, ids, "", {"fields": _FIELDS})
    return {id_: _campaign(row, None, "") for id_, row in answers.items()}


def _each(graph: Graph, ids: Sequence[str], edge: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the same of many objects, 50 in a call; those that Facebook has no longer are left out. Raises GraphError."""
    answers = graph.batch([Inner("GET", f"{id_}{edge}", params) for id_ in ids], again=True)
    found = {}
    for id_, answer in zip(ids, answers, strict=True):
        if not isinstance(answer, GraphError):
            found[id_] = answer
        elif (answer.code, answer.subcode) != (100, 33):
            raise answer
    return found


@dataclass
class _Budget:
    daily: int = 0
    lifetime: int = 0
    remaining: int = 0


def _budgets(graph: Graph, account: str) -> dict[str, _Budget]:
    """Return what the ad sets of each campaign may spend, where the budgets are theirs."""
    found: dict[str, _Budget] = defaultdict(_Budget)
    fields = "campaign_id,daily_budget,lifetime_budget,budget_remaining"
    for row in graph.rows(f"{account}/adsets", {"fields": fields, "effective_status": [*LISTED, "CAMPAIGN_PAUSED"]}):
        budget = found[row["campaign_id"]]
        budget.daily += int(row.get("daily_budget") or 0)
        budget.lifetime += int(row.get("lifetime_budget") or 0)
        budget.remaining += int(row.get("budget_remaining") or 0)
    return found


def troubles(graph: Graph, account: str) -> dict[str, str]:
    """Return why nothing of a campaign is shown, for campaigns that have ads of which none can be.

    Reviews are of ads, so a campaign whose ads were all disapproved still calls itself active.
    """
    ads: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    fields = "campaign_id,name,effective_status,issues_info"
    for row in graph.rows(f"{account}/ads", {"fields": fields, "effective_status": LIVE_ADS}):
        ads[row["campaign_id"]].append(row)
    return {
        id_: "; ".join(dict.fromkeys(_ad_trouble(row) for row in rows))
        for id_, rows in ads.items()
        if all(row["effective_status"] in STOPPED_ADS for row in rows)
    }


def _ad_trouble(row: Mapping[str, Any]) -> str:
    told = _issues(row)
    if row["effective_status"] == "DISAPPROVED":
        return f"the ad was disapproved{': ' + told if told else ''}"
    return told or "the ad has issues"


def _issues(row: Mapping[str, Any]) -> str:
    issues = row.get("issues_info") or []
    return "; ".join(
        f"{one.get('error_summary') or one.get('error_message') or 'no reason given'} (code {one.get('error_code')})"
        for one in issues
    )


def _campaign(row: Mapping[str, Any], budget: _Budget | None, trouble: str) -> Campaign:
    sets = budget or _Budget()
    return Campaign(
        id=row["id"],
        name=clean(row.get("name", "")),
        objective=row.get("objective", ""),
        status=row.get("status", ""),
        effective_status=row.get("effective_status", ""),
        daily_budget=int(row.get("daily_budget") or 0) or sets.daily or None,
        lifetime_budget=int(row.get("lifetime_budget") or 0) or sets.lifetime or None,
        budget_remaining=int(row.get("budget_remaining") or 0) or sets.remaining or None,
        start=_time(row.get("start_time")),
        stop=_time(row.get("stop_time")),
        trouble=_issues(row) or trouble,
    )


def _time(text: Any) -> datetime | None:
    """Read `2026-11-20T10:11:12-0400` as naive UTC. Facebook writes 1970 for what has no time."""
    if not text:
        return None
    moment = datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC).replace(tzinfo=None)
    return moment if moment.year > 1970 else None


# ------------------------------------------------------------------------------------------------------------- metrics


def _metrics_by_campaign(graph: Graph, account: str) -> dict[str, Metrics]:
    asked = {
        "level": "campaign",
        "date_preset": "maximum",
        "fields": f"campaign_id,campaign_name,objective,{_METRICS}",
        "filtering": insights.ALL_CAMPAIGNS,
    }
    try:
        rows = graph.rows(f"{account}/insights", asked)
    except TooMuchDataError:
        rows = insights.report(graph, account, asked)
    return {row["campaign_id"]: _metrics(account, row) for row in rows}


_LIFE = {"date_preset": "maximum", "fields": _METRICS}


def _lives(graph: Graph, ids: Sequence[str]) -> dict[str, Metrics]:
    """Return what campaigns did in their lives (37 months at most); nothing for one that did nothing."""
    answers = _each(graph, ids, "/insights", {"level": "campaign", **_LIFE})
    return {id_: _metrics(id_, row) for id_, answer in answers.items() for row in answer.get("data", ())}


def _life(graph: Graph, account: str) -> Metrics | None:
    """Return what an account did in its life; None where it did nothing."""
    rows = graph.rows(f"{account}/insights", {"level": "account", **_LIFE})
    return _metrics(account, rows[0]) if rows else None


def _metrics(node: str, row: Mapping[str, Any]) -> Metrics:
    try:
        return Metrics(
            currency=str(row["account_currency"]),
            spend=insights.amount(row.get("spend", "0")),
            impressions=insights.count(row.get("impressions", "0")),
            clicks=insights.count(row.get("clicks", "0")),
            actions=insights.actions(row.get("actions")),
            values=insights.actions(row.get("action_values")),
            name=clean(row.get("campaign_name", "")),
            objective=str(row.get("objective", "")),
        )
    except (KeyError, ValueError, TypeError, InvalidOperation):
        raise UnavailableError(f"Facebook answered figures of {node} that cannot be read") from None


# -------------------------------------------------------------------------------------------------------------- making


def create(graph: Graph, path: str, params: Mapping[str, Any]) -> str:
    """Create one thing under an account (`act_900/campaigns`); returns its id. Sent once, since twice would be two.

    Raises OutcomeUnknownError where it may be there without our knowing its id, GraphError.
    """
    return str(graph.post(path, params)["id"])


def validate(graph: Graph, path: str, params: Mapping[str, Any]) -> None:
    """Let Facebook say whether it would take this, without anything being made or changed. Raises GraphError."""
    graph.post(path, {**params, "execution_options": ["validate_only"]}, again=True)


def find_by_tag(
    graph: Graph, path: str, tag: str, *, filtered: bool = False, unique: bool = True
) -> str | None:  # fmt: skip
    """Return the id of what has a tag in its name under a path (`act_900/campaigns`), if there is something.

    `filtered`: Facebook can filter that list by name. Raises GraphError, also where it has to be unique and is not.
    """
    asked: dict[str, Any] = {"fields": "id,name"}
    if filtered:
        asked["filtering"] = [{"field": "name", "operator": "CONTAIN", "value": tag}]
    found = [row["id"] for row in graph.rows(path, asked) if tag in row.get("name", "")]
    if unique and len(found) > 1:
        raise RefusedError(
            f"{path} has {len(found)} that are named by {tag} ({', '.join(found)}): delete all but one in Ads Manager"
        )
    return found[0] if found else None


def upload_image(graph: Graph, account: str, file: Path) -> tuple[str, str]:
    """Upload a picture; returns its hash and its address. The same picture again is the same hash."""
    answer = graph.post(
        f"{account}/adimages",
        files={"filename": (file.name, file.read_bytes(), "application/octet-stream")},
        again=True,
    )
    (image,) = answer["images"].values()
    return str(image["hash"]), str(image.get("url", ""))


@dataclass(frozen=True)
class Limits:
    """What an account allows: `least_daily_budget` is in minor units; `country` is its business's, if it says so."""

    status: int
    currency: str
    least_daily_budget: int
    country: str | None


def limits(graph: Graph, account: str) -> Limits:
    """Ask an account what it allows. Raises GraphError."""
    row = graph.get(account, {"fields": "account_status,currency,min_daily_budget,business_country_code"})
    return Limits(
        int(row.get("account_status") or 0), str(row["currency"]), int(row.get("min_daily_budget") or 0),
        row.get("business_country_code"),
    )  # fmt: skip


@dataclass(frozen=True)
class Post:
    """A page's post: `id` is the one to promote; `why_not` says why it cannot be ("": it can)."""

    id: str
    why_not: str


def post(graph: Graph, id_: str) -> Post:
    """Look at a post (`<page>_<post>`) before it is promoted; wants the page's token. Raises GraphError."""
    row = graph.get(id_, {"fields": "id,is_published,is_eligible_for_promotion,promotable_id"})
    why_not = ""
    if row.get("is_published") is False:
        why_not = "it is not published"
    elif row.get("is_eligible_for_promotion") is False:
        why_not = "Facebook does not let it be promoted"
    return Post(str(row.get("promotable_id") or row["id"]), why_not)


# ----------------------------------------------------------------------------------------------------------- switching


def set_status(
    graph: Graph, ids: Sequence[str], status: str, *, validate_only: bool = False
) -> dict[str, GraphError | None]:
    """Give campaigns, ad sets or ads a status, 50 in one call; returns for each the failure that it met, if any.

    The same status again changes nothing, so what is left unanswered is sent again. Raises GraphError where the call
    as a whole fails.
    """
    params: dict[str, Any] = {"status": status}
    if validate_only:
        params["execution_options"] = ["validate_only"]
    answers = graph.batch([Inner("POST", id_, params) for id_ in ids], again=True)
    return {id_: answer if isinstance(answer, GraphError) else None for id_, answer in zip(ids, answers, strict=True)}
