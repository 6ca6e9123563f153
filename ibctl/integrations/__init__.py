"""All that is outside of PostgreSQL, a folder or file for each vendor: plain values, no database, no Typer."""
