"""What each IB earned in a month, and why.

A *commission* is one row of "IbCommission": one IB, one month. Its *figures* follow from the *inputs* (leads captured
or qualified in the month, spend days of the month) under a *plan*; a *snapshot* keeps all three. PENDING and HELD rows
are *open* and calculated anew by every run; PROCESSING and PAID rows are *sealed* and never touched: what they would be
today is *drift*. *Rates* turn spend in another currency into the base currency, day by day.
"""
