"""What is read out of camt.053, MT940 and CSV, and what is refused whole."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ibctl import days
from ibctl.commissions.payouts import bank_files
from ibctl.commissions.payouts import evidence_rules as rules
from ibctl.commissions.payouts.bank_files import Movement
from ibctl.errors import RequestError
from tests.commissions.payouts.bank_samples import ENTRY, MT940, camt

REFERENCE = "IB202510B1N00001"


def saved(folder: Path, content: str | bytes, name: str = "statement") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def brief(movement: Movement) -> tuple[str, str, Decimal, str, str | None, str | None]:
    named = rules.references(movement)
    return (
        movement.direction, movement.booked_on.isoformat(), movement.amount, movement.currency,
        named[0] if named else None, movement.bank_reference,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- camt.053


@pytest.mark.parametrize("version", ["001.02", "001.08"])
def test_a_statement_gives_its_booked_movements(tmp_path: Path, version: str) -> None:
    content = camt(
        ENTRY.format(amount="86.42", sign="DBIT", status="BOOK", reference=REFERENCE, bank="B1"),
        ENTRY.format(amount="86.42", sign="CRDT", status="BOOK", reference=REFERENCE, bank="B2"),
        ENTRY.format(amount="5.00", sign="DBIT", status="PDNG", reference="IB202510B1N00002", bank="B3"),
        version=version,
    )
    assert [brief(one) for one in bank_files.read(saved(tmp_path, content))] == [
        ("debit", "2025-11-04", Decimal("86.42"), "EUR", REFERENCE, "B1"),
        ("credit", "2025-11-04", Decimal("86.42"), "EUR", REFERENCE, "B2"),
    ]


def test_the_newer_statements_status_in_a_code_is_understood(tmp_path: Path) -> None:
    entry = ENTRY.format(amount="1.00", sign="DBIT", status="<Cd>PDNG</Cd>", reference=REFERENCE, bank="B1")
    assert bank_files.read(saved(tmp_path, camt(entry))) == []


def test_a_bulk_booking_is_taken_apart_where_the_bank_lists_it(tmp_path: Path) -> None:
    parts = "".join(
        f"<TxDtls><Refs><EndToEndId>IB202510B1N0000{n}</EndToEndId></Refs>"
        f'<AmtDtls><InstdAmt><Amt Ccy="EUR">{n}.50</Amt></InstdAmt></AmtDtls></TxDtls>'
        for n in (1, 2)
    )
    entry = ENTRY.format(amount="4.00", sign="DBIT", status="BOOK", reference="x", bank="B1")
    whole = entry[: entry.index("<TxDtls>")] + parts + entry[entry.index("</TxDtls>") + 9 :]
    found = [brief(one) for one in bank_files.read(saved(tmp_path, camt(whole)))]
    assert [(one[2], one[4]) for one in found] == [(Decimal("1.50"), REFERENCE), (Decimal("2.50"), "IB202510B1N00002")]
    without = whole.replace('<AmtDtls><InstdAmt><Amt Ccy="EUR">2.50</Amt></InstdAmt></AmtDtls>', "")
    (as_one,) = bank_files.read(saved(tmp_path, camt(without)))
    assert (as_one.amount, len(rules.references(as_one))) == (Decimal("4.00"), 2)


def test_a_reference_beside_the_only_transaction_of_an_entry_is_found(tmp_path: Path) -> None:
    """Banks name what came back in the entry's own text (AddtlNtryInf), the transaction as NOTPROVIDED."""
    entry = ENTRY.format(amount="86.42", sign="CRDT", status="BOOK", reference="NOTPROVIDED", bank="B1")
    text = f"<AddtlNtryInf>RETURN {REFERENCE}</AddtlNtryInf></Ntry>"
    (found,) = bank_files.read(saved(tmp_path, camt(entry.replace("</Ntry>", text))))
    assert rules.references(found) == [REFERENCE]


LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><Document>&d;</Document>"""
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document>&x;</Document>'
REMOTE = '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/evil.dtd"><Document><BkToCstmrStmt/></Document>'


@pytest.mark.parametrize("content", [LAUGHS, OUTSIDE, REMOTE])
def test_entities_and_document_types_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(RequestError, match="declares a document type or entities") as found:
        bank_files.read(saved(tmp_path, content))
    assert "root:" not in str(found.value)


def one_entry(amount: str = "5", sign: str = "DBIT") -> str:
    return camt(ENTRY.format(amount=amount, sign=sign, status="BOOK", reference="", bank=""))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<Document><BkToCstmrAcctRpt/></Document>", "is no camt.053"),
        ("<html></html>", "is no camt.053"),
        ("<Document><BkToCstmrStmt>", "is not well-formed XML"),
        (one_entry("ten"), "entry 1: its amount is none"),
        (one_entry("-5"), "its amount -5 is below zero"),
        (one_entry("NaN"), "its amount NaN is below zero or none"),
        (one_entry("5").replace("2025-11-04", "2131-01-05"), "entry 1: its day 2131-01-05 is yet to come"),
        (one_entry(sign="OUT"), "CdtDbtInd"),
        (one_entry().replace("BookgDt", "X").replace("ValDt", "X"), "no date of booking"),
    ],
)
def test_a_statement_with_a_hole_in_it_is_refused_whole(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        bank_files.read(saved(tmp_path, content))


# ---------------------------------------------------------------------------------------------------------------- MT940


def test_mt940_is_read_with_references_that_the_bank_has_broken_apart(tmp_path: Path) -> None:
    assert [brief(one) for one in bank_files.read(saved(tmp_path, MT940))] == [
        ("debit", "2025-11-04", Decimal("86.42"), "EUR", REFERENCE, "BANKREF1"),
        ("debit", "2025-11-04", Decimal("50.25"), "EUR", "IB202510B1N00002", None),
        ("credit", "2025-11-05", Decimal("86.42"), "EUR", REFERENCE, "BANKREF2"),
        ("credit", "2025-11-05", Decimal("5.00"), "EUR", None, "BANKREF3"),
        ("debit", "2025-11-04", Decimal("15385"), "JPY", None, None),
    ]


def test_mt940_of_which_a_movement_cannot_be_read_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"line 13: no movement as MT940 writes it.*; nothing was taken"):
        bank_files.read(saved(tmp_path, MT940.replace(":61:2511051105RD5,00", ":61:nonsense")))


@pytest.mark.parametrize(
    "written", ["DR30.75N", "DR100.250,00N", "DR100N", "DR1,00.5N", "dR86,42N", "XR86,42N", "DR1'000,00N", "D-86,42N"]
)
def test_an_mt940_amount_that_the_library_would_break_off_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(RequestError, match=r"line 5: no movement as MT940 writes it"):
        bank_files.read(saved(tmp_path, MT940.replace("DR86,42N", written)))


@pytest.mark.parametrize("written", ["D86,42N", "DR86,42N", "DR 86,42N"])
def test_an_mt940_amount_is_read_in_each_of_its_forms(tmp_path: Path, written: str) -> None:
    assert bank_files.read(saved(tmp_path, MT940.replace("DR86,42N", written)))[0].amount == Decimal("86.42")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (":61:2511041104DR86,42NTRF", ":61:2511041104XR86,42NTRFDE89370400440532013000 Rosa Vidal"),
        (":60F:C251103EUR100000,00", ":60F:DE89370400440532013000 Rosa Vidal"),
        (":28C:00001/001", ":28C:DE89370400440532013000 Rosa Vidal"),
        (":61:2511041104DR86,42NTRF", ":61:2599991104DR86,42NTRFDE89370400440532013000 Rosa Vidal"),
    ],
)
def test_nothing_of_an_mt940_line_that_cannot_be_read_is_in_any_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, good: str, bad: str
) -> None:
    with pytest.raises(RequestError) as found:
        bank_files.read(saved(tmp_path, MT940.replace(good, bad)))
    said = "".join((*capfd.readouterr(), caplog.text, str(found.value)))
    assert "Rosa" not in said
    assert "DE89" not in said


# ------------------------------------------------------------------------------------------------------------------ CSV


def test_csv_is_read_by_its_headers_and_only_what_was_sent(tmp_path: Path) -> None:
    content = (
        "Transaction ID,Customer ID,Gross,Currency Code,Completed,Status\n"
        f"T1,{REFERENCE},86.42,eur,2025-11-04 10:22:11,Completed\n"
        "T2,IB202510B1N00002,50.25,EUR,2025-11-04,Unclaimed\n"
        f"T3,{REFERENCE},86.42,EUR,2025-11-06,Returned\n"
        "T4,,12,EUR,2025-11-06,Completed\n"
    )
    assert [brief(one) for one in bank_files.read(saved(tmp_path, content))] == [
        ("debit", "2025-11-04", Decimal("86.42"), "EUR", REFERENCE, "T1"),
        ("credit", "2025-11-06", Decimal("86.42"), "EUR", REFERENCE, "T3"),
        ("debit", "2025-11-06", Decimal("12"), "EUR", None, "T4"),
    ]


def test_the_sign_means_what_the_user_says(tmp_path: Path) -> None:
    path = saved(tmp_path, f"reference,amount,currency,date\n{REFERENCE},-86.42,EUR,2025-11-04\n")
    assert bank_files.read(path)[0].direction == "credit"
    (left,) = bank_files.read(path, paid_is="negative")
    assert (left.direction, left.amount, left.booked_on) == ("debit", Decimal("86.42"), date(2025, 11, 4))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("R,1.2.3,EUR,2025-11-04,", "row 2: '1.2.3' in column amount is not an amount: write it like 1234.50"),
        ("R,5,EUR,2127-08-05,", "row 2: its day 2127-08-05 is yet to come: nothing is booked then; nothing was taken"),
        ("R,5,EUR,4.11.2025,", "row 2: '4.11.2025' in column date is not a day"),
        ("R,5,EUR,2025-11-04,maybe", "row 2: what stands in column status is not a known status; nothing was taken"),
        ("R,5,EUX,2025-11-04,", "row 2: 'EUX' in column currency is not a currency: write a code like EUR"),
        ("R,5,EUR", "row 2: the row has 3 cells, the header 5"),
    ],
)
def test_csv_with_a_row_that_cannot_be_read_is_refused_whole(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        bank_files.read(saved(tmp_path, f"reference,amount,currency,date,status\n{row}\n"))


@pytest.mark.parametrize(
    "secret", ["Rosa Vidal", "Rosa", "DE89370400440532013000", "70120600 1234567", "9876543210123"]
)
@pytest.mark.parametrize("column", ["Gross", "Currency Code", "Completed", "Status", "direction"])
def test_no_error_quotes_a_name_or_an_account_that_stands_in_another_column(
    tmp_path: Path, column: str, secret: str
) -> None:
    row = {"reference": "R", "Gross": "5", "Currency Code": "EUR", "Completed": "2025-11-04", "Status": "paid"}
    cells = {**row, "direction": "out", column: secret}
    with pytest.raises(RequestError, match=f"row 2: what stands in column {column} is n") as found:
        bank_files.read(saved(tmp_path, f"{','.join(cells)}\n{','.join(cells.values())}\n"))
    assert secret[:4] not in str(found.value)


def test_a_currency_that_is_none_is_refused_in_whichever_file(tmp_path: Path) -> None:
    for content in (one_entry().replace('Ccy="EUR"', 'Ccy="DE89370400440532013000"'), MT940.replace("03EUR", "031 2")):
        with pytest.raises(RequestError, match="1: its currency is no code of three letters"):
            bank_files.read(saved(tmp_path, content))


def test_an_mt940_of_a_day_to_come_is_refused(tmp_path: Path) -> None:
    ahead = (days.latest() + timedelta(days=1)).strftime("%y%m%d")
    with pytest.raises(RequestError, match=r"movement 3: its day .* is yet to come"):
        bank_files.read(saved(tmp_path, MT940.replace(":61:2511051105C", f":61:{ahead}{ahead[2:]}C")))


def test_a_day_that_has_begun_somewhere_is_believed(tmp_path: Path) -> None:
    row = f"{REFERENCE},5,EUR,{days.latest()}"
    assert len(bank_files.read(saved(tmp_path, f"reference,amount,currency,date\n{row}\n"))) == 1


def test_what_moves_no_money_is_passed_over(tmp_path: Path) -> None:
    """A German bank's quarterly closing (Abschluss) is an entry of 0.00 beside the payments."""
    closing = ENTRY.format(amount="0.00", sign="DBIT", status="BOOK", reference="ABSCHLUSS", bank="B0")
    entry = ENTRY.format(amount="86.42", sign="DBIT", status="BOOK", reference=REFERENCE, bank="B1")
    rows = f"reference,amount,currency,date\n{REFERENCE},0.00,EUR,2025-11-04\n{REFERENCE},86.42,EUR,2025-11-04\n"
    statement = MT940.replace("D86,42", "D0,00")
    for content, amounts in ((camt(closing, entry), ["86.42"]), (rows, ["86.42"])):
        assert [str(one.amount) for one in bank_files.read(saved(tmp_path, content))] == amounts
    assert Decimal(0) not in [one.amount for one in bank_files.read(saved(tmp_path, statement))]
