#!/usr/bin/env python3
"""Make the example data: six months (May to October 2025) of an invented IB platform.

    python examples/make_data.py [FOLDER]        writes into this folder, or into FOLDER

    ibs.csv            20 IBs, as the web application has them ("User")
    accounts.csv       their ad accounts ("FacebookAdAccount"); two in EUR, one in JPY; three IBs have none
    leads.csv          leads as the platform's own capture exports them
    leads-partner.csv  leads as a partner sends them: semicolons, other words, 31.10.2025, and many that are known
    spend.csv          what each ad account spent on each day, in its own currency
    rates.csv          what EUR and JPY were worth in USD on each day
    payees.csv         where the IBs want their money: IBANs that exist nowhere, PayPal addresses; some in EUR or JPY

The same bytes on every machine: all chance comes from one seed. People and brokers are invented, the mail domains are
those reserved for examples, the phone numbers those reserved for films.

What is in there on purpose: instants at the edges of months in UTC and in Europe/Berlin; CPAs that leave half a cent
after × 0.30; the same lead twice; rows that nobody can take; an IB without leads, one without an ad account, one
without anything, one who left; leads without an IB; names with accents, and one that a spreadsheet would run.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

SEED = 20251031
START, END = datetime(2025, 5, 1), datetime(2025, 11, 1)
LEADS = 4_000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
Row = dict[str, Any]

# name, domain, weight of its leads, ad accounts: (name, currency, zone, usual spend of a day)
IBS: list[tuple[str, str, int, list[tuple[str, str, str, int]]]] = [
    ("anna.schmidt", "example.com", 9, [("Schmidt Trading Akademie", "USD", "Europe/Berlin", 120)]),
    ("bjorn.dahl", "example.org", 6, [("Bjørn Dahl FX", "USD", "Europe/Oslo", 85)]),
    ("carla.mendes", "example.com", 12, [("Mendes Forex São Paulo", "USD", "America/Sao_Paulo", 160),
                                         ("Mendes Retargeting", "USD", "America/Sao_Paulo", 40)]),
    ("david.okafor", "example.net", 8, [("Okafor Markets", "USD", "Africa/Lagos", 95)]),
    ("elif.yildiz", "example.com", 5, [("Yağmur Forex", "USD", "Europe/Istanbul", 60)]),
    ("farid.haddad", "example.org", 7, [("Haddad Capital", "USD", "Asia/Dubai", 140)]),
    ("giulia.conti", "example.com", 6, [("Conti Forex Italia", "EUR", "Europe/Rome", 75)]),
    ("hiroshi.tanaka", "example.net", 5, [("田中 FX スクール", "JPY", "Asia/Tokyo", 14_000)]),
    ("ines.laurent", "example.org", 4, [("Laurent, Bourse & Devises", "USD", "Europe/Paris", 55)]),
    ("jonas.weber", "example.com", 5, []),
    ("katarzyna.nowak", "example.com", 6, [("Nowak Inwestycje", "USD", "Europe/Warsaw", 70)]),
    ("liam.byrne", "example.net", 4, [("Byrne Trading Desk", "USD", "Europe/Dublin", 65)]),
    ("mei.chen", "example.com", 7, [("Mei Chen FX", "USD", "Asia/Singapore", 110)]),
    ("nadia.petrova", "example.org", 0, [("Petrova Signals", "USD", "UTC", 30)]),
    ("omar.farouk", "example.com", 5, [("Farouk Brokers", "USD", "Africa/Cairo", 50)]),
    ("priya.nair", "example.net", 8, [("Nair Wealth", "USD", "Asia/Kolkata", 90)]),
    ("quentin.moreau", "example.org", 0, [("Moreau CFD", "USD", "Europe/Paris", 25)]),
    ("rosa.vidal", "example.com", 0, [("Rosa Vidal", "EUR", "Europe/Madrid", 22)]),
    ("sven.larsson", "example.net", 2, []),
    ("tomas.novak", "example.org", 0, []),
]  # fmt: skip
EMAILS = {name: f"{name}@{domain}" for name, domain, _, _ in IBS}
INACTIVE, UNVERIFIED = {"quentin.moreau"}, {"sven.larsson", "tomas.novak"}
# Spends on Fridays only, and has few leads: an IB whose whole month fits on a screen.
SMALL = EMAILS["rosa.vidal"]

# What a broker pays for a client, and how many of the leads go there.
BROKERS = [("Prime XBT", 400, 35), ("Northgate FX", 250, 30), ("Kestrel Trade", 200, 20), ("Meridian One", 600, 15)]
SOURCES = [("facebook", 62), ("landing-page", 18), ("referral", 8), ("webinar", 7), ("unknown", 5)]
NAMES = """Anna Lukas Zoë José François Jürgen Siobhán Łukasz Ayşe Mehmet Olga Dmitri Νίκος Мария محمد 太郎 美咲 Priya
    Chidi Ngozi Thabo João Inês Sven Åsa Ole Fiona Liam Emma Noah Mia Clara Lucía Chloé Katja D'Angelo Mary-Jane"""
