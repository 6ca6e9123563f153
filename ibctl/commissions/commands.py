"""`ibctl commissions`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

PLACES = {
    "run": (
        "ibctl.commissions.run_commands",
        "Calculate a month's commissions for all IBs; without --month, the last full one.",
    ),
    "list": (
        "ibctl.commissions.listing_commands",
        "List commissions: the newest month first, then the highest payout.",
    ),
    "show": ("ibctl.commissions.listing_commands", "Show one commission: its figures, its status, and what made it."),
    "export": ("ibctl.commissions.listing_commands", "Export commissions, every column, as CSV."),
    "explain": (
        "ibctl.commissions.proof_commands",
        "Derive a commission from its single leads and spend days; the lines add up to the cent.",
    ),
    "why-not": ("ibctl.commissions.proof_commands", "Say why each lead of an IB counts in a month or does not."),
    "verify": (
        "ibctl.commissions.proof_commands",
        "Calculate months again from what was kept, and compare with the rows and with the data of today.",
    ),
    "plans": ("ibctl.commissions.plans_commands:plans_app", "The terms on which IBs are paid."),
    "groups": ("ibctl.commissions.plans_commands:groups_app", "Groups of IBs that a plan can be assigned to."),
    "rates": ("ibctl.commissions.rates_commands:rates_app", "Exchange rates into the base currency, day by day."),
    "adjust": (
        "ibctl.commissions.adjustment_commands",
        "Book a sum into an IB's month; it is a line of the explanation.",
    ),
    "clawback": (
        "ibctl.commissions.adjustment_commands",
        "Take back what a lead earned, at the terms that it was earned at.",
    ),
    "adjustments": (
        "ibctl.commissions.adjustment_commands",
        "List what was booked: adjustments, clawbacks, true-ups, carried balances.",
    ),
    "hold": ("ibctl.commissions.adjustment_commands", "Keep an IB's month from being paid out, until it is released."),
    "release": ("ibctl.commissions.adjustment_commands", "Let an IB's month be paid out again."),
    "holds": ("ibctl.commissions.adjustment_commands", "List what is held, why and by whom."),
    "close": (
        "ibctl.commissions.month_commands",
        "Close a month: its figures are final, and what it does not pay is carried on.",
    ),
    "reopen": ("ibctl.commissions.month_commands", "Open a closed month again, while nothing of it is paid."),
    "months": ("ibctl.commissions.month_commands", "List the closed months, the newest first."),
    "drift": ("ibctl.commissions.month_commands", "Show what closed and paid months would earn today, and why."),
    "true-up": (
        "ibctl.commissions.month_commands",
        "Book the drift of closed and paid months as adjustments into an open month.",
    ),
    "payees": ("ibctl.commissions.payee_commands:payees_app", "Where each IB wants its money."),
    "payouts": (
        "ibctl.commissions.payout_commands:group",
        "Batches of payouts, and the proof that they were paid.",
    ),
    "simulate": (
        "ibctl.commissions.simulation_commands",
        "Calculate past months by another plan: what it costs, who gains, who loses.",
    ),
    "statement": (
        "ibctl.commissions.statement_commands",
        "State an IB's account in a month, for the IB and its accountant.",
    ),
    "dossier": (
        "ibctl.commissions.statement_commands",
        "Make a folder from which an IB can recalculate its payout alone.",
    ),
}
group = lazy.Group(PLACES, help="What each IB earned in a month, and why.")
