"""Payees: where each IB wants its money."""
