"""What ships in `examples/`: the data are what `make_data.py` writes, and every file does what it says."""

from __future__ import annotations

import configparser
import csv
import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.main import get_command

from ibctl import cli, config
from tests.conftest import ROOT, Result

EXAMPLES = ROOT / "examples"
MONTHS = [f"2025-{number:02d}" for number in range(4, 12)]
Ibctl = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]


def read(name: str, delimiter: str = ",") -> list[dict[str, str]]:
    with (EXAMPLES / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


@pytest.fixture
def platform(sql: Sql) -> None:
    """The IBs and ad accounts of the example files, written as the web application would."""
    for ib in read("ibs.csv"):
        sql(
            'INSERT INTO "User" (id, email, password, role, "isActive", "updatedAt")'
            " VALUES (%s, %s, 'x', 'IB', %s, now())",
            ib["id"], ib["email"], ib["isActive"],
        )  # fmt: skip
    for account in read("accounts.csv"):
        sql(
            'INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", "adAccountName", currency, timezone,'
            ' "updatedAt") VALUES (%s, %s, %s, %s, %s, %s, now())',
            *(account[name] for name in ("id", "userId", "adAccountId", "adAccountName", "currency", "timezone")),
        )


# ------------------------------------------------------------------------------------------------------------- the data


def test_the_example_files_are_what_the_script_writes_to_the_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, EXAMPLES / "make_data.py", tmp_path], check=True)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    by_hand = {"broker-report.csv"}
    assert written == {path.name: path.read_bytes() for path in EXAMPLES.glob("*.csv") if path.name not in by_hand}
    assert len(written) == 7


REFUSED = {
    "Address without @": "email_invalid",
    "Two addresses": "email_invalid",
    "No contact at all": "contact_missing",
    "Not a phone number": "phone_invalid",
    "Not a date": "date_invalid",
    "No such day": "date_invalid",
    "A year far away": "date_invalid",
    "Qualified too early": "date_order",
    "Not a number": "amount_invalid",
    "Comma for a point": "amount_invalid",
    "Below zero": "amount_invalid",
    "No such IB": "owner_unknown",
    "An IB who left": "owner_inactive",
    "No such status": "status_unknown",
    "No such type": "type_unknown",
}


@pytest.mark.usefixtures("platform")
def test_each_bad_row_of_the_leads_is_refused_with_the_code_that_fits_it(ibctl: Ibctl, tmp_path: Path) -> None:
    done = ibctl("leads", "import", EXAMPLES / "leads.csv", "--rejects", tmp_path / "rejects.csv")
    assert done.exit_code == 6
    with (tmp_path / "rejects.csv").open(encoding="utf-8-sig", newline="") as stream:
        rejects = list(csv.DictReader(stream))
    assert {row["firstName"]: row["_code"] for row in rejects if row["_code"] != "duplicate"} == REFUSED
    assert Counter(row["_code"] for row in rejects)["duplicate"] == 12


@pytest.mark.usefixtures("platform")
def test_an_import_of_the_same_file_writes_nothing(ibctl: Ibctl, sql: Sql, tmp_path: Path) -> None:
    arguments = ["leads", "import", str(EXAMPLES / "leads.csv"), "--rejects", str(tmp_path / "rejects.csv")]
    assert ibctl(*arguments).exit_code == 6
    before = sql('SELECT to_jsonb(l) FROM "Lead" l ORDER BY id')
    assert ibctl(*arguments).exit_code == 0
    assert sql('SELECT to_jsonb(l) FROM "Lead" l ORDER BY id') == before
    assert sql("SELECT count(*) FROM ibctl.change_set") == [(1,)]


@pytest.mark.usefixtures("platform")
def test_the_brokers_report_updates_the_leads_of_the_file_and_is_taken_back(
    ibctl: Ibctl, sql: Sql, tmp_path: Path
) -> None:
    ibctl("leads", "import", EXAMPLES / "leads.csv", "--rejects", tmp_path / "rejects.csv")
    before = sql('SELECT l::text FROM "Lead" l ORDER BY id')
    report, mapping = EXAMPLES / "broker-report.csv", EXAMPLES / "broker-report.toml"
    done = ibctl("leads", "import", report, "--mapping", mapping, "--rejects", tmp_path / "report.csv")
    assert done.exit_code == 6
    assert "0 leads created, 3 updated" in done.stderr
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["_code"] for row in csv.DictReader(stream, delimiter=";")] == ["not_found"]
    assert sql(
        """SELECT status, "qualifiedAt"::date::text, "cpaEarned", "totalEarned" FROM "Lead"
           WHERE "trackingToken" = 'tk_i7e1a8649ol4'"""
    ) == [("qualified", "2025-05-09", 1200.0, 1215.0)]
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert sql('SELECT l::text FROM "Lead" l ORDER BY id') == before