# For addresses, which stay in ASCII.
MAIL_NAMES = """anna lukas zoe jose francois juergen siobhan ayse mehmet olga dmitri nikos maria taro misaki priya chidi
    ngozi thabo ines joao sven"""
SURNAMES = """becker rossi silva kowalski novak garcia martin jensen okoye yilmaz ivanov tanaka sharma khan murphy
    haddad lund weiss costa moreau svensson horvat lopez papadopoulos"""
LEAD_COLUMNS = """ib leadType email firstName phone broker source status trackingToken leadCapturedAt depositedAt
    tradingStartAt qualifiedAt ftdEarned cpaEarned"""


class Chance:
    """A source of chance; it rests on `random()` alone, which every Python version gives alike."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._phones: set[str] = set()

    def below(self, limit: float) -> float:
        """Return a number from 0 up to `limit`."""
        return self._random.random() * limit

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self.below(high - low + 1))

    def happens(self, probability: float) -> bool:
        """Say whether something of this probability (0 to 1) happens."""
        return self.below(1) < probability

    def one(self, items: Sequence[Any]) -> Any:
        """Choose one of some things."""
        return items[self.whole(0, len(items) - 1)]

    def weighted(self, items: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Choose a tuple by its last value, a weight."""
        left = self.below(sum(item[-1] for item in items))
        return next(item for number, item in enumerate(items) if left < sum(i[-1] for i in items[: number + 1]))

    def text(self, length: int) -> str:
        """Return letters and digits."""
        return "".join(self.one(DIGITS) for _ in range(length))

    def email(self, number: int) -> str:
        """Return an address; `number` makes it the only one."""
        name, surname = self.one(MAIL_NAMES.split()), self.one(SURNAMES.split())
        return f"{name}.{surname}{number}@example.{self.one(['com', 'net', 'org'])}"

    def phone(self) -> str:
        """Return a number that is reserved for films (France, Germany, Britain, United States), each only once."""
        kinds = [("+33 6 39 98 {0:02d} {1:02d}", 99), ("+49 30 23125 {0:03d}", 999), ("+44 7700 900{0:03d}", 999),
                 ("+1 (202) 555-01{0:02d}", 99), ("+1 (415) 555-01{0:02d}", 99)]  # fmt: skip
        while True:
            pattern, most = self.one(kinds)
            number: str = pattern.format(self.whole(0, most), self.whole(0, most))
            if number not in self._phones:
                self._phones.add(number)
                return number

    def cuid(self, at: datetime) -> str:
        """Return an id as the web application makes them: c, the time in base 36, chance."""
        left, digits = int((at - datetime(1970, 1, 1)).total_seconds() * 1000), ""
        while left:
            left, digit = divmod(left, 36)
            digits = DIGITS[digit] + digits
        return f"c{digits}{self.text(16)}"


def stamp(at: datetime) -> str:
    """Write a UTC time as the web application does: `2025-10-31T23:59:59.999Z`."""
    return at.isoformat(timespec="milliseconds") + "Z"


# -------------------------------------------------------------------------------------------------- IBs and ad accounts


