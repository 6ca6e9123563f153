"""Payees: what is taken, what is shown, and that nothing of it is anywhere in the clear."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import crypto, currencies
from ibctl.commissions.payees import rules
from ibctl.imports import RowError
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import create, earner, payee
from tests.conftest import KEY, Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
IBAN = "DE89370400440532013000"
SET = ["commissions", "payees", "set", "ib@x.y"]
REMOVE = ["commissions", "payees", "remove", "ib@x.y"]
IMPORT = ["commissions", "payees", "import"]
ROW = {"name": "Rosa Vidal", "account": "DE89 3704 0044 0532 0130 00"}


@pytest.fixture
def ib(platform: Platform) -> str:
    return platform.user("ib@x.y")


def opened(sql: Sql) -> list[tuple[str, ...]]:
    rows = sql("SELECT method, currency, name, account FROM ibctl.payee ORDER BY id")
    return [(method, currency, crypto.decrypt(name, KEY), crypto.decrypt(account, KEY))
            for method, currency, name, account in rows]  # fmt: skip


def everything(sql: Sql) -> str:
    """All that the record of changes says."""
    return str(sql("SELECT to_jsonb(c) FROM ibctl.change c")) + str(sql("SELECT to_jsonb(s) FROM ibctl.change_set s"))


def test_no_payee_is_sealed_with_a_key_that_opens_nothing(
    ib: str, sql: Sql, ibctl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = crypto.encrypt("secret", "v" * 32)
    sql('INSERT INTO "SystemeConfig" (id, "apiKey", "updatedAt") VALUES (\'s\', %s, now())', sealed)
    (tmp_path / "payees.csv").write_text(f"ib,name,account\nib@x.y,Rosa Vidal,{IBAN}\n")
    for command in ([*SET, "--method", "bank_transfer", "--currency", "EUR"], [*IMPORT, tmp_path / "payees.csv"]):
        run = ibctl(*command, input=f"Rosa Vidal\n{IBAN}\n")
        assert (run.exit_code, opened(sql)) == (4, [])
        assert "ENCRYPTION_KEY opens none of 1 encrypted values that are stored" in run.stderr


# ---------------------------------------------------------------------------------------------------------------- rules


def test_an_iban_is_kept_without_blanks_and_in_capitals() -> None:
    found = rules.destination({**ROW, "account": " de89 3704 0044 0532 0130 00 "}, base="EUR")
    assert found == rules.Destination("bank_transfer", "EUR", "Rosa Vidal", IBAN)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"account": "DE88370400440532013000"}, "account_invalid"),
        ({"account": "DE8937040044053201300"}, "account_invalid"),
        ({"account": "rosa@example.com"}, "account_invalid"),
        ({"method": "paypal"}, "account_invalid"),
        ({"method": "wise", "account": "rosa@"}, "account_invalid"),
        ({"method": "cheque"}, "method_unknown"),
        ({"currency": "EURO"}, "currency_invalid"),
        ({"currency": "ZZZ"}, "currency_invalid"),
        ({"name": " "}, "name_invalid"),
        ({"name": "R" * 71}, "name_invalid"),
        ({"name": "Rosa\x1b[2J"}, "name_invalid"),
    ],
)
def test_what_will_not_do_is_refused_without_being_quoted(change: dict[str, str], code: str) -> None:
    with pytest.raises(RowError) as found:
        rules.destination({**ROW, **change}, base="EUR")
    assert found.value.code == code
    if code in ("account_invalid", "name_invalid"):
        assert change.get("account", ROW["account"]) not in str(found.value)
        assert found.value.__cause__ is None


@given(st.text(alphabet=st.characters(categories=("L", "Nd")), min_size=3, max_size=10))
def test_what_is_masked_does_not_hold_the_whole(word: str) -> None:
    assert word not in rules.masked_name(f"{word} {word}")
    assert word not in rules.masked_account(f"{word}@example.com")


@pytest.mark.parametrize(("code", "places"), [("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("HUF", 2)])
def test_currencies_have_their_own_decimals(code: str, places: int) -> None:
    assert currencies.places(currencies.parse(code.lower())) == places


# ------------------------------------------------------------------------------------------------------------ set, show


def test_a_payee_is_set_from_stdin_and_shown_in_part(ib: str, sql: Sql, ibctl: Run) -> None:
    ended = ibctl(*SET, "--currency", "eur", input=f"Rosa Vidal\n{IBAN}\n")
    assert ended.exit_code == 0, ended.stderr
    assert "ib@x.y is paid in EUR by bank_transfer to DE… 3000; change set 1" in ended.stderr
    assert opened(sql) == [("bank_transfer", "EUR", "Rosa Vidal", IBAN)]
    shown = json.loads(ibctl("commissions", "payees", "show", "ib@x.y", "-f", "json").stdout)
    assert (shown[0]["name"], shown[0]["account"]) == ("R… V…", "DE… 3000")


def test_neither_name_nor_account_is_in_the_record_or_in_an_output(ib: str, sql: Sql, ibctl: Run) -> None:
    ended = [ibctl(*SET, input=f"Rosa Vidal\n{IBAN}\n"), ibctl("commissions", "payees", "list"),
             ibctl("commissions", "payees", "show", "ib@x.y", "-f", "csv"), ibctl("audit", "show", "1", "-f", "json"),
             ibctl(*SET, input=f"Rosa Vidal\n{IBAN[:-1]}1\n")]  # fmt: skip
    said = everything(sql) + "".join(run.stdout + run.stderr for run in ended)
    assert '"encrypted"' in said.replace("\\", "")
    for secret in (IBAN, "Vidal", "532013000"):
        assert secret not in said


def test_the_same_payee_again_is_not_written(ib: str, sql: Sql, ibctl: Run) -> None:
    for _ in range(2):
        ended = ibctl(*SET, input=f"Rosa Vidal\n{IBAN}\n")
    assert "nothing to do: it is paid already" in ended.stderr
    assert sql("SELECT count(*) FROM ibctl.change_set") == [(1,)]


def test_undo_brings_the_former_payee_back(ib: str, sql: Sql, ibctl: Run) -> None:
    ibctl(*SET, input=f"Rosa Vidal\n{IBAN}\n")
    ibctl(*SET, "--method", "paypal", input="Rosa Vidal\nrosa@example.com\n")
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert opened(sql) == [("bank_transfer", "USD", "Rosa Vidal", IBAN)]


def test_a_dry_run_writes_nothing(ib: str, sql: Sql, ibctl: Run) -> None:
    ended = ibctl(*SET, "--dry-run", input=f"Rosa Vidal\n{IBAN}\n")
    assert (ended.exit_code, "dry run: nothing was written" in ended.stderr) == (0, True)
    assert opened(sql) == []


def test_a_payee_is_removed_without_a_key_and_undo_brings_it_back(
    ib: str, sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibctl(*SET, input=f"Rosa Vidal\n{IBAN}\n")
    (before,) = opened(sql)
    sql("UPDATE \"User\" SET role = 'ADMIN'")
    assert ibctl(*REMOVE, "--dry-run").exit_code == 0
    assert (ibctl(*REMOVE).exit_code, opened(sql)) == (2, [before])
    monkeypatch.setenv("ENCRYPTION_KEY", "another one")
    removed = ibctl(*REMOVE, "--yes", "--reason", "has left")
    assert (removed.exit_code, opened(sql)) == (0, [])
    assert "ib@x.y, who was paid in USD by bank_transfer, has no payee any more" in removed.stderr
    assert ibctl(*REMOVE, "--yes").exit_code == 3
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert opened(sql) == [before]


def test_a_payee_is_not_removed_while_a_payment_to_it_is_under_way(platform: Platform, sql: Sql, ibctl: Run) -> None:
    earner(platform, "ib@x.y", 100)
    payee(platform, "ib@x.y")
    create(ibctl)
    refused = ibctl(*REMOVE, "--yes")
    assert (refused.exit_code, len(opened(sql))) == (3, 1)
    assert "ib@x.y is in payout 2025-10-1, which is under way" in refused.stderr
    assert ibctl("commissions", "payouts", "cancel", "2025-10-1", "--yes").exit_code == 0
    assert ibctl(*REMOVE, "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (SET, "Rosa\nDE88370400440532013000\n", 2, "account: not a valid IBAN"),
        (SET, "", 2, "Account holder's name: expected it as one line on stdin"),
        ([*SET, "--currency", "EURO"], "", 2, "currency: 'EURO' is not a currency"),
        ([*SET[:-1], "nobody@x.y"], "", 3, "there is no IB 'nobody@x.y'"),
        (["commissions", "payees", "show", "ib@x.y"], "", 3, "ib@x.y has no payee"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    ib: str, ibctl: Run, arguments: list[str], stdin: str, code: int, words: str
) -> None:
    ended = ibctl(*arguments, input=stdin)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_without_a_key_nothing_is_kept(ib: str, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY")
    ended = ibctl(*SET, input=f"Rosa Vidal\n{IBAN}\n")
    assert (ended.exit_code, "ENCRYPTION_KEY is not set" in ended.stderr, IBAN in ended.stderr) == (4, True, False)


def test_a_wrong_key_is_named_not_the_value(ib: str, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ibctl(*SET, input=f"Rosa Vidal\n{IBAN}\n")
    monkeypatch.setenv("ENCRYPTION_KEY", KEY[::-1])
    ended = ibctl("commissions", "payees", "list")
    assert (ended.exit_code, "encrypted with another ENCRYPTION_KEY" in ended.stderr) == (3, True)
    assert ibctl("secrets", "check").exit_code == 7


# --------------------------------------------------------------------------------------------------------------- import


def test_a_file_is_imported_and_its_bad_rows_come_back_readable_by_one(
    platform: Platform, sql: Sql, ibctl: Run, tmp_path: Path
) -> None:
    for name in ("a@x.y", "b@x.y", "c@x.y"):
        platform.user(name)
    file = tmp_path / "payees.csv"
    file.write_text(
        "email,recipient,iban,method,currency\n"
        f"a@x.y,Ana Silva,{IBAN},,EUR\n"
        "B@X.Y,Bo Li,bo@example.com,paypal,JPY\n"
        f"c@x.y,Cy Coe,{IBAN[:-1]}1,,EUR\n"
        f"a@x.y,Ana Silva,{IBAN},,EUR\n"
        f"nobody@x.y,No Body,{IBAN},,EUR\n"
    )
    ended = ibctl(*IMPORT, file, "-f", "json")
    assert ended.exit_code == 6
    assert {(row["outcome"], row["code"]): row["rows"] for row in json.loads(ended.stdout)} == {
        ("read", ""): 5, ("added", ""): 2, ("changed", ""): 0, ("unchanged", ""): 0,
        ("refused", "account_invalid"): 1, ("refused", "duplicate"): 1, ("refused", "ib_unknown"): 1,
    }  # fmt: skip
    assert sorted(opened(sql)) == [("bank_transfer", "EUR", "Ana Silva", IBAN),
                                   ("paypal", "JPY", "Bo Li", "bo@example.com")]  # fmt: skip
    refused = tmp_path / "payees.csv.rejects.csv"
    assert stat.S_IMODE(refused.stat().st_mode) == 0o600
    assert IBAN not in ended.stderr
    assert "Coe" not in ended.stderr
    mended = refused.read_text().replace(f"{IBAN[:-1]}1", IBAN)
    refused.write_text(mended)
    assert ibctl(*IMPORT, refused, "-f", "json").exit_code == 6
    assert sql("SELECT count(*) FROM ibctl.payee") == [(3,)]


def test_a_new_payee_is_none_that_changed(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    count = 300  # as many as take more than the thousandth of a second that a time is kept to
    sql(
        'INSERT INTO "User" (id, email, password, role, "updatedAt")'
        " SELECT 'u' || n, n || '@x.y', 'x', 'IB', now() FROM generate_series(1, %s) n", count,
    )  # fmt: skip
    rows = [f"u{number},Rosa Vidal,{IBAN}" for number in range(1, count + 1)]
    (tmp_path / "payees.csv").write_text("\n".join(["ib,name,account", *rows]) + "\n")
    assert ibctl(*IMPORT, "payees.csv").exit_code == 0
    assert sql('SELECT count(*) FROM ibctl.payee WHERE "changedAt" = "createdAt"') == [(count,)]


def test_the_same_file_again_writes_nothing(platform: Platform, sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    platform.user("a@x.y")
    file = tmp_path / "payees.csv"
    file.write_text(f"ib,name,account\na@x.y,Ana,{IBAN}\n")
    assert ibctl(*IMPORT, file).exit_code == 0
    before = sql("SELECT to_jsonb(p) FROM ibctl.payee p")
    again = ibctl(*IMPORT, file, "-f", "csv")
    assert (again.exit_code, "1,unchanged," in again.stdout) == (0, True)
    assert sql("SELECT to_jsonb(p) FROM ibctl.payee p") == before


@pytest.mark.parametrize(
    "content",
    [f"Rosa Vidal,{IBAN},EUR\n", f"ib,name\na@x.y,Vidal\n{IBAN},\n", f"ib,name,account\na@x.y,Vid\xe1l,{IBAN}\n",
     f"ib;name;account\na@x.y;\"Vidal;{IBAN}\n"],
)  # fmt: skip
def test_whatever_is_wrong_with_a_file_nothing_of_it_is_quoted(
    platform: Platform, ibctl: Run, tmp_path: Path, content: str
) -> None:
    platform.user("a@x.y")
    file = tmp_path / "payees.csv"
    file.write_bytes(content.encode("cp1252"))
    ended = ibctl(*IMPORT, file)
    assert "Vid" not in ended.stderr
    assert IBAN[2:] not in ended.stderr


def missing(ibctl: Run) -> list[tuple[str, None]]:
    rows = json.loads(ibctl("commissions", "payees", "list", "--missing", "-f", "json").stdout)
    return sorted((row["email"], row["account"]) for row in rows)


def test_who_has_no_payee_is_listed(platform: Platform, ibctl: Run) -> None:
    platform.user("a@x.y")
    platform.user("admin@x.y", role="ADMIN")
    assert missing(ibctl) == [("a@x.y", None)]


@pytest.mark.parametrize(
    ("status", "payout", "named"),
    [("PENDING", 70, True), ("HELD", 70, True), ("PAID", 70, False), ("PENDING", 0, False)],
)
def test_who_is_an_ib_no_more_needs_a_payee_while_something_is_to_be_paid(
    platform: Platform, sql: Sql, ibctl: Run, status: str, payout: float, named: bool
) -> None:
    earner(platform, "was@x.y", payout, status)
    sql("UPDATE \"User\" SET role = 'ADMIN'")
    assert missing(ibctl) == ([("was@x.y", None)] if named else [])


def test_the_payee_of_who_is_an_ib_no_more_is_listed_and_shown(platform: Platform, sql: Sql, ibctl: Run) -> None:
    platform.user("was@x.y")
    payee(platform, "was@x.y")
    sql("UPDATE \"User\" SET role = 'ADMIN'")
    (row,) = json.loads(ibctl("commissions", "payees", "list", "-f", "json").stdout)
    assert row["email"] == "was@x.y"
    assert json.loads(ibctl("commissions", "payees", "show", "was@x.y", "-f", "json").stdout) == [row]


def test_ibs_that_share_an_account_are_found(platform: Platform, ibctl: Run) -> None:
    other = "FR1420041010050500013M02606"
    for name, account in (("a@x.y", IBAN), ("b@x.y", other), ("c@x.y", IBAN), ("d@x.y", "FR7630006000011234567890189")):
        platform.user(name)
        assert ibctl("commissions", "payees", "set", name, input=f"Rosa Vidal\n{account}\n").exit_code == 0
    rows = json.loads(ibctl("commissions", "payees", "list", "--shared", "-f", "json").stdout)
    assert [row["email"] for row in rows] == ["a@x.y", "c@x.y"]
    assert ibctl("commissions", "payees", "list", "--shared", "--missing").exit_code == 2