@pytest.mark.usefixtures("platform")
def test_a_name_that_a_spreadsheet_would_run_is_stored_as_it_was_typed(ibctl: Ibctl, sql: Sql, tmp_path: Path) -> None:
    ibctl("leads", "import", EXAMPLES / "leads.csv", "--rejects", tmp_path / "rejects.csv")
    stored = {name for (name,) in sql('SELECT "firstName" FROM "Lead" WHERE email LIKE \'form%%\'')}
    assert stored == {row["firstName"] for row in read("leads.csv") if row["email"].startswith("form")}
    assert any(name.startswith("=HYPERLINK(") for name in stored)


# ------------------------------------------------------------------------------- the commissions, calculated once more
#
# From the files alone, with nothing of ibctl's: own reading, own refusals, own months, own rounding.


@dataclass
class Total:
    """What falls into one IB's month, exact."""

    spend: Decimal = Decimal(0)
    leads: int = 0
    qualified: int = 0
    cpa: Decimal = Decimal(0)

    def figures(self) -> tuple[Decimal, int, int, Decimal, Decimal, Decimal]:
        commission = cents(self.cpa * Decimal("0.30"))
        return cents(self.spend), self.leads, self.qualified, cents(self.cpa), commission, commission


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def instant(text: str) -> datetime | None:
    """Read a UTC time of leads.csv or of leads-partner.csv; None when it is none, or not of our time."""
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%d.%m.%Y %H:%M"):
        try:
            read = datetime.strptime(text, form)
        except ValueError:
            continue
        return read if read.year < 2200 else None
    return None


@dataclass
class Files:
    """The example files, read row by row as a careful clerk would; a row that cannot be taken is passed over."""

    ibs: dict[str, str] = field(default_factory=lambda: {r["email"]: r["isActive"] for r in read("ibs.csv")})
    seen: set[str] = field(default_factory=set)

    def leads(self) -> Iterator[tuple[str, datetime, datetime | None, Decimal]]:
        """Yield owner, time of capture, of qualification, and CPA."""
        for row in read("leads.csv"):
            yield from self._lead(row)
        names = {"E-Mail": "email", "Phone number": "phone", "Partner": "ib", "Date": "leadCapturedAt"}
        for row in read("leads-partner.csv", ";"):
            yield from self._lead({names[name]: text for name, text in row.items() if name in names})

    def _lead(self, row: dict[str, str]) -> Iterator[tuple[str, datetime, datetime | None, Decimal]]:
        email, phone, token = (row.get(name, "").strip().lower() for name in ("email", "phone", "trackingToken"))
        captured, qualified = instant(row["leadCapturedAt"]), instant(row.get("qualifiedAt", ""))
        known = {name for name in (email, re.sub(r"[^\d+]", "", phone), token) if name}
        cpa = row.get("cpaEarned", "") or "0"
        if (
            captured is not None
            and (qualified is None or qualified >= captured)
            and re.fullmatch(r"[^@\s]+@[^@\s,]+|", email)
            and re.fullmatch(r"\+[\d ()-]+|", phone)
            and re.fullmatch(r"\d+(\.\d\d)?", cpa)
            and row.get("status", "captured") in ("captured", "contacted", "qualified", "rejected")
            and row.get("leadType", "trader") in ("trader", "ib")
            and (row["ib"] == "" or self.ibs.get(row["ib"]) == "true")
            and known
            and not known & self.seen
        ):
            self.seen |= known
            yield row["ib"], captured, qualified, Decimal(cpa)

    def spend(self) -> Iterator[tuple[str, str, Decimal]]:
        """Yield owner, day, and amount in USD."""
        emails = {row["id"]: row["email"] for row in read("ibs.csv")}
        accounts = {row["adAccountId"]: (emails[row["userId"]], row["currency"]) for row in read("accounts.csv")}
        rates = {(row["date"], row["currency"]): Decimal(row["rate"]) for row in read("rates.csv")}
        seen = set()
        for row in read("spend.csv"):
            key = row["adAccountId"], row["date"]
            good = re.fullmatch(r"2025-\d\d-\d\d \d+(\.\d+)?", f"{row['date']} {row['dailySpend']}")
            if good and row["adAccountId"] in accounts and key not in seen:
                seen.add(key)
                ib, currency = accounts[row["adAccountId"]]
                rate = Decimal(1) if currency == "USD" else rates[row["date"], currency]
                yield ib, row["date"], Decimal(row["dailySpend"]) * rate


