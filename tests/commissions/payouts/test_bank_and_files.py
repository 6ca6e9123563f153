"""Whatever a bank does, and in whichever order its files are read: what is handed in never pays more than is due."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import pytest

from ibctl import db
from ibctl.commissions.payees import service as payees
from ibctl.commissions.payees.rules import Destination
from ibctl.commissions.payouts import exporting, reconciling
from ibctl.commissions.payouts import service as payouts
from ibctl.commissions.payouts.bank_files import Movement
from ibctl.commissions.payouts.exporting import Wanted
from ibctl.commissions.payouts.reconciling import Evidence
from ibctl.errors import RequestError
from ibctl.models.platform import User
from ibctl.months import Month
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import IBANS, two

# More of them before a release: IBCTL_TEST_SEQUENCES=500.
SEEDS = range(int(os.environ.get("IBCTL_TEST_SEQUENCES", "10")))
BATCH, STEPS = "2025-10-1", 60
DEEDS = ("export", "export", "export", "again", "instead", "read", "read", "read", "unread", "back", "back",
         "back", "twice", "payee")  # fmt: skip


@dataclass
class Bank:
    """Pays each file once, knowing it by its name; most of what it sends back, it sends back whole."""

    dice: random.Random
    known: set[str] = field(default_factory=set)
    out: dict[str, Decimal] = field(default_factory=dict)
    # What it has booked and nobody has read yet.
    unread: list[Movement] = field(default_factory=list)
    told: dict[str, Movement] = field(default_factory=dict)
    returned: list[Movement] = field(default_factory=list)
    booked: int = 0

    def take(self, made: exporting.Exported) -> None:
        """Pay what is in the files, all of it but what it never books."""
        for file in made.files[:-1]:
            if file.name not in self.known:
                self.known.add(file.name)
                for payment in file.payments:
                    # Of some it keeps a part for itself.
                    part = payment.amount / self.dice.choice([1, 1, 1, 2])
                    self.move(payment.reference, part, "debit")

    def send_back(self) -> None:
        """Send back what was paid for one payment, or a part of it."""
        paid = sorted(name for name, amount in self.out.items() if amount)
        if paid:
            name = self.dice.choice(paid)
            self.move(name, self.out[name] / self.dice.choice([1, 1, 2]), "credit")

    def move(self, name: str, amount: Decimal, way: Literal["debit", "credit"]) -> None:
        self.booked += 1
        day = date(2025, 11, 1) + timedelta(days=self.booked)
        self.out[name] = self.out.get(name, Decimal(0)) + (amount if way == "debit" else -amount)
        self.unread.append(Movement(f"row {self.booked}", way, day, amount, "USD", (name,), f"B{self.booked}"))
        if way == "credit":
            self.returned.append(self.unread[-1])

    def read(self) -> list[Movement]:
        """Some of what it has booked, in no order."""
        taken = self.dice.sample(self.unread, min(len(self.unread), self.dice.choice([1, 1, 2])))
        self.unread = [one for one in self.unread if one not in taken]
        self.told |= {one.bank_reference or "": one for one in taken}
        return taken

    def tell_again(self) -> list[Movement]:
        """What came back, in a file that has no names for it and other days."""
        found = self.dice.sample(self.returned, min(len(self.returned), 1))
        days = timedelta(days=self.dice.choice([0, 0, 1, -1]))
        return [replace(one, bank_reference=None, booked_on=one.booked_on + days) for one in found]

    def forget(self, platform: Platform, dice: random.Random) -> None:
        """Have a movement taken back that made nothing PAID, as an undo does; it is read once more some day."""
        found = platform.sql(
            'DELETE FROM ibctl.payout_payment WHERE id IN (SELECT p.id FROM ibctl.payout_payment p'
            " JOIN ibctl.payout_item i ON i.id = p.\"itemId\" WHERE i.status <> 'PAID'"
            ' ORDER BY md5(p.id || %s) LIMIT 1) RETURNING "bankReference"', str(dice.random()),
        )  # fmt: skip
        self.unread += [self.told.pop(reference) for (reference,) in found if reference]

    def has(self, made: exporting.Exported) -> bool:
        """Whether it was handed one of these files."""
        return any(file.name in self.known for file in made.files)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_payment_is_sent_twice_whatever_is_read_when(platform: Platform, seed: int) -> None:
    dice = random.Random(seed)
    bank, due = Bank(dice), {"IB202510B1N00001": Decimal(100), "IB202510B1N00002": Decimal("50.25")}
    two(platform)
    with db.transaction() as session:
        payouts.create(session, Month(2025, 10), payouts.Selection("bank_transfer"))
    lost: list[exporting.Exported] = []
    for step in range(STEPS):
        match dice.choice(DEEDS):
            case "export" | "again" as deed:
                made = exported(Wanted("generic", again=dice.randint(1, 3) if deed == "again" else None))
                # Some files lie about for a while before they are handed in.
                lost += [made] if made else []
                dice.shuffle(lost)
                for one in lost[: dice.randint(0, len(lost))]:
                    bank.take(one)
                    lost.remove(one)
            case "read":
                with db.transaction() as session:
                    reconciling.reconcile(session, BATCH, Evidence(bank.read(), "bank.csv", str(step)))
            case "twice":
                with db.transaction() as session:
                    reconciling.reconcile(session, BATCH, Evidence(bank.tell_again(), "second.csv", str(step)))
            case "unread":
                bank.forget(platform, dice)
            case "instead" if lost:
                gone = dice.choice(lost)
                lost = [one for one in lost if one.number != gone.number]
                made = None if bank.has(gone) else exported(Wanted("generic", instead_of=gone.number))
                lost += [made] if made and made.files else []
            case "back":
                bank.send_back()
            case "payee":
                wanted = Destination("bank_transfer", "USD", "Rosa Vidal", dice.choice(IBANS))
                with db.transaction() as session:
                    payees.save(session, session.get_one(User, user(platform)), wanted)
        assert all(amount <= due[name] for name, amount in bank.out.items()), (seed, step)


def exported(wanted: Wanted) -> exporting.Exported | None:
    """What is written, if anything is left."""
    try:
        with db.transaction() as session:
            return exporting.export(session, BATCH, wanted)
    except RequestError:
        return None


def user(platform: Platform) -> str:
    ((found,),) = platform.sql("SELECT id FROM \"User\" WHERE email = 'a@x.y'")
    return str(found)
