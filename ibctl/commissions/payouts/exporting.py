"""Hands a batch over to a bank or provider: its payments in plain text, and the note that they have gone out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sqlmodel import Session

from ibctl import config, currencies, days, output
from ibctl.commissions import ibs
from ibctl.commissions.payees import rules as payee_rules
from ibctl.commissions.payouts import destinations as payout_destinations
from ibctl.commissions.payouts import files as payout_files
from ibctl.commissions.payouts import orders as payout_orders
from ibctl.commissions.payouts import service as payouts
from ibctl.commissions.payouts.files import Order, Payment, PayoutFile
from ibctl.commissions.payouts.orders import Left
from ibctl.errors import ConfigError, RequestError
from ibctl.imports import RowError
from ibctl.models.payouts import PayoutBatch, PayoutOrder, PayoutOrderLine


@dataclass(frozen=True)
class Returned:
    """A payment that came back, or a part of it, and goes out again: to where, as far as is shown; is it elsewhere?"""

    reference: str
    email: str
    destination: str
    redirected: bool


@dataclass(frozen=True)
class Exported:
    """The files of a batch, the manifest last, the `number` of what they are in the batch, and `returned` payments.

    There are no files where nothing was left for another than the one that was withdrawn, which is the number then.
    `again`: it was written before. Not in them: payments that are `withheld` until their evidence is clear, those that
    went out `earlier`, of which nothing is known since, those that were in this file but of which more is `known`
    since, and those of IBs that were `excluded`; each a sentence, the `homeless` that came back and have no payee to go
    to, and the `stale`, for which this file asked for another amount than is missing now.
    """

    files: list[PayoutFile]
    number: int
    again: bool
    withheld: list[str]
    homeless: list[str]
    returned: list[Returned] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    @property
    def in_part(self) -> bool:
        """Whether something is left out that somebody has to see to."""
        return bool(self.withheld or self.homeless or self.stale)


@dataclass(frozen=True)
class Wanted:
    """What is to be written: by default, what has not gone out; else file `again`, or a new one `instead_of` a file.

    Nothing for IBs to `exclude`, by email or id, goes into a new file.
    """

    layout: str
    execution_date: date | None = None
    again: int | None = None
    instead_of: int | None = None
    exclude: Sequence[str] = ()


def export(session: Session, batch_id: str, wanted: Wanted) -> Exported:
    """Return the files of what is left to pay of a batch, and note that they were exported.

    A new file holds what has never gone out, or came back or was short since it did; where there is nothing of the
    kind, the last one is written again, or none instead of one that is withdrawn. It sets the day that the bank is
    asked to pay on (today, unless told). Raises RequestError when nothing is left to pay, a signature is missing, the
    layout does not fit, a file cannot be written again, or nothing of what is excluded could go out; NotFoundError for
    a file or an IB that there is not, ConfigError without the payer's account.
    """
    batch = payouts.find(session, batch_id, for_update=True)
    _require_signature(batch)
    if wanted.instead_of is not None:
        payout_orders.withdraw(session, batch, wanted.instead_of)
    excluded = _excluded(session, batch, wanted.exclude)
    new, homeless = (None, []) if wanted.again is not None else _placed(session, batch, wanted, excluded)
    left = payout_orders.left(session, batch)
    if new is None and wanted.instead_of is not None:
        return Exported(
            [], wanted.instead_of, again=False, withheld=_unclear(left), homeless=homeless, excluded=excluded
        )
    if new is None and excluded:
        raise RequestError(f"batch {batch.id} has nothing left to pay but what is excluded{_until(left, homeless)}")
    order = new or payout_orders.find(session, batch, wanted.again or _last(batch, left, homeless))
    order.execution_date = wanted.execution_date or order.execution_date
    _settle_layout(batch, order, wanted.layout)
    session.flush()
    written = _written(session, batch, order, wanted.layout)
    return replace(written, again=new is None, homeless=homeless, excluded=excluded)


def _excluded(session: Session, batch: PayoutBatch, who: Sequence[str]) -> list[str]:
    """Return the references of what is left to pay of these IBs, none of which is under way."""
    left = payout_orders.left(session, batch) if who else []
    found: list[str] = []
    # Once, however often an IB is named.
    emails = {ib.id: ib.email for ib in (ibs.find(session, one) for one in who)}
    for user, email in emails.items():
        own = [one for one in left if one.item.user_id == user]
        if not own:
            raise RequestError(f"batch {batch.id} has nothing left to pay to {email}, so nothing to exclude")
        for one in own:
            if one.under_way:
                raise RequestError(
                    f"{one.item.reference} of {email} went out in file {one.number} already: if nobody has handed "
                    f"that in, --instead-of {one.number} writes another without it"
                )
        found += [one.item.reference for one in own]
    return found


def _placed(
    session: Session, batch: PayoutBatch, wanted: Wanted, excluded: Collection[str]
) -> tuple[PayoutOrder | None, list[str]]:
    """Put what is under way in no file into a new one, if there is any; and say in words who is left out."""
    left = [one for one in payout_orders.left(session, batch) if one.item.reference not in excluded]
    free = [one for one in left if not one.unclear and not one.under_way]
    found = payout_destinations.find(session, batch, free)
    homeless = list(found.homeless.values())
    payable = [one for one in free if one.item.id not in found.homeless]
    if not payable:
        return None, homeless
    _require_signature_after(batch, found.unsigned)
    payees = {number: redirect.payee for number, redirect in found.redirects.items()}
    day = wanted.execution_date or days.today(config.settings().timezone.key)
    return payout_orders.place(session, batch, payable, payees, day), homeless


def _last(batch: PayoutBatch, left: Sequence[Left], homeless: Sequence[str]) -> int:
    """Return the number of the last file of which something is under way. Raises RequestError when nothing is."""
    earlier = [one.number for one in left if one.number is not None and one.under_way and not one.unclear]
    if not earlier:
        raise RequestError(f"batch {batch.id} has nothing left to pay{_until(left, homeless)}")
    return max(earlier)


def _settle_layout(batch: PayoutBatch, order: PayoutOrder, layout: str) -> None:
    """Write a file for one bank or provider only: a second one would not know that the first has it."""
    if layout == "generic":
        return
    if order.layout not in (None, layout):
        raise RequestError(
            f"file {order.number} of batch {batch.id} was written as {order.layout}, and whoever got that pays it: if "
            f"nobody has, --instead-of {order.number} writes another as {layout}"
        )
    order.layout = layout


def _until(left: Sequence[Left], homeless: Sequence[str]) -> str:
    unclear = _unclear(left)
    until = f" until it is clear what has left for {output.some(unclear)}: see `payouts show`" if unclear else ""
    return until + (f": {'; '.join(homeless)}" if homeless else "")


def _unclear(left: Sequence[Left]) -> list[str]:
    return [one.item.reference for one in left if one.unclear]


def _written(session: Session, batch: PayoutBatch, order: PayoutOrder, layout: str) -> Exported:
    """Write what is under way in a file, and is still what is missing."""
    left, lines = payout_orders.left(session, batch), payout_orders.lines(session, order)
    under_way = [one for one in left if one.under_way and not one.unclear]
    found = [one for one in under_way if one.number == order.number]
    current = [one for one in found if lines[one.item.id].amount == one.missing]
    stale = [_stale(one, lines[one.item.id]) for one in found if one not in current]
    if not current:
        raise RequestError(_nothing_of(batch, order, stale))
    payments = [_payment(batch, one, lines[one.item.id]) for one in current]
    known = lines.keys() - {one.item.id for one in found}
    return Exported(
        payout_files.make(layout, _order(batch, layout, order), payments), order.number, again=True,
        withheld=_unclear(left), homeless=[],
        returned=[_returned(one, lines[one.item.id]) for one in current if one.returned],
        earlier=[one.item.reference for one in under_way if one.number != order.number],
        known=[item.reference for item in payouts.items(session, batch) if item.id in known], stale=stale,
    )  # fmt: skip


def _stale(one: Left, line: PayoutOrderLine) -> str:
    asked, missing = (currencies.show(amount, one.item.currency) for amount in (line.amount, one.missing))
    return (
        f"{one.item.reference} went out in file {one.number} for {asked}, and {missing} are missing now: if nobody has "
        f"handed that in, --instead-of {one.number} writes another; else the bank will tell what became of it"
    )


def _nothing_of(batch: PayoutBatch, order: PayoutOrder, stale: Sequence[str]) -> str:
    if stale:
        return f"file {order.number} of batch {batch.id} is not written again: {'; '.join(stale)}"
    return (
        f"nothing of file {order.number} of batch {batch.id} is under way: what has become of it is known, or it went "
        "out in a later one"
    )


def _require_signature(batch: PayoutBatch) -> None:
    if config.settings().require_approval and batch.approved_by is None:
        raise RequestError(
            f"batch {batch.id} lacks its second signature, and IBCTL_REQUIRE_APPROVAL asks for it: somebody else than "
            f"{batch.created_by} has to run `ibctl commissions payouts approve {batch.id}`"
        )


def _require_signature_after(batch: PayoutBatch, unsigned: Sequence[str]) -> None:
    if config.settings().require_approval and unsigned:
        raise RequestError(
            f"what came back would go to another account than the one that batch {batch.id} was approved with, for "
            f"{output.some(unsigned)}: somebody else than {batch.created_by} has to approve it once more, and not who "
            f"named that account: `ibctl commissions payouts approve {batch.id}`"
        )


def _order(batch: PayoutBatch, layout: str, order: PayoutOrder) -> Order:
    name, iban = _payer() if layout == "pain.001" else ("", "")
    month = f"{batch.year}-{batch.month:02d}"
    created_at, day = batch.created_at, order.execution_date
    return Order(order.id, batch.id, month, batch.base_currency, created_at, day, name, iban)


def _payer() -> tuple[str, str]:
    settings = config.settings()
    if not settings.payer_name or not settings.payer_iban:
        raise ConfigError("pain.001 names the account that pays: set IBCTL_PAYER_NAME and IBCTL_PAYER_IBAN")
    try:
        return payee_rules.name(settings.payer_name), payee_rules.account("bank_transfer", settings.payer_iban)
    except RowError as exc:
        raise ConfigError(f"IBCTL_PAYER_NAME or IBCTL_PAYER_IBAN: {exc.message}") from None


def _payment(batch: PayoutBatch, one: Left, line: PayoutOrderLine) -> Payment:
    item, (name, account) = one.item, payout_destinations.of_line(line, one.item)
    return Payment(
        reference=item.reference, email=one.email, name=name, account=account, method=batch.method, amount=line.amount,
        currency=item.currency, base_amount=line.base_amount, rate=item.rate, rate_date=item.rate_date,
    )  # fmt: skip


def _returned(one: Left, line: PayoutOrderLine) -> Returned:
    destination = payout_destinations.shown(*payout_destinations.of_line(line, one.item))
    return Returned(one.item.reference, one.email, destination, line.account is not None)
