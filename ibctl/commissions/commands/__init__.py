"""`ibctl commissions`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

PLACES = {
    "run": (
        "ibctl.commissions.commands.run",
        "Calculate a month's commissions for all IBs; without --month, the last full one.",
    ),
    "list": (
        "ibctl.commissions.commands.listing",
        "List commissions: the newest month first, then the highest payout.",
    ),
    "show": ("ibctl.commissions.commands.listing", "Show one commission: its figures, its status, and what made it."),
    "export": ("ibctl.commissions.commands.listing", "Export commissions, every column, as CSV."),
    "explain": (
        "ibctl.commissions.commands.proof",
        "Derive a commission from its single leads and spend days; the lines add up to the cent.",
    ),
    "why-not": ("ibctl.commissions.commands.proof", "Say why each lead of an IB counts in a month or does not."),
    "verify": (
        "ibctl.commissions.commands.proof",
        "Calculate months again from what was kept, and compare with the rows and with the data of today.",
    ),
    "plans": ("ibctl.commissions.commands.plans:plans_app", "The terms on which IBs are paid."),
    "groups": ("ibctl.commissions.commands.plans:groups_app", "Groups of IBs that a plan can be assigned to."),
    "rates": ("ibctl.commissions.commands.rates:rates_app", "Exchange rates into the base currency, day by day."),
    "adjust": (
        "ibctl.commissions.commands.adjustments",
        "Book a sum into an IB's month; it is a line of the explanation.",
    ),
    "clawback": (
        "ibctl.commissions.commands.adjustments",
        "Take back what a lead earned, at the terms that it was earned at.",
    ),
    "adjustments": (
        "ibctl.commissions.commands.adjustments",
        "List what was booked: adjustments, clawbacks, true-ups, carried balances.",
    ),
    "hold": ("ibctl.commissions.commands.adjustments", "Keep an IB's month from being paid out, until it is released."),
    "release": ("ibctl.commissions.commands.adjustments", "Let an IB's month be paid out again."),
    "holds": ("ibctl.commissions.commands.adjustments", "List what is held, why and by whom."),
    "close": (
        "ibctl.commissions.commands.months",
        "Close a month: its figures are final, and what it does not pay is carried on.",
    ),
    "reopen": ("ibctl.commissions.commands.months", "Open a closed month again, while nothing of it is paid."),
    "months": ("ibctl.commissions.commands.months", "List the closed months, the newest first."),
    "drift": ("ibctl.commissions.commands.months", "Show what closed and paid months would earn today, and why."),
    "true-up": (
        "ibctl.commissions.commands.months",
        "Book the drift of closed and paid months as adjustments into an open month.",
    ),
    "payees": ("ibctl.commissions.commands.payees:payees_app", "Where each IB wants its money."),
    "payouts": (
        "ibctl.commissions.commands.payouts:group",
        "Batches of payouts, and the proof that they were paid.",
    ),
    "simulate": (
        "ibctl.commissions.commands.simulation",
        "Calculate past months by another plan: what it costs, who gains, who loses.",
    ),
    "statement": (
        "ibctl.commissions.commands.statements",
        "State an IB's account in a month, for the IB and its accountant.",
    ),
    "dossier": (
        "ibctl.commissions.commands.statements",
        "Make a folder from which an IB can recalculate its payout alone.",
    ),
}
group = lazy.Group(PLACES, help="What each IB earned in a month, and why.")
