"""Where but the sign of an amount tells whether money left or came back: when it is believed. Plain values only.

A sign that is read the wrong way round makes a return of a payment, which is then paid twice. So nobody guesses: what
comes back by its sign alone is believed where the same file tells of its leaving, or --paid-is was said.
"""

from __future__ import annotations

from collections.abc import Iterable

from ibctl import currencies
from ibctl.commissions.payouts.bank_files import Movement
from ibctl.commissions.payouts.evidence_rules import Due, Taken, Told, net, taken


def undecided(new: Iterable[Movement], due: Due, file: Told) -> Movement | None:
    """Return one of a payment's new movements that came back by its sign alone, without the file telling that it left.

    The file is read as positive meaning that money left, which nobody said.
    """
    for movement in new:
        same = (taken(one) for one in file[due.reference] if one.currency == movement.currency)
        if movement.direction == "credit" and movement.paid_is is not None and net(same).unseen:
            return movement
    return None


def question(movement: Movement, due: Due, file: str) -> str:
    """Ask which sign means that money left."""
    amount = currencies.show(-movement.amount, movement.currency)
    return (
        f"{file}, {movement.where}: only its sign says whether {amount} left or came back for {due.reference}: say "
        "--paid-is negative where that is money that left, --paid-is positive where it came back; nothing was taken"
    )


def contradicted(movement: Movement, due: Due, file: Told, sha256: str) -> Taken | None:
    """Return the kept evidence that is this very movement with the other sign, where but a sign tells the direction.

    What would come back is the payment itself when it left on the same day, unless the file tells of that, too. What
    would leave is the same one by the bank's name for it, by the file's bytes, or by a sign that is in doubt already.
    """
    if movement.paid_is is None:
        return None
    itself = {(one.booked_on, taken(one).amount) for one in file[due.reference] if one.currency == movement.currency}
    opposite = movement.booked_on, -taken(movement).amount
    for one in due.taken.get(movement.currency, ()):
        same = one.doubtful or one.sha256 == sha256 or (movement.bank_reference or "") == one.bank_reference
        if (one.day, one.amount) == opposite not in itself and (same or movement.direction == "credit"):
            return one
    return None


def contradiction(movement: Movement, due: Due, before: Taken) -> str:
    """Say that a movement was taken before as the opposite, and what to do."""
    was, would = ("left", "came back") if before.amount > 0 else ("came back", "left")
    # What a payment is PAID by stays.
    proof = due.status == "PAID" and before.amount > 0
    back = "" if proof else f"; if it was wrong then, `ibctl undo {before.change_set}` takes it back"
    return (
        f"{movement.where}: {currencies.show(movement.amount, movement.currency)} for {due.reference} on "
        f"{movement.booked_on} {was}, says {before.file}, and by --paid-is {movement.paid_is} the same {would}; "
        f"nothing was taken: if that is wrong, say --paid-is {movement.other_sign}; where both "
        f"happened, a column `direction` says so{back}"
    )
