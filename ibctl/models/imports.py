"""ibctl's record of lead imports, in schema `ibctl`: the batches, the refused rows, the mappings of sources."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Identity, Index, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlmodel import Field, SQLModel

from ibctl import clock, ids
from ibctl.models.ledger import SCHEMA


def _created() -> Any:
    return Column("createdAt", TIMESTAMP(precision=3), nullable=False, default=clock.now)


class LeadImport(SQLModel, table=True):
    """A batch: one file of leads, on what terms it was imported, how its rows fared, and how far it has come.

    A batch that is imported by chunks has one change set for all of them, and `finished_at` is NULL until the last.
    """

    __tablename__ = "lead_import"
    __table_args__ = (Index("lead_import_sha256_idx", "sha256"), {"schema": SCHEMA})

    id: int | None = Field(default=None, sa_column=Column("id", BigInteger, Identity(), primary_key=True))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())
    finished_at: dt.datetime | None = Field(default=None, sa_column=Column("finishedAt", TIMESTAMP(precision=3)))
    change_set_id: int = Field(sa_column=Column("changeSetId", BigInteger, nullable=False))
    file_name: str = Field(sa_column=Column("fileName", Text, nullable=False))
    # Of the file's bytes as they lie on disk, in hex.
    sha256: str = Field(sa_column=Column("sha256", Text, nullable=False))
    # The file's columns, in their order, and {"file header": "field"} of those that were read.
    header: list[str] = Field(sa_column=Column("header", JSONB, nullable=False))
    mapping: dict[str, str] = Field(sa_column=Column("mapping", JSONB, nullable=False))
    # Mode, match keys, rules, constants and the options of reading: what `--resume` goes on with.
    terms: dict[str, Any] = Field(sa_column=Column("terms", JSONB, nullable=False))
    rows: int = Field(default=0, sa_column=Column("rows", Integer, nullable=False))
    created: int = Field(default=0, sa_column=Column("created", Integer, nullable=False))
    updated: int = Field(default=0, sa_column=Column("updated", Integer, nullable=False))
    unchanged: int = Field(default=0, sa_column=Column("unchanged", Integer, nullable=False))
    refused: int = Field(default=0, sa_column=Column("refused", Integer, nullable=False))
    # The number of the last row of the last chunk that was committed.
    checkpoint: int = Field(default=0, sa_column=Column("checkpoint", Integer, nullable=False))

    @property
    def wrote(self) -> bool:
        """Whether it created or updated a lead."""
        return self.created + self.updated > 0


class LeadImportReject(SQLModel, table=True):
    """A row that was refused: its number, why, and its cells as they stood in the file."""

    __tablename__ = "lead_import_reject"
    __table_args__ = ({"schema": SCHEMA},)

    import_id: int = Field(sa_column=Column("importId", BigInteger, primary_key=True, autoincrement=False))
    row: int = Field(sa_column=Column("row", Integer, primary_key=True, autoincrement=False))
    code: str = Field(sa_column=Column("code", Text, nullable=False))
    field: str = Field(sa_column=Column("field", Text, nullable=False))
    message: str = Field(sa_column=Column("message", Text, nullable=False))
    # json, not jsonb: a cell may hold the NUL character for which its row was refused.
    cells: list[str] = Field(sa_column=Column("cells", JSON, nullable=False))


class LeadMapping(SQLModel, table=True):
    """How the files of one source are read: a TOML text under a name."""

    __tablename__ = "lead_mapping"
    __table_args__ = (Index("lead_mapping_name_key", "name", unique=True), {"schema": SCHEMA})

    id: str = Field(default_factory=ids.cuid, sa_column=Column("id", Text, primary_key=True))
    name: str = Field(sa_column=Column("name", Text, nullable=False))
    text: str = Field(sa_column=Column("text", Text, nullable=False))
    created_at: dt.datetime = Field(default_factory=clock.now, sa_column=_created())
    updated_at: dt.datetime = Field(
        default_factory=clock.now, sa_column=Column("updatedAt", TIMESTAMP(precision=3), nullable=False)
    )
