"""Every table, as SQLModel classes: `platform` is what Prisma owns and ibctl shares; the others are ibctl's own schema.

Python names are snake_case, the database's camelCase. There are no queries here and no relationships: services join
explicitly. Importing the package imports every module, so that `SQLModel.metadata` is always complete.
"""

from ibctl.models import ads, campaigns, commissions, forms, imports, ledger, payouts, platform

__all__ = ["ads", "campaigns", "commissions", "forms", "imports", "ledger", "payouts", "platform"]
