"""The names under which importers know `ibctl.tabular`."""

from __future__ import annotations

from ibctl.tabular import RejectFile, columns, plain_name, rejects_path
from ibctl.tabular import Table as CsvFile
from ibctl.tabular import open_table as open_csv
from ibctl.tabular.source import sha256

__all__ = ["CsvFile", "RejectFile", "columns", "open_csv", "plain_name", "rejects_path", "sha256"]
