"""What `leads export` writes, `leads import` reads back unchanged: 100,000 leads that are as nasty as leads can be."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.conftest import Result

LEADS = 100_000
NASTY = [
    "'", "''", "'=x", "''=x", "=cmd()", "-12.50", "+49", "@x", "a\rb", "a\r\nb", "two\nlines", 'say "hi"', '"', ";",
    ",", "a,b;c|d", "\\.", "\\N", "NULL", "😀", "👩‍👩‍👧", "שלום", "\u202ex", "e\u0301", "%s %(x)s :name", "0", "Ā",
    "\u200b",
]  # fmt: skip
FIELDS = (
    'email, "firstName", phone, broker, source, "trackingToken", "userId", status, "leadType", "leadCapturedAt", '
    '"qualifiedAt", "ftdEarned", "cpaEarned", "totalEarned", "systemeContactId"'
)
ALPHABETS = [(0x20, 0x7F), (0xA0, 0x250), (0x590, 0x700), (0x4E00, 0x4F00), (0x1F300, 0x1F600)]


def text(chance: random.Random) -> str | None:
    if chance.random() < 0.5:
        return chance.choice(NASTY)
    letters = [chr(chance.randrange(*chance.choice(ALPHABETS))) for _ in range(chance.randrange(12))]
    # An import trims its cells, and an empty one is none.
    return "".join(letters).strip() or None


def leads(chance: random.Random) -> Iterator[tuple[Any, ...]]:
    for n in range(LEADS):
        captured = datetime(2024, 1, 1) + timedelta(milliseconds=chance.randrange(10**10))
        qualified = captured + timedelta(days=3) if n % 5 == 0 else None
        # Rejected and qualified at once is what an import refuses.
        last = "rejected" if qualified is None else "qualified"
        ftd, cpa = (chance.randrange(10**6) for _ in range(2))
        yield (
            f"l{n:07}", f"{chance.choice(['', '+', '-', '='])}{n}@example.com", text(chance), f"+49170{n:07}",
            text(chance), text(chance) or "unknown", f"{text(chance) or ''}-{n}", f"u{n % 50}" if n % 3 else None,
            chance.choice(["captured", "contacted", last]), chance.choice(["trader", "ib"]), captured,
            qualified, ftd / 100, cpa / 100, (ftd + cpa) / 100, text(chance),
            captured,
        )  # fmt: skip


def test_export_then_import_is_the_identity_on_a_hundred_thousand_hostile_leads(
    database: str, ibctl: Callable[..., Result], tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True, options="-c search_path=public") as connection:
        connection.execute(
            """INSERT INTO "User" (id, email, password, role, "updatedAt")
            SELECT 'u' || n, 'ib' || n || '@x.com', 'x', 'IB', now() FROM generate_series(0, 49) n"""
        )
        statement = f'COPY "Lead" (id, {FIELDS}, "updatedAt") FROM STDIN'
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as stream:
            for lead in leads(random.Random(20251031)):
                stream.write_row(lead)
        stored = f'SELECT {FIELDS} FROM "Lead" ORDER BY phone'.encode()
        before = connection.execute(stored).fetchall()
        assert ibctl("leads", "export", "--output", tmp_path / "all.csv").exit_code == 0
        connection.execute('TRUNCATE "Lead" CASCADE')
        done = ibctl("leads", "import", tmp_path / "all.csv")
        assert done.exit_code == 0, done.stderr
        assert connection.execute(stored).fetchall() == before
        assert len(before) == LEADS
