"""A statement as one HTML file: no script, nothing from outside, for A4 paper, a phone, a dark screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape

from ibctl import currencies, rendering
from ibctl.commissions.calculation import rules
from ibctl.commissions.statements.service import Statement
from ibctl.months import Month

STYLE = """
:root { color-scheme: light dark; --ink: #1a1f26; --soft: #5b6673; --line: #d5dbe2; --paper: #fff; --bar: #2f6f9f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa5b1; --line: #3a434d; --paper: #14181d;
  --bar: #6fb1dd; } }
@page { size: A4; margin: 18mm 16mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 46rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.2; }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.1rem; }
p { margin: .35rem 0; }
.who { color: var(--soft); overflow-wrap: anywhere; }
.sums { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 1.5rem 0 .5rem; padding: 0; }
.sums div { border: 1px solid var(--line); border-radius: 8px; padding: .6rem .75rem; }
.sums dt { color: var(--soft); font-size: .8rem; }
.sums dd { margin: 0; font-size: 1.1rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: .35rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child, th:first-child { padding-left: 0; } td:last-child, th:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.d { white-space: nowrap; font-variant-numeric: tabular-nums; }
.l { overflow-wrap: anywhere; }
.t td { font-weight: 600; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg rect { fill: var(--bar); } svg line { stroke: var(--line); }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; text-anchor: middle; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .8rem; }
@media (max-width: 32rem) { body { padding: 1.25rem .9rem; } .sums { grid-template-columns: repeat(2, 1fr); }
  table { font-size: .82rem; } th, td { padding: .3rem .3rem; } .y { display: none; }
  svg text { font-size: 24px; } svg .every { display: none; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --bar: #2f6f9f; }
  body { padding: 0; max-width: none; font-size: 10.5pt; } tr, .sums, svg { break-inside: avoid; }
  h2 { break-after: avoid; } thead { display: table-header-group; } rect { print-color-adjust: exact; } }
"""
WIDTH, HEIGHT, FOOT = 720, 200, 26
# What the lines of a derivation are called for somebody who does not know the columns.
WORDS = {"commissionAmount": "commission", "bonusAmount": "bonus", "totalPayout": "payout"}


def page(statement: Statement) -> str:
    """Write the whole page. Everything that came from outside is escaped."""
    title = f"Statement {statement.month}"
    parts = [
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title} {_text(statement.email)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n'
        # Nothing is loaded and nothing runs, whatever got into a name.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<style>{STYLE}</style>\n<body>\n<h1>{title}</h1>",
        f'<p class="who">{_text(statement.email)} · amounts in {_text(statement.currency)}</p>',
        *_sums(statement),
        *(f"<p>{_text(note)}</p>" for note in statement.notes),
        *_account(statement),
        "<h2>Payouts of the last twelve months</h2>",
        chart(statement.history, statement.currency),
        *_calculation(statement),
    ]
    return "\n".join(parts) + "\n</body>\n</html>\n"


def _text(value: str) -> str:
    return escape(rendering.printable(value))


def _amount(statement: Statement, value: Decimal, currency: str | None = None) -> str:
    """Write an amount with a true minus sign."""
    return statement.amount(value, currency).replace("-", "\u2212")


def _sums(statement: Statement) -> Iterator[str]:
    earned = statement.total("commission", "bonus", "adjustment", "rounding", "written-off")
    paid = -statement.total("payment", "returned")
    sums = {"Opening balance": statement.opening, "Earned": earned, "Paid": paid, "Closing balance": statement.closing}
    yield '<dl class="sums">'
    for label, value in sums.items():
        yield f"<div><dt>{label}</dt><dd>{_amount(statement, value)}</dd></div>"
    yield "</dl>"


def _account(statement: Statement) -> Iterator[str]:
    yield "<h2>Account</h2>\n<table>\n<thead><tr><th>Day</th><th>Entry</th>"
    yield '<th class="n">Amount</th><th class="n">Balance</th></tr></thead>\n<tbody>'
    yield _row(str(statement.month.first_day), "opening balance", "", _amount(statement, statement.opening))
    for entry in statement.entries:
        yield _row(str(entry.day), entry.label, _amount(statement, entry.amount), _amount(statement, entry.balance))
    yield _row("", "closing balance", "", _amount(statement, statement.closing), total=True)
    yield "</tbody></table>"


def _row(day: str, label: str, amount: str, balance: str, *, total: bool = False) -> str:
    return (
        f'<tr{" class=t" if total else ""}><td class="d">{day}</td><td class="l">{_text(label)}</td>'
        f'<td class="n">{amount}</td><td class="n">{balance}</td></tr>'
    )


def _calculation(statement: Statement) -> Iterator[str]:
    if statement.derivation is None:
        return
    yield "<h2>How the payout was calculated</h2>\n<table>"
    yield (
        '<thead><tr><th></th><th class="d y">Qualified</th><th class="n">CPA</th><th class="n">Rate</th>'
        '<th class="n">Value</th></tr></thead>\n<tbody>'
    )
    for line in rules.flat(statement.derivation):
        cells = [
            f'<td class="l">{_text(WORDS.get(line.label, line.label))}</td>',
            f'<td class="d y">{(line.date or "")[:10]}</td>',
            f'<td class="n">{"" if line.amount is None else _amount(statement, line.amount, line.currency)}</td>',
            f'<td class="n">{"" if line.rate is None else f"{line.rate:f}"}</td>',
            f'<td class="n">{_amount(statement, line.value)}</td>',
        ]  # fmt: skip
        yield f"<tr{' class=t' if line.total else ''}>{''.join(cells)}</tr>"
    yield "</tbody></table>"


# ---------------------------------------------------------------------------------------------------------------- chart


def chart(history: Sequence[tuple[Month, Decimal]], currency: str) -> str:
    """Draw payouts as bars, a month each, with their amounts above them; the last is the statement's own."""
    highest = max((payout for _, payout in history), default=Decimal(0)) or Decimal(1)
    step = WIDTH / len(history)
    base, room = HEIGHT - FOOT, HEIGHT - FOOT - 28
    label = ", ".join(f"{month} {currencies.digits(payout, currency)}" for month, payout in history)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for number, (month, payout) in enumerate(history):
        middle, height = step * (number + 0.5), float(payout / highest) * room
        # On a phone every other month keeps its words, the last one among them.
        words = "" if (len(history) - number) % 2 else ' class="every"'
        if payout > 0:
            parts.append(
                f'<rect x="{middle - step * 0.32:.1f}" y="{base - height:.1f}" width="{step * 0.64:.1f}" '
                f'height="{height:.1f}" rx="2"><title>{month}: {currencies.digits(payout, currency)}</title></rect>'
            )
            parts.append(f'<text{words} x="{middle:.1f}" y="{base - height - 5:.1f}">{_short(payout)}</text>')
        parts.append(f'<text{words} x="{middle:.1f}" y="{HEIGHT - 6}">{month}</text>')
    return "".join([*parts, f'<line x1="0" x2="{WIDTH}" y1="{base}" y2="{base}"/></svg>'])


def _short(amount: Decimal) -> str:
    """Write an amount in few characters: 950, 12.4k, 3.1m."""
    for limit, unit in ((Decimal(1_000_000), "m"), (Decimal(10_000), "k")):
        if amount >= limit:
            return f"{amount / (1_000_000 if unit == 'm' else 1_000):.1f}{unit}"
    return f"{amount:,.0f}"