def ibs(chance: Chance) -> list[Row]:
    """One row for each IB, signed up one after the other in the spring of 2024."""
    rows = []
    for number, (name, email) in enumerate(EMAILS.items()):
        created = datetime(2024, 2, 1) + timedelta(days=4 * number, milliseconds=chance.whole(0, 86_399_999))
        rows.append({
            "id": chance.cuid(created), "email": email, "isActive": str(name not in INACTIVE).lower(),
            "emailVerified": str(name not in UNVERIFIED).lower(), "createdAt": stamp(created),
        })  # fmt: skip
    return rows


def accounts(chance: Chance, users: list[Row]) -> list[Row]:
    """One row for each ad account."""
    rows = []
    for user, (_, _, _, owned) in zip(users, IBS, strict=True):
        for name, currency, zone, _ in owned:
            created = datetime(2024, 6, 1) + timedelta(milliseconds=chance.whole(0, 90 * 86_400_000))
            rows.append({
                "id": chance.cuid(created), "userId": user["id"],
                "adAccountId": f"act_{chance.whole(10**14, 10**15 - 1)}", "adAccountName": name, "currency": currency,
                "timezone": zone, "createdAt": stamp(created),
            })  # fmt: skip
    return rows


# ---------------------------------------------------------------------------------------------------------------- leads


def all_leads(chance: Chance) -> list[Row]:
    """The rows of leads.csv: by the time of capture, then what is in there on purpose, and bad ones in between."""
    span = int((END - START).total_seconds() * 1000)
    times = sorted(START + timedelta(milliseconds=chance.whole(0, span - 1)) for _ in range(LEADS))
    # Some leads are the platform's own.
    owners = [(EMAILS[name], weight) for name, _, weight, _ in IBS] + [("", 2)]
    rows = []
    for number, at in enumerate(times):
        owner, life = chance.weighted(owners)[0], _life(chance, at)
        rows.append(_lead(chance, number, at, owner) | life)
    rows += [*_small_ib(chance), *_edges(), *_odd_names(), *_again(rows)]
    for number, bad in enumerate(_bad_leads()):
        rows.insert(150 + 260 * number, bad)
    return rows


def _cells(**given: str) -> Row:
    return dict.fromkeys(LEAD_COLUMNS.split(), "") | {"leadType": "trader", "status": "captured"} | given


def _lead(chance: Chance, number: int, at: datetime, owner: str) -> Row:
    row = _cells(
        ib=owner, email=chance.email(number) if chance.happens(0.98) else "", firstName=chance.one(NAMES.split()),
        phone=chance.phone() if chance.happens(0.5) else "", source=chance.weighted(SOURCES)[0],
        trackingToken=f"tk_{chance.text(12)}", leadCapturedAt=stamp(at),
    )  # fmt: skip
    return row | {"leadType": "ib"} if chance.happens(0.03) else row


def _life(chance: Chance, at: datetime) -> Row:
    """What became of a lead: nothing yet, a talk, a deposit, trades, a commission."""
    if chance.happens(0.35):
        return {}
    if chance.happens(0.55):
        return {"status": "rejected" if chance.happens(0.2) else "contacted"}
    deposited = at + timedelta(hours=chance.below(15 * 24))
    trading = deposited + timedelta(hours=chance.below(4 * 24))
    qualified = trading + timedelta(hours=24 + chance.below(20 * 24))
    broker, cpa, _ = chance.weighted(BROKERS)
    row = {"status": "contacted", "broker": broker}
    if deposited < END:
        row |= {"depositedAt": stamp(deposited), "ftdEarned": chance.one(["10.00", "15.00", "25.50"])}
    if trading < END:
        row["tradingStartAt"] = stamp(trading)
    if qualified < END and chance.happens(0.6):
        # Some brokers pay a part of the sum: that is where half cents come from.
        earned = f"{cpa}.00" if chance.happens(0.9) else f"{cpa * chance.whole(50, 95) / 100 + 0.05:.2f}"
        row |= {"status": "qualified", "qualifiedAt": stamp(qualified), "cpaEarned": earned}
    return row


