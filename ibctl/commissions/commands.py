"""`ibctl commissions`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

PLACES = {
    "run": "ibctl.commissions.run_commands",
    "list": "ibctl.commissions.listing_commands",
    "show": "ibctl.commissions.listing_commands",
    "export": "ibctl.commissions.listing_commands",
    "explain": "ibctl.commissions.proof_commands",
    "why-not": "ibctl.commissions.proof_commands",
    "verify": "ibctl.commissions.proof_commands",
    "plans": "ibctl.commissions.plans_commands:plans_app",
    "groups": "ibctl.commissions.plans_commands:groups_app",
    "rates": "ibctl.commissions.rates_commands:rates_app",
    "adjust": "ibctl.commissions.adjustment_commands",
    "clawback": "ibctl.commissions.adjustment_commands",
    "adjustments": "ibctl.commissions.adjustment_commands",
    "hold": "ibctl.commissions.adjustment_commands",
    "release": "ibctl.commissions.adjustment_commands",
    "holds": "ibctl.commissions.adjustment_commands",
    "close": "ibctl.commissions.month_commands",
    "reopen": "ibctl.commissions.month_commands",
    "months": "ibctl.commissions.month_commands",
    "drift": "ibctl.commissions.month_commands",
    "true-up": "ibctl.commissions.month_commands",
    "payees": "ibctl.commissions.payee_commands:payees_app",
    "payouts": "ibctl.commissions.payout_commands:payouts_app",
    "simulate": "ibctl.commissions.simulation_commands",
    "statement": "ibctl.commissions.statement_commands",
    "dossier": "ibctl.commissions.statement_commands",
}
group = lazy.Group(PLACES, help="What each IB earned in a month, and why.")
