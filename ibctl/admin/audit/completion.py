"""The numbers of the newest change sets, for the shell to complete. Silent where the database cannot be reached."""

from __future__ import annotations

from pathlib import Path

import typer


def change_sets(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete a change set's number, with its command beside it."""
    from ibctl import config, db, embedded
    from ibctl.admin.audit import service
    from ibctl.errors import IbctlError

    try:
        # The root command does not run while a word is completed, so its options have to be picked up here.
        env_file = ctx.find_root().params.get("env_file")
        config.use_env_file(Path(env_file) if env_file else None)
        settings = config.settings()
        if settings.database is None and embedded.status(settings.data_dir / "postgres").state != "running":
            return []
        db.hurry()
        with db.reading() as session:
            return service.recent(session, incomplete)
    except IbctlError:
        # Whatever is wrong, the command itself will say; here it would land in the middle of the line being typed.
        return []