def _qualified(at: str, broker: str, cpa: str) -> Row:
    return {"status": "qualified", "broker": broker, "depositedAt": at, "tradingStartAt": at, "qualifiedAt": at,
            "ftdEarned": "10.00", "cpaEarned": cpa}  # fmt: skip


def _small_ib(chance: Chance) -> list[Row]:
    """Seven leads a month, of which two or three qualify; in October their CPAs leave half a cent after × 0.30."""
    rows = []
    for month in range(5, 11):
        for number, day in enumerate((2, 5, 9, 13, 17, 21, 26)):
            at = datetime(2025, month, day, 9 + number, 7 * number, chance.whole(0, 59))
            name = chance.one(MAIL_NAMES.split())
            row = _lead(chance, 0, at, SMALL) | {"email": f"{name}{month}{number:02d}@example.com"}
            if number in ((1, 3, 4) if month % 2 == 0 else (1, 3)):
                row |= _qualified(stamp(at + timedelta(days=4)), "Prime XBT", "212.35" if number == 3 else "400.00")
            rows.append(row)
    return rows


def _edges() -> list[Row]:
    """Leads captured, and leads captured and qualified, around the first instant of months in UTC and Europe/Berlin.

    A month begins in Berlin 2 h before it does in UTC, 1 h in winter: 2025-10-31T23:00Z is November there.
    """
    instants = [
        "2025-04-30T21:59:59.999Z", "2025-04-30T22:00:00.000Z", "2025-04-30T23:59:59.999Z", "2025-05-01T00:00:00.000Z",
        "2025-09-30T21:59:59.999Z", "2025-09-30T22:00:00.000Z", "2025-09-30T23:59:59.999Z", "2025-10-01T00:00:00.000Z",
        "2025-10-31T22:59:59.999Z", "2025-10-31T23:00:00.000Z", "2025-10-31T23:59:59.999Z", "2025-11-01T00:00:00.000Z",
    ]  # fmt: skip
    rows = []
    for number, at in enumerate(instants):
        for name, more in (("captured", {}), ("qualified", _qualified(at, "Kestrel Trade", "200.05"))):
            rows.append(_cells(
                ib=EMAILS["sven.larsson"], email=f"edge.{name}{number}@example.net", firstName="Nova",
                source="landing-page", trackingToken=f"tk_edge_{name}{number}", leadCapturedAt=at,
            ) | more)  # fmt: skip
    return rows


def _odd_names() -> list[Row]:
    """Names as people do type them into forms."""
    names = ['=HYPERLINK("http://example.com/?"&A1,"free signals")', "+1 friend", "-Ann", "@zoe", "O'Neil, Pat",
             'Bo "the bull"', "Ünal", "李 雷", "Łucja"]  # fmt: skip
    return [
        _cells(ib=EMAILS["liam.byrne"], email=f"form{number}@example.com", firstName=name, source="landing-page",
               phone=f"+1 808-555-01{number:02d}", leadCapturedAt=f"2025-10-{10 + number}T12:00:00.000Z")
        for number, name in enumerate(names)
    ]  # fmt: skip


def _again(rows: list[Row]) -> list[Row]:
    """The same people again: word for word, in capitals, and captured anew in October by another IB."""
    found = [dict(row) for row in rows if row["email"] and row["phone"]][7::140][:12]
    for row in found[1::3]:
        row |= {"email": row["email"].upper(), "firstName": f" {row['firstName']} "}
    for row in found[2::3]:
        row |= {"ib": EMAILS["omar.farouk"], "leadCapturedAt": "2025-10-30T08:15:00.000Z", "trackingToken": ""}
    return found


