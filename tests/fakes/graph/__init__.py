"""A Graph server: what Facebook answers, as far as ibctl asks, over real HTTP on the loopback interface.

    world.py       who and what there is: people, tokens, pages, businesses, ad accounts, campaigns, days
    seed.py        the small world that `python -m tests.fakes.graph` starts with
    server.py      HTTP: versions, tokens, parameters, batch, usage headers, scripted failures, the request log
    routing.py     which function answers which path, and cursors
    faults.py      what goes wrong: Graph's errors, and answers that are none
    identity.py    me, permissions, pages, businesses, ad accounts, debug_token, oauth/access_token
    insights.py    figures by day, at once or as a report run
    campaigns.py   making campaigns, ad sets, creatives and ads, with Graph's refusals; switching and listing them
    forms.py       lead forms and what was filled in, pages' posts

A new subject is a file of its own whose functions carry `@route`, named in `server.SUBJECTS`.
"""

from tests.fakes.graph.faults import Broken, Fault
from tests.fakes.graph.server import Server
from tests.fakes.graph.world import World

__all__ = ["Broken", "Fault", "Server", "World"]
