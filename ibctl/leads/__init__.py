"""Leads: people who may become clients, whom the platform's IBs bring in.

A *lead* is one row of "Lead". It is *captured* (`leadCapturedAt`), may make a deposit (`depositedAt`), may trade
(`tradingStartAt`), and *qualifies* for commission (`qualifiedAt`) with the sum that the broker pays for it
(`cpaEarned`): these are facts with dates, and only they count. Its *status* is a word for people. Its *owner* is the IB
who gets the commission; a lead without one is the platform's own. A lead is known by email, phone or tracking token:
no two leads that ibctl creates share one. Other areas name a lead through `service.find`.
"""
