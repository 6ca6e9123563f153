from __future__ import annotations

import os
from pathlib import Path

import pytest

from ibctl import config
from ibctl.errors import ConfigError


def test_the_web_applications_env_file_is_read_from_a_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY")
    (tmp_path / ".env").write_text(
        'DATABASE_URL="postgresql://u:p@h/d?schema=public"\nENCRYPTION_KEY="a#b$c d"  # comment\nOTHER=1\n'
    )
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    found = config.settings()
    assert found.database is not None
    assert found.database.url == "postgresql://u:p@h/d"
    assert found.encryption_key == "a#b$c d"
    assert found.sources["DATABASE_URL"] == str(tmp_path / ".env")


def test_nothing_is_filled_into_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY")
    (tmp_path / ".env").write_text("ENCRYPTION_KEY='a${HOME}b'\n")
    assert config.settings().encryption_key == "a${HOME}b"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("IBCTL_TIMEZONE=Europe/Berlin\nIBCTL_BASE_CURRENCY=eur\n")
    monkeypatch.setenv("IBCTL_TIMEZONE", "Asia/Tokyo")
    found = config.settings()
    assert (found.timezone.key, found.sources["IBCTL_TIMEZONE"]) == ("Asia/Tokyo", "environment")
    assert (found.base_currency, found.sources["IBCTL_BASE_CURRENCY"]) == ("EUR", str(tmp_path / ".env"))


def test_an_env_file_that_is_named_must_exist(tmp_path: Path) -> None:
    config.use_env_file(tmp_path / "missing.env")
    with pytest.raises(ConfigError, match=r"missing\.env does not exist"):
        config.settings()


def test_a_folder_is_no_env_file_and_one_above_that_is_called_so_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "a"
    (inner / ".env").mkdir(parents=True)
    (tmp_path / ".env").write_text("IBCTL_BASE_CURRENCY=EUR\n")
    monkeypatch.chdir(inner)
    assert config.settings().base_currency == "EUR"
    config.use_env_file(tmp_path)
    with pytest.raises(ConfigError, match=r"the env file .* is a folder: name the file in it"):
        config.settings()


def test_an_env_file_may_be_a_pipe_which_says_it_only_once(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"IBCTL_BASE_CURRENCY=EUR\nIBCTL_PHONE_REGION=DE\n")
    os.close(writing)
    config.use_env_file(Path(f"/dev/fd/{reading}"))
    try:
        assert config.settings().base_currency == "EUR"
        assert {one.name: one.value for one in config.inspect()}["IBCTL_PHONE_REGION"] == "DE"
    finally:
        os.close(reading)


def test_an_env_file_behind_what_is_no_folder_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config.use_env_file(tmp_path / "file" / ".env")
    with pytest.raises(ConfigError, match=r"cannot read the env file .*: Not a directory"):
        config.settings()


def test_an_address_with_a_placeholder_is_not_taken_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PASSWORD=x\nDATABASE_URL=postgresql://u:${PASSWORD}@h/d\n")
    with pytest.raises(ConfigError, match=r"DATABASE_URL holds \$\{…\}, which ibctl does not fill in"):
        config.settings()


def test_a_working_directory_that_is_gone_hides_no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    config.use_env_file(None)
    with pytest.raises(ConfigError, match="the working directory does not exist any more"):
        config.settings()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IBCTL_TIMEZONE", "Mars/Olympus"), ("IBCTL_TIMEZONE", "../etc/passwd"), ("IBCTL_BASE_CURRENCY", "DOLLAR"),
        # ISO 4217's codes for tests and for gold: there is no money in them to send.
        ("IBCTL_BASE_CURRENCY", "XTS"), ("IBCTL_BASE_CURRENCY", "XAU"),
        ("IBCTL_PHONE_REGION", "GERMANY"), ("IBCTL_LOCK_TIMEOUT", "soon"), ("IBCTL_LOCK_TIMEOUT", "nan"),
        ("IBCTL_GRAPH_URL", "graph.facebook.com"), ("IBCTL_GRAPH_URL", "http://proxy.example"),
        ("IBCTL_GRAPH_URL", "https://x.example/?token=1"), ("IBCTL_GRAPH_VERSION", "26"), ("IBCTL_HTTP_TIMEOUT", "0"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_value(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    config.use_env_file(None)
    with pytest.raises(ConfigError) as caught:
        config.settings()
    assert name in str(caught.value)
    assert value in str(caught.value)


def test_the_settings_do_not_show_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", "hunter2-hunter2-hunter2-hunter2-")
    monkeypatch.setenv("FACEBOOK_APP_SECRET", "hunter2")
    config.use_env_file(None)
    assert "hunter2" not in repr(config.settings())


def test_a_password_in_the_command_line_is_not_recorded() -> None:
    config.use_command(["demo", "--url", "postgresql://u:hunter2@h/d", "--reason", "two words"])
    assert config.command() == "demo --url 'postgresql://u:***@h/d' --reason 'two words'"


@pytest.mark.parametrize("name", ["IBCTL_ACTOR", "IBCTL_PAYER_NAME"])
def test_a_name_that_is_no_utf8_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, b"J\xfcrgen".decode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=rf"{name} is 'J\\xfcrgen': write it in UTF-8"):
        config.settings()
