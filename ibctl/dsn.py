"""Prisma connection URLs, made fit for libpq.

The `.env` file is the web application's own. Its URLs carry parameters of Prisma's that libpq refuses; each is either
translated or left out here, and `Dsn.ignored` names those left out, for `ibctl doctor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ibctl.errors import ConfigError

# https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
# Of these libpq knows `connect_timeout` and `sslpassword` as well, with the same meaning.
PRISMA_ONLY = frozenset(
    {
        "schema",
        "pgbouncer",
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "statement_cache_size",
        "max_idle_connection_lifetime",
        "single_use_connections",
        "sslidentity",
        "sslaccept",
        "sslcert",
    }
)
MASK = "***"


@dataclass(frozen=True)
class Dsn:
    """A database address: what libpq gets, and what Prisma's parameters said besides."""

    url: str
    schema: str = "public"
    pgbouncer: bool = False
    ignored: tuple[str, ...] = ()

    @property
    def masked(self) -> str:
        """The URL with its password hidden, for people."""
        return mask(self.url)

    def __repr__(self) -> str:
        return f"Dsn({self.masked!r}, schema={self.schema!r})"


def parse(url: str, name: str = "DATABASE_URL") -> Dsn:
    """Translate a Prisma (or plain libpq) URL.

    `name` is the setting it came from, for the message. Raises ConfigError when it is no PostgreSQL URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{name} is not a valid URL: {HOW}") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError(f"{name} begins with '{parts.scheme or url[:12]}:', not 'postgresql:': {HOW}")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    kept = {key: value for key, value in parameters.items() if key not in PRISMA_ONLY}
    kept.update(_tls(parameters, kept))
    return Dsn(
        url=urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(kept, quote_via=quote), "")),
        schema=parameters.get("schema") or "public",
        pgbouncer=parameters.get("pgbouncer", "").lower() == "true",
        ignored=tuple(sorted(parameters.keys() & PRISMA_ONLY - {"schema", "pgbouncer", "sslaccept", "sslcert"})),
    )


HOW = "write postgresql://user:password@host:5432/database, with special characters percent-encoded"


def _tls(parameters: dict[str, str], kept: dict[str, str]) -> dict[str, str]:
    """Translate Prisma's TLS words: its `sslcert` is the CA's certificate, its `sslaccept` the strictness."""
    found: dict[str, str] = {}
    if "sslcert" in parameters:
        found["sslrootcert"] = parameters["sslcert"]
    if parameters.get("sslaccept") == "strict" and kept.get("sslmode", "prefer") in ("prefer", "require"):
        # `strict` checks the certificate; without a CA file of its own libpq takes the system's.
        found["sslmode"] = "verify-full"
        found.setdefault("sslrootcert", kept.get("sslrootcert", "system"))
    return found


def mask(url: str) -> str:
    """Hide the passwords of a URL: the one before the host, and those among the parameters."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return MASK
    netloc = parts.netloc
    if password is not None:
        userinfo, _, host = netloc.rpartition("@")
        netloc = f"{userinfo.partition(':')[0]}:{MASK}@{host}"
    query = "&".join(_mask_parameter(item) for item in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def _mask_parameter(item: str) -> str:
    key, equals, _ = item.partition("=")
    return f"{key}={MASK}" if equals and "password" in key.lower() else item
