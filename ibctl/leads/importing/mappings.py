"""Mappings that are kept in the database under a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from ibctl import clock, db
from ibctl.errors import NotFoundError, RequestError, UsageError
from ibctl.leads.importing import source_mapping
from ibctl.leads.importing.source_mapping import SourceMapping
from ibctl.models.imports import LeadMapping

LARGEST = 1_000_000  # bytes


def named(name: str) -> SourceMapping:
    """Return the mapping of this name, or in this `.toml` file. Raises NotFoundError, or RequestError for the file."""
    if name.endswith(".toml"):
        return source_mapping.read(from_file(Path(name)), name)
    with db.reading() as session:
        return source_mapping.read(find(session, name).text, f"mapping {name}")


def from_file(path: Path) -> str:
    """Return a mapping file's text. Raises RequestError."""
    try:
        if path.stat().st_size > LARGEST:
            raise RequestError(f"{path} is too large for a mapping file")
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise RequestError(f"cannot read {path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text") from None


def find(session: Session, name: str) -> LeadMapping:
    """Return a saved mapping. Raises NotFoundError naming those that there are."""
    found = session.exec(select(LeadMapping).where(LeadMapping.name == name)).first()
    if found is None:
        known = names(session)
        there = f"there are {', '.join(known)}" if known else "`ibctl leads imports mappings save` keeps one"
        raise NotFoundError(f"there is no mapping '{name}': {there}")
    return found


def save(session: Session, name: str, text: str) -> bool:
    """Keep a mapping's text under a name, in the place of an older one; say whether there was one.

    Raises UsageError for a name that will not do, RequestError for a text that is no mapping.
    """
    if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 100:
        raise UsageError(f"'{name}' will not do as a name: use letters, digits, - and _")
    source_mapping.read(text, f"mapping {name}")
    found = session.exec(select(LeadMapping).where(LeadMapping.name == name).with_for_update()).first()
    if found is None:
        session.add(LeadMapping(name=name, text=text))
    elif found.text != text:
        found.text, found.updated_at = text, clock.now()
    session.flush()
    return found is not None


def listing(session: Session) -> Sequence[dict[str, Any]]:
    """Return the saved mappings as rows, by name."""
    return [
        row(one) for one in session.exec(select(LeadMapping).order_by(col(LeadMapping.name)))
    ]  # fmt: skip


def row(saved: LeadMapping) -> dict[str, Any]:
    """Return a mapping as a row for people and scripts."""
    mapping = source_mapping.read(saved.text, f"mapping {saved.name}")
    return {
        "id": saved.id, "name": saved.name, "mode": mapping.mode, "match": ",".join(mapping.match) or None,
        "columns": len(mapping.columns), "constants": len(mapping.constants), "rules": len(mapping.rules),
        "createdAt": saved.created_at, "updatedAt": saved.updated_at, "text": saved.text,
    }  # fmt: skip


def names(session: Session, prefix: str = "") -> list[str]:
    """Return the names of the saved mappings that begin with `prefix`."""
    found = session.exec(select(LeadMapping.name).order_by(LeadMapping.name)).all()
    return [name for name in found if name.startswith(prefix)]
