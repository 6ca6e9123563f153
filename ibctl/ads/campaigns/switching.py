"""Pausing, resuming and archiving campaigns: at Facebook first, and then in the shared tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel import Session, col, select

from ibctl import clock, db, money
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection
from ibctl.ads.campaigns import service as campaigns
from ibctl.errors import IbctlError, RequestError
from ibctl.integrations.facebook import campaigns as facebook
from ibctl.integrations.facebook.client import Graph, Line
from ibctl.integrations.facebook.failures import GraphError, SettingError
from ibctl.integrations.facebook.identity import DELIVERING, STATUSES
from ibctl.models.campaigns import CampaignBuild
from ibctl.models.platform import AdCampaign

Outcomes = dict[str, IbctlError | None]


@dataclass(frozen=True)
class Switch:
    """A campaign that is to be paused, resumed or archived; `ids` are all that has to run for it to run."""

    id: str
    name: str
    ids: Sequence[str]
    connection: Connection
    status: str
    # In the account's currency; one of them, or none where Facebook has not said.
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    end: datetime | None
    # Whether a run that died has made only a part of it.
    unfinished: bool

    @property
    def campaign(self) -> str:
        """Facebook's id of the campaign itself."""
        return self.ids[-1]


def switches(session: Session, names: Iterable[str], account: str | None) -> list[Switch]:
    """Return the named campaigns, or all live and finished ones of an account, with what it takes to switch them.

    Raises NotFoundError, and RequestError for one that is not at Facebook (yet), or whose account is not connected.
    """
    found = [campaigns.find(session, name) for name in names]
    if account is not None:
        id_ = accounts.find(session, account).id
        live = select(AdCampaign).where(AdCampaign.ad_account_id == id_, col(AdCampaign.fb_campaign_id).is_not(None))
        begun = select(CampaignBuild.id).where(col(CampaignBuild.finished_at).is_(None))
        live = live.where(col(AdCampaign.status) != "COMPLETED", col(AdCampaign.id).not_in(begun))
        found += session.exec(live.order_by(AdCampaign.id)).all()
    unique = {row.id: row for row in found}
    for row in unique.values():
        if row.fb_campaign_id is None:
            raise RequestError(f"'{row.name}' is a draft: Facebook has no such campaign (yet)")
    if not unique:
        return []
    known = accounts.connections(session, sorted({row.ad_account_id for row in unique.values()}))
    if known.closed:
        raise known.closed[0][2]
    by_id = {one.id: one for one in known.usable}
    return [_switch(session, row, by_id[row.ad_account_id]) for row in unique.values()]


def _switch(session: Session, row: AdCampaign, connection: Connection) -> Switch:
    build = session.get(CampaignBuild, row.id)
    # What ibctl made is paused on every level until it is first let run; later, a level that is paused was paused by
    # somebody, and stays so.
    below = [row.fb_ad_id, row.fb_ad_set_id] if build is not None and build.activated_at is None else []
    return Switch(
        row.id, row.name, [id_ for id_ in (*below, row.fb_campaign_id) if id_], connection, row.status,
        _amount(row.daily_budget), _amount(row.lifetime_budget), row.end_date,
        build is not None and build.finished_at is None,
    )  # fmt: skip


def _amount(value: float | None) -> Decimal | None:
    return None if value is None else money.from_float(value)


def switched(session: Session, outcomes: Mapping[str, IbctlError | None], status: str) -> None:
    """Store what became of campaigns, by row id: the new status, or what Facebook said against it."""
    held = select(AdCampaign).where(col(AdCampaign.id).in_(outcomes.keys())).order_by(AdCampaign.id).with_for_update()
    for row in session.exec(held):
        failure = outcomes[row.id]
        if failure is None:
            campaigns.set_state(row, status, None)
            _note_activation(session, row, status)
        else:
            row.error_message, row.error_count = str(failure), row.error_count + 1
        row.updated_at = clock.now()


def _note_activation(session: Session, row: AdCampaign, status: str) -> None:
    build = session.get(CampaignBuild, row.id)
    if status == "ACTIVE" and build is not None and build.activated_at is None:
        build.activated_at = clock.now()


# --------------------------------------------------------------------------------------------------------- at Facebook


def switch(line: Line, asked: Sequence[Switch], status: str, *, dry_run: bool) -> Outcomes:
    """Give campaigns a status at Facebook, an account's in one batch; returns by row id what was said against it.

    `dry_run`: Facebook only judges it. Raises SettingError.
    """
    outcomes: Outcomes = {}
    for connection, group in _by_account(asked):
        try:
            outcomes |= _switch_account(line.graph(connection.token), connection, group, status, dry_run=dry_run)
        except SettingError:
            raise
        except GraphError as exc:
            with db.transaction(dry_run=dry_run) as session:
                accounts.note_failure(session, connection.id, exc)
            outcomes |= dict.fromkeys((one.id for one in group), exc)
    return outcomes


def _by_account(asked: Sequence[Switch]) -> Iterator[tuple[Connection, list[Switch]]]:
    groups: dict[str, list[Switch]] = defaultdict(list)
    for one in asked:
        groups[one.connection.id].append(one)
    for group in groups.values():
        yield group[0].connection, group


def _switch_account(
    graph: Graph, connection: Connection, group: Sequence[Switch], status: str, *, dry_run: bool
) -> Outcomes:  # fmt: skip
    runs = status == "ACTIVE"
    if runs and (why := _undelivered(graph, connection)) is not None:
        return dict.fromkeys((one.id for one in group), why)
    hidden = _hidden(graph, connection, group) if runs else {}
    shown = [one for one in group if one.id not in hidden]
    ids = [id_ for one in shown for id_ in (one.ids if runs else [one.campaign])]
    answers = facebook.set_status(graph, ids, status, validate_only=dry_run)
    return hidden | {one.id: next((answers[id_] for id_ in one.ids if answers.get(id_)), None) for one in shown}


def _hidden(graph: Graph, connection: Connection, group: Sequence[Switch]) -> Outcomes:
    """Return, by row id, why nothing of a campaign would be shown: Facebook has disapproved every ad of it."""
    troubles = facebook.troubles(graph, connection.name)
    return {
        one.id: RequestError(f"nothing of it would be shown: {troubles[one.campaign]}; mend that in Ads Manager")
        for one in group
        if one.campaign in troubles
    }


def _undelivered(graph: Graph, connection: Connection) -> RequestError | None:
    """Return why nothing of an account would be shown, however its campaigns are switched."""
    status = facebook.limits(graph, connection.name).status
    if status in DELIVERING:
        return None
    return RequestError(f"{connection.name} shows no ads: it is {STATUSES.get(status, status)}")
