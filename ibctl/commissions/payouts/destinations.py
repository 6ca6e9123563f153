"""Whose account a payment goes to: the batch's copy; once all of it came back, the payee's as it is by then.

What comes back was sent to a wrong account, more often than not: it can only be paid to another one. That is none that
the second signature was put under, unless it came later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from ibctl import crypto
from ibctl.commissions.payees import rules as payee_rules
from ibctl.commissions.payouts.orders import Left
from ibctl.models.payouts import Payee, PayoutBatch, PayoutItem, PayoutOrderLine


@dataclass(frozen=True)
class Redirect:
    """A payment that came back and goes to the payee as it is now, which is another than the batch's.

    `signed`: the batch's second signature was given when that could be known.
    """

    left: Left
    payee: Payee
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
    def unsigned(self) -> list[str]:
        """The emails of those whose new payee the second signature does not cover."""
        return [one.left.email for one in self.redirects.values() if not one.signed]


def find(session: Session, batch: PayoutBatch, left: Iterable[Left]) -> Destinations:
    """Say where payments go that are not under way. Raises SecretError, ConfigError, when one came back."""
    returned = [one for one in left if one.returned_at is not None and not one.under_way]
    payees = _payees(session, returned)
    redirects, homeless = {}, {}
    for one in returned:
        payee = payees.get(one.item.user_id)
        if payee is None or (payee.method, payee.currency) != (batch.method, one.item.currency):
            homeless[one.item.id] = _homeless(batch, one, payee)
        elif _opened(payee) != _opened(one.item):
            redirects[one.item.id] = Redirect(one, payee, _is_signed(batch, one, payee))
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


def _is_signed(batch: PayoutBatch, one: Left, payee: Payee) -> bool:
    known = (one.returned_at, payee.changed_at)
    return batch.approved_at is not None and all(day is not None and day < batch.approved_at for day in known)


def of_line(line: PayoutOrderLine, item: PayoutItem) -> tuple[str, str]:
    """Return name and account that a payment went to, in plain text. Raises SecretError, ConfigError."""
    return _opened(item if line.account is None else line)


def redirected_to(line: PayoutOrderLine) -> str:
    """Write where a payment goes that does not go to the batch's own payee, as `shown`."""
    return shown(*_opened(line))


def shown(name: str, account: str) -> str:
    """Write a destination so that it can be recognised: `R… V…, DE… 3000`."""
    return f"{payee_rules.masked_name(name)}, {payee_rules.masked_account(account)}"
