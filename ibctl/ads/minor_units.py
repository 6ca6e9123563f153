"""Budgets as Facebook counts them: whole minor units of the ad account's currency, by Meta's own table.

The table is not ISO 4217: HUF, IDR, TWD, COP and CRC have no minor unit here, BHD and JOD have hundredths. A currency
that is not in it is refused: a guess of 100 would turn 5,000 yen a day into 500,000.

Source: Meta, Marketing API, Currency Codes
(https://developers.facebook.com/documentation/ads-commerce/marketing-api/currencies).
"""

from __future__ import annotations

from decimal import Decimal

from ibctl import money

_WHOLE = frozenset({"CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"})
_HUNDREDTHS = frozenset({
    "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BOB", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "DZD", "EGP", "EUR",
    "GBP", "GTQ", "HKD", "HNL", "ILS", "INR", "JOD", "KES", "MOP", "MXN", "MYR", "NGN", "NIO", "NOK", "NZD", "PEN",
    "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "UAH", "USD", "UYU", "VES",
    "ZAR",
})  # fmt: skip


def offset(currency: str) -> int:
    """Return how many minor units one unit of a currency has at Meta: 1 or 100.

    Raises ValueError for a currency that Meta's table does not have.
    """
    code = currency.strip().upper()
    if code in _WHOLE:
        return 1
    if code in _HUNDREDTHS:
        return 100
    raise ValueError(f"'{currency}' is not in Meta's table of currencies, so its minor unit is not known")


def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in minor units. Raises ValueError where it is finer than the currency has them."""
    minor = amount * offset(currency)
    if minor != minor.to_integral_value():
        smallest = "whole units" if offset(currency) == 1 else "hundredths"
        raise ValueError(f"{money.show(amount)} {currency.upper()} is finer than Facebook takes it: {smallest} only")
    return int(minor)


def from_minor(minor: int | str, currency: str) -> Decimal:
    """Return what a number of minor units, as Graph writes it, is worth. Raises ValueError for an unknown currency."""
    return Decimal(minor) / offset(currency)
