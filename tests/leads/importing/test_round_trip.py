import csv
import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]

COLUMNS = [
    "email", "firstName", "phone", "ib", "leadType", "broker", "source", "status", "trackingToken", "leadCapturedAt",
    "qualifiedAt", "ftdEarned", "cpaEarned", "systemeContactId",
]  # fmt: skip
STORED = (
    'email, "firstName", phone, "userId", "leadType", broker, source, status, "trackingToken", "leadCapturedAt",'
    ' "depositedAt", "tradingStartAt", "qualifiedAt", "ftdEarned", "cpaEarned", "totalEarned", "systemeContactId"'
)
NASTY = [
    '"Q"',
    "=cmd()",
    "'=cmd()",
    "''x",
    "-12.50",
    "+49",
    "@x",
    "\tx",
    "two\nlines",
    "a\rb",
    "😀",
    "שלום",
    "a,b;c|d",
    "NULL",
]

text = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
amounts = st.decimals(0, 10**6, places=2).map(str)
rows = st.fixed_dictionaries(
    {
        "email": st.sampled_from(["", "a@x.com", "B@x.com", "jürgen@müller.de", "+c@x.com", "bad"]),
        "firstName": text,
        "phone": st.sampled_from(["", "+49 170 1234567", "'+491701234568", "-170 1", "none"]),
        "ib": st.sampled_from(["", "ib@x.com", "nobody@x.com"]),
        "leadType": st.sampled_from(["", "trader", "IB"]),
        "broker": text,
        "source": text,
        "status": st.sampled_from(["", "captured", "Contacted", "rejected", "hot"]),
        "trackingToken": st.one_of(st.just(""), text),
        "leadCapturedAt": st.datetimes(datetime(2024, 1, 1), datetime(2025, 1, 1)).map(datetime.isoformat),
        "qualifiedAt": st.one_of(
            st.just(""), st.datetimes(datetime(2024, 6, 1), datetime(2025, 6, 1)).map(datetime.isoformat)
        ),
        "ftdEarned": st.one_of(st.just(""), amounts),
        "cpaEarned": st.one_of(st.just(""), amounts, st.just("-1")),
        "systemeContactId": text,
    }
)


def written(table: list[dict[str, str]]) -> str:
    stream = io.StringIO()
    # QUOTE_ALL: Python's own reader takes a lone CR in an unquoted cell for a new line.
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(table)
    return stream.getvalue()


@pytest.fixture
def ready(platform: Platform) -> Platform:
    platform.user("ib@x.com")
    return platform


def outcome(done: Result) -> dict[str, int]:
    lines = list(csv.DictReader(io.StringIO(done.stdout)))
    counts: dict[str, int] = {}
    for line in lines:
        counts[line["outcome"]] = counts.get(line["outcome"], 0) + int(line["rows"])
    return counts


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(rows, min_size=1, max_size=8))
def test_every_row_is_created_unchanged_or_refused_and_an_export_brings_back_what_was_created(
    ready: Platform, ibctl: Run, tmp_path: Path, table: list[dict[str, str]]
) -> None:
    ready.sql('TRUNCATE "Lead", ibctl.lead_import, ibctl.change_set, ibctl.change CASCADE')
    for old in tmp_path.glob("*.csv"):
        old.unlink()
    path = tmp_path / "leads.csv"
    path.write_text(written(table), encoding="utf-8", newline="")

    first = outcome(ibctl("leads", "import", path, "--format", "csv"))
    created, refused = first["created"], first.get("refused", 0)
    assert first["read"] == len(table) == created + first["unchanged"] + refused
    assert ready.count() == created
    reject_file = tmp_path / "leads.csv.rejects.csv"
    assert reject_file.exists() == bool(refused)
    if refused:
        with reject_file.open(newline="", encoding="utf-8") as stream:
            assert len(list(csv.reader(stream))) == 1 + refused

    before = ready.everything()
    leads = ready.leads(STORED)
    exported = tmp_path / "exported.csv"
    assert ibctl("leads", "export", "--output", exported).exit_code == 0
    second = outcome(ibctl("leads", "import", exported, "--format", "csv"))
    assert second == {"read": created, "created": 0, "unchanged": created}
    assert ready.everything() == before

    ready.sql('TRUNCATE "Lead" CASCADE')
    third = outcome(ibctl("leads", "import", exported, "--format", "csv"))
    assert third == {"read": created, "created": created, "unchanged": 0}
    assert ready.leads(STORED) == leads


def test_an_export_has_every_column_of_the_document(ready: Platform, ibctl: Run) -> None:
    ready.lead(email="a@x.com", firstName="=cmd()", cpaEarned=0.1 + 0.2, leadCapturedAt=datetime(2025, 10, 1, 12, 30))
    (row,) = csv.DictReader(io.StringIO(ibctl("leads", "export").stdout))
    columns = ready.sql("SELECT column_name FROM information_schema.columns WHERE table_name = 'Lead'")
    assert set(row) == {name for (name,) in columns} | {"ib"}
    assert row["firstName"] == "'=cmd()"
    assert row["cpaEarned"] == "0.3"
    assert row["leadCapturedAt"] == "2025-10-01T12:30:00.000Z"
    assert row["phone"] == ""
