"""Exchange rates: what one unit of a currency was worth in the base currency on a day; importing and listing them.

A row of a rates file that does not fit is refused with a code, the field at fault, and what is wrong with it:

    cells               more or fewer cells than the header has
    date_invalid        not a day like 2025-10-31, or outside the years 2000 to 2199
    date_future         a day that has begun nowhere yet
    currency_invalid    not the code of a currency, or the base currency itself
    rate_invalid        not a plain decimal above zero, more than 12 decimals, or 1e12 and above
    source_invalid      no source in the row nor for the whole file, or one longer than 200 characters
    duplicate           the same day and currency again; the first such row counts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import bulk, clock, config, currencies, days, db, ids, imports, money, tabular
from ibctl.errors import UsageError
from ibctl.imports import RowError

ALIASES: Mapping[str, Sequence[str]] = {
    "date": ("day",),
    "currency": ("currency code",),
    "rate": ("exchange rate",),
    "source": (),
    # An export names it; a file may, and then it has to be the one of the settings.
    "baseCurrency": (),
}
DECIMALS = 12
LONGEST_SOURCE = 200


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit of `currency` was worth `rate` units of the base currency on `date`, says `source`."""

    date: date
    currency: str
    rate: Decimal
    source: str


# ----------------------------------------------------------------------------------------------------------------- rows


def read(cells: Mapping[str, str], *, base: str, source: str | None) -> Rate:
    """Read one row, given by field; `source` holds where the row names none.

    Raises RowError for the first thing that is wrong with it.
    """
    day = _day(cells["date"])
    currency = _currency(cells["currency"], base)
    named_base = cells.get("baseCurrency", "").strip().upper()
    if named_base and named_base != base:
        raise RowError("currency_invalid", "baseCurrency", f"the rate is in {named_base}, the base currency is {base}")
    return Rate(day, currency, _rate(cells["rate"]), _source(cells.get("source", ""), source))


def _day(text: str) -> date:
    try:
        day = days.parse(text)
    except ValueError as exc:
        raise RowError("date_invalid", "date", str(exc)) from None
    if day > days.latest():
        raise RowError("date_future", "date", f"{day} has not begun yet")
    return day


def _currency(text: str, base: str) -> str:
    try:
        code = currencies.parse(text, former=True)
    except ValueError as exc:
        raise RowError("currency_invalid", "currency", str(exc)) from None
    if code == base:
        raise RowError("currency_invalid", "currency", f"{base} is the base currency: its rate is always 1")
    return code


def _rate(text: str) -> Decimal:
    try:
        rate = money.parse(text)
    except ValueError:
        raise RowError("rate_invalid", "rate", f"'{text}' is not a rate: write it like 1.0842") from None
    if rate <= 0:
        raise RowError("rate_invalid", "rate", f"'{text}' is not above zero")
    if -int(rate.normalize().as_tuple().exponent) > DECIMALS:
        raise RowError("rate_invalid", "rate", f"'{text}' has more than {DECIMALS} decimals")
    return rate


def _source(text: str, default: str | None) -> str:
    source = " ".join(text.split()) or (default or "").strip()
    if not source:
        raise RowError("source_invalid", "source", "the row names no source: fill it in, or pass --source")
    if len(source) > LONGEST_SOURCE or "\0" in source:
        raise RowError("source_invalid", "source", f"the source is longer than {LONGEST_SOURCE} characters or no text")
    return source


# --------------------------------------------------------------------------------------------------------------- import


@dataclass(frozen=True)
class Settled:
    """A month that is being paid or was paid, and of whose spend an import changed the rates."""

    month: str
    status: str
    # The IBs' emails.
    ibs: list[str]
    # Of what these IBs spent in: EUR, JPY.
    currencies: list[str]


@dataclass(frozen=True)
class RatesImport:
    """How the rows of a rates file fared: good `rows`, of them `added` and `changed`, and the `refused` by code."""

    rows: int
    added: int
    changed: int
    refused: Mapping[str, int]
    settled: list[Settled]

    @property
    def unchanged(self) -> int:
        """Good rows that say what is stored already."""
        return self.rows - self.added - self.changed


