"""Every table, as SQLModel classes: `platform` is what Prisma owns and ibctl shares; the others are ibctl's own schema.

Python names are snake_case, the database's camelCase. There are no queries here and no relationships: services join
explicitly. A command imports the modules that it needs, for building their classes is a quarter of its start;
`catalogue` imports them all.
"""
