"""Settings: from the environment, or from the web application's own `.env`; read once, on first use.

The environment wins over the file. The file is the one named by `--env-file` (or `IBCTL_ENV_FILE`), else `.env` in the
working directory or the nearest folder above it.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ibctl import currencies, dsn, utf8
from ibctl.errors import ConfigError

# Every setting: what it is for, and what holds without it. README's table and `ibctl doctor` follow this order.
SETTINGS: Mapping[str, str] = {
    "DATABASE_URL": "the web application's database; without it ibctl starts its own embedded server",
    "DIRECT_URL": "the same database past a connection pooler; used for migrations",
    "ENCRYPTION_KEY": "the web application's key, 32 characters",
    "IBCTL_ENV_FILE": "the .env file to read; default: .env here or in the nearest folder above",
    "IBCTL_DATA_DIR": "where the embedded server keeps its data; default: the user's data folder",
    "IBCTL_TIMEZONE": "the zone in which months are cut; default UTC",
    "IBCTL_BASE_CURRENCY": "the currency of CPA and payouts; default USD",
    "IBCTL_PHONE_REGION": "the country (two letters) of phone numbers without +; default none: kept as written",
    "IBCTL_ACTOR": "who is written into the audit record; default: the operating system's user",
    "IBCTL_PAYER_NAME": "whose account payouts leave, for bank files; default none",
    "IBCTL_PAYER_IBAN": "the account that payouts leave, for bank files; default none",
    "IBCTL_REQUIRE_APPROVAL": "true: no payout is exported without a second signature; default false",
    "IBCTL_LOCK_TIMEOUT": "seconds to wait for another ibctl run to finish; default 60",
    "FACEBOOK_APP_ID": "the Facebook app's id; without it tokens are neither exchanged nor looked into",
    "FACEBOOK_APP_SECRET": "the Facebook app's secret",
    "IBCTL_GRAPH_URL": "where Facebook's Graph API is; default https://graph.facebook.com",
    "IBCTL_GRAPH_VERSION": "the version of Facebook's Graph API; default v26.0",
    "IBCTL_HTTP_TIMEOUT": "seconds to wait for an answer from outside; default 60",
    "NO_COLOR": "any value: no colours (as --no-color)",
}
SECRETS = frozenset({"ENCRYPTION_KEY", "FACEBOOK_APP_SECRET", "IBCTL_PAYER_IBAN"})
URLS = frozenset({"DATABASE_URL", "DIRECT_URL"})


@dataclass(frozen=True)
class Settings:
    """The settings as found, with `sources` saying where each came from."""

    database: dsn.Dsn | None
    direct: dsn.Dsn | None
    encryption_key: str | None = field(repr=False)
    data_dir: Path
    timezone: ZoneInfo
    base_currency: str
    phone_region: str | None
    actor: str
    payer_name: str | None
    payer_iban: str | None = field(repr=False)
    require_approval: bool
    lock_timeout: float
    facebook_app_id: str | None
    facebook_app_secret: str | None = field(repr=False)
    # Without a slash at its end.
    graph_url: str
    graph_version: str
    http_timeout: float
    env_file: Path | None
    sources: Mapping[str, str]


_env_file_option: Path | None = None


def use_env_file(path: Path | None) -> None:
    """Take `--env-file`; settings already read are forgotten."""
    global _env_file_option
    _env_file_option = path
    settings.cache_clear()
    _set_in.cache_clear()


_command = ""


def use_command(arguments: Sequence[str]) -> None:
    """Take the command line, for the audit record; a URL in it loses its password."""
    global _command
    _command = shlex.join(utf8.escaped(dsn.masked_in(word)) for word in arguments)


def command() -> str:
    """Return the command line as the audit record keeps it, without the leading `ibctl`."""
    return _command


@cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises ConfigError naming the setting, its value (never a secret) and the remedy.
    """
    env_file = settings_file()
    values, sources = _gather(env_file)
    read = {name: reader(values[name]) for name, reader in _READERS.items() if name in values}
    return Settings(
        database=read.get("DATABASE_URL"),
        direct=read.get("DIRECT_URL"),
        encryption_key=values.get("ENCRYPTION_KEY"),
        data_dir=read.get("IBCTL_DATA_DIR") or _default_data_dir(),
        timezone=read.get("IBCTL_TIMEZONE") or ZoneInfo("UTC"),
        base_currency=read.get("IBCTL_BASE_CURRENCY") or "USD",
        phone_region=read.get("IBCTL_PHONE_REGION"),
        actor=read.get("IBCTL_ACTOR") or _system_user(),
        payer_name=read.get("IBCTL_PAYER_NAME"),
        payer_iban=values.get("IBCTL_PAYER_IBAN"),
        require_approval=read.get("IBCTL_REQUIRE_APPROVAL", False),
        lock_timeout=read.get("IBCTL_LOCK_TIMEOUT", 60.0),
        facebook_app_id=values.get("FACEBOOK_APP_ID"),
        facebook_app_secret=values.get("FACEBOOK_APP_SECRET"),
        graph_url=read.get("IBCTL_GRAPH_URL") or "https://graph.facebook.com",
        graph_version=read.get("IBCTL_GRAPH_VERSION") or "v26.0",
        http_timeout=read.get("IBCTL_HTTP_TIMEOUT", 60.0),
        env_file=env_file,
        sources=sources,
    )


