"""Making a campaign at Facebook: record what is wanted, make it, record what came of it.

Graph knows no way to say "only if it is not there yet", and a call whose answer got lost may have been carried out. So
everything bears the campaign's tag in its name, and is looked for before it is made: a run that died anywhere is
finished by the next one, and nothing is made twice. While one run is at work on an ad account, others wait.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from ibctl import clock, db
from ibctl.ads import minor_units
from ibctl.ads.accounts.service import Connection
from ibctl.ads.campaigns import service as campaigns
from ibctl.ads.campaigns.calls import STEPS, Calls, Wanted, differences
from ibctl.errors import RequestError
from ibctl.integrations.facebook import campaigns as facebook
from ibctl.integrations.facebook.client import Graph
from ibctl.integrations.facebook.failures import GraphError, OutcomeUnknownError
from ibctl.integrations.facebook.identity import DELIVERING, STATUSES
from ibctl.models.campaigns import CampaignBuild
from ibctl.models.platform import AdCampaign, AdTemplate, FacebookAdAccount

# By step: where it is made, under the ad account.
EDGES: Mapping[str, str] = {"campaign": "campaigns", "adset": "adsets", "creative": "adcreatives", "ad": "ads"}
# Seconds after which a lost call is looked for; Graph's lists can lag behind its writes.
LOOKS = (1.0, 4.0)


@dataclass(frozen=True)
class Intent:
    """A campaign to be made: what Facebook is sent, and what the shared tables say besides."""

    wanted: Wanted
    calls: Calls
    # CAMPAIGN, BOOST
    type: str
    # In the web application's words.
    objective: str
    template_id: str | None = None
    # Uploaded first, when there is one.
    image: Path | None = None


@dataclass
class Made:
    """What there is of a campaign: Facebook's ids by step, and the picture's address."""

    ids: dict[str, str] = field(default_factory=dict)
    row_id: str = ""
    image_url: str | None = None
    # Whether an earlier run had begun it, and whether it had made all of it.
    resumed: bool = False
    finished: bool = False


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Keep other runs from making anything in this ad account.

    By a lock of a transaction that stays open meanwhile and does nothing else: it ends with this process, however that
    ends. Raises RequestError when another run holds it for too long.
    """
    with db.reading() as session:
        db.lock(session, f"ads create {connection.id}")
        yield


# -------------------------------------------------------------------------------------------------------------- looking


def require_able(graph: Graph, connection: Connection, wanted: Wanted) -> None:
    """Raise RequestError where the account delivers nothing, or not for so little. Raises GraphError."""
    limits = facebook.limits(graph, connection.name)
    if limits.status not in DELIVERING:
        raise RequestError(f"{connection.name} shows no ads: it is {STATUSES.get(limits.status, limits.status)}")
    if limits.currency != wanted.currency:
        raise RequestError(
            f"{connection.name} has {limits.currency} at Facebook, but {wanted.currency} here: "
            "`ibctl ads accounts refresh` it first"
        )
    least = minor_units.from_minor(limits.least_daily_budget, limits.currency)
    if wanted.daily_budget is not None and wanted.daily_budget < least:
        raise RequestError(
            f"--daily-budget {wanted.daily_budget} is too little for {connection.name}: Facebook takes "
            f"{least} {limits.currency} a day or more"
        )


def look(graph: Graph, account: str, tag: str) -> dict[str, str]:
    """Return what is at Facebook already of a campaign with this tag: its ids by step. Raises GraphError."""
    found: dict[str, str] = {}
    for step in STEPS:
        id_ = _find(graph, account, step, tag, found)
        if id_ is not None:
            found[step] = id_
        elif step == "campaign":
            return found  # without a campaign there is nothing under it; a creative without one shows nothing
    return found


def _find(graph: Graph, account: str, step: str, tag: str, found: Mapping[str, str]) -> str | None:
    if step == "adset":
        return facebook.find_by_tag(graph, f"{found['campaign']}/adsets", tag)
    if step == "ad":
        return facebook.find_by_tag(graph, f"{found['adset']}/ads", tag) if "adset" in found else None
    if step == "creative":
        # Facebook filters no creatives by name. Two of them do no harm: only what an ad uses is shown.
        return facebook.find_by_tag(graph, f"{account}/adcreatives", tag, unique=False)
    return facebook.find_by_tag(graph, f"{account}/campaigns", tag, filtered=True)


# ----------------------------------------------------------------------------------------------------------- all of it


@contextmanager
def begun(
    graph: Graph, connection: Connection, intent: Intent, *, activate: bool, reason: str | None
) -> Iterator[Made]:  # fmt: skip
    """Record that a campaign is wanted, find what an earlier run made of it, and keep other runs out meanwhile.

    Raises RequestError, GraphError.
    """
    with alone(connection):
        require_able(graph, connection, intent.wanted)
        found = _look_again(graph, connection, intent.wanted.tag)
        with db.transaction(reason=reason) as session:
            made = begin(session, connection, intent, found, activate=activate)
        yield made


