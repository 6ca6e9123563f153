"""Campaigns: looking them up, and keeping them as Facebook has them.

A row keeps the web application's words: `objective` stays LEAD_GENERATION where Facebook says OUTCOME_LEADS, and `name`
is without the tag that ibctl puts behind it at Facebook. Money is in the ad account's currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, lookup
from ibctl.ads import minor_units, objectives
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection
from ibctl.ads.campaigns import rules
from ibctl.ads.spend.rules import LARGEST_COUNT
from ibctl.ads.sync import action_rules
from ibctl.errors import RequestError
from ibctl.integrations.facebook import campaigns as facebook
from ibctl.models.ads import AdActionTypes
from ibctl.models.campaigns import CampaignBuild
from ibctl.models.platform import AdCampaign, FacebookAdAccount
from ibctl.users import service as users

# ----------------------------------------------------------------------------------------------------------- looking up


def find(session: Session, name: str) -> AdCampaign:
    """Return the campaign with this row id, Facebook id, or name in whatever case.

    Raises NotFoundError naming the value and what may have been meant; RequestError where several have the name.
    """
    return lookup.the_one(
        name, partial(_named, session), kind="campaign",
        hint=partial(lookup.did_you_mean, session, AdCampaign.name, otherwise="`ibctl ads campaigns list` shows all"),
        which=lambda one: f"{one.fb_campaign_id or one.id} ({one.status})",
    )  # fmt: skip


def _named(session: Session, wanted: str) -> Sequence[AdCampaign]:
    by_id = sa.or_(col(AdCampaign.id) == wanted, col(AdCampaign.fb_campaign_id) == wanted)
    found = session.exec(select(AdCampaign).where(by_id)).all()
    if found:
        return found
    same = sa.func.lower(AdCampaign.name) == sa.func.lower(wanted)
    return session.exec(select(AdCampaign).where(same).order_by(col(AdCampaign.created_at).desc())).all()


def names(session: Session, prefix: str, limit: int = 50) -> list[str]:
    """Return names that begin with `prefix`, the newest campaign's first."""
    begins = sa.func.starts_with(AdCampaign.name, prefix)
    newest = select(AdCampaign.name).where(begins).order_by(col(AdCampaign.created_at).desc()).limit(limit)
    return list(dict.fromkeys(session.exec(newest)))


@dataclass(frozen=True)
class Filter:
    """Which campaigns: of one account, of one IB, with a status, of a type; None: whichever."""

    account: str | None = None
    ib: str | None = None
    status: str | None = None
    type: str | None = None


_LISTING = """
    SELECT c.*, u.email AS ib, a."adAccountId" AS "fbAdAccountId", a."adAccountName", a.currency, t.name AS template,
      count(*) OVER () AS total
    FROM "AdCampaign" c
    JOIN "FacebookAdAccount" a ON a.id = c."adAccountId"
    JOIN "User" u ON u.id = c."userId"
    LEFT JOIN "AdTemplate" t ON t.id = c."templateId"
    WHERE (CAST(:id AS text) IS NULL OR c.id = :id)
      AND (CAST(:account AS text) IS NULL OR c."adAccountId" = :account)
      AND (CAST(:ib AS text) IS NULL OR c."userId" = :ib)
      AND (CAST(:status AS text) IS NULL OR c.status = :status)
      AND (CAST(:type AS text) IS NULL OR c."campaignType" = :type)
    ORDER BY c."createdAt" DESC, c.id DESC LIMIT :limit
"""


