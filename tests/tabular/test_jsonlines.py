import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import rendering, tabular
from ibctl.errors import RequestError, UsageError
from ibctl.tabular import Misread, Table


def made(tmp_path: Path, *lines: object, name: str = "leads.ndjson") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    with tabular.open_table(path) as table:
        return table.header, list(table.rows())


def reasons(path: Path) -> dict[int, str]:
    with tabular.open_table(path) as table:
        found = {number: cells for number, cells in table.rows() if isinstance(cells, Misread)}
        assert all(len(cells) == len(table.header) + 1 for cells in found.values())
        return {number: cells.reason for number, cells in found.items()}


def test_the_columns_are_the_keys_of_all_lines(tmp_path: Path) -> None:
    path = made(tmp_path, {"email": "a@x.com"}, {"name": "Zoë", "email": None}, "", {"phone": "1", "email": "b@x.com"})
    assert read(path) == (
        ["email", "name", "phone"],
        [(1, ["a@x.com", "", ""]), (2, ["", "Zoë", ""]), (4, ["b@x.com", "", "1"])],
    )


def test_values_are_as_they_are_written(tmp_path: Path) -> None:
    line = '{"a": 1.50, "b": 12345678901234567890.10, "c": 1e3, "d": -0, "e": true, "f": false, "g": null, "h": ""}'
    assert read(made(tmp_path, line))[1] == [
        (1, ["1.50", "12345678901234567890.10", "1e3", "-0", "true", "false", "", ""])
    ]


@pytest.mark.parametrize("name", ["x.csv", "x.ndjson", "x.jsonl", "x.ndjson.gz", "x"])
def test_it_is_known_by_its_first_line_and_may_be_packed(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, {"email": "a@x.com"}, name=name)
    assert read(path) == (["email"], [(1, ["a@x.com"])])
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert read(path) == (["email"], [(1, ["a@x.com"])])


def test_by_its_name_it_is_known_in_any_encoding_and_behind_a_bad_first_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes('{"name": "Zoë"}\n'.encode("utf-16"))
    assert read(path) == (["name"], [(1, ["Zoë"])])
    assert reasons(made(tmp_path, "email", {"email": "a@x.com"}))[1].startswith("the line is no JSON object")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"email": "a@x.com"', "the line is no JSON object: Expecting ',' delimiter, at its character 20"),
        ("[1, 2]", "the line is no JSON object: it begins with '[1, 2]'"),
        ('"text"', "the line is no JSON object"),
        ('{"email": NaN}', "NaN is no JSON"),
        ('{"email": "a", "email": "b"}', "it has 'email' twice"),
        ('{"email": "\\ud800"}', "half of a surrogate pair"),
        ('{"email": {"a": 1}}', "email is an object, not one value"),
        ('{"email": [1]}', "email is a list, not one value"),
        ("[" * 100_000, "the line is no JSON object"),
        ("\0{}", "the line is no JSON object: Expecting value"),
    ],
)
def test_a_line_that_is_no_row_is_refused_and_the_others_are_not(tmp_path: Path, line: str, reason: str) -> None:
    path = made(tmp_path, {"email": "b@x.com"}, line, {"email": "c@x.com"})
    found = reasons(path)
    assert list(found) == [2]
    assert reason in found[2]
    assert "\0" not in found[2]
    assert [number for number, _ in read(path)[1]] == [1, 2, 3]


def test_a_nested_value_that_nobody_wants_refuses_nothing(tmp_path: Path) -> None:
    path = made(tmp_path, {"email": "a@x.com", "raw": {"x": [1]}})
    with tabular.open_table(path) as table:
        assert tabular.columns(table, {"email": ()}) == {"email": 0}
        assert list(table.rows()) == [(1, ["a@x.com", '{"x": ["1"]}'])]
        assert tabular.columns(table, {"email": (), "raw": ()}) == {"email": 0, "raw": 1}
        assert isinstance(next(table.rows())[1], Misread)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[\n{}\n]", "leads.ndjson is one JSON array"),
        (
            '[\n {"email":"a@x.y"},\n {"email":"b@x.y"}\n]\n',
            "leads.ndjson is one JSON array: put each row",
        ),
        ('\n \t[{"email":"a@x.y"},\n{"email":"b@x.y"}\n]', "is one JSON array"),
        ('{\n"email": 1\n}', "no line of it is a JSON object with keys"),
        ("{}\n{}\n", "no line of it is a JSON object with keys"),
        ("", "is empty"),
        ("\n".join(json.dumps({str(n): n}) for n in range(1_001)), "more than 1,000 different keys"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read(made(tmp_path, content) if content else tmp_path / made(tmp_path).name)
    assert "\n" not in str(caught.value)


def test_options_of_other_formats_are_wrong_usage(tmp_path: Path) -> None:
    options: list[Any] = [{"delimiter": ","}, {"sheet": "x"}]
    for option in options:
        with (
            pytest.raises(UsageError, match="is JSON, which has none"),
            tabular.open_table(made(tmp_path, {"a": 1}), **option),
        ):
            pass


values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["'=x", "''=x", "=x", "'x", "-1"])
)


@given(rows=st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), values, min_size=1), min_size=1))
def test_every_text_comes_through_an_importer_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]
) -> None:
    path = made(tmp_path_factory.mktemp("json"), *rows)
    header, found = read(path)
    # An importer takes off the apostrophe that a CSV export put before a formula.
    got = [dict(zip(header, map(rendering.unneutralise, cells), strict=True)) for _, cells in found]
    assert got == [{key: row.get(key, "") for key in header} for row in rows]


def test_its_reject_file_is_csv_and_stays_refused_until_it_is_mended(tmp_path: Path) -> None:
    path = made(tmp_path, {"email": "a@x.com", "name": ["Bob"]}, "{broken")

    def refuse(table: Table, target: Path) -> list[list[str]]:
        with tabular.RejectFile(target, table) as rejects:
            for number, cells in table.rows():
                assert len(cells) != len(table.header)
                rejects.add(number, cells, "cells", "", tabular.misfit(cells, len(table.header)))
        with tabular.open_table(target) as again:
            assert again.header == ["_row", "_code", "_field", "_message", "email", "name"]
            return [cells for _, cells in again.rows()]

    with tabular.open_table(path) as table:
        first = refuse(table, tmp_path / "r.csv")
    assert first == [
        ["1", "cells", "", "name is a list, not one value", "a@x.com", '["Bob"]', '["Bob"]'],
        ["2", "cells", "", "the line is no JSON object: Expecting property name enclosed in double quotes, at its "
         "character 2", "", "", "{broken"],
    ]  # fmt: skip
    with tabular.open_table(tmp_path / "r.csv") as table:
        assert [cells[4:] for cells in refuse(table, tmp_path / "again.csv")] == [cells[4:] for cells in first]