def finish(
    graph: Graph, connection: Connection, intent: Intent, made: Made, *, activate: bool, reason: str | None
) -> AdCampaign:  # fmt: skip
    """Make what is missing of a campaign that was begun, and `activate` it; returns its row.

    Raises GraphError: then what there is by now is recorded, with what went wrong, and `made` says it.
    """
    if not made.finished:
        with _recorded(made, keep, reason):
            make(graph, intent, made, connection)
    if activate:
        with _recorded(made, activated, reason):
            let_run(graph, made)
    with db.reading() as session:
        return session.get_one(AdCampaign, made.row_id)


@contextmanager
def _recorded(
    made: Made, record: Callable[[Session, Made, GraphError | None], None], reason: str | None
) -> Iterator[None]:
    """Record what came of calls to Facebook, whether they failed or not."""
    failure: GraphError | None = None
    try:
        yield
    except GraphError as exc:
        failure = exc
    with db.transaction(reason=reason) as session:
        record(session, made, failure)
    if failure is not None:
        raise failure


def _look_again(graph: Graph, connection: Connection, tag: str) -> dict[str, str]:
    """Return what is at Facebook already. Looks again where a run has begun it, since its last call can show late."""
    found = look(graph, connection.name, tag)
    with db.reading() as session:
        build = session.exec(_builds(connection, tag)).first()
    for seconds in LOOKS if build is not None else ():
        if len(found) == len(STEPS):
            break
        graph.line.pause(seconds)
        found = look(graph, connection.name, tag)
    return found


# --------------------------------------------------------------------------------------------------------------- making


def make(graph: Graph, intent: Intent, made: Made, connection: Connection) -> None:
    """Make what is missing of a campaign; `made` gets each id as it comes. Raises GraphError."""
    calls = copy.deepcopy(intent.calls)
    if intent.image is not None and "creative" not in made.ids:
        hashed, made.image_url = facebook.upload_image(graph, connection.name, intent.image)
        calls["creative"]["object_story_spec"]["link_data"]["image_hash"] = hashed
    for step in STEPS:
        if step not in made.ids:
            call = {**calls[step], **_links(step, made.ids)}
            made.ids[step] = _make_one(graph, connection.name, step, call, made.ids, intent.wanted.tag)


def _links(step: str, ids: Mapping[str, str]) -> dict[str, Any]:
    if step == "adset":
        return {"campaign_id": ids["campaign"]}
    if step == "ad":
        return {"adset_id": ids["adset"], "creative": {"creative_id": ids["creative"]}}
    return {}


def _make_one(
    graph: Graph, account: str, step: str, call: Mapping[str, Any], ids: Mapping[str, str], tag: str
) -> str:  # fmt: skip
    try:
        return facebook.create(graph, f"{account}/{EDGES[step]}", call)
    except OutcomeUnknownError:
        for seconds in LOOKS:
            graph.line.pause(seconds)
            if (found := _find(graph, account, step, tag, ids)) is not None:
                return found
        raise


def validate(graph: Graph, intent: Intent, made: Made, account: str) -> dict[str, str]:
    """Let Facebook judge each call as far as it can without making anything; returns its verdict by step.

    An ad set needs its campaign's id, an ad those of ad set and creative, so they are judged where these exist already.
    Raises GraphError for what Facebook refuses.
    """
    verdicts = {}
    for step in STEPS:
        if step in made.ids:
            verdicts[step] = f"made already: {made.ids[step]}"
        elif (step == "creative" and intent.image is not None) or not _needed(step) <= made.ids.keys():
            verdicts[step] = "not asked: it needs what is yet to be made"
        else:
            call = {**intent.calls[step], **_links(step, made.ids)}
            facebook.validate(graph, f"{account}/{EDGES[step]}", call)
            verdicts[step] = "Facebook would take it"
    return verdicts


def _needed(step: str) -> set[str]:
    return {"adset": {"campaign"}, "ad": {"adset", "creative"}}.get(step, set())


# ------------------------------------------------------------------------------------------------------------ recording


def _builds(connection: Connection, tag: str) -> SelectOfScalar[CampaignBuild]:
    return select(CampaignBuild).where(CampaignBuild.ad_account_id == connection.id, CampaignBuild.tag == tag)


def begin(
    session: Session, connection: Connection, intent: Intent, found: Mapping[str, str], *, activate: bool
) -> Made:
    """Record what is wanted, before anything is made; `found` is what is there already.

    Raises RequestError where the campaign is finished (unless it is yet to be activated), or where what is there was
    made from other settings.
    """
    wanted = intent.wanted
    build = session.exec(_builds(connection, wanted.tag).with_for_update()).first()
    if build is None:
        return _begin_anew(session, connection, intent, found)
    row = session.get_one(AdCampaign, build.id)
    if build.finished_at is not None:
        return _made_already(row, build, connection, intent, activate=activate)
    _require_same(build, intent, found)
    build.calls = {**intent.calls, **{step: build.calls[step] for step in found}}
    _describe(row, intent)
    return Made(dict(found), row.id, row.image_url, resumed=True)


