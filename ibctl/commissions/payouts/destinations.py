"""Whose account a payment goes to: the batch's copy; once it came back, or a part of it, the payee's as it is by then.

What comes back was sent to a wrong account, more often than not: it can only be paid to another one. The second
signature covers that one if it was put under this very account, which is known again by its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import crypto
from ibctl.commissions.payees import rules as payee_rules
from ibctl.commissions.payouts.orders import Left
from ibctl.models.payouts import Payee, PayoutBatch, PayoutItem, PayoutOrderLine


@dataclass(frozen=True)
class Redirect:
    """A payment that came back and goes to the payee as it is now, which is another than the batch's.

    `digest` stands for the payment and its account, `signed`: the batch's second signature was given for them.
    """

    left: Left
    payee: Payee
    digest: str
    signed: bool

    @property
    def words(self) -> str:
        """Say where it goes."""
        return f"{self.left.item.reference} came back, and goes to {self.left.email}'s {shown(*_opened(self.payee))}"


@dataclass(frozen=True)
class Destinations:
    """Where payments go that came back: elsewhere, or nowhere, which is why in words, by their ids; else as before."""

    redirects: Mapping[str, Redirect]
    homeless: Mapping[str, str]

    @property
    def digests(self) -> list[str]:
        """What a signature under all of these is a signature under."""
        return sorted(one.digest for one in self.redirects.values())

    @property
    def unsigned(self) -> list[str]:
        """The emails of those whose new payee the second signature does not cover."""
        return [one.left.email for one in self.redirects.values() if not one.signed]


def find(session: Session, batch: PayoutBatch, left: Iterable[Left]) -> Destinations:
    """Say where payments go that are not under way. Raises SecretError, ConfigError, when one came back."""
    returned = [one for one in left if one.returned and not one.under_way]
    payees = _payees(session, returned)
    redirects, homeless = {}, {}
    for one in returned:
        payee = payees.get(one.item.user_id)
        if payee is None or (payee.method, payee.currency) != (batch.method, one.item.currency):
            homeless[one.item.id] = _homeless(batch, one, payee)
        elif _opened(payee) != _opened(one.item):
            digest = crypto.fingerprint(batch.id, one.item.id, *_opened(payee))
            redirects[one.item.id] = Redirect(one, payee, digest, digest in batch.approved_redirects)
    return Destinations(redirects, homeless)


def _payees(session: Session, returned: Sequence[Left]) -> dict[str, Payee]:
    wanted = [one.item.user_id for one in returned]
    return {payee.id: payee for payee in session.exec(select(Payee).where(col(Payee.id).in_(wanted)))}


def _homeless(batch: PayoutBatch, one: Left, payee: Payee | None) -> str:
    due = f"{one.item.currency} by {batch.method}"
    now = "has no payee any more" if payee is None else f"is paid in {payee.currency} by {payee.method} now, not {due}"
    return f"{one.item.reference} came back, and {one.email} {now}: `ibctl commissions payees set` names one for {due}"


def _opened(row: Payee | PayoutItem | PayoutOrderLine) -> tuple[str, str]:
    return crypto.reveal(row, "name") or "", crypto.reveal(row, "account") or ""


# Whoever wrote the payee as it is, and whoever wrote it last: an `undo` brings back what another one wrote.
_NAMED_BY = sa.text(
    """
    SELECT p.id, s.actor FROM ibctl.payee p JOIN ibctl.change c ON c."rowId" = p.id AND c."tableName" = 'payee'
    JOIN ibctl.change_set s ON s.id = c."changeSetId"
    WHERE p.id = ANY(:ids) AND (c."after" = CAST(p AS text) OR s.id = (
      SELECT max(l."changeSetId") FROM ibctl.change l WHERE l."rowId" = p.id AND l."tableName" = 'payee'))
    """
)


def named_by(session: Session, found: Destinations, actor: str) -> list[str]:
    """Return the emails of those whose new account this administrator named."""
    redirects = {one.payee.id: one.left.email for one in found.redirects.values()}
    rows = session.execute(_NAMED_BY, {"ids": list(redirects)})
    return sorted({redirects[row.id] for row in rows if is_same(row.actor, actor)})


def is_same(one: str, other: str) -> bool:
    """Say whether two names of administrators are one's."""
    return one.strip().casefold() == other.strip().casefold()


def of_line(line: PayoutOrderLine, item: PayoutItem) -> tuple[str, str]:
    """Return name and account that a payment went to, in plain text. Raises SecretError, ConfigError."""
    return _opened(item if line.account is None else line)


def redirected_to(line: PayoutOrderLine) -> str:
    """Write where a payment goes that does not go to the batch's own payee, as `shown`."""
    return shown(*_opened(line))


def shown(name: str, account: str) -> str:
    """Write a destination so that it can be recognised: `R… V…, DE… 3000`."""
    return f"{payee_rules.masked_name(name)}, {payee_rules.masked_account(account)}"