def listing(session: Session, which: Filter, *, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return campaigns as rows, newest first and at most `limit` (0: all), and how many there are without the limit.

    Raises NotFoundError, RequestError for an account or an IB that there is not.
    """
    values = {
        "id": None,
        "account": accounts.find(session, which.account).id if which.account else None,
        "ib": users.find(session, which.ib).id if which.ib else None,
        "status": which.status,
        "type": which.type,
        "limit": limit or None,
    }
    rows = [dict(row) for row in session.execute(sa.text(_LISTING), values).mappings()]
    return rows, rows[0]["total"] if rows else 0


def show(session: Session, name: str) -> dict[str, Any]:
    """Return one campaign as a row. Raises as `find`."""
    values = {"id": find(session, name).id, "account": None, "ib": None, "status": None, "type": None, "limit": None}
    return dict(session.execute(sa.text(_LISTING), values).mappings().one())


# -------------------------------------------------------------------------------------------------------------- syncing


@dataclass(frozen=True)
class Synced:
    """How one account's campaigns fared, and whether their spend is all of the account's."""

    account: str
    name: str | None
    currency: str
    campaigns: int
    created: int
    updated: int
    spend: Decimal
    campaign_spend: Decimal

    @property
    def residual(self) -> Decimal:
        """What the account spent and no campaign that Facebook names."""
        return self.spend - self.campaign_spend


def known_ids(session: Session, account_id: str) -> list[str]:
    """Return the Facebook ids of an account's campaigns that are stored."""
    ids = select(AdCampaign.fb_campaign_id).where(AdCampaign.ad_account_id == account_id)
    return [id_ for id_ in session.exec(ids) if id_ is not None]


def store(session: Session, connection: Connection, seen: facebook.Picture) -> Synced:
    """Make an account's campaigns what Facebook says of them, deleted ones included.

    Raises RequestError where Facebook's currency is another than the stored one, or has no known minor unit.
    """
    account = session.get_one(FacebookAdAccount, connection.id)
    _require_currency(account, seen)
    counted = _counted(session, account.id)
    rows, builds = _rows(session, account.id), _builds(session, account.id)
    created = updated = 0
    every = rows.keys() | seen.campaigns.keys() | seen.metrics.keys()
    for id_ in sorted(every):
        row = rows.get(id_) or _adopted(session, account, id_, seen, builds)
        before = _facts(row)
        _take(row, seen.campaigns.get(id_), seen.metrics.get(id_), counted, account.currency, builds.get(row.id))
        created += row not in session
        updated += row in session and _facts(row) != before
        row.last_sync_at = row.updated_at = clock.now()
        session.add(row)
    session.flush()
    total = seen.account.spend if seen.account else Decimal(0)
    parts = sum((one.spend for one in seen.metrics.values()), start=Decimal(0))
    return Synced(
        connection.name, account.ad_account_name, account.currency, len(every), created,
        updated, total, parts,
    )  # fmt: skip


def _require_currency(account: FacebookAdAccount, seen: facebook.Picture) -> None:
    told = {one.currency for one in (*seen.metrics.values(), *([seen.account] if seen.account else []))}
    if other := sorted(told - {account.currency}):
        raise RequestError(
            f"{account.ad_account_id} has {other[0]} at Facebook, but {account.currency} here: "
            "`ibctl ads accounts refresh` it first"
        )
    try:
        minor_units.offset(account.currency)
    except ValueError as exc:
        raise RequestError(f"{account.ad_account_id}: {exc}") from None


def _counted(session: Session, account_id: str) -> action_rules.Counted:
    own = session.get(AdActionTypes, account_id)
    return action_rules.counted(own.leads, own.conversions) if own else action_rules.USUAL


def _rows(session: Session, account_id: str) -> dict[str, AdCampaign]:
    held = select(AdCampaign).where(AdCampaign.ad_account_id == account_id, col(AdCampaign.fb_campaign_id).is_not(None))
    return {str(row.fb_campaign_id): row for row in session.exec(held.order_by(AdCampaign.id).with_for_update())}


def _builds(session: Session, account_id: str) -> dict[str, CampaignBuild]:
    """Return what ibctl makes or has made in an account, by the campaign's row id."""
    builds = session.exec(select(CampaignBuild).where(CampaignBuild.ad_account_id == account_id))
    return {build.id: build for build in builds}


def _adopted(
    session: Session, account: FacebookAdAccount, id_: str, seen: facebook.Picture, builds: Mapping[str, CampaignBuild]
) -> AdCampaign:
    """Return the row of a campaign whose id is not known yet: one that a run was making when it died, or a new one."""
    found, metrics = seen.campaigns.get(id_), seen.metrics.get(id_)
    name, mark = rules.untagged(found.name if found else metrics.name if metrics else "")
    begun = next((build for build in builds.values() if build.tag == mark), None)
    row = session.get(AdCampaign, begun.id) if begun else None
    if row is not None and row.fb_campaign_id is None:
        row.fb_campaign_id = id_
        return row
    objective = found.objective if found else metrics.objective if metrics else ""
    return AdCampaign(
        user_id=account.user_id, ad_account_id=account.id, fb_campaign_id=id_, name=name or id_, objective=objective,
        campaign_type="CAMPAIGN", targeting_data={}, status="PAUSED",
    )  # fmt: skip


_SYNCED = (
    "name", "objective", "status", "error_message", "daily_budget", "lifetime_budget", "remaining_budget",
    "total_spent", "impressions", "clicks", "leads", "conversions", "ctr", "cpc", "cpl", "roas", "start_date",
    "end_date", "fb_campaign_id",
)  # fmt: skip


def _facts(row: AdCampaign) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _SYNCED)


