"""Advertising: what each IB's Facebook ad accounts spent, day by day, and what came of it.

An *account* is one row of "FacebookAdAccount": an IB's ad account with its own currency and time zone. It is named by
its row id, by Facebook's id (`act_123`, or `123`), or by its name where only one account has it. A *spend day* is one
row of "AdSpendHistory": one account on one day of the account's zone. Spend, impressions, clicks, leads and conversions
are what was *reported*; the ratios and the running totals are *derived* from it and always computed here.
"""
