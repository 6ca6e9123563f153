"""A Graph server to try `ibctl ads` against, without a Facebook account.

Besides a world that works, it can be slow or fail, as Facebook does: see the examples.
"""

from __future__ import annotations

import argparse
import re
import sys
import time

from tests.fakes.graph import seed
from tests.fakes.graph.faults import HTML, Broken, Fault
from tests.fakes.graph.server import Server

FAILURES = {
    "refused": Broken("refused"),
    "dropped": Broken("dropped"),
    "truncated": Broken("truncated"),
    "html": HTML,
    "hang": Broken("slow", seconds=3600),
}
EXAMPLES = """\
to try (accounts that are connected stay so when the server is started again):
  --latency 0.5
      ads sync: four accounts are read at once; with --parallel 1, one
  --fail 17/2446079 --on act_901/
      a limit: `ads sync --max-wait 10s` parks act_901, and ends with 6
  --fail 190/463 --on act_900/insights
      its token has expired: ads sync makes act_900 not connected
  --fail 200 --on insights --times 99
      a permission is missing: named, and the accounts stay connected
  --fail 100/1487534 --on act_900/insights
      too much data for one answer: ads sync lets a report be made
  --fail dropped --on act_900/adsets
      ads campaigns create: the answer is lost; what was made is found
  --fail hang --on insights --times 99
      no answer at all: set IBCTL_HTTP_TIMEOUT=2 first
"""


def failure(text: str) -> Fault | Broken:
    """Read what `--fail` names: a code of Graph's, with its subcode, or a way to give no proper answer."""
    if text in FAILURES:
        return FAILURES[text]
    found = re.fullmatch(r"(-?\d+)(?:/(\d+))?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}': write a code like 17/2446079, or one of {', '.join(FAILURES)}")
    return Fault(int(found[1]), int(found[2]) if found[2] else None, f"(#{found[1]}) as --fail asked for")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.graph", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8099, help="default: 8099")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="what each answer takes")
    parser.add_argument(
        "--fail", type=failure, metavar="WHAT",
        help=f"let calls go wrong: a code of Graph's like 17/2446079, or {', '.join(FAILURES)}",
    )  # fmt: skip
    parser.add_argument("--on", default="", metavar="PATH", help="only calls whose path has this in it (an expression)")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="so many calls; default: 1")
    parser.add_argument("--after", type=int, default=0, metavar="N", help="after so many good ones; default: 0")
    return parser


def main() -> None:
    chosen = options().parse_args()
    world = seed.world()
    world.restarted = True
    world.begin_ids(int(time.time()) * 100)
    server = Server(world, port=chosen.port, latency=chosen.latency)
    if chosen.fail is not None:
        server.fail(chosen.on, chosen.fail, times=chosen.times, after=chosen.after)
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
`--help` says how to make it slow, or fail as Facebook does.
""")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main()
