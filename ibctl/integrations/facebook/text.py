"""What people type at Facebook, as a database can keep it."""

from __future__ import annotations

from typing import Any


def clean(value: Any) -> str:
    """Return a text without NUL and halves of surrogate pairs: JSON can hold them, PostgreSQL and UTF-8 cannot.

    Anybody can type them into a lead form, and none of them may keep the others' leads from being read.
    """
    return str(value).replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
