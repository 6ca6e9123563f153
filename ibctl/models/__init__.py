"""Every table, as SQLModel classes: `platform` and `automation` are Prisma's, which ibctl shares; the others its own.

Python names are snake_case, the database's camelCase. There are no queries here and no relationships: services join
explicitly. Importing the package imports every module, so that `SQLModel.metadata` is always complete.
"""

from ibctl.models import ads, automation, campaigns, commissions, forms, imports, ledger, payouts, platform

__all__ = ["ads", "automation", "campaigns", "commissions", "forms", "imports", "ledger", "payouts", "platform"]
