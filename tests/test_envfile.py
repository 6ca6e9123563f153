"""An env file is read as Node's dotenv reads it: what is expected here is what `require('dotenv').parse` gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibctl import envfile


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("KEY=plain", "plain"), ("KEY= plain  ", "plain"), ("KEY=", ""), ("KEY=two words", "two words"),
        ("export KEY=x", "x"), ("  KEY = x", "x"), ("KEY: x", "x"),
        ("KEY=`0123456789abcdefghijklmnopqrstuv`", "0123456789abcdefghijklmnopqrstuv"),
        ("KEY=0123456789abcdefghijklmnopqrstuv#comment", "0123456789abcdefghijklmnopqrstuv"),
        ("KEY=x # comment", "x"), ("KEY='a#b' # comment", "a#b"), ('KEY="a#b"#comment', "a#b"), ("KEY=`a#b`", "a#b"),
        ("OTHER=y\nKEY=a${OTHER}b", "a${OTHER}b"), ("KEY='${HOME}'", "${HOME}"), ('KEY="$HOME"', "$HOME"),
        ('KEY="a\\nb"', "a\nb"), ("KEY='a\\nb'", "a\\nb"), ('KEY="a\nb"', "a\nb"), ("KEY='it\"s'", 'it"s'),
        ("KEY='open", "'open"), ("KEY=a'b'", "a'b'"), ("KEY=a=b", "a=b"), ("#KEY=x\nKEY=y", "y"), ("KEY=x\nKEY=y", "y"),
        ("\ufeffKEY=x", "x"), ("OTHER=y\r\nKEY=x\r\n", "x"), ("KEY=Zoë", "Zoë"),
    ],
)  # fmt: skip
def test_a_value_is_what_node_takes_it_for(text: str, value: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(text, encoding="utf-8", newline="")
    assert envfile.read(tmp_path / ".env")["KEY"] == value


def test_what_sets_nothing_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# comment\n\nno assignment\n=x\nKEY=y\n")
    assert envfile.read(tmp_path / ".env") == {"KEY": "y"}
