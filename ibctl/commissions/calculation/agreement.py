"""The second calculation: what a run writes, once more, in Python, from the inputs; compared to the cent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from sqlmodel import Session

from ibctl import bulk, config
from ibctl.commissions.calculation import plan_rules, rules, snapshots, sql
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.errors import RequestError
from ibctl.months import Month

# IBs whose inputs are in memory at once, undecoded: some 2 kB each.
BATCH = 10_000


@contextmanager
def required(session: Session, month: Month) -> Iterator[None]:
    """Make sure that both calculations agree on all rows of the draft that are to be written.

    The last batch is calculated while the server is at work on what the body asks of it. Raises RequestError where they
    differ, at the end of the body at the latest: the transaction, and all that it wrote, must end with it.
    """
    plans = {row.key: plan_rules.from_json(row.plan) for row in session.execute(sql.PLANS)}
    session.execute(sql.OPEN_UNCHECKED)
    rows = _next(session)
    while (following := _next(session)).rowcount:
        _require_same(month, plans, rows)
        rows = following
    session.execute(sql.CLOSE_UNCHECKED)
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(_require_same, month, plans, rows)
        yield
        checked.result()


def _next(session: Session) -> Any:
    return bulk.undecoded(session, sql.NEXT_UNCHECKED.format(BATCH))


def _require_same(month: Month, plans: Mapping[str, Terms], rows: Iterable[Mapping[str, Any]]) -> None:
    base = config.settings().base_currency
    for row in rows:
        again = rules.figures(plans[row["key"]], snapshots.amounts(row, row["booked"] or (), base=base))
        wrong = rules.differing(row, again)
        if wrong:
            told = ", ".join(
                f"{name} is {in_sql} in SQL and {in_python} in Python" for name, in_sql, in_python in wrong
            )
            raise RequestError(
                f"the two calculations of {month} for {row['email']} disagree: {told}. Nothing was written; "
                "this is a fault of ibctl or of the database server, please report it"
            )
