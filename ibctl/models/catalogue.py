"""All tables: whoever needs every one of them asks here, for importing this imports every module that has some."""

from sqlmodel import SQLModel

from ibctl.models import ads, campaigns, commissions, forms, imports, ledger, payouts, platform

__all__ = [
    "MAPPERS",
    "METADATA",
    "ads",
    "campaigns",
    "commissions",
    "forms",
    "imports",
    "ledger",
    "payouts",
    "platform",
]

METADATA = SQLModel.metadata
MAPPERS = SQLModel._sa_registry
