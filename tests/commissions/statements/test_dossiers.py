"""Dossiers: an IB recalculates its payout alone, and is told when something does not add up."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from ibctl.commissions.calculation import plan_rules, rules
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.commissions.calculation.rules import Inputs
from ibctl.commissions.statements import dossiers, verifier
from tests.commissions.calculation.test_rules import months, plans
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import earner
from tests.conftest import ROOT, Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
DOSSIER = ("commissions", "dossier", "a@x.y", "2025-10", "-o", "d")


@given(plans(), months)
def test_the_verifier_comes_to_the_same_figures_by_a_way_of_its_own(plan: Terms, month: Inputs) -> None:
    terms, counted = json.loads(json.dumps([plan_rules.as_json(plan), dossiers.counted("u", month)]))
    stated = rules.figures(plan, month)
    found = verifier.figures(terms, counted)
    assert {name: stated[name] for name in found} == found
    assert {*rules.FIGURES, "balance"} <= found.keys()


@pytest.fixture
def lead(platform: Platform, ibctl: Run) -> str:
    """a@x.y: 10 EUR of spend at 1.1, two leads of which one qualified with 212.35; returns that one's id."""
    user = platform.user("a@x.y")
    platform.lead(user, "2025-10-02")
    lead = platform.lead(user, "2025-10-03", "2025-10-04", 212.35)
    platform.spend(user, platform.account(user, "EUR"), "2025-10-05", 10)
    platform.rate("2025-10-05", "EUR", "1.1")
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    return lead


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the verifier as an IB would: nothing of ibctl's is in reach, nor any other package."""
    arguments = [sys.executable, "-I", "-S", str(folder / "verify.py")]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=folder, env={}, check=False)


def test_an_ib_recalculates_its_payout_without_the_database(lead: str, ibctl: Run, tmp_path: Path) -> None:
    ended = ibctl(*DOSSIER)
    assert ended.exit_code == 0, ended.stderr
    away = Path(shutil.move(tmp_path / "d", tmp_path / "elsewhere"))
    done = verify(away)
    assert (done.returncode, done.stderr) == (0, "")
    assert "totalPayout                63.71  as stated" in done.stdout
    assert "totalAdSpend               11.00  as stated" in done.stdout
    assert done.stdout.endswith("every figure follows from the leads and days listed\n")


def test_leads_are_named_by_pseudonyms_and_files_are_readable_by_one(
    lead: str, ibctl: Run, sql: Sql, tmp_path: Path
) -> None:
    ibctl(*DOSSIER)
    files = {path.name: path for path in (tmp_path / "d").iterdir()}
    assert set(files) == {"dossier.json", "statement.html", "statement.json", "verify.py", "manifest.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    text = "".join(path.read_text() for path in files.values())
    for personal in sql(
        'SELECT id FROM "Lead" UNION SELECT email FROM "Lead" UNION SELECT "adAccountId" FROM "FacebookAdAccount"'
    ):
        assert personal[0] not in text
    user = sql('SELECT id FROM "User"')[0][0]
    assert dossiers.pseudonym(user, lead) in files["statement.html"].read_text()
    assert dossiers.pseudonym(user, lead) in files["dossier.json"].read_text()


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("dossier.json", '"cpa": "212.35"', '"cpa": "312.35"', "stated as 63.71"),
        ("dossier.json", '"totalPayout": "63.71"', '"totalPayout": "3.71"', "stated as 3.71"),
        ("statement.html", "63.71", "93.71", "statement.html is not the file that was handed out"),
    ],
)
def test_whatever_is_altered_is_found(
    lead: str, ibctl: Run, tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    ibctl(*DOSSIER)
    path = tmp_path / "d" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = verify(tmp_path / "d")
    assert (done.returncode, words in done.stdout, "this does not add up" in done.stdout) == (1, True, True)


@pytest.mark.parametrize("name", ["manifest.json", "dossier.json"])
@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "null", '{"files": 3, "terms": {"name": 1}}', b"\xff\xfe", None]
)
def test_a_damaged_dossier_is_named_in_one_sentence(
    lead: str, ibctl: Run, tmp_path: Path, name: str, content: str | bytes | None
) -> None:
    ibctl(*DOSSIER)
    path = tmp_path / "d" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = verify(tmp_path / "d")
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (1, "", 1)
    assert done.stdout.startswith(f"{name} ")
    assert done.stdout.endswith("this is not the dossier that was handed out\n")


