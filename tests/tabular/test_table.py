from pathlib import Path

import pytest

from ibctl import tabular
from ibctl.errors import RequestError


def made(tmp_path: Path, content: str | bytes, name: str = "leads.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


ALIASES = {"email": ["E-mail", "mail address"], "firstName": ["name"], "cpaEarned": ["cpa"]}


def columns(path: Path, *required: str, any_of: tuple[str, ...] = ()) -> dict[str, int]:
    with tabular.open_table(path) as file:
        return tabular.columns(file, ALIASES, required, any_of=any_of)


def test_headers_are_recognised_however_they_are_written(tmp_path: Path) -> None:
    assert columns(made(tmp_path, "MAIL_Address, First-Name ,CPA earned\n"), "email") == {
        "email": 0,
        "firstName": 1,
        "cpaEarned": 2,
    }


def test_columns_that_are_not_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert columns(made(tmp_path, "_row,email,shoe size,\n")) == {"email": 1}
    assert "leads.csv: columns that are not used: shoe size, (number 4, without a name)" in capsys.readouterr().err


def test_a_missing_column_is_named_with_what_the_file_has(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no column cpaEarned; it has email, shoe size"):
        columns(made(tmp_path, "email,shoe size\n"), "email", "cpaEarned")
    with pytest.raises(RequestError, match="has no column email or firstName; it has shoe size"):
        columns(made(tmp_path, "shoe size\n"), any_of=("email", "firstName"))


def test_two_columns_for_one_field_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'E-mail' and 'email' both mean email"):
        columns(made(tmp_path, "E-mail,email\n"))