def _bad_leads() -> list[Row]:
    """Rows that no importer may take: good ones but for the cells named here. The first name says what is wrong."""
    qualified = _qualified("2025-10-09T10:00:00.000Z", "Prime XBT", "400.00")
    faults: list[Row] = [
        {"firstName": "Address without @", "email": "nobody.example.com"},
        {"firstName": "Two addresses", "email": "a@example.com, b@example.com"},
        {"firstName": "No contact at all", "email": "", "trackingToken": ""},
        {"firstName": "Not a phone number", "phone": "call me"},
        {"firstName": "Not a date", "leadCapturedAt": "soon"},
        {"firstName": "No such day", "leadCapturedAt": "2025-06-31T10:00:00.000Z"},
        {"firstName": "A year far away", "leadCapturedAt": "9999-12-31T00:00:00.000Z"},
        {"firstName": "Qualified too early", "status": "qualified", "qualifiedAt": "2025-10-01T10:00:00.000Z"},
        {**qualified, "firstName": "Not a number", "cpaEarned": "NaN"},
        {**qualified, "firstName": "Comma for a point", "cpaEarned": "250,00"},
        {**qualified, "firstName": "Below zero", "cpaEarned": "-400.00"},
        {"firstName": "No such IB", "ib": "ana.schmidt@example.com"},
        {"firstName": "An IB who left", "ib": EMAILS["quentin.moreau"]},
        {"firstName": "No such status", "status": "hot"},
        {"firstName": "No such type", "leadType": "affiliate"},
    ]
    return [
        _cells(ib=EMAILS["anna.schmidt"], email=f"refused{number}@example.com", source="facebook",
               trackingToken=f"tk_refused_{number}", leadCapturedAt="2025-10-08T10:00:00.000Z") | fault
        for number, fault in enumerate(faults)
    ]  # fmt: skip


def partner_leads(chance: Chance, known: list[Row]) -> list[Row]:
    """120 leads of October as a partner sends them: every fourth is known already, and some rows are bad."""
    partner = EMAILS["priya.nair"]
    theirs = [row for row in known if row["ib"] == partner and row["leadCapturedAt"] >= "2025-09" and row["email"]]
    rows: list[Row] = []
    for number in range(120):
        day = datetime(2025, 10, 1) + timedelta(minutes=chance.whole(0, 31 * 24 * 60 - 1))
        rows.append({
            "E-Mail": chance.email(7_000 + number), "First name": chance.one(NAMES.split()),
            "Phone number": chance.phone(), "Partner": partner, "Date": f"{day:%d.%m.%Y %H:%M}", "Campaign": "webinar",
            "Broker": "Northgate FX", "Note": chance.one(["", "", "asked for a call; evenings", "knows Priya"]),
        })  # fmt: skip
    for row, lead in zip(rows[3::4], theirs, strict=False):
        row |= {"E-Mail": lead["email"].title(), "Phone number": lead["phone"]}
    faults = [{"E-Mail": "n/a"}, {"Date": "31.09.2025"}, {"Date": "12.31.2025"}, {"Date": "01.10.25"},
              {"Partner": "Priya"}, {"E-Mail": "", "Phone number": ""}]  # fmt: skip
    for row, fault in zip(rows[12::16], faults, strict=False):
        row |= fault
    return rows


# ------------------------------------------------------------------------------------------------------ spend and rates


def spend(chance: Chance, owned: list[Row]) -> list[Row]:
    """What each account spent, day by day; each pauses for nine days once, and bad rows come at the end."""
    usual = {name: amount for _, _, _, accounts in IBS for name, _, _, amount in accounts}
    rows = []
    for account in owned:
        pause = START + timedelta(days=chance.whole(10, 160))
        for number in range((END - START).days):
            day = START + timedelta(days=number)
            off = account["adAccountName"] == "Rosa Vidal" and day.weekday() != 4
            if not off and not pause <= day < pause + timedelta(days=9):
                rows.append(_spend_day(chance, account, day.date(), usual[account["adAccountName"]]))
    first = owned[0]["adAccountId"]
    # The days before and after: a day is the ad account's own, whatever zone cuts the month.
    edges = [_day(first, "2025-04-30", "111.11"), _day(first, "2025-11-01", "222.22")]
    return rows + edges + _bad_spend(first)