def _made_already(
    row: AdCampaign, build: CampaignBuild, connection: Connection, intent: Intent, *, activate: bool
) -> Made:  # fmt: skip
    """Return a campaign that is finished, where an earlier run died before it let it run. Raises RequestError."""
    if not activate or build.activated_at is not None or row.status != "PAUSED":
        raise RequestError(
            f"there is a campaign '{row.name}' in {connection.name} already ({row.fb_campaign_id}, {row.status}): "
            "choose another --name"
        )
    ids = {
        "campaign": row.fb_campaign_id, "adset": row.fb_ad_set_id, "creative": build.creative_id, "ad": row.fb_ad_id,
    }  # fmt: skip
    found = {step: id_ for step, id_ in ids.items() if id_ is not None}
    _require_same(build, intent, found)
    return Made(found, row.id, row.image_url, resumed=True, finished=True)


def _begin_anew(session: Session, connection: Connection, intent: Intent, found: Mapping[str, str]) -> Made:
    account = session.get_one(FacebookAdAccount, connection.id)
    # A sync may have met the campaign before this command could record it.
    known = select(AdCampaign).where(col(AdCampaign.fb_campaign_id) == found.get("campaign"))
    row = session.exec(known.with_for_update()).first() if found else None
    if row is None:
        row = AdCampaign(
            user_id=account.user_id, ad_account_id=account.id, name=intent.wanted.name, objective=intent.objective,
            campaign_type=intent.type, targeting_data={},
        )  # fmt: skip
    row.status = "DRAFT"
    _describe(row, intent)
    session.add(row)
    session.add(CampaignBuild(id=row.id, ad_account_id=account.id, tag=intent.wanted.tag, calls=intent.calls))
    session.flush()
    return Made(dict(found), row.id, resumed=bool(found))


def _describe(row: AdCampaign, intent: Intent) -> None:
    wanted = intent.wanted
    row.name, row.objective, row.campaign_type = wanted.name, intent.objective, intent.type
    row.template_id, row.fb_post_id = intent.template_id, wanted.post
    row.daily_budget, row.lifetime_budget = _float(wanted.daily_budget), _float(wanted.lifetime_budget)
    row.targeting_data = intent.calls["adset"]["targeting"]
    row.ad_copy = wanted.text or None
    row.call_to_action = None if wanted.post else wanted.button
    row.updated_at = clock.now()


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _require_same(build: CampaignBuild, intent: Intent, found: Mapping[str, str]) -> None:
    for step in found:
        if other := differences(step, build.calls[step], intent.calls[step]):
            raise RequestError(
                f"the {step} of '{intent.wanted.name}' was made already ({found[step]}), with another "
                f"{' and '.join(other)}: give the same options again, or choose another --name"
            )


def keep(session: Session, made: Made, failure: GraphError | None) -> None:
    """Record what there is now: a campaign that is finished, or how far it came and what kept it."""
    row, build = _held(session, made)
    row.fb_campaign_id = made.ids.get("campaign")
    row.fb_ad_set_id, row.fb_ad_id = made.ids.get("adset"), made.ids.get("ad")
    row.image_url = made.image_url or row.image_url
    build.creative_id = made.ids.get("creative")
    if failure is not None:
        campaigns.set_state(row, "ERROR", str(failure))
    else:
        campaigns.set_state(row, "PAUSED", None)
        build.finished_at = row.last_sync_at = clock.now()
        _count_usage(session, row.template_id)
    row.updated_at = clock.now()


def _held(session: Session, made: Made) -> tuple[AdCampaign, CampaignBuild]:
    row = session.exec(select(AdCampaign).where(AdCampaign.id == made.row_id).with_for_update()).one()
    return row, session.get_one(CampaignBuild, made.row_id)


def _count_usage(session: Session, template_id: str | None) -> None:
    """Count a use of a template, once for each campaign: in the transaction that finishes it."""
    if template_id is not None:
        more = sa.update(AdTemplate).where(col(AdTemplate.id) == template_id)
        session.execute(more.values(usage_count=AdTemplate.usage_count + 1, updated_at=clock.now()))


def let_run(graph: Graph, made: Made) -> None:
    """Let ad, ad set and campaign run, in this order: nothing runs before all of it may. Raises GraphError."""
    for step in ("ad", "adset", "campaign"):
        (failure,) = facebook.set_status(graph, [made.ids[step]], "ACTIVE").values()
        if failure is not None:
            raise failure


def activated(session: Session, made: Made, failure: GraphError | None) -> None:
    """Record that a campaign runs, or why it stays paused."""
    row, build = _held(session, made)
    if failure is not None:
        row.error_message, row.error_count = str(failure), row.error_count + 1
    else:
        campaigns.set_state(row, "ACTIVE", None)
        build.activated_at = clock.now()
    row.updated_at = clock.now()
