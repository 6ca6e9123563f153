"""The import of leads against the server's own `\\copy` of finished rows, and against what else loads a CSV file.

Each load meets the same leads: a database of its own, copied from the seeded one. With IBCTL_BENCH_IBS=10000 a million
rows go into a million leads, and the limits are those of the full size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path

import psycopg
import pytest

from tests.benchmarks.conftest import FULL_SIZE, IBS, LEADS, peak, psql, report, seconds
from tests.conftest import command

pytestmark = pytest.mark.benchmark

HEADER = "email,first name,phone,ib,broker,source,tracking token,captured at\n"
COLUMNS = (
    'id, "userId", email, "firstName", phone, broker, source, "trackingToken", "leadCapturedAt", "createdAt", '
    '"updatedAt", "ftdEarned", "cpaEarned", "totalEarned"'
)
# Peers with their own libraries: `python3 -m venv /tmp/peers && /tmp/peers/bin/pip install pandas csvkit sqlalchemy
# psycopg2-binary`, and Debian's pgloader. What is not there is not measured.
PEERS = Path("/tmp/peers/bin")
PEER_ROWS = 100_000

Fresh = Callable[[], str]


@pytest.fixture
def fresh(platform_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fresh]:
    """Makes a copy of the seeded database, which the next command works on."""
    admin = platform_url.replace("/ibctl?", "/postgres?")
    made: list[str] = []

    def make() -> str:
        name = f"bench_{len(made)}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE ibctl STRATEGY file_copy".encode())
            connection.execute(b"CHECKPOINT")
        made.append(name)
        url = platform_url.replace("/ibctl?", f"/{name}?")
        monkeypatch.setenv("DATABASE_URL", url)
        return url

    yield make
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def values(n: int) -> tuple[str, str, str, str, str]:
    return (
        f"new{n}.lead@mail{n % 7}.com", f"Zoë{n % 1000}" if n % 50 == 0 else f"Name{n % 1000}", f"+4915{100000000 + n}",
        md5(b"%d" % n).hexdigest(), f"2025-05-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:{n * 7 % 60:02}",
    )  # fmt: skip


def raw(path: Path, rows: int, bad: int = 0) -> Path:
    """Write a file for an import; of a hundred rows, `bad` have an address that is none."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER)
        for n in range(rows):
            email, name, phone, token, at = values(n)
            if n % 100 < bad:
                email = email.replace("@", "@@")
            owner = f"ib{n * 7919 % IBS + 1}@x.y"
            stream.write(f"{email},{name},{phone},{owner},Prime XBT,facebook,{token},{at}\n")
    return path


def finished(path: Path, rows: int) -> Path:
    """Write the same rows as they will stand in the table."""
    with path.open("w", encoding="utf-8") as stream:
        for n in range(rows):
            email, name, phone, token, at = values(n)
            owner, now = f"u{n * 7919 % IBS + 1}", "2025-11-01"
            stream.write(
                f"cnew{n:021},{owner},{email},{name},{phone},Prime XBT,facebook,{token},{at},{now},{now},0,0,0\n"
            )
    return path


def test_an_import_and_its_undo_against_copying_finished_rows(fresh: Fresh, tmp_path: Path) -> None:
    rows, ready = raw(tmp_path / "raw.csv", LEADS), finished(tmp_path / "ready.csv", LEADS)
    copy = f"\\copy \"Lead\" ({COLUMNS}) FROM '{ready}' CSV"
    limits, ours, undos = [], [], []
    for _ in range(2):  # by turns: whatever else the machine does meets both
        limits.append(psql(fresh(), copy))
        fresh()
        ours.append(seconds(command(["leads", "import", rows])))
        undos.append(seconds(command(["undo", "1", "--yes"])))
    report(f"{LEADS:,} leads into {LEADS:,}, checked, matched, recorded", min(ours), min(limits))
    report("the undo of it, against the import", min(undos), min(ours))
    # A million rows stand at 1.8 to 1.9: a third is the foreign key and the unique token, which both have to check.
    assert min(ours) < (2 if FULL_SIZE else 3) * min(limits)
    assert min(undos) < 2 * min(ours)


def test_bad_rows_cost_little(fresh: Fresh, tmp_path: Path) -> None:
    clean, mixed = raw(tmp_path / "clean.csv", LEADS), raw(tmp_path / "mixed.csv", LEADS, bad=10)
    fresh()
    without = seconds(command(["leads", "import", clean]))
    fresh()
    with_bad, _ = peak(command(["leads", "import", mixed]), code=6)
    report("one row in ten refused, against none", with_bad, without)
    assert with_bad < 1.3 * without