def import_rates(
    session: Session, file: tabular.Table, rejects: tabular.RejectFile, *, source: str | None = None
) -> RatesImport:
    """Write the rates of a file; one that says the same as the stored one is not written.

    `source` is who says so, where the rows do not. Raises RequestError when the file's columns do not fit, UsageError
    when nothing names a source.
    """
    columns = tabular.columns(file, ALIASES, ["date", "currency", "rate"])
    if "source" not in columns and not (source and source.strip()):
        raise UsageError(f"{file.path} has no column source: pass --source with who says so, like ECB")
    base = config.settings().base_currency
    db.lock(session, "exchange rates")
    session.execute(_CREATE_FILE)
    first: dict[tuple[date, str], int] = {}

    def read_row(row: int, cells: Mapping[str, str]) -> Rate:
        rate = read(cells, base=base, source=source)
        earlier = first.setdefault((rate.date, rate.currency), row)
        if earlier != row:
            raise RowError("duplicate", "date", f"row {earlier} has this day and currency already")
        return rate

    reading = imports.Reading(file, columns, rejects, read_row)
    staged = zip(ids.endless(), reading.rows(), strict=False)
    bulk.copy(session, _COPY_FILE, ((id_, rate.date, rate.currency, rate.rate, rate.source) for id_, rate in staged))
    session.execute(sa.text("ANALYZE rates_file"))
    session.execute(_CREATE_CHANGED, {"base": base})
    session.execute(_WRITE, {"base": base, "now": clock.now()})
    added, changed = session.execute(_COUNTS).one()
    settled = [Settled(*row) for row in session.execute(_SETTLED)]
    # Not left to the end of the transaction, which may hold another import.
    session.execute(sa.text("DROP TABLE rates_file, rates_changed"))
    return RatesImport(reading.good, added, changed, reading.refused, settled)


_CREATE_FILE = sa.text("CREATE TEMP TABLE rates_file (id text, date date, currency text, rate numeric, source text)")
_COPY_FILE = "COPY rates_file FROM STDIN"
_CREATE_CHANGED = sa.text(
    """
    CREATE TEMP TABLE rates_changed AS
    SELECT coalesce(r.id, f.id) AS id, f.date, f.currency, f.rate, f.source, r.id IS NULL AS added,
      r.rate AS before
    FROM rates_file f
    LEFT JOIN ibctl.exchange_rate r ON r.date = f.date AND r.currency = f.currency AND r."baseCurrency" = :base
    WHERE (r.rate, r.source) IS DISTINCT FROM (f.rate, f.source)
    """
)
_WRITE = sa.text(
    """
    INSERT INTO ibctl.exchange_rate (id, date, currency, "baseCurrency", rate, source, "createdAt")
    SELECT id, date, currency, :base, rate, source, :now FROM rates_changed ORDER BY date, currency
    ON CONFLICT (date, currency, "baseCurrency") DO UPDATE SET rate = excluded.rate, source = excluded.source
    """
)
_COUNTS = sa.text("SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM rates_changed")
# A rate that is new cannot have counted anywhere yet: no commission is calculated without its rates.
_SETTLED = sa.text(
    """
    SELECT to_char(h."date", 'YYYY-MM') AS month, c."paymentStatus", array_agg(DISTINCT u.email),
      array_agg(DISTINCT r.currency)
    FROM rates_changed r
    JOIN "FacebookAdAccount" a ON upper(a.currency) = r.currency
    JOIN "AdSpendHistory" h ON h."adAccountId" = a.id AND h."date" = r.date AND h."dailySpend" <> 0
    JOIN "IbCommission" c ON c."userId" = h."userId" AND c.year = extract(year FROM h."date")
      AND c.month = extract(month FROM h."date")
    JOIN "User" u ON u.id = c."userId"
    WHERE c."paymentStatus" IN ('PROCESSING', 'PAID') AND r.before <> r.rate
    GROUP BY 1, 2 ORDER BY 1, 2
    """
)


# -------------------------------------------------------------------------------------------------------------- reading


def listing(
    session: Session,
    *,
    currency: str | None = None,
    first: date | None = None,
    last: date | None = None,
    limit: int = 0,
) -> tuple[list[dict[str, Any]], int]:
    """Return rates as rows, newest first and at most `limit` (0: all), and how many there are without the limit."""
    found = session.execute(
        _LISTING,
        {"currency": currency and currency.strip().upper(), "first": first, "last": last, "limit": limit or None},
    )
    rows = [dict(row) for row in found.mappings()]
    total = rows[0]["total"] if rows else 0
    return rows, total


_LISTING = sa.text(
    """
    SELECT r.*, count(*) OVER () AS total FROM ibctl.exchange_rate r
    WHERE (cast(:currency AS text) IS NULL OR r.currency = :currency)
      AND (cast(:first AS date) IS NULL OR r.date >= :first) AND (cast(:last AS date) IS NULL OR r.date <= :last)
    ORDER BY r.date DESC, r.currency, r."baseCurrency" LIMIT :limit
    """
)
