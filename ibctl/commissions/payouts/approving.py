"""The second signature under a batch: over its amounts and over the accounts that they go to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from ibctl import clock, config, db, output
from ibctl.commissions.payouts import destinations as payout_destinations
from ibctl.commissions.payouts import orders as payout_orders
from ibctl.commissions.payouts import service as payouts
from ibctl.commissions.payouts.destinations import Destinations
from ibctl.errors import RequestError
from ibctl.models.payouts import PayoutBatch


def approve(session: Session, batch_id: str, shown: Sequence[str]) -> PayoutBatch:
    """Put the second signature under a batch, or once more under one that pays what came back to another account.

    It covers the accounts that were `shown`, as `Destinations.digests`. Raises RequestError when it is there already,
    nothing is left to pay, the accounts are others by now, or the same person made the batch or named one of them;
    SecretError and ConfigError where accounts have to be compared and cannot be opened.
    """
    db.lock(session, payouts.LOCK)
    batch, actor = payouts.find(session, batch_id, for_update=True), config.settings().actor.strip()
    left = payout_orders.left(session, batch)
    found = payout_destinations.find(session, batch, left)
    if batch.approved_by is not None and not found.unsigned:
        raise RequestError(f"batch {batch.id} was approved already, by {batch.approved_by}")
    if not left:
        raise RequestError(f"batch {batch.id} has nothing left to pay")
    _require_somebody_else(session, batch, found, actor)
    if found.digests != list(shown):
        raise RequestError(f"what came back of batch {batch.id} goes to another account by now: look again")
    batch.approved_at, batch.approved_by, batch.approved_redirects = clock.now(), actor, found.digests
    session.flush()
    return batch


def _require_somebody_else(session: Session, batch: PayoutBatch, found: Destinations, actor: str) -> None:
    if payout_destinations.is_same(batch.created_by, actor):
        raise RequestError(f"batch {batch.id} was made by {actor}: somebody else has to approve it")
    named = payout_destinations.named_by(session, found, actor)
    if named:
        raise RequestError(
            f"the account that batch {batch.id} pays now for {output.some(named)} was named by {actor}: somebody else "
            "has to approve it"
        )
