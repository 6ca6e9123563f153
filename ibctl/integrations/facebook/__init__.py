"""Facebook's Graph and Marketing API, through its own SDK (`facebook-business`).

    client.py      the one place that makes the SDK's API object: tokens, retries, rate limits, pages, batches
    failures.py    each error of Graph's as one of a few kinds, and what is done about it
    usage.py       the headers that tell how much of a quota is used
    identity.py    tokens, permissions, pages, businesses, ad accounts
    insights.py    what accounts spent by day
    campaigns.py   what campaigns there are and what they did, making and switching them
    forms.py       lead forms, and what people filled in
    text.py        what people typed, as a database can keep it

The SDK never retries, never times out, stops silently at an empty page, takes some failures for success, and puts the
token into every URL. None of that gets past `client.py`.
"""
