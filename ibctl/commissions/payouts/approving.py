"""The second signature under a batch: over its amounts and over the accounts that they go to."""

from __future__ import annotations

from sqlmodel import Session

from ibctl import clock, config, db
from ibctl.commissions.payouts import destinations as payout_destinations
from ibctl.commissions.payouts import orders as payout_orders
from ibctl.commissions.payouts import service as payouts
from ibctl.errors import RequestError
from ibctl.models.payouts import PayoutBatch


def approve(session: Session, batch_id: str) -> PayoutBatch:
    """Put the second signature under a batch, or once more under one that pays what came back to another account.

    Raises RequestError when it is there already, nothing is left to pay, or the same person made the batch; SecretError
    and ConfigError where accounts have to be compared and cannot be opened.
    """
    db.lock(session, payouts.LOCK)
    batch, actor = payouts.find(session, batch_id, for_update=True), config.settings().actor
    left = payout_orders.left(session, batch)
    if batch.approved_by is not None and not payout_destinations.find(session, batch, left).unsigned:
        raise RequestError(f"batch {batch.id} was approved already, by {batch.approved_by}")
    if not left:
        raise RequestError(f"batch {batch.id} has nothing left to pay")
    if batch.created_by.casefold() == actor.casefold():
        raise RequestError(f"batch {batch.id} was made by {actor}: somebody else has to approve it")
    batch.approved_at, batch.approved_by = clock.now(), actor
    session.flush()
    return batch
