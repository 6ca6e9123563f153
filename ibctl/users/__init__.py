"""Who may sign in to the platform: its IBs and its administrators.

An *account* is one row of "User". It is *active* unless somebody deactivated it, and *locked* while `lockedUntil` lies
ahead, which the web application sets after too many failed sign-ins. Accounts are never deleted: leads, ad accounts and
commissions hang on them. Every other area names an IB or administrator through `service.find`, by email or id.
"""
