#!/usr/bin/env python3
"""Recalculate a commission from a dossier, with nothing but Python: `python3 verify.py` in the dossier's folder.

It reads dossier.json (the plan's terms, every lead and spend day that counted, the figures that were paid by) and works
every figure out anew. Sums are exact decimals, rounded half up to cents once; what was booked and carried is in cents,
and added to that.

    totalAdSpend      sum of amount x rate over the spend days
    qualifiedLeads    leads that qualified in the month; totalCpaEarned is the sum of their CPA
    commissionAmount  "whole": that sum x the rate of the highest tier reached; "marginal": each tier's part x its rate
    bonusAmount       by the highest bonus tier that totalAdSpend reaches: a fixed sum, or percent of the spend
    balance           commission + bonus + adjustments + what was carried in
    totalPayout       the balance in whole units of the base currency, rounded down; 0 where it is negative or below
                      the plan's minimum
    carriedOut        what is not paid and goes on into a later month; writtenOff what a plan forgives of a debt

Ends with 0 when every figure is as stated and no file of the dossier was altered, else with 1; with 1, too, when a file
is missing, or is not what a dossier holds any more.
"""

from __future__ import annotations

import hashlib
import json
import sys
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from pathlib import Path
from typing import Any

# Stored amounts have 15 digits; no sum of products comes near a hundred.
EXACT = Context(prec=100)
CENT, MILLIONTH, NOTHING = Decimal("0.01"), Decimal("0.000001"), Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    """Round half up, away from zero."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def reached(tiers: list[dict[str, Any]], measure: Decimal) -> dict[str, Any]:
    """Return the highest tier that a measure reaches; a tier is reached at its `from`, not above it."""
    return [tier for tier in tiers if Decimal(tier["from"]) <= measure][-1]


def whole(tiers: list[dict[str, Any]], by: str, cpas: list[Decimal]) -> Decimal:
    """The tier reached holds for all."""
    measure = Decimal(len(cpas)) if by == "qualified-leads" else sum(cpas, Decimal(0))
    return sum(cpas, Decimal(0)) * Decimal(reached(tiers, measure)["rate"])


def marginal(tiers: list[dict[str, Any]], by: str, cpas: list[Decimal]) -> Decimal:
    """Each tier holds for what lies in it; leads in the order in which they qualified."""
    if by == "qualified-leads":
        rates = [Decimal(reached(tiers, Decimal(number))["rate"]) for number in range(1, len(cpas) + 1)]
        return sum((cpa * rate for cpa, rate in zip(cpas, rates)), Decimal(0))  # noqa: B905 - of Python 3.10
    total, commission = sum(cpas, Decimal(0)), Decimal(0)
    starts = [Decimal(tier["from"]) for tier in tiers]
    for number, tier in enumerate(tiers):
        end = starts[number + 1] if number + 1 < len(tiers) else total
        commission += max(min(total, end) - starts[number], Decimal(0)) * Decimal(tier["rate"])
    return commission


def bonus(tiers: list[dict[str, Any]], spend: Decimal) -> Decimal:
    """The bonus tier reached holds; below the first there is none."""
    if not tiers or spend < Decimal(tiers[0]["from"]):
        return Decimal(0)
    tier = reached(tiers, spend)
    if tier.get("fixed") is not None:
        return Decimal(tier["fixed"])
    return spend * Decimal(tier["percent"]) / 100


def shown_rate(terms: dict[str, Any], cpas: list[Decimal], commission: Decimal) -> Decimal:
    """The tier's rate; of a marginal plan what was paid of the whole, to six places."""
    total = sum(cpas, Decimal(0))
    if terms["method"] == "marginal" and total:
        return (commission / total).quantize(MILLIONTH, rounding=ROUND_HALF_UP)
    measure = Decimal(len(cpas)) if terms["by"] == "qualified-leads" else total
    return Decimal(reached(terms["tiers"], measure)["rate"])


