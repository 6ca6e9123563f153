"""The database itself: the embedded server, `db upgrade` (create, adopt, migrate) and `db check` (models against it).

A database that the web application made is *adopted*: ibctl adds its own schema and the triggers that record its
writes, and never changes a table of the platform's.
"""
