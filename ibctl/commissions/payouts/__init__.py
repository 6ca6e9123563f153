"""Payouts: batches of commissions, the files that tell a bank about them, and what banks report back.

*Evidence* is a movement that a bank reported about a payment. A row becomes PAID by it, and by nothing else.
"""