@dataclass(frozen=True)
class Found:
    """One setting as it was found: its value for people (secrets masked), where, and what is wrong with it."""

    name: str
    value: str | None
    source: str | None
    problem: str | None


def inspect() -> list[Found]:
    """Look at every setting by itself, for `ibctl doctor`: one that is wrong does not hide the others.

    Raises ConfigError when the env file itself cannot be read.
    """
    values, sources = _gather(settings_file())
    return [
        Found(name, _masked(name, values.get(name)), sources.get(name), _problem(name, values.get(name)))
        for name in SETTINGS
    ]


def encryption_key() -> str | None:
    """Return the `ENCRYPTION_KEY` as it is, whatever is wrong with the other settings."""
    return _gather(settings_file())[0].get("ENCRYPTION_KEY")


def data_dir() -> Path:
    """Return where embedded servers keep their data, whatever is wrong with the other settings. Raises ConfigError."""
    named = _gather(settings_file())[0].get("IBCTL_DATA_DIR")
    return Path(named).expanduser().absolute() if named else _default_data_dir()


def _masked(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    if name in SECRETS:
        return f"{dsn.MASK} ({len(value.encode())} bytes)"
    return dsn.mask(value) if name in URLS else value


def _problem(name: str, value: str | None) -> str | None:
    if value is None or name not in _READERS:
        return None
    try:
        _READERS[name](value)
    except ConfigError as exc:
        return str(exc)
    return None


def settings_file() -> Path | None:
    """Return the env file in use, if any.

    Raises ConfigError when one is named that does not exist, or the working directory, where others are looked for, is
    gone: without its `.env` a command could write to another database.
    """
    named = _env_file_option or (Path(os.environ["IBCTL_ENV_FILE"]) if os.environ.get("IBCTL_ENV_FILE") else None)
    if named is not None:
        _require_readable(named)
        return named
    from dotenv import find_dotenv

    try:
        found = find_dotenv(usecwd=True)
    except FileNotFoundError:
        raise ConfigError("the working directory does not exist any more: cd to one that does") from None
    return Path(found) if found else None


def _require_readable(named: Path) -> None:
    try:
        mode = named.stat().st_mode
    except FileNotFoundError:
        raise ConfigError(f"the env file {named} does not exist: check --env-file or IBCTL_ENV_FILE") from None
    except OSError as exc:
        raise ConfigError(f"cannot read the env file {named}: {exc.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ConfigError(f"the env file {named} is a folder: name the file in it")


@cache
def _set_in(env_file: Path) -> Mapping[str, str]:
    """Read an env file, once: a pipe (`--env-file <(…)`) says it only once."""
    from dotenv import dotenv_values

    try:
        with env_file.open(encoding="utf-8-sig") as stream:
            # Node's dotenv, which the web application reads it with, fills in no ${NAME} either.
            found = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read {env_file} as UTF-8 text: {exc.__class__.__name__}") from None
    return {name: value for name, value in found.items() if value is not None}


def _gather(env_file: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    in_file = _set_in(env_file) if env_file is not None else {}
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name in SETTINGS:
        for source, place in ((os.environ, "environment"), (in_file, str(env_file))):
            if value := source.get(name):
                values[name], sources[name] = value, place
                break
    return values, sources


def _default_data_dir() -> Path:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # The server cannot run as root, and the user it runs as must not need a way through root's home.
        return Path("/var/lib/ibctl")
    import platformdirs

    return Path(platformdirs.user_data_dir("ibctl", appauthor=False))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"IBCTL_TIMEZONE is '{name}', which is no time zone: write one like Europe/Berlin") from None


def _currency(code: str) -> str:
    try:
        return currencies.parse(code)
    except ValueError:
        raise ConfigError(
            f"IBCTL_BASE_CURRENCY is '{code}', which nobody can be paid in: write a currency's code like USD"
        ) from None


def _region(code: str) -> str:
    if len(code) != 2 or not code.isalpha():
        raise ConfigError(f"IBCTL_PHONE_REGION is '{code}': write a two-letter country code like DE")
    return code.upper()


def _seconds(name: str, text: str, least: float = 0) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= 86_400:
        raise ConfigError(f"{name} is '{text}': write seconds between {least:g} and 86400")
    return seconds


def _web_address(name: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise ConfigError(f"{name} is '{dsn.masked_in(text)}': write an address like https://graph.facebook.com")
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise ConfigError(f"{name} is '{text}': tokens travel over https only, or to this machine")
    return text.rstrip("/")


_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def _graph_version(text: str) -> str:
    if not re.fullmatch(r"v\d{1,3}\.\d", text):
        raise ConfigError(f"IBCTL_GRAPH_VERSION is '{text}': write it like v26.0")
    return text


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "1", "yes", "false", "0", "no"):
        raise ConfigError(f"IBCTL_REQUIRE_APPROVAL is '{text}': write true or false")
    return word in ("true", "1", "yes")


def _text(name: str, text: str) -> str:
    if utf8.escaped(text) != text:
        raise ConfigError(f"{name} is '{utf8.escaped(text)}': write it in UTF-8")
    return text


def _system_user() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


# How the text of a setting becomes its value; each raises ConfigError for a wrong one.
_READERS: Mapping[str, Callable[[str], Any]] = {
    "DATABASE_URL": lambda text: dsn.parse(text, "DATABASE_URL"),
    "DIRECT_URL": lambda text: dsn.parse(text, "DIRECT_URL"),
    "IBCTL_DATA_DIR": lambda text: Path(text).expanduser().absolute(),
    "IBCTL_TIMEZONE": _zone,
    "IBCTL_BASE_CURRENCY": _currency,
    "IBCTL_PHONE_REGION": _region,
    "IBCTL_ACTOR": lambda text: _text("IBCTL_ACTOR", text),
    "IBCTL_PAYER_NAME": lambda text: _text("IBCTL_PAYER_NAME", text),
    "IBCTL_LOCK_TIMEOUT": lambda text: _seconds("IBCTL_LOCK_TIMEOUT", text),
    "IBCTL_GRAPH_URL": lambda text: _web_address("IBCTL_GRAPH_URL", text),
    "IBCTL_GRAPH_VERSION": _graph_version,
    "IBCTL_HTTP_TIMEOUT": lambda text: _seconds("IBCTL_HTTP_TIMEOUT", text, least=0.1),
    "IBCTL_REQUIRE_APPROVAL": _flag,
}
