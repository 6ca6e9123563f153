"""Currencies: which there are, and how many decimals an amount in one has (ISO 4217, minor units)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

# The active codes that money can be sent in.
_ACTIVE = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP
    CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
    IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
    SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST
    XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
# Codes withdrawn since 2007, as ad accounts were invoiced in some of them: past days are in the currency of their time.
_FORMER = """
    ANG BGN BYR CUC CYP EEK GHC HRK LTL LVL MRO MTL SDD SIT SKK SLL STD TMM VEB VEF ZMK ZWD ZWL ZWR
"""
CODES, FORMER, WHOLE, THOUSANDTHS = (
    frozenset(codes.split()) for codes in (_ACTIVE, _FORMER, _WHOLE, _THOUSANDTHS)
)  # fmt: skip


def parse(text: str, *, former: bool = False) -> str:
    """Read a currency's code, in whatever case; `former`: that of a withdrawn one as well.

    Raises ValueError for what is none.
    """
    code = text.strip().upper()
    if code not in CODES and not (former and code in FORMER):
        raise ValueError(f"'{text}' is not a currency: write a code like EUR")
    return code


def places(code: str) -> int:
    """Return how many decimals an amount in this currency has: 2, but 0 in yen and 3 in Kuwaiti dinars."""
    return 0 if code in WHOLE else 3 if code in THOUSANDTHS else 2


def unit(code: str) -> Decimal:
    """Return the smallest amount that there is in this currency: 0.01, but 1 in yen."""
    return Decimal(1).scaleb(-places(code))


def round_to(amount: Decimal, code: str) -> Decimal:
    """Round half up to the currency's smallest unit."""
    return amount.quantize(unit(code), rounding=ROUND_HALF_UP)


def digits(amount: Decimal, code: str) -> str:
    """Write an amount for people, with its currency's decimals: `12,480.55`, or `1,500` in yen.

    What it has below the currency's smallest unit, like 0.45 yen that are carried on, is shown too: nothing is rounded.
    What the web application stored and is no amount is shown as it is: `NaN`, `Infinity`.
    """
    if not amount.is_finite():
        return str(amount)
    decimals = max(places(code), -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{decimals}f}"


def show(amount: Decimal, code: str) -> str:
    """Write an amount as `digits` does, and its currency: `12,480.55 EUR`, `1,500 JPY`."""
    return f"{digits(amount, code)} {code}"
