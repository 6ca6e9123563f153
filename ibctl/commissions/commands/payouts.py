"""`ibctl commissions payouts`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

_BATCHES = "ibctl.commissions.commands.payout_batches"
_BANK = "ibctl.commissions.commands.payout_bank"
PLACES = {
    "create": (_BATCHES, "Make a batch of a month's payable commissions: PENDING becomes PROCESSING."),
    "list": (_BATCHES, "List batches, newest first; amounts without what was cancelled."),
    "show": (_BATCHES, "Show a batch's payments: what each comes to, how far it is, what is wrong."),
    "cancel": (_BATCHES, "Cancel a batch, or some of its payments: PROCESSING becomes PENDING again."),
    "approve": (_BATCHES, "Put the second signature under a batch; not the one who made it."),
    "export": (_BANK, "Write what the bank or provider is to pay, with a manifest of its sums."),
    "reconcile": (_BANK, "Take a bank's or provider's file as evidence: what it proves is PAID."),
}
group = lazy.Group(PLACES, help="Batches of payouts, and the proof that they were paid.")