def test_memory_stays_flat_as_files_grow(fresh: Fresh, tmp_path: Path) -> None:
    peaks = []
    for rows in (LEADS // 10, LEADS):
        fresh()
        _, megabytes = peak(command(["leads", "import", raw(tmp_path / f"{rows}.csv", rows)]))
        peaks.append(megabytes)
    sys.stdout.write(f"\npeak memory for {LEADS // 10:,} and {LEADS:,} rows: {peaks[0]} and {peaks[1]} MB\n")
    assert peaks[1] < 200
    assert peaks[1] < peaks[0] * 1.25 + 5


# ---------------------------------------------------------------------------------------------------------------- peers

PANDAS = """
import sys, pandas, sqlalchemy
engine = sqlalchemy.create_engine(sys.argv[1])
times = ["leadCapturedAt", "createdAt", "updatedAt"]
table = pandas.read_csv(sys.argv[2], header=None, names=sys.argv[3].split(","), parse_dates=times, dtype={"phone": str})
table.to_sql("Lead", engine, if_exists="append", index=False, chunksize=10000)
"""
ORM = """
import csv, sys
from datetime import datetime
from sqlmodel import Session
from ibctl import db
from ibctl.leads.service import attribute
from ibctl.models.platform import Lead
names = [attribute(name) for name in sys.argv[3].split(",")]
with Session(db.engine()) as session, open(sys.argv[2], newline="", encoding="utf-8") as stream:
    for cells in csv.reader(stream):
        values = dict(zip(names, cells))
        for name in ("lead_captured_at", "created_at", "updated_at"):
            values[name] = datetime.fromisoformat(values[name])
        session.add(Lead(**values))
    session.commit()
"""


def test_the_same_file_by_other_means(fresh: Fresh, tmp_path: Path) -> None:
    rows, ready = raw(tmp_path / "raw.csv", PEER_ROWS), finished(tmp_path / "ready.csv", PEER_ROWS)
    names = COLUMNS.replace('"', "").replace(" ", "")
    limit = psql(fresh(), f"\\copy \"Lead\" ({COLUMNS}) FROM '{ready}' CSV")
    fresh()
    ours = seconds(command(["leads", "import", rows]))
    report(f"{PEER_ROWS:,} leads: ibctl, with all checks and the record", ours, limit)
    peers: dict[str, Callable[[str], list[str]]] = {
        "SQLModel, an object for each row": lambda url: [sys.executable, "-c", ORM, url, str(ready), names],
    }
    if (PEERS / "csvsql").exists():
        peers["pandas' to_sql"] = lambda url: [str(PEERS / "python"), "-c", PANDAS, url, str(ready), names]
        headed = tmp_path / "headed.csv"
        headed.write_text(names + "\n" + ready.read_text(encoding="utf-8"), encoding="utf-8")
        peers["csvkit's csvsql --insert"] = lambda url: [
            str(PEERS / "csvsql"), "--db", url, "--insert",
            "--tables", "a_table_of_its_own", "--chunk-size", "1000", str(headed),
        ]  # fmt: skip
    if Path("/usr/bin/pgloader").exists():
        peers["pgloader"] = lambda url: pgloader(url, ready, names, tmp_path / "load")
    for name, arguments in peers.items():
        theirs = seconds(arguments(fresh()))
        report(f"{PEER_ROWS:,} leads: {name}", theirs, limit)
        assert theirs > ours, name


def pgloader(url: str, ready: Path, names: str, script: Path) -> list[str]:
    """Its way of a CSV file into a table, over the server's socket."""
    found = psycopg.conninfo.conninfo_to_dict(url)
    user, password, host, name = (found[key] for key in ("user", "password", "host", "dbname"))
    columns = ", ".join(f'"{column}"' for column in names.split(","))
    target = f"postgresql://{user}:{password}@unix:{host}:{found['port']}/{name}"
    script.write_text(
        f"LOAD CSV FROM '{ready}' ({columns}) INTO {target}\n"
        f"TARGET TABLE public.\"Lead\" ({columns}) WITH quote identifiers, fields terminated by ',';\n"
    )
    return ["/usr/bin/pgloader", "--on-error-stop", str(script)]
