"""The demo: a month from CSV files to commissions, told step by step with the real commands.

It runs on an embedded server of its own, in the folder `demo` beside the other one's data, on made-up data from
`examples/`. No setting of the user's reaches it but the place of that folder: neither DATABASE_URL nor the `.env` file.
Each run begins with an empty database. Afterwards everything is removed, unless the demo is *kept*; a kept one is
reached through the env file that lies in the folder.
"""
