"""Money: `Decimal`, exact until the one place where it is rounded.

The shared tables hold money as DOUBLE PRECISION. Such a value is read with 15 significant digits, as PostgreSQL's own
cast to `numeric` does: that gives back every amount that was written with up to 15 digits, and drops the noise that
float arithmetic leaves behind them (0.30000000000000004 is 0.3).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from ibctl import currencies

CENT = Decimal("0.01")
# Beyond this a double no longer holds the cents.
LIMIT = Decimal("1e12")


def from_float(value: float) -> Decimal:
    """Return the decimal that a stored double stands for (15 significant digits, as `::numeric`)."""
    return Decimal(f"{value:.15g}")


def to_cents(amount: Decimal) -> Decimal:
    """Round half up (away from zero, as PostgreSQL's `round`) to two places."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def parse(text: str) -> Decimal:
    """Read an amount written with a decimal point: `1234.5`, `-12.50`.

    Raises ValueError for anything else: NaN, infinity, exponents, grouping, a decimal comma, more than 1e12.
    """
    cleaned = text.strip()
    try:
        amount = Decimal(cleaned)
    except InvalidOperation:
        raise ValueError(f"'{text}' is not an amount: write it like 1234.50") from None
    if not amount.is_finite() or not set(cleaned) <= set("+-.0123456789"):
        raise ValueError(f"'{text}' is not an amount: write it like 1234.50")
    if abs(amount) >= LIMIT:
        raise ValueError(f"'{text}' is too large for an amount: the limit is {LIMIT:,.0f}")
    return amount


def digits(amount: Decimal | float, currency: str = "") -> str:
    """Write an amount for people without its currency, as `show` does with it: `12,480.55`, `1,500`."""
    return currencies.digits(from_float(amount) if isinstance(amount, float) else amount, currency)


def show(amount: Decimal | float, currency: str = "") -> str:
    """Write an amount for people, with its currency's decimals: `12,480.55 USD`, `1,500 JPY`; with cents where none is
    named. More digits are shown when there are any (`currencies.digits`).
    """
    return f"{digits(amount, currency)} {currency}".rstrip()
