"""Mapping files: a source's own names and words, read as the platform's."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from ibctl.errors import RequestError
from ibctl.leads.importing import source_mapping
from tests.conftest import Result
from tests.leads.conftest import Platform
from tests.leads.importing.test_import import counts

Run = Callable[..., Result]
Write = Callable[..., Path]

PARTNER = """
mode = "upsert"
match = ["tracking-token", "email"]
dayfirst = true
decimal_comma = true
delimiter = ";"

[columns]
"Client Mail" = "email"
"Date" = "qualifiedAt"
"Name" = ""

[constants]
broker = "Prime XBT"
ib = "ib@x.com"

[translate.status]
FTD = "qualified"
New = "captured"

[rules]
broker = "overwrite"
ib = "never"
"""


@pytest.fixture
def partner(tmp_path: Path) -> Path:
    path = tmp_path / "partner.toml"
    path.write_text(PARTNER, encoding="utf-8")
    return path


def test_a_mapping_renames_sets_translates_and_rules(
    platform: Platform, ibctl: Run, file: Write, partner: Path
) -> None:
    ib, other = platform.user("ib@x.com"), platform.user("other@x.com")
    platform.lead(email="a@x.com", userId=other, broker="Old", leadCapturedAt=datetime(2025, 1, 1))
    path = file(
        "Client Mail;Name;Date;State;stage;CPA",
        "a@x.com;Ann;03/04/2025;x;ftd;1.234,50",
        "b@x.com;Bob;;x; NEW ;",
    )
    done = ibctl("leads", "import", path, "--mapping", partner, "--format", "json")
    assert counts(done) == {"read": 2, "created": 1, "updated": 1, "unchanged": 0}
    assert platform.leads('"userId", broker, status, "qualifiedAt", "cpaEarned", "firstName"') == [
        (other, "Prime XBT", "qualified", datetime(2025, 4, 3), 1234.5, None),
        (ib, "Prime XBT", "captured", None, 0.0, None),
    ]
    assert "columns that are not used: State" in done.stderr


def test_a_saved_mapping_is_used_by_its_name(platform: Platform, ibctl: Run, file: Write, partner: Path) -> None:
    platform.user("ib@x.com")
    saved = ibctl("leads", "imports", "mappings", "save", "partner-x", partner)
    assert (saved.exit_code, "mapping partner-x saved; change set 1" in saved.stderr) == (0, True)
    assert "nothing to do" in ibctl("leads", "imports", "mappings", "save", "partner-x", partner).stderr
    assert ibctl("leads", "import", file("Client Mail;stage", "a@x.com;ftd"), "--mapping", "partner-x").exit_code == 0
    assert platform.leads("email, status") == [("a@x.com", "qualified")]
    (listed,) = json.loads(ibctl("leads", "imports", "mappings", "list", "--format", "json").stdout)
    assert (listed["name"], listed["mode"], listed["match"]) == ("partner-x", "upsert", "trackingToken,email")
    assert ibctl("leads", "imports", "mappings", "show", "partner-x").stdout.strip() == PARTNER.strip()
    assert ibctl("undo", "1", "--yes").exit_code == 0
    missing = ibctl("leads", "import", "leads.csv", "--mapping", "partner-x")
    assert (missing.exit_code, "there is no mapping 'partner-x'" in missing.stderr) == (3, True)


def test_a_translated_word_is_known_in_a_reject_file_too(platform: Platform, ibctl: Run, file: Write) -> None:
    Path("m.toml").write_text('[translate.status]\n"-" = "captured"\n')
    path = file("email,status", "a@x.com,-", "bad,-")
    assert ibctl("leads", "import", path, "--mapping", "m.toml").exit_code == 6
    mended = Path("leads.csv.rejects.csv")
    assert mended.read_text().endswith(",bad,'-\n")
    mended.write_text(mended.read_text().replace("bad", "b@x.com"))
    assert ibctl("leads", "import", mended, "--mapping", "m.toml").exit_code == 0
    assert platform.leads("email, status") == [("a@x.com", "captured"), ("b@x.com", "captured")]


def test_the_command_line_goes_before_the_mapping(platform: Platform, ibctl: Run, file: Write, partner: Path) -> None:
    platform.user("ib@x.com")
    platform.lead(email="a@x.com")
    path = file("Client Mail,stage", "a@x.com,ftd", "b@x.com,ftd")
    options = ("--mapping", partner, "--mode", "create", "--delimiter", ",")
    done = ibctl("leads", "import", path, *options, "--format", "json")
    assert counts(done) == {"read": 2, "created": 1, "unchanged": 0, "exists": 1}


def test_a_column_of_the_mapping_that_is_missing_is_told(
    platform: Platform, ibctl: Run, file: Write, partner: Path
) -> None:
    platform.user("ib@x.com")
    done = ibctl("leads", "import", file("Client Mail;x", "a@x.com;"), "--mapping", partner)
    assert "the mapping's columns Date, Name are not there" in done.stderr


def test_a_constant_owner_that_does_not_exist_is_refused_at_once(
    platform: Platform, ibctl: Run, file: Write, partner: Path
) -> None:
    done = ibctl("leads", "import", file("Client Mail;x", "a@x.com;"), "--mapping", partner)
    assert (done.exit_code, "the mapping's constant ib: there is no IB 'ib@x.com'" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mode = ", "m.toml is not TOML"),
        ('mode = "merge"', "mode: Input should be 'create', 'update' or 'upsert'"),
        ('modus = "create"', "modus: Extra inputs are not permitted"),
        ('[columns]\nX = "mail2"', "columns.X: 'mail2' is no field of a lead"),
        ('match = ["firstName"]', "match.0: firstName does not name a lead"),
        ('[rules]\nbroker = "always"', "rules.broker: Input should be 'overwrite', 'fill-empty'"),
        ('[rules]\ntotalEarned = "never"', "totalEarned follows from other fields"),
        ('[rules]\nbroker = "newer"', "the rule newer needs newer_by"),
        ('[columns]\nX = "updatedAt"', 'a column can be updatedAt only where newer_by = "updatedAt"'),
        ('[constants]\nstatus = "hot"', "constants.status: 'hot' is no status"),
        ('[translate.status]\nFTD = "hot"', "m.toml: translate.status.FTD: 'hot' is no status"),
        ('[translate.cpaEarned]\nstd = "1,5"', "translate.cpaEarned.std: '1,5' is not an amount"),
        ('region = "ZZ"', "m.toml: region: 'ZZ' is not a country"),
        ('encoding = "klingon"', "m.toml: encoding: 'klingon' is not known"),
        ('delimiter = "ab"', "m.toml: delimiter: 'ab' will not do: write , ; | or tab"),
        ('match = ["email", "phone", "E-Mail"]', "match: email, phone, email names a field twice"),
        ('[columns]\nX = "broker"\n[constants]\nbroker = "B"', "broker is a constant and a column's field"),
    ],
)
def test_a_mapping_that_is_none_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(RequestError) as caught:
        source_mapping.read(text, "m.toml")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ['region = "ZZ"', 'encoding = "klingon"', 'delimiter = "ab"'])
def test_a_mapping_that_cannot_work_is_refused_by_its_own_key(
    platform: Platform, ibctl: Run, file: Write, line: str
) -> None:
    Path("m.toml").write_text(line)
    key = line.split()[0]
    saved = ibctl("leads", "imports", "mappings", "save", "m", "m.toml")
    assert (saved.exit_code, f"mapping m: {key}: " in saved.stderr) == (3, True), saved.stderr
    used = ibctl("leads", "import", file("email", "a@x.com"), "--mapping", "m.toml")
    assert (used.exit_code, f"m.toml: {key}: " in used.stderr) == (3, True), used.stderr
    assert f"--{key}" not in saved.stderr + used.stderr


def test_a_mapping_says_how_the_file_is_read_when_it_goes_on(platform: Platform, ibctl: Run, file: Write) -> None:
    Path("m.toml").write_text(
        'delimiter = "tab"\nencoding = "latin1"\nregion = "de"\ndayfirst = true\n'
        '[constants]\nleadCapturedAt = "03/04/2025"\n'
    )
    path = file("email\tphone", "a@x.com\t0170 1234567", "b@x.com\t")
    assert ibctl("leads", "import", path, "--mapping", "m.toml", "--chunk", "1").exit_code == 0
    platform.sql("DELETE FROM \"Lead\" WHERE email = 'b@x.com'")
    platform.sql('UPDATE ibctl.lead_import SET checkpoint = 2, "finishedAt" = NULL')
    assert ibctl("leads", "import", path, "--resume", "1").exit_code == 0
    april = datetime(2025, 4, 3)
    assert platform.leads('phone, "leadCapturedAt"') == [("+491701234567", april), (None, april)]


def test_a_mapping_file_that_cannot_be_read_is_named(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email", "a@x.com")
    assert "cannot read nowhere.toml" in ibctl("leads", "import", path, "--mapping", "nowhere.toml").stderr
    Path("latin.toml").write_bytes(b"# \xff")
    assert "latin.toml is not UTF-8" in ibctl("leads", "import", path, "--mapping", "latin.toml").stderr
    bad = ibctl("leads", "imports", "mappings", "save", "a b", "latin.toml")
    assert bad.exit_code == 3


def test_the_newest_date_needs_its_column(platform: Platform, ibctl: Run, file: Write) -> None:
    Path("m.toml").write_text('mode = "update"\nnewer_by = "updatedAt"\n[rules]\nbroker = "newer"\n')
    done = ibctl("leads", "import", file("email,broker", "a@x.com,B"), "--mapping", "m.toml")
    assert (done.exit_code, "newer_by is updatedAt, for which the file has no column" in done.stderr) == (3, True)
    platform.lead(email="a@x.com", broker="Old")
    path = file("email,broker,report date", "a@x.com,B,2020-01-01")
    assert ibctl("leads", "import", path, "--mapping", "m.toml").exit_code == 0
    assert platform.leads("broker") == [("Old",)]


def test_a_mapping_names_the_column_of_the_newest_date(platform: Platform, ibctl: Run, file: Write) -> None:
    Path("m.toml").write_text(
        'mode = "update"\nnewer_by = "updatedAt"\n[columns]\nwhen = "updated_at"\n[rules]\nbroker = "newer"\n'
    )
    for email in ("a@x.com", "b@x.com"):
        platform.lead(email=email, broker="Old")
    platform.sql('UPDATE "Lead" SET "updatedAt" = %s', "2025-01-01")
    path = file("email,broker,when", "a@x.com,New,2025-01-02", "b@x.com,New,2024-12-31")
    done = ibctl("leads", "import", path, "--mapping", "m.toml")
    assert done.exit_code == 0, done.stderr
    assert platform.leads("email, broker") == [("a@x.com", "New"), ("b@x.com", "Old")]


# -------------------------------------------------------------------------------------------------------- decimal comma


@pytest.mark.parametrize(
    ("text", "amount"), [("12,50", 12.5), ("1.234,50", 1234.5), ("1.234.567", 1234567), ("7", 7), ("1234,5", 1234.5)]
)
def test_a_decimal_comma_is_read_when_told(
    platform: Platform, ibctl: Run, file: Write, text: str, amount: float
) -> None:
    assert ibctl("leads", "import", file("email;cpa", f"a@x.com;{text}"), "--decimal-comma").exit_code == 0
    assert platform.leads('"cpaEarned"') == [(amount,)]


@pytest.mark.parametrize("text", ["12.50", "1.23,4", "1,234.50", "1,2,3"])
def test_what_a_decimal_comma_cannot_be_is_refused(platform: Platform, ibctl: Run, file: Write, text: str) -> None:
    done = ibctl("leads", "import", file("email;cpa", f"a@x.com;{text}"), "--decimal-comma", "--format", "json")
    assert counts(done)["amount_invalid"] == 1


def test_without_it_a_comma_is_never_guessed(platform: Platform, ibctl: Run, file: Write) -> None:
    done = ibctl("leads", "import", file("email;cpa", "a@x.com;12,50", "b@x.com;1,234"))
    assert done.exit_code == 3
    refused = (Path("leads.csv.rejects.csv")).read_text()
    assert refused.count("or pass --decimal-comma") == 2
