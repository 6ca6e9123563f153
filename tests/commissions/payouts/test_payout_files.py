"""The files for banks and providers: their layouts, their bytes, and who may read them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import stat
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from defusedxml import ElementTree
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st

from ibctl import config
from ibctl.commissions.payouts import files as payout_files
from ibctl.commissions.payouts.files import Order, Payment
from ibctl.errors import RequestError
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CANCEL, IBANS, create, earner, payee, two
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
EXPORT = ("commissions", "payouts", "export", "2025-10-1")
ORDER = Order(
    "2025-10-1",
    "2025-10-1",
    "2025-10",
    "USD",
    datetime(2025, 11, 3, 9, 30),
    date(2025, 11, 4),
    "Broker & Söhne Ltd",
    IBANS[1],
)
PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
SCHEMA = xmlschema.XMLSchema(Path(xmlschema.__file__).parents[1] / "sepaxml/schemas/pain.001.001.09.xsd")


def payment(number: int = 1, **change: Any) -> Payment:
    values: dict[str, Any] = {
        "reference": f"IB202510B1N{number:05d}", "email": f"ib{number}@x.y", "name": "Rosa Vidal", "account": IBANS[0],
        "method": "bank_transfer", "amount": Decimal("86.42"), "currency": "EUR", "base_amount": Decimal("100.00"),
        "rate": Decimal("1.1571"), "rate_date": date(2025, 10, 31),
    }  # fmt: skip
    return Payment(**values | change)


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


# ------------------------------------------------------------------------------------------------------------- pain.001


@settings(deadline=None, max_examples=25)  # each is checked against the schema
@given(st.text(min_size=1, max_size=70), st.decimals("0.01", "999999999.99", places=2))
def test_pain_001_validates_whatever_an_ib_is_called(name: str, amount: Decimal) -> None:
    (file, _) = payout_files.make("pain.001", ORDER, [payment(name=name, amount=amount)])
    SCHEMA.validate(file.text)


def test_pain_001_says_what_is_paid_to_whom_and_under_which_reference() -> None:
    payments = [payment(1), payment(2, name="Zoë <script> Müller", account=IBANS[2], amount=Decimal("0.05"))]
    file, manifest = payout_files.make("pain.001", ORDER, payments)
    root = ElementTree.fromstring(file.text)
    texts = {tag: [node.text for node in root.iter(PAIN + tag)]
             for tag in ("MsgId", "CreDtTm", "CtrlSum", "NbOfTxs", "EndToEndId", "InstdAmt", "IBAN", "Nm", "BtchBookg",
                         "Dt", "Cd")}  # fmt: skip
    assert texts == {
        "MsgId": ["2025-10-1"],
        "CreDtTm": ["2025-11-03T09:30:00"],
        "CtrlSum": ["86.47", "86.47"],
        "NbOfTxs": ["2", "2"],
        "EndToEndId": ["IB202510B1N00001", "IB202510B1N00002"],
        "InstdAmt": ["86.42", "0.05"],
        "IBAN": [IBANS[1], IBANS[0], IBANS[2]],
        "Nm": ["Broker Sohne Ltd", "Broker Sohne Ltd", "Rosa Vidal", "Zoe script Muller"],
        "BtchBookg": ["false"],
        "Dt": ["2025-11-04"],
        "Cd": ["SEPA"],
    }
    assert json.loads(manifest.text)["files"][0]["totals"] == {"EUR": "86.47"}


def test_pain_001_pays_euros_only() -> None:
    with pytest.raises(RequestError, match=r"pays in EUR, and there are payments in JPY, USD: use generic"):
        payout_files.make("pain.001", ORDER, [payment(), payment(2, currency="USD"), payment(3, currency="JPY")])


def test_pain_001_pays_within_sepa_only() -> None:
    brazil = payment(2, account="BR1800360305000010009795493C1")
    with pytest.raises(RequestError, match=r"pays within SEPA, and ib2@x.y have accounts elsewhere") as found:
        payout_files.make("pain.001", ORDER, [payment(), brazil])
    assert brazil.account not in str(found.value)


# -------------------------------------------------------------------------------------------------------- CSV and sums


def test_the_same_payments_give_the_same_bytes() -> None:
    for layout, method in (
        ("generic", "paypal"),
        ("paypal", "paypal"),
        ("wise", "wise"),
        ("pain.001", "bank_transfer"),
    ):
        made = [[(file.name, file.text) for file in payout_files.make(layout, ORDER, [payment(method=method)])]
                for _ in range(2)]  # fmt: skip
        assert made[0] == made[1]


def test_the_generic_file_has_every_figure_and_nothing_a_spreadsheet_runs() -> None:
    file, _ = payout_files.make("generic", ORDER, [payment(name="=cmd|'/C calc'!A0")])
    header, row = rows(file.text)
    assert dict(zip(header, row, strict=True)) == {
        "reference": "IB202510B1N00001", "email": "ib1@x.y", "name": "'=cmd|'/C calc'!A0", "account": IBANS[0],
        "method": "bank_transfer", "amount": "86.42", "currency": "EUR", "baseAmount": "100.00", "baseCurrency": "USD",
        "rate": "1.1571", "rateDate": "2025-10-31", "month": "2025-10",
    }  # fmt: skip


def test_paypal_gets_a_file_for_each_currency_without_a_header_and_yen_without_decimals() -> None:
    payments = [
        payment(1, method="paypal", account="a@example.com"),
        payment(2, method="paypal", account="b@example.com", amount=Decimal(15385), currency="JPY"),
    ]
    euros, yen, _ = payout_files.make("paypal", ORDER, payments)
    assert (euros.name, yen.name) == ("payout-2025-10-1-EUR-1.csv", "payout-2025-10-1-JPY-1.csv")
    assert rows(yen.text) == [["b@example.com", "15385", "JPY", "IB202510B1N00002", "Commission 2025-10", "PAYPAL"]]


def test_wise_takes_a_thousand_rows_a_file_and_emails_apart_from_ibans() -> None:
    payments = [payment(n, method="wise", amount=Decimal(n)) for n in range(1, 2002)]
    payments += [payment(9001, method="wise", account="a@example.com", currency="KWD", amount=Decimal("30.666"))]
    files = payout_files.make("wise", ORDER, payments)
    assert [(file.name, len(rows(file.text)) - 1) for file in files[:-1]] == [
        ("payout-2025-10-1-email-1.csv", 1), ("payout-2025-10-1-iban-1.csv", 1000),
        ("payout-2025-10-1-iban-2.csv", 1000), ("payout-2025-10-1-iban-3.csv", 1),
    ]  # fmt: skip
    assert [one.reference for file in files for one in file.payments if one.currency == "EUR"] == [
        one.reference for one in payments[:-1]
    ]
    assert rows(files[0].text)[1][5] == "30.666"
    listed = json.loads(files[-1].text)["files"]
    assert sum(Decimal(file["totals"].get("EUR", "0")) for file in listed) == sum(range(1, 2002))


def test_a_layout_refuses_what_it_cannot_pay() -> None:
    with pytest.raises(RequestError, match="--layout paypal cannot pay by bank_transfer"):
        payout_files.make("paypal", ORDER, [payment()])


# ------------------------------------------------------------------------------------------------------------- commands


@pytest.fixture
def payer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBCTL_PAYER_NAME", "Broker Ltd")
    monkeypatch.setenv("IBCTL_PAYER_IBAN", IBANS[1])
    config.use_env_file(None)


def test_an_export_is_readable_by_one_and_the_manifest_tells_its_bytes(
    platform: Platform, sql: Sql, ibctl: Run, tmp_path: Path
) -> None:
    two(platform)
    create(ibctl)
    ended = ibctl(*EXPORT, "-o", tmp_path / "out", "-f", "json")
    assert ended.exit_code == 0, ended.stderr
    found = tmp_path / "out/payout-2025-10-1.csv"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}
    (listed,) = json.loads((tmp_path / "out/payout-2025-10-1.manifest.json").read_text())["files"]
    assert listed["sha256"] == hashlib.sha256(found.read_bytes()).hexdigest()
    assert listed["totals"] == {"USD": "150.25"}
    assert [row["account"] for row in csv.DictReader(io.StringIO(found.read_text()))] == [IBANS[0]] * 2
    assert IBANS[0] not in ended.stdout + ended.stderr + str(sql("SELECT to_jsonb(c) FROM ibctl.change c"))


def test_a_second_export_a_week_later_is_the_same_to_the_byte(
    platform: Platform, ibctl: Run, tmp_path: Path, payer: None
) -> None:
    two(platform)
    platform.sql("UPDATE ibctl.payee SET currency = 'EUR'")
    platform.rate("2025-10-31", "EUR", "1.1571")
    with freeze_time("2025-11-03T09:00:00Z", tick=True):
        create(ibctl)
        assert ibctl(*EXPORT, "--layout", "pain.001").exit_code == 0
    first = {path.name: path.read_bytes() for path in tmp_path.glob("payout-*")}
    assert set(first) == {"payout-2025-10-1.xml", "payout-2025-10-1.manifest.json"}
    with freeze_time("2025-11-10T09:00:00Z", tick=True):
        assert ibctl(*EXPORT, "--layout", "pain.001").exit_code == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("payout-*")} == first
    assert b"<Dt>2025-11-03</Dt>" in first["payout-2025-10-1.xml"]


def test_a_file_is_written_for_one_bank_or_provider_only(platform: Platform, ibctl: Run, payer: None) -> None:
    two(platform)
    platform.sql("UPDATE ibctl.payee SET currency = 'EUR'")
    platform.rate("2025-10-31", "EUR", "1.1571")
    create(ibctl)
    for layout in ("generic", "pain.001", "generic", "pain.001"):
        assert ibctl(*EXPORT, "--layout", layout).exit_code == 0
    second = ibctl(*EXPORT, "--layout", "wise")
    assert (second.exit_code, len(second.stderr.splitlines())) == (3, 1)
    assert "file 1 of batch 2025-10-1 was written as pain.001, and whoever got that pays it" in second.stderr
    assert list(Path().glob("*iban*")) == []
    assert ibctl(*EXPORT, "--layout", "wise", "--instead-of", "1", "--yes").exit_code == 0
    assert [path.name for path in Path().glob("*iban*")] == ["payout-2025-10-1-2-iban-1.csv"]


def test_a_payee_that_changes_after_the_batch_was_made_changes_nothing_in_it(
    platform: Platform, ibctl: Run, tmp_path: Path
) -> None:
    two(platform)
    create(ibctl)
    assert ibctl("commissions", "payees", "set", "a@x.y", input=f"Mallory\n{IBANS[2]}\n").exit_code == 0
    ibctl(*EXPORT)
    assert IBANS[2] not in (tmp_path / "payout-2025-10-1.csv").read_text()


def test_without_the_second_signature_nothing_leaves_where_it_is_asked_for(
    platform: Platform, sql: Sql, ibctl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(platform)
    create(ibctl)
    monkeypatch.setenv("IBCTL_REQUIRE_APPROVAL", "true")
    config.use_env_file(None)
    refused = ibctl(*EXPORT)
    assert (refused.exit_code, "lacks its second signature" in refused.stderr) == (3, True)
    assert list(tmp_path.glob("payout-*")) == []
    assert sql('SELECT "exportedAt" FROM ibctl.payout_batch') == [(None,)]
    monkeypatch.setenv("IBCTL_ACTOR", "anna")
    config.use_env_file(None)
    ibctl("commissions", "payouts", "approve", "2025-10-1", "--yes")
    assert ibctl(*EXPORT).exit_code == 0


def test_a_dry_run_writes_neither_file_nor_note(platform: Platform, sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    two(platform)
    create(ibctl)
    assert ibctl(*EXPORT, "--dry-run").exit_code == 0
    assert list(tmp_path.glob("payout-*")) == []
    assert sql('SELECT "exportedAt" FROM ibctl.payout_batch') == [(None,)]


def test_cancelling_what_was_exported_says_so(platform: Platform, ibctl: Run) -> None:
    two(platform)
    create(ibctl)
    ibctl(*EXPORT)
    ended = ibctl(*CANCEL, "2025-10-1")
    assert ended.exit_code == 2
    assert "; it was exported at 20" in ended.stderr


def test_what_cannot_be_exported_is_one_line(platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    earner(platform, "a@x.y", 100)
    payee(platform, "a@x.y")
    assert ibctl(*EXPORT).exit_code == 3
    create(ibctl)
    unset = ibctl(*EXPORT, "--layout", "pain.001")
    assert (unset.exit_code, "set IBCTL_PAYER_NAME and IBCTL_PAYER_IBAN" in unset.stderr) == (4, True)
    monkeypatch.setenv("IBCTL_PAYER_NAME", "Broker Ltd")
    monkeypatch.setenv("IBCTL_PAYER_IBAN", "DE00")
    config.use_env_file(None)
    wrong = ibctl(*EXPORT, "--layout", "pain.001")
    assert (wrong.exit_code, "IBCTL_PAYER_IBAN: not a valid IBAN" in wrong.stderr) == (4, True)
    ibctl(*CANCEL, "2025-10-1", "--yes")
    assert "has nothing left to pay" in ibctl(*EXPORT).stderr
