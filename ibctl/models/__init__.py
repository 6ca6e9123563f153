"""Every table, as SQLModel classes: `platform` is what Prisma owns and ibctl shares, `ledger` is ibctl's own schema.

Python names are snake_case, the database's camelCase. There are no queries here and no relationships: services join
explicitly. Importing the package imports both modules, so that `SQLModel.metadata` is always complete.
"""

from ibctl.models import ledger, platform

__all__ = ["ledger", "platform"]