def expected(zone: str) -> dict[tuple[str, str], Total]:
    """Calculate every IB's every month, cut in `zone`, by (email, "2025-10")."""

    def month(at: datetime) -> str:
        return f"{at.replace(tzinfo=ZoneInfo('UTC')).astimezone(ZoneInfo(zone)):%Y-%m}"

    totals: dict[tuple[str, str], Total] = defaultdict(Total)
    files = Files()
    for ib, captured, qualified, cpa in files.leads():
        if not ib:
            continue
        totals[ib, month(captured)].leads += 1
        if qualified is not None:
            totals[ib, month(qualified)].qualified += 1
            totals[ib, month(qualified)].cpa += cpa
    for ib, day, amount in files.spend():
        totals[ib, f"{date.fromisoformat(day):%Y-%m}"].spend += amount
    return totals


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_every_commission_is_what_a_calculation_from_the_files_alone_gives(
    zone: str, ibctl: Ibctl, sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", zone)
    config.use_env_file(None)
    for command, exit_code in {
        "leads import leads.csv": 6,
        "leads import leads-partner.csv": 6,
        "ads spend import spend.csv": 6,
        "commissions rates import rates.csv": 0,
    }.items():
        *words, name = command.split()
        assert ibctl(*words, EXAMPLES / name, "--rejects", tmp_path / f"{name}.rejects").exit_code == exit_code
    for month in MONTHS:
        assert ibctl("commissions", "run", "--month", month).exit_code == 0
    stored = sql(
        'SELECT u.email, c.year, c.month, c."totalAdSpend"::numeric, c."totalLeads", c."qualifiedLeads",'
        ' c."totalCpaEarned"::numeric, c."commissionAmount"::numeric, c."totalPayout"::numeric'
        ' FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"'
    )
    found = {(email, f"{year}-{month:02d}"): tuple(figures) for email, year, month, *figures in stored}
    assert found == {key: total.figures() for key, total in expected(zone).items()}


@pytest.mark.usefixtures("platform")
def test_the_payees_are_taken_but_for_the_one_with_a_wrong_iban(ibctl: Ibctl, sql: Sql, tmp_path: Path) -> None:
    ended = ibctl("commissions", "payees", "import", EXAMPLES / "payees.csv", "--rejects", tmp_path / "payees.rejects")
    assert ended.exit_code == 6
    with (tmp_path / "payees.rejects").open(encoding="utf-8", newline="") as stream:
        (refused,) = csv.DictReader(stream)
    assert (refused["_code"], refused["ib"]) == ("account_invalid", "omar.farouk@example.com")
    assert sql("SELECT count(*), count(DISTINCT currency) FROM ibctl.payee") == [(len(read("payees.csv")) - 1, 3)]


def test_the_files_hold_what_makes_the_calculation_hard() -> None:
    by_zone = {zone: expected(zone) for zone in ("UTC", "Europe/Berlin")}
    assert by_zone["UTC"] != by_zone["Europe/Berlin"]
    halves = [t for t in by_zone["UTC"].values() if (t.cpa * Decimal("0.30") * 1000) % 10 == 5]
    assert len(halves) >= 5
    assert any(total.spend != cents(total.spend) for total in by_zone["UTC"].values())
    october = {ib: total for (ib, month), total in by_zone["UTC"].items() if month == "2025-10"}
    silent = {row["email"] for row in read("ibs.csv")} - {ib for ib, _ in by_zone["UTC"]}
    assert silent == {"tomas.novak@example.org"}
    assert october["nadia.petrova@example.org"].leads == 0
    assert october["quentin.moreau@example.org"].spend > 0
    assert october["jonas.weber@example.com"].spend == 0
    assert len(read("ibs.csv")) == 20
    assert sum(total.qualified for total in by_zone["UTC"].values()) > 500


# ------------------------------------------------------------------------------------------------ cron, systemd, shell


def parse(words: list[str]) -> None:
    """Let Typer read a command line without running it; raises where the command or an option does not exist."""
    context = get_command(cli.app).make_context("ibctl", list(words))
    while hasattr(context.command, "resolve_command"):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def test_a_command_that_does_not_exist_is_noticed_by_these_tests() -> None:
    for wrong in (["commissions", "rum"], ["commissions", "run", "--silent"], ["leads", "import"]):
        with pytest.raises(Exception, match=r"No such|Missing"):
            parse(wrong)


def import_command(words: list[str]) -> list[str]:
    """What import-folder.sh makes of its arguments for each file; `test_the_folder…` runs it in earnest."""
    return [*words, "file.csv", "--rejects", "rejects.csv", "--reason", "drop folder", "--yes"]


def test_the_crontab_runs_commands_that_exist_and_keeps_quiet_when_all_is_well() -> None:
    lines = [line for line in (EXAMPLES / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    assert settings.keys() == {"MAILTO", "PATH", "IBCTL_ENV_FILE"}
    jobs = [line.split(maxsplit=5) for line in lines if not re.match(r"[A-Z_]+=", line)]
    assert len(jobs) > 5
    for *schedule, command in jobs:
        assert all(re.fullmatch(r"\*(/\d+)?|\d+(-\d+)?", part) for part in schedule)
        assert "%" not in command, "cron takes it for a line break"
        program, *words = shlex.split(command)
        if program == "import-folder.sh":
            folder, *words = words
            assert folder.startswith("/srv/ibctl/")
            words = import_command(words)
        else:
            assert program == "ibctl"
            assert "--quiet" in words
        parse(words)


def test_the_cron_lines_of_the_readme_are_those_of_the_crontab() -> None:
    crontab = [line.split(maxsplit=5) for line in (EXAMPLES / "crontab").read_text().splitlines() if " ibctl " in line]
    schedules = {tuple(shlex.split(command)[1:3]): schedule for *schedule, command in crontab}
    blocks = re.findall(r"```cron\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split(maxsplit=5) for block in blocks for line in block.splitlines()]
    assert len(lines) > 3
    for *schedule, command in lines:
        words = shlex.split(command.removeprefix("cd /srv/platform && "))
        parse(words[1:])
        assert (words[0], schedule) == ("ibctl", schedules[tuple(words[1:3])])


@pytest.mark.usefixtures("database")
def test_the_template_of_a_campaign_is_added_and_keeps_to_the_rules(ibctl: Callable[..., Result]) -> None:
    path = EXAMPLES / "ad-template.json"
    assert ibctl("ads", "templates", "lint", "--file", path, "--strict").exit_code == 0
    assert ibctl("ads", "templates", "add", "--file", path, "--publish").exit_code == 0


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((EXAMPLES / name).read_text())
    return parser


def test_the_systemd_units_belong_together_and_run_a_command_that_exists() -> None:
    service, timer = unit("ibctl-commissions.service"), unit("ibctl-commissions.timer")
    program, *words = shlex.split(service["Service"]["ExecStart"])
    assert Path(program).name == "ibctl"
    parse(words)
    assert service["Service"]["Type"] == "oneshot"
    # Only a database that cannot be reached is worth another try.
    assert service["Service"]["RestartPreventExitStatus"].split() == ["1", "2", "3", "6", "7"]
    assert re.fullmatch(r"\*-\*-02\.\.10 \d\d:\d\d:00", timer["Timer"]["OnCalendar"])
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """A drop folder, and `ibctl` on the PATH."""
    shim = tmp_path / "bin" / "ibctl"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ibctl "$@"\n')
    shim.chmod(0o755)
    folder = tmp_path / "drop folder"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str, *, age: float = 300) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def start(folder: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [EXAMPLES / "import-folder.sh", folder, *words],
        env={**os.environ, "PATH": path, **env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def sweep(folder: Path, *words: str, **env: str) -> Result:
    script = start(folder, *words, **env)
    stdout, stderr = script.communicate(timeout=60)
    return Result(script.returncode, stdout, stderr)


def names(folder: Path) -> list[str]:
    """The names in a folder, without the time that the script puts before them."""
    return sorted(re.sub(r"^\d{8}T\d{6}Z-", "", path.name) for path in folder.iterdir())


GOOD = "email,leadCapturedAt\na@example.com,2025-10-01\nb@example.com,2025-10-02\n"
PART = "email,leadCapturedAt\nc@example.com,2025-10-01\nnobody,2025-10-02\n"
BAD = "colour,size\nred,2\n"


@pytest.mark.usefixtures("database")
def test_the_folder_script_sorts_files_by_what_became_of_them(drop: Path, sql: Sql) -> None:
    put(drop, "a-bad.csv", BAD)
    put(drop, "b-good.csv", GOOD)
    put(drop, "c-part.csv", PART)
    put(drop, "d-young.csv", GOOD, age=0)
    put(drop, "notes.txt", "not for ibctl")
    done = sweep(drop, "leads", "import")
    assert (done.exit_code, done.stdout) == (6, "")
    assert names(drop) == ["d-young.csv", "done", "failed", "notes.txt"]
    assert names(drop / "done") == ["b-good.csv", "c-part.csv"]
    assert names(drop / "failed") == ["a-bad.csv", "a-bad.csv.log", "c-part.csv.log", "c-part.csv.rejects.csv"]
    assert "colour" in done.stderr, "the mail says what is wrong"
    assert "email_invalid" in done.stderr
    assert sql('SELECT email FROM "Lead" ORDER BY 1') == [("a@example.com",), ("b@example.com",), ("c@example.com",)]
    assert sql("SELECT DISTINCT reason FROM ibctl.change_set") == [("drop folder",)]


@pytest.mark.usefixtures("database")
def test_the_folder_script_is_silent_when_all_is_well(drop: Path) -> None:
    put(drop, "good.csv", GOOD)
    assert sweep(drop, "leads", "import") == Result(0, "", "")
    assert sweep(drop, "leads", "import") == Result(0, "", "")
    assert names(drop / "done") == ["good.csv"]
    assert names(drop / "failed") == []


@pytest.mark.usefixtures("platform")
def test_the_folder_script_takes_spend_and_rates_as_well(drop: Path, sql: Sql) -> None:
    account = read("accounts.csv")[0]["adAccountId"]
    put(drop, "spend.csv", f"adAccountId,date,dailySpend\n{account},2025-10-01,12.50\n")
    assert sweep(drop, "ads", "spend", "import").exit_code == 0
    put(drop, "rates.csv", "date,currency,rate,source\n2025-10-01,EUR,1.1,ECB\n")
    assert sweep(drop, "commissions", "rates", "import").exit_code == 0
    assert sql('SELECT "dailySpend" FROM "AdSpendHistory"') == [(12.5,)]
    assert sql("SELECT count(*) FROM ibctl.exchange_rate") == [(1,)]
    assert names(drop / "done") == ["rates.csv", "spend.csv"]


def test_the_folder_script_leaves_files_for_the_next_time_when_the_database_is_away(drop: Path) -> None:
    put(drop, "good.csv", GOOD)
    put(drop, "later.csv", GOOD)
    done = sweep(drop, "leads", "import", DATABASE_URL="postgresql://ibctl:geheim@127.0.0.1:1/none")
    assert done.exit_code == 4
    assert "cannot connect" in done.stderr
    assert "geheim" not in done.stderr
    assert names(drop) == ["done", "failed", "good.csv", "later.csv"]
    assert names(drop / "failed") == []


@pytest.mark.usefixtures("database")
def test_two_folder_scripts_at_once_import_each_file_once(drop: Path, sql: Sql) -> None:
    for number in range(2):
        put(drop, f"{number}.csv", f"email,leadCapturedAt\nlead{number}@example.com,2025-10-01\n")
    scripts = [start(drop, "leads", "import") for _ in range(2)]
    ended = [(script.communicate(timeout=60), script.returncode) for script in scripts]
    assert [code for _, code in ended] == [0, 0], ended
    assert sql('SELECT count(*) FROM "Lead"') == [(2,)]
    assert names(drop) == ["done", "failed"]
    assert names(drop / "done") == ["0.csv", "1.csv"]
    assert names(drop / "failed") == []


def test_the_folder_script_says_how_it_is_used(drop: Path) -> None:
    assert sweep(drop).exit_code == 2
    missing = sweep(drop / "nowhere", "leads", "import")
    assert (missing.exit_code, "is not a folder" in missing.stderr) == (2, True)
