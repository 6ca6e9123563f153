"""Files of rows under named columns: CSV, CSV packed with gzip, Excel workbooks, newline-delimited JSON, stdin.

A *table* is such a file, opened and checked. `open_table` opens any of them, `columns` finds a field's column by its
header, `RejectFile` takes the rows that are refused. What a row must be is the importing area's own affair.
"""

from ibctl.tabular.csvfile import named_delimiter
from ibctl.tabular.opening import open_table, table_of
from ibctl.tabular.rejects import RejectFile, rejects_path
from ibctl.tabular.rows import of_rows
from ibctl.tabular.table import Misread, Table, columns, misfit, plain_name
from ibctl.tabular.text import named_encoding

__all__ = [
    "Misread", "RejectFile", "Table", "columns", "misfit", "named_delimiter", "named_encoding", "of_rows", "open_table",
    "plain_name", "rejects_path", "table_of",
]  # fmt: skip
