"""`python -m tests.fakes.graph`: a Graph server to try `ibctl ads` against, without a Facebook account."""

from __future__ import annotations

import argparse
import sys

from tests.fakes.graph import seed
from tests.fakes.graph.server import Server


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.fakes.graph", description=__doc__)
    options.add_argument("--port", type=int, default=8099)
    options.add_argument("--latency", type=float, default=0.0, help="seconds that each answer takes")
    chosen = options.parse_args()
    server = Server(seed.world(), port=chosen.port, latency=chosen.latency)
    sys.stdout.write(f"""\
A Graph server listens on {server.url}; Ctrl-C ends it. In another shell:

  export IBCTL_GRAPH_URL={server.url}
  export FACEBOOK_APP_ID={server.world.app_id} FACEBOOK_APP_SECRET={server.world.app_secret}

Tokens to connect with:
  {seed.ANNA:<17} Anna: a page, a business, three ad accounts (USD, JPY, HUF)
  {seed.BO:<17} Bo: one ad account (EUR), no business
  {seed.CLEO:<17} Cleo: a page only
  {seed.DEAD:<17} Dan: refused, the password was changed

Anna's page 7700 has the lead form 880011 and the post 7700_1001.
""")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main()
