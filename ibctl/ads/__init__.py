"""Advertising: what each IB's Facebook ad accounts spent, day by day, and what came of it.

An *account* is one row of "FacebookAdAccount": an IB's ad account with its own currency and time zone. It is named by
its row id, by Facebook's id (`act_123`, or `123`), or by its name where only one account has it. A *spend day* is one
row of "AdSpendHistory": one account on one day of the account's zone. Spend, impressions, clicks, leads and conversions
are what was *reported*. The rest is *derived* and always computed here: `ctr` is percent, clicks per 100 impressions as
Facebook shows it; `cpc` and `cpl` are spend per click and per lead, in the account's currency; 0 where there is nothing
to divide by; `cumulativeSpend` and `cumulativeLeads` are the account's running totals by date.

A *template* is one row of "AdTemplate", what a campaign is to be made of: `templates/schema.py` says what its data
look like, `templates/rules.py` what Facebook would refuse in them. A *campaign* is one row of "AdCampaign"; a *boost*
is one for a page's post. What is made at Facebook for a campaign bears its *tag* (`campaigns/rules.py`).

Leads that people filled in at Facebook's *forms* come in by `forms`, through the import of the leads' slice.

A day read from Facebook (`sync`) is *provisional* while Facebook may tell it otherwise, which then is a *restatement*,
and *final* once it was read at an age of 28 days. An account that Facebook lets nobody read for a while is *parked*.
"""