def figures(terms: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Decimal]:
    """Work out every figure of a month from the terms and what counted."""
    with localcontext(EXACT):
        return _figures(terms, inputs)


def _figures(terms: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Decimal]:
    leads = sorted((lead for lead in inputs["leads"] if lead["qualifiedAt"]), key=lambda one: one["order"])
    cpas = [Decimal(lead["cpa"]) for lead in leads]
    spend = sum((Decimal(day["amount"]) * Decimal(day["rate"]) for day in inputs["spend"]), Decimal(0))
    booked = sum((Decimal(one["amount"]) for one in inputs["adjustments"] if one["kind"] != "carry"), Decimal(0))
    carried = sum((Decimal(one["amount"]) for one in inputs["adjustments"] if one["kind"] == "carry"), Decimal(0))
    commission = (marginal if terms["method"] == "marginal" else whole)(terms["tiers"], terms["by"], cpas)
    extra = bonus(terms["bonus"], spend)
    balance = cents(commission + extra) + booked + carried
    unit = Decimal(inputs["smallestUnit"])
    payable = cents(balance // unit * unit)
    forgiven = -balance if balance < 0 and terms["negative"] == "reset" else NOTHING
    paid = payable if payable >= max(Decimal(terms["minimum"]), unit) else NOTHING
    return {
        "totalAdSpend": cents(spend),
        "totalLeads": Decimal(sum(1 for lead in inputs["leads"] if lead["capturedAt"])),
        "qualifiedLeads": Decimal(len(cpas)),
        "totalCpaEarned": cents(sum(cpas, Decimal(0))),
        "commissionRate": shown_rate(terms, cpas, commission),
        "commissionAmount": cents(commission),
        "bonusAmount": cents(extra),
        "adjustments": cents(booked),
        "carriedIn": cents(carried),
        "balance": balance,
        "totalPayout": paid,
        "carriedOut": balance - paid + forgiven,
        "writtenOff": forgiven,
    }


def altered(folder: Path) -> list[str]:
    """Return the files of the dossier that are not as its manifest says."""
    wanted = read(folder / "manifest.json")["files"]
    return [name for name, digest in wanted.items() if not _is(folder / name, digest)]


def read(path: Path) -> Any:
    """Return what is in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def say(line: str) -> None:
    """Print a line, of which what the terminal's encoding lacks is an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def main() -> int:
    """Check the dossier that lies beside this file; return the exit code."""
    folder = Path(__file__).resolve().parent
    for name, check in (("manifest.json", altered), ("dossier.json", derived)):
        try:
            check(folder)
        except OSError as exc:
            say(f"{name} cannot be read ({exc.strerror}): this is not the dossier that was handed out")
            return 1
        # Whatever can be wrong with what is in a file: it is no JSON, or lacks something, or has something else there.
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            say(f"{name} is damaged: this is not the dossier that was handed out")
            return 1
    return report(folder)


def derived(folder: Path) -> tuple[str, list[tuple[str, Decimal, Decimal]]]:
    """Return what the dossier is of, and each figure: its name, as it was worked out anew, and as it is stated."""
    dossier = read(folder / "dossier.json")
    terms, stated = dossier["terms"], dossier["figures"]
    title = f"{dossier['email']}, {dossier['month']}: plan {terms['name']} version {terms['version']}"
    worked_out = figures(terms, dossier["inputs"])
    return title, [(name, value, Decimal(stated[name])) for name, value in worked_out.items()]


def report(folder: Path) -> int:
    """Print every figure and every file that is not as stated; return the exit code."""
    title, found = derived(folder)
    say(title)
    wrong = 0
    for name, value, stated in found:
        wrong += stated != value
        say(f"  {name:<17} {value!s:>14}  {'as stated' if stated == value else f'stated as {stated}'}")
    changed = altered(folder)
    for name in changed:
        say(f"  {name} is not the file that was handed out")
    say("every figure follows from the leads and days listed" if not wrong and not changed else "this does not add up")
    return 1 if wrong or changed else 0


if __name__ == "__main__":
    sys.exit(main())
