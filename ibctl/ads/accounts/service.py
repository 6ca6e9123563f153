"""Connected ad accounts: storing, finding and listing them, and what was wrong with one the last time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, crypto
from ibctl.ads.accounts import rules as account_rules
from ibctl.ads.accounts.survey import Survey
from ibctl.ads.spend import service
from ibctl.crypto import SecretError
from ibctl.errors import IbctlError, RequestError
from ibctl.integrations.facebook.failures import RateLimitError, TokenError
from ibctl.integrations.facebook.identity import AdAccount, Page, TokenFacts
from ibctl.models.ads import AdAccountState, AdActionTypes
from ibctl.models.platform import FacebookAdAccount, User
from ibctl.users import service as users

CONNECT = "`ibctl ads accounts connect`"


@dataclass(frozen=True)
class Connection:
    """A connected account with its token, open: everything that a call to Facebook on its behalf needs."""

    id: str
    # `act_…`; None: a user without an ad account.
    facebook_id: str | None
    email: str
    token: str = field(repr=False)
    currency: str
    zone: str
    page_id: str | None
    page_token: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.facebook_id or f"{self.email} (no ad account)"

    @property
    def owned_name(self) -> str:
        """How messages call it that say whose it is."""
        return f"{self.facebook_id} of {self.email}" if self.facebook_id else self.name


@dataclass(frozen=True)
class Connections:
    """The accounts that a command works on; `skipped` are out of work since an earlier run."""

    usable: Sequence[Connection]
    # (name, why)
    skipped: Sequence[tuple[str, str]]
    # Those whose token cannot be opened: (row id, name, what is wrong with the stored secret).
    closed: Sequence[tuple[str, str, SecretError]]


# -------------------------------------------------------------------------------------------------------------- finding


def find(session: Session, name: str) -> FacebookAdAccount:
    """Return the account that a name means. Raises as `service.find_account`."""
    return session.get_one(FacebookAdAccount, service.find_account(session, name).id)


def suggestions(session: Session, prefix: str, limit: int = 200) -> list[tuple[str, str]]:
    """Return Facebook ids that begin with `prefix`, each with the account's name and its IB's email."""
    query = (
        select(FacebookAdAccount.ad_account_id, FacebookAdAccount.ad_account_name, User.email)
        .join(User, col(User.id) == FacebookAdAccount.user_id)
        .where(sa.func.starts_with(FacebookAdAccount.ad_account_id, prefix))
        .order_by(FacebookAdAccount.ad_account_id)
    )
    return [(str(id_), f"{name or 'ad account'} of {email}") for id_, name, email in session.exec(query.limit(limit))]


def connections(
    session: Session, names: Sequence[str] = (), *, with_account: bool = True, strict: bool = True
) -> Connections:
    """Open the tokens of the named accounts, or of all that have one. `with_account`: of ad accounts only.

    Raises NotFoundError, and RequestError for a named account that is not connected, unless not `strict`.
    """
    named = [one.id for one in service.find_accounts(session, names)] if names else []
    query = (
        select(FacebookAdAccount, User.email)
        .join(User, col(User.id) == FacebookAdAccount.user_id)
        .where(col(FacebookAdAccount.id).in_(named) if names else col(FacebookAdAccount.access_token).is_not(None))
        .order_by(col(FacebookAdAccount.ad_account_id), col(FacebookAdAccount.id))
    )
    usable: list[Connection] = []
    skipped: list[tuple[str, str]] = []
    closed: list[tuple[str, str, SecretError]] = []
    for row, email in session.exec(query):
        if with_account and row.ad_account_id is None and not names:
            continue
        name = row.ad_account_id or row.id
        if (why := _why_unusable(session, row, with_account)) is not None:
            if names and strict:
                raise RequestError(f"{name} {why}")
            skipped.append((name, why))
            continue
        try:
            usable.append(_open(row, email))
        except SecretError as exc:
            closed.append((row.id, name, exc))
    return Connections(usable, skipped, closed)


def _why_unusable(session: Session, row: FacebookAdAccount, with_account: bool) -> str | None:
    if with_account and row.ad_account_id is None:
        return "is no ad account, only the set-up of a user without one"
    if row.access_token is not None and row.is_connected:
        return None
    state = session.get(AdAccountState, row.id)
    why = f" ({state.problem})" if state and state.problem else ""
    # What Facebook said of a dead token ends in the same advice.
    advice = "" if CONNECT in why else f": {CONNECT} it with a new token"
    return f"is not connected{why}{advice}"


def _open(row: FacebookAdAccount, email: str) -> Connection:
    token = crypto.reveal(row, "access_token")
    assert token is not None
    return Connection(
        row.id, row.ad_account_id, email, token, row.currency, row.timezone, row.page_id,
        crypto.reveal(row, "page_access_token"),
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- storing


@dataclass(frozen=True)
class Stored:
    """What became of one account: its row, whether it is new, what is missing, and what needs attention."""

    row: FacebookAdAccount
    added: bool
    missing: Sequence[str]
    warnings: Sequence[str]


def connect(session: Session, user: User, found: Survey, account: AdAccount | None, page: Page | None) -> Stored:
    """Store what a survey found as the user's connected account; `account` None: a user without one.

    Raises RequestError where the ad account belongs to another IB, or has stored days in another currency.
    """
    row = _row_of(session, user, account)
    added = row is None
    if row is None:
        row = FacebookAdAccount(user_id=user.id, ad_account_id=account.id if account else None)
        session.add(row)
    return _store(session, row, found, account, page, added=added)


def refresh(session: Session, row_id: str, found: Survey) -> Stored:
    """Store what a survey found anew for a connected account; its page stays the one that was chosen, listed or not.

    Raises RequestError where the token no longer reaches the ad account, or its currency is another.
    """
    row = _held(session, row_id)
    account = next((one for one in found.accounts if one.id == row.ad_account_id), None)
    if row.ad_account_id is not None and account is None:
        raise RequestError(
            f"the token of {row.ad_account_id} no longer reaches it: the user has no task on it any more"
        )
    return _store(session, row, found, account, found.page(row.page_id), added=False)


def _row_of(session: Session, user: User, account: AdAccount | None) -> FacebookAdAccount | None:
    if account is None:
        query = select(FacebookAdAccount).where(
            FacebookAdAccount.user_id == user.id, col(FacebookAdAccount.ad_account_id).is_(None)
        )
        return session.exec(query.with_for_update()).first()
    # The web application, or a file, may have written it without `act_`.
    ids = [account.id, account.id.removeprefix("act_")]
    query = select(FacebookAdAccount).where(col(FacebookAdAccount.ad_account_id).in_(ids))
    row = session.exec(query.with_for_update()).first()
    if row is not None and row.user_id != user.id:
        owner = session.get_one(User, row.user_id)
        raise RequestError(f"{account.id} belongs to {owner.email} already: one ad account has one IB")
    return row


def _held(session: Session, row_id: str) -> FacebookAdAccount:
    return session.exec(select(FacebookAdAccount).where(FacebookAdAccount.id == row_id).with_for_update()).one()


def _store(
    session: Session,
    row: FacebookAdAccount,
    found: Survey,
    account: AdAccount | None,
    page: Page | None,
    *,
    added: bool,
) -> Stored:
    setup, business = found.setup(account, page), found.business(account)
    warnings = [] if account is None else _take_account(session, row, account, added=added)
    warnings += _take_page(row, page)
    row.setup_tier, row.can_boost_posts = setup.tier, setup.can_boost_posts
    row.can_create_campaigns, row.is_connected = setup.can_create_campaigns, True
    row.business_id, row.business_name = (business.id, business.name) if business else (None, None)
    known = None if _seal(row, "access_token", found.token.text) else row.token_expires_at
    row.token_expires_at = found.token.expires_at or known
    _touch(session, row)
    state = state_of(session, row.id)
    state.problem, state.problem_at, state.parked_until = None, None, None
    state.zone = account.zone if account else None
    state.data_access_expires_at = found.token.data_access_expires_at or state.data_access_expires_at
    session.flush()
    return Stored(row, added, setup.missing, warnings)


def _touch(session: Session, row: FacebookAdAccount) -> None:
    """Write the row, with the time, if anything of it has changed."""
    if session.is_modified(row):
        row.updated_at = clock.now()
    session.flush()


def _seal(row: FacebookAdAccount, attribute: str, text: str | None) -> bool:
    """Store a secret; returns whether it is another one. The same one keeps its cipher: a new one would be a change."""
    try:
        same = crypto.reveal(row, attribute) == text
    except SecretError:
        same = False  # sealed with a lost key: this mends it
    if not same:
        setattr(row, attribute, None if text is None else crypto.seal(text))
    return not same


def _take_page(row: FacebookAdAccount, page: Page | None) -> list[str]:
    """Store the page, and its token. One that is not listed just now stays the account's page, without its token."""
    _seal(row, "page_access_token", page.token if page and page.token else None)
    if page is not None:
        row.page_id, row.page_name = page.id, page.name
    elif row.page_id is not None:
        name = row.ad_account_id or "the account"
        return [
            f"the page {row.page_id} ({row.page_name or 'without a name'}) of {name} is not among those that the token "
            "reaches: it stays the account's page, but its forms are not read and nothing is boosted until "
            "`ibctl ads accounts refresh` finds it again"
        ]
    return []


