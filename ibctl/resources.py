"""The folders that ship beside the code: migrations and examples, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def migrations_dir() -> Path:
    """Return the folder with alembic's `env.py` and the migrations."""
    return _folder("migrations")


def examples_dir() -> Path:
    """Return the folder with the example files."""
    return _folder("examples")


def _folder(name: str) -> Path:
    # A wheel keeps them inside the package. That comes first: `site-packages/examples` may be somebody else's.
    installed = PACKAGE / f"_{name}"
    return installed if installed.is_dir() else PACKAGE.parent / name
