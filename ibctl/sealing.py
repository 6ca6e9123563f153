"""Whether the key opens what is stored. New secrets are sealed only with one that does: no database has two keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config, crypto
from ibctl.crypto import SealedText, SecretError
from ibctl.errors import ConfigError
from ibctl.models import catalogue

# How many values of each encrypted column are tried; a single one may be damaged.
SAMPLE = 3

Readable = sa.Connection | Session


def columns() -> list[sa.Column[Any]]:
    """Return every encrypted column of the models, the web application's first."""
    tables = sorted(catalogue.METADATA.tables.values(), key=lambda table: table.schema is not None)
    return [column for table in tables for column in table.columns if isinstance(column.type, SealedText)]


def samples(database: Readable) -> Iterator[str]:
    """Yield a few stored values of each encrypted column, the newest."""
    for column in columns():
        query = sa.select(column).where(column.is_not(None)).order_by(column.table.c.id.desc()).limit(SAMPLE)
        yield from (sealed.text for sealed in database.execute(query).scalars().all())


def opens(text: str) -> bool:
    """Whether the configured key opens a stored value. Raises ConfigError for a key that is missing or too short."""
    try:
        crypto.decrypt(text, config.settings().encryption_key or "")
    except SecretError:
        return False
    return True


def require_key(database: Readable) -> None:
    """Make sure that what is about to be sealed can be opened with what is stored, by one key.

    Raises ConfigError for a key that is missing or of the wrong length, and for one that opens none of the samples.
    """
    crypto.key_bytes(config.settings().encryption_key)
    tried = 0
    for text in samples(database):
        if opens(text):
            return
        tried += 1
    if tried:
        raise ConfigError(
            f"ENCRYPTION_KEY opens none of {tried} encrypted values that are stored, so nothing was encrypted with it: "
            "use the web application's key; `ibctl secrets check` lists what does not open"
        )