def _take(
    row: AdCampaign,
    found: facebook.Campaign | None,
    metrics: facebook.Metrics | None,
    counted: action_rules.Counted,
    currency: str,
    build: CampaignBuild | None,
) -> None:
    if metrics is not None:
        _take_figures(row, figures(metrics, counted))
    if found is not None:
        _take_settings(row, found, currency)
    if build is not None and build.finished_at is None:
        return  # still in the making: DRAFT, or ERROR with its reason, until it is finished
    effective = found.effective_status if found else "DELETED"
    state = rules.state(
        effective, stop=found.stop if found else None, trouble=found.trouble if found else "", now=clock.now(),
        before=row.status,
    )  # fmt: skip
    gone = rules.GONE if found is None and metrics is None else None
    set_state(row, state.status, state.error or gone)


def set_state(row: AdCampaign, status: str, error: str | None) -> None:
    """Give a campaign its status; an error that was not there before is counted."""
    if error is not None and error != row.error_message and status == "ERROR":
        row.error_count += 1
    row.status, row.error_message = status, error


def figures(metrics: facebook.Metrics, counted: action_rules.Counted) -> rules.Figures:
    """Return what a campaign brought, by what counts for its account."""
    return rules.Figures(
        spent=metrics.spend,
        impressions=metrics.impressions,
        clicks=metrics.clicks,
        leads=action_rules.total(metrics.actions, counted.leads),
        conversions=action_rules.total(metrics.actions, counted.conversions),
        value=metrics.values.get("purchase", Decimal(0)),
    )


def _take_figures(row: AdCampaign, brought: rules.Figures) -> None:
    counts = {name: getattr(brought, name) for name in ("impressions", "clicks", "leads", "conversions")}
    if beyond := [f"{count:,} {name}" for name, count in counts.items() if count > LARGEST_COUNT]:
        raise RequestError(
            f"campaign {row.fb_campaign_id} has {beyond[0]}, more than the column can hold ({LARGEST_COUNT:,})"
        )
    row.total_spent, row.impressions, row.clicks = float(brought.spent), brought.impressions, brought.clicks
    row.leads, row.conversions = brought.leads, brought.conversions
    row.ctr, row.cpc, row.cpl, row.roas = (
        float(ratio) for ratio in (brought.ctr, brought.cpc, brought.cpl, brought.roas)
    )


def _take_settings(row: AdCampaign, found: facebook.Campaign, currency: str) -> None:
    row.name = rules.untagged(found.name)[0] or row.name
    row.objective = _objective(row, found.objective)
    row.daily_budget = _major(found.daily_budget, currency)
    row.lifetime_budget = _major(found.lifetime_budget, currency)
    row.remaining_budget = _major(found.budget_remaining, currency)
    row.start_date, row.end_date = found.start, found.stop or row.end_date


def _objective(row: AdCampaign, told: str) -> str:
    """Keep the word of old that the web application knows, as long as it means what Facebook says."""
    category = "lead_generation" if told == objectives.LEADS else "conversion"
    if row.objective in objectives.NAMES and objectives.outcome(row.objective, category) == told:
        return row.objective
    return told or row.objective


def _major(minor: int | None, currency: str) -> float | None:
    return None if minor is None else float(minor_units.from_minor(minor, currency))