def _take_account(session: Session, row: FacebookAdAccount, account: AdAccount, *, added: bool) -> list[str]:
    has_days = not added and bool(
        session.execute(
            sa.text('SELECT 1 FROM "AdSpendHistory" WHERE "adAccountId" = :id LIMIT 1'), {"id": row.id}
        ).first()
    )
    if has_days and row.currency.upper() != account.currency:
        raise RequestError(
            f"{account.id} has {account.currency} at Facebook, but its stored days are in {row.currency}: "
            "nothing was written, look at the stored days first"
        )
    warnings = []
    if has_days and row.timezone != account.zone:
        warnings.append(
            f"{account.id} cuts its days in {account.zone}, but its stored ones were cut in {row.timezone}: read them "
            "again with `ibctl ads sync --since`"
        )
    row.ad_account_id, row.ad_account_name = account.id, account.name
    row.currency, row.timezone = account.currency, account.zone
    return warnings


def disconnect(session: Session, name: str) -> FacebookAdAccount:
    """Forget an account's tokens; its spend, campaigns and leads stay. Raises NotFoundError, RequestError."""
    row = _held(session, find(session, name).id)
    row.access_token, row.page_access_token, row.token_expires_at = None, None, None
    row.is_connected, row.can_boost_posts, row.can_create_campaigns = False, False, False
    _touch(session, row)
    state = state_of(session, row.id)
    state.problem, state.problem_at, state.parked_until = None, None, None
    return row


