"""What holds for every file: no row is lost, a second time writes nothing, an undo leaves no trace."""

from __future__ import annotations

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
from tests.leads.importing.test_import import rejects
from tests.leads.importing.test_round_trip import outcome

Run = Callable[..., Result]

EMAILS = ["a@x.com", "b@x.com", "c@x.com"]
PHONES = ["+491701234567", "0170 1234567", "+33639981234"]
TOKENS = ["t1", "t2", "=t3"]
DAYS = [datetime(2025, 10, day) for day in (1, 5, 9)]


def maybe(values: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", *values])


ROWS = st.fixed_dictionaries(
    {
        "email": maybe([*EMAILS, "A@X.com", "bad"]),
        "phone": maybe([*PHONES, "none"]),
        "token": maybe(TOKENS),
        "ib": maybe(["ib@x.com", "other@x.com", "nobody@x.com"]),
        "broker": maybe(["Prime", "Kestrel", "=cmd()"]),
        "status": maybe(["captured", "contacted", "qualified", "rejected", "hot"]),
        "captured": maybe(["2025-10-02", "2025-10-01T10:00:00Z"]),
        "deposited": maybe(["2025-10-03", "2025-10-08"]),
        "qualified": maybe(["2025-10-04", "2025-10-10", "2025-09-01"]),
        "cpa": maybe(["0", "99.90", "150", "-1"]),
    }
)
LEADS = st.lists(
    st.fixed_dictionaries(
        {
            "email": st.sampled_from([None, *EMAILS, "B@x.com"]),
            "phone": st.sampled_from([None, *PHONES]),
            "broker": st.sampled_from([None, "", "Prime", " Kestrel "]),
            "status": st.sampled_from(["captured", "qualified", "rejected", "odd"]),
            "leadCapturedAt": st.sampled_from(DAYS),
            "depositedAt": st.sampled_from([None, *DAYS]),
            "qualifiedAt": st.sampled_from([None, *DAYS]),
            "cpaEarned": st.sampled_from([0, 0.1 + 0.2, 150]),
        }
    ),
    max_size=4,
)
RULES = st.dictionaries(
    st.sampled_from(["broker", "email", "phone", "trackingToken", "depositedAt", "cpaEarned", "status", "ib"]),
    st.sampled_from(["overwrite", "fill-empty", "never", "error"]),
    max_size=4,
)


def written(table: list[dict[str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return stream.getvalue()


@pytest.fixture
def two_ibs(platform: Platform) -> Platform:
    platform.user("ib@x.com")
    platform.user("other@x.com")
    return platform


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(ROWS, min_size=1, max_size=6).filter(lambda rows: any(any(row.values()) for row in rows)),
    leads=LEADS,
    mode=st.sampled_from(["create", "update", "upsert"]),
    rules=RULES,
    chunk=st.sampled_from([(), ("--chunk", "2")]),
)
def test_no_row_is_lost_a_second_time_writes_nothing_and_an_undo_leaves_no_trace(
    two_ibs: Platform, ibctl: Run, tmp_path: Path,
    table: list[dict[str, str]], leads: list[dict[str, object]], mode: str, rules: dict[str, str],
    chunk: tuple[str, ...],
) -> None:  # fmt: skip
    two_ibs.sql('TRUNCATE "Lead", ibctl.lead_import, ibctl.lead_import_reject, ibctl.change_set, ibctl.change CASCADE')
    for number, lead in enumerate(leads):
        two_ibs.lead(id=f"l{number}", **{**lead, "trackingToken": f"t{number}" if number % 2 else None})
    path, mapping = tmp_path / "leads.csv", tmp_path / "m.toml"
    path.write_text(written(table), encoding="utf-8")
    mapping.write_text("[rules]\n" + "".join(f'{name} = "{rule}"\n' for name, rule in rules.items()))
    options = ("--mode", mode, "--mapping", mapping, "--rejects", tmp_path / "r.csv", "--format", "csv", "--again")
    (tmp_path / "r.csv").unlink(missing_ok=True)
    before = two_ibs.sql('SELECT l::text FROM "Lead" l ORDER BY id')

    first = outcome(ibctl("leads", "import", path, *options, *chunk))
    rows = sum(any(row.values()) for row in table)
    good = first["created"] + first.get("updated", 0) + first["unchanged"]
    assert first["read"] == rows == good + first.get("refused", 0)
    assert len(two_ibs.sql('SELECT id FROM "Lead"')) == len(before) + first["created"]
    refused = {int(row["_row"]) for row in rejects(tmp_path / "r.csv")} if first.get("refused") else set()
    assert len(refused) == first.get("refused", 0)

    # The rows that were taken are there now, and say nothing new. (Rows of two chunks may each say something about one
    # lead, and then take turns.)
    after = two_ibs.sql('SELECT l::text FROM "Lead" l ORDER BY id')
    taken = [row for number, row in enumerate(table, start=2) if number not in refused]
    if good and (mode == "create" or not chunk):
        path.write_text(written(taken), encoding="utf-8")
        second = outcome(ibctl("leads", "import", path, *options))
        assert (second["created"], second.get("updated", 0)) == (0, 0)
        assert two_ibs.sql('SELECT l::text FROM "Lead" l ORDER BY id') == after

    if after != before:
        assert ibctl("undo", two_ibs.sql("SELECT max(id)::text FROM ibctl.change_set")[0][0], "--yes").exit_code == 0
    assert two_ibs.sql('SELECT l::text FROM "Lead" l ORDER BY id') == before
