"""Whether Facebook can be asked about the ad accounts, today and in two weeks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from ibctl import clock, output

# Days before a token ends; `ads tokens extend --expiring 14d` from cron renews it meanwhile.
SOON = 14
_CUT_OFF = sa.text(
    """
    SELECT coalesce("adAccountId", id) FROM "FacebookAdAccount"
    WHERE "accessToken" IS NOT NULL AND NOT "isConnected" ORDER BY 1
    """
)
# What ends a token is its own end, which can be moved, or that of its user's consent, which only the user can renew.
_ENDING = sa.text(
    """
    SELECT coalesce(a."adAccountId", a.id) AS account, a."tokenExpiresAt" AS token, s."dataAccessExpiresAt" AS consent
    FROM "FacebookAdAccount" a LEFT JOIN ibctl.ad_account_state s ON s.id = a.id
    WHERE a."accessToken" IS NOT NULL AND a."isConnected"
      AND least(a."tokenExpiresAt", s."dataAccessExpiresAt") < :soon ORDER BY 1
    """
)


def problems(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and what to do about it."""
    if cut_off := connection.scalars(_CUT_OFF).all():
        yield (
            f"{len(cut_off)} ad account(s) are not connected any more: {output.some(cut_off)}",
            "`ibctl ads accounts show` says why; `ibctl ads accounts connect` them with a new token",
        )
    now = clock.now()
    soon = now + timedelta(days=SOON)
    ending = connection.execute(_ENDING, {"soon": soon}).all()
    over = [row for row in ending if min(filter(None, (row.token, row.consent))) <= now]
    unagreed = [row for row in ending if row not in over and row.consent is not None and row.consent < soon]
    extendable = [row for row in ending if row not in over and row not in unagreed]
    if over:
        yield f"{_tokens(over)} have ended: {_named(over)}", "`ibctl ads accounts connect` them with a new token"
    if unagreed:
        yield (
            f"{_tokens(unagreed)} end within {SOON} days with their users' consent: {_named(unagreed)}",
            "let the users sign in again, and `ibctl ads accounts connect` with the new tokens",
        )
    if extendable:
        first = min(row.token for row in extendable)
        yield (
            f"{_tokens(extendable)} end within {SOON} days, the first on {first:%Y-%m-%d}: {_named(extendable)}",
            f"`ibctl ads tokens extend --expiring {SOON}d`, which cron can do every day",
        )


def _tokens(rows: Sequence[Any]) -> str:
    return f"the tokens of {len(rows)} ad account(s)"


def _named(rows: Sequence[Any]) -> str:
    return output.some([row.account for row in rows])