def set_actions(
    session: Session, name: str, leads: Sequence[str] | None, conversions: Sequence[str] | None, *, usual: bool
) -> FacebookAdAccount:
    """Set which actions count as leads and conversions of an account; None leaves a list, `usual` drops both."""
    row = find(session, name)
    types = session.get(AdActionTypes, row.id)
    if usual:
        if types is not None:
            session.delete(types)
    else:
        if types is None:
            types = AdActionTypes(id=row.id)
            session.add(types)
        types.leads = types.leads if leads is None else list(leads)
        types.conversions = types.conversions if conversions is None else list(conversions)
    session.flush()
    return row


# -------------------------------------------------------------------------------------------------------------- trouble


def state_of(session: Session, row_id: str) -> AdAccountState:
    """Return what is known of an account besides the platform's columns, to be changed."""
    state = session.get(AdAccountState, row_id)
    if state is None:
        state = AdAccountState(id=row_id)
        session.add(state)
    return state


def note_failure(session: Session, row_id: str, failure: IbctlError) -> None:
    """Remember what went wrong. A dead token makes the account not connected; a missing permission does not."""
    state, now = state_of(session, row_id), clock.now()
    state.problem, state.problem_at = str(failure), now
    state.parked_until = None
    if isinstance(failure, RateLimitError) and failure.wait:
        state.parked_until = now + timedelta(seconds=round(failure.wait))
    if isinstance(failure, TokenError):
        row = _held(session, row_id)
        row.is_connected, row.updated_at = False, now
    session.flush()