def test_a_dossier_that_its_verifier_does_not_confirm_is_not_written(
    lead: str, ibctl: Run, sql: Sql, tmp_path: Path
) -> None:
    sql('UPDATE ibctl.commission_snapshot SET "leadCpas" = ARRAY[NULL, 999] WHERE "leadCpas"[1] IS NULL')
    sql('UPDATE ibctl.commission_snapshot SET "leadCpas" = ARRAY[999, NULL] WHERE "leadCpas"[2] IS NULL')
    ended = ibctl(*DOSSIER)
    assert ended.exit_code == 3
    assert "the verifier does not come to the stored figures of a@x.y for 2025-10 (totalCpaEarned" in ended.stderr
    assert not (tmp_path / "d").exists()


def test_what_cannot_be_proven_gets_no_dossier(lead: str, platform: Platform, ibctl: Run, sql: Sql) -> None:
    earner(platform, "w@x.y", 5)
    by_app = ibctl("commissions", "dossier", "w@x.y", "2025-10")
    assert (by_app.exit_code, "ibctl did not calculate 2025-10 of w@x.y" in by_app.stderr) == (3, True)
    sql('UPDATE "IbCommission" SET "totalPayout" = 99 WHERE "userId" <> \'x\'')
    edited = ibctl(*DOSSIER)
    assert (edited.exit_code, "says 99, but it was calculated as 63.71" in edited.stderr) == (3, True)


def test_what_was_booked_about_a_lead_names_it_by_its_pseudonym(
    lead: str, platform: Platform, ibctl: Run, sql: Sql, tmp_path: Path
) -> None:
    sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    ((user,),) = sql('SELECT "userId" FROM "Lead" WHERE id = %s', lead)
    platform.lead(user, "2025-11-03", "2025-11-04", 1000)
    assert ibctl("commissions", "clawback", lead, "--reason", "refunded", "--yes").exit_code == 0
    assert ibctl("commissions", "run", "--month", "2025-11").exit_code == 0
    ended = ibctl("commissions", "dossier", "a@x.y", "2025-11", "-o", "d")
    assert ended.exit_code == 0, ended.stderr
    assert verify(tmp_path / "d").returncode == 0
    name = dossiers.pseudonym(user, lead)
    (stated,) = json.loads((tmp_path / "d" / "statement.json").read_text())
    for lines in (stated["entries"], stated["derivation"]):
        assert f"clawback: refunded ({name})" in {line["label"] for line in lines}
    assert [
        one["lead"] for one in json.loads((tmp_path / "d" / "dossier.json").read_text())["inputs"]["adjustments"]
    ] == [name]
    text = "".join(path.read_text() for path in (tmp_path / "d").iterdir())
    for (own,) in sql('SELECT id FROM "Lead" UNION SELECT email FROM "Lead"'):
        assert own not in text


def test_an_ib_without_anything_in_a_closed_month_gets_no_dossier_and_no_useless_advice(
    lead: str, ibctl: Run, tmp_path: Path
) -> None:
    for month in ("2025-10", "2025-11"):
        assert ibctl("commissions", "close", month, "--yes").exit_code == 0
    refused = ibctl("commissions", "dossier", "a@x.y", "2025-11", "-o", "d")
    assert refused.exit_code == 3
    assert refused.stderr == "Error: 2025-11 is closed, and a@x.y has nothing in it: there is nothing to prove\n"
    assert not (tmp_path / "d").exists()


def test_the_verifier_shows_a_name_that_the_terminal_lacks_as_an_escape() -> None:
    script = "from ibctl.commissions.statements import verifier; verifier.say('złoty')"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, cwd=ROOT, check=False)
    assert done.stdout == b"z\\u0142oty\n", done.stderr


def test_importing_the_verifier_leaves_arithmetic_as_it_is() -> None:
    before = Decimal(1) / Decimal(3)
    verifier.figures(plan_rules.as_json(plan_rules.DEFAULT_TERMS), dossiers.counted("u", Inputs()))
    assert Decimal(1) / Decimal(3) == before
    assert len(str(before)) < 40