def _spend_day(chance: Chance, account: Row, day: date, usual: int) -> Row:
    weekday = (1.0, 1.05, 1.1, 1.1, 0.95, 0.6, 0.55)[day.weekday()]
    amount = usual * weekday * (0.7 + chance.below(0.6))
    clicks = int(amount / usual * 40 * (0.6 + chance.below(0.8)))
    # Yen have no cents.
    written = f"{amount:.0f}" if account["currency"] == "JPY" else f"{amount:.2f}"
    row = _day(account["adAccountId"], day.isoformat(), written)
    return row | {"impressions": clicks * chance.whole(40, 90), "clicks": clicks, "leads": chance.whole(0, 3)}


def _day(account: str, day: str, amount: str) -> Row:
    return {"adAccountId": account, "date": day, "dailySpend": amount, "impressions": 0, "clicks": 0, "leads": 0}


def _bad_spend(account: str) -> list[Row]:
    return [
        _day("act_999999999999999", "2025-10-01", "10.00"),
        _day(account, "9999-12-31", "10.00"),
        _day(account, "01/10/2025", "10.00"),
        _day(account, "2025-11-02", "NaN"),
        _day(account, "2025-11-02", "12,50"),
        _day(account, "2025-11-02", "-3.00"),
        _day(account, "2025-10-01", "999.00"),  # the day again
    ]


def rates(chance: Chance) -> list[Row]:
    """What one EUR and one JPY were worth in USD: a random walk; on weekends the rate of Friday."""
    rows = []
    values, places = {"EUR": 1.1335, "JPY": 0.006905}, {"EUR": 4, "JPY": 6}
    for number in range((END - START).days):
        day = START + timedelta(days=number)
        for currency in values:
            if day.weekday() < 5:
                values[currency] *= 1 + (chance.below(1) - 0.5) * 0.012
            rate = f"{values[currency]:.{places[currency]}f}"
            rows.append({"date": f"{day:%Y-%m-%d}", "currency": currency, "rate": rate, "source": "example"})
    return rows


def payees() -> list[Row]:
    """Where each IB wants its money; one IBAN has two digits the wrong way round, one IB has said nothing yet."""
    rows = []
    for number, (name, _, _, _) in enumerate(IBS[:-1]):
        by_paypal = number % 6 == 4
        holder = " ".join(part.capitalize() for part in name.split("."))
        rows.append({
            "ib": EMAILS[name], "name": holder, "account": f"{name}@example.org" if by_paypal else _iban(number),
            "method": "paypal" if by_paypal else "bank_transfer", "currency": "EUR" if number % 3 == 1 else "USD",
        })  # fmt: skip
    by_name = {row["ib"]: row for row in rows}
    by_name[EMAILS["hiroshi.tanaka"]]["currency"] = "JPY"
    wrong = by_name[EMAILS["omar.farouk"]]
    wrong["account"] = f"{wrong['account'][:2]}{wrong['account'][3:1:-1]}{wrong['account'][4:]}"
    return rows


def _iban(number: int) -> str:
    """A German IBAN with the right check digits (ISO 7064) at a bank code that no bank has."""
    account = f"99999999{7_000_003 * (number + 1):010d}"
    # D and E are 13 and 14 there, and the check digits count as 00.
    return f"DE{98 - int(f'{account}131400') % 97:02d}{account}"


# -------------------------------------------------------------------------------------------------------------- writing


def write(path: Path, rows: list[Row], delimiter: str = ",") -> None:
    """Write rows as UTF-8 with LF line ends, as the platform exports them."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(folder: Path) -> None:
    """Write all files. Each has a source of chance of its own, so that a change in one leaves the others alone."""
    users = ibs(Chance(SEED))
    owned = accounts(Chance(SEED + 1), users)
    people = Chance(SEED + 2)
    captured = all_leads(people)
    write(folder / "ibs.csv", users)
    write(folder / "accounts.csv", owned)
    write(folder / "leads.csv", captured)
    write(folder / "leads-partner.csv", partner_leads(people, captured), delimiter=";")
    write(folder / "spend.csv", spend(Chance(SEED + 3), owned))
    write(folder / "rates.csv", rates(Chance(SEED + 4)))
    write(folder / "payees.csv", payees())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