def note_facts(session: Session, row_id: str, facts: TokenFacts) -> None:
    """Store what Facebook knows of an account's token."""
    row, state = _held(session, row_id), state_of(session, row_id)
    if facts.valid:
        row.token_expires_at, state.data_access_expires_at = facts.expires_at, facts.data_access_expires_at
    else:
        row.is_connected = False
        state.problem, state.problem_at = f"Facebook says: {facts.why}", clock.now()
    _touch(session, row)


# -------------------------------------------------------------------------------------------------------------- looking

_LISTING = """
    SELECT a.id, a."userId", u.email, a."setupTier", a."pageId", a."pageName", a."businessId", a."businessName",
      a."adAccountId", a."adAccountName", a."accessToken" IS NOT NULL AS "hasToken",
      a."pageAccessToken" IS NOT NULL AS "hasPageToken", a."tokenExpiresAt", s."dataAccessExpiresAt",
      a."canBoostPosts", a."canCreateCampaigns", a."isConnected", a."lastSyncAt", a.currency, a.timezone, s."firstDay",
      s."finalThrough", s.problem, s."problemAt", s."parkedUntil", t.leads AS "leadActions",
      t.conversions AS "conversionActions", a."createdAt", a."updatedAt", count(*) OVER () AS total
    FROM "FacebookAdAccount" a JOIN "User" u ON u.id = a."userId"
    LEFT JOIN ibctl.ad_account_state s ON s.id = a.id
    LEFT JOIN ibctl.ad_action_types t ON t.id = a.id
    WHERE (CAST(:user AS text) IS NULL OR a."userId" = :user)
      AND (CAST(:connected AS boolean) IS NULL OR a."isConnected" = :connected)
      AND (NOT :held OR a."accessToken" IS NOT NULL)
      AND (CAST(:before AS timestamp) IS NULL OR least(a."tokenExpiresAt", s."dataAccessExpiresAt") < :before)
      AND (CAST(:id AS text) IS NULL OR a.id = :id)
    ORDER BY {order} LIMIT :limit
"""
_NEWEST = 'a."createdAt" DESC, a.id DESC'
_SOONEST = 'least(a."tokenExpiresAt", s."dataAccessExpiresAt") NULLS LAST, a.id'


def listing(
    session: Session, *, ib: str | None = None, connected: bool | None = None, limit: int = 0
) -> tuple[list[dict[str, Any]], int]:
    """Return accounts as rows, the newest first, and how many there are without the limit (0: all)."""
    return _list(session, order=_NEWEST, ib=ib, connected=connected, limit=limit)


def tokens(session: Session, *, within: timedelta | None = None, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return the accounts that have a token, the one that expires first first; `within`: only those that do so."""
    before = None if within is None else clock.now() + within
    rows, total = _list(session, order=_SOONEST, held=True, before=before, limit=limit)
    now = clock.now()
    ends = [account_rules.expires(row["tokenExpiresAt"], row["dataAccessExpiresAt"]) for row in rows]
    return [{**row, "daysLeft": account_rules.days_left(end, now)} for row, end in zip(rows, ends, strict=True)], total


def show(session: Session, name: str) -> dict[str, Any]:
    """Return one account as a row. Raises NotFoundError, RequestError."""
    rows, _ = _list(session, order=_NEWEST, id=find(session, name).id)
    return rows[0]


def _list(
    session: Session, *, order: str, ib: str | None = None, limit: int = 0, **given: Any
) -> tuple[list[dict[str, Any]], int]:
    values = {"connected": None, "held": False, "before": None, "id": None, **given, "limit": limit or None}
    values["user"] = None if ib is None else users.find(session, ib).id
    rows = [dict(row) for row in session.execute(sa.text(_LISTING.format(order=order)), values).mappings()]
    return rows, rows[0]["total"] if rows else 0
