"""Prisma connection URLs, made fit for libpq.

The `.env` file is the web application's own. Its URLs carry parameters of Prisma's that libpq refuses; each is either
translated or left out here, and `Dsn.ignored` names those left out, for `ibctl doctor`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

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


# -------------------------------------------------------------------------------------------------------------- reading


def parse(url: str, name: str = "DATABASE_URL") -> Dsn:
    """Translate a Prisma (or plain libpq) URL.

    `name` is the setting it came from, for the message. Raises ConfigError when it is none that libpq takes, or one of
    which it is not clear where the password ends; the message shows nothing of it.
    """
    parts = _split(url.strip(), name)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    kept = {key: value for key, value in parameters.items() if key not in PRISMA_ONLY}
    kept.update(_tls(parameters, kept))
    return Dsn(
        url=_accepted(parts, kept, name),
        schema=parameters.get("schema") or "public",
        pgbouncer=parameters.get("pgbouncer", "").lower() == "true",
        ignored=tuple(sorted(parameters.keys() & PRISMA_ONLY - {"schema", "pgbouncer", "sslaccept", "sslcert"})),
    )


HOW = "write postgresql://user:password@host:5432/database, with special characters percent-encoded"


def _split(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{name} is not a valid URL: {HOW}") from None
    if not url.lower().startswith(f"{parts.scheme}://") or parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError(f"{name} does not begin with 'postgresql://': {HOW}")
    if "${" in url:
        raise ConfigError(f"{name} holds ${{…}}, which ibctl does not fill in: write out what stands for it")
    if _unclear(url, parts):
        raise ConfigError(f"{name} does not say clearly where its password ends: {HOW} (@ is %40, / is %2F, # is %23)")
    return parts


def _unclear(url: str, parts: SplitResult) -> bool:
    """Whether a part of the password may be taken for something else, and so be shown to everybody.

    libpq takes the first @ for its end, Python the last, and both a /; libpq does not know # and ends at a NUL, and
    Python drops tabs and line breaks. Some write it behind the database's name.
    """
    marks = url.count("@")
    misread = marks > 1 or marks > parts.netloc.count("@") or re.search(r"[#\0\t\r\n]", url) is not None
    return misread or "password=" in unquote(parts.path).lower()


def _accepted(parts: SplitResult, parameters: dict[str, str], name: str) -> str:
    """Put a URL together, as libpq's own parser takes it."""
    import psycopg

    try:
        query = urlencode(parameters, quote_via=quote)
        # Not urlunsplit, which writes no // before the host of a socket, which is empty.
        url = f"postgresql://{parts.netloc}{parts.path}{query and '?'}{query}"
        int(psycopg.conninfo.conninfo_to_dict(url).get("connect_timeout") or 0)
    except (psycopg.Error, ValueError):
        raise ConfigError(
            f"{name} is no address that PostgreSQL's client library takes: it holds a parameter that it does not know, "
            f"or a value or character that it refuses: {HOW}"
        ) from None
    return url


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


# -------------------------------------------------------------------------------------------------------------- showing

# Scheme, authority, path, and what comes behind.
_URL = re.compile(r"([a-z][a-z0-9+.-]{0,30}://)([^/?#]*)([^?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_PASSWORD = re.compile(r"[?&][^?&=#]*password[^?&=#]*=", re.IGNORECASE)


def mask(url: str) -> str:
    """Hide the passwords of a URL: the one before the host, and from one among the parameters on everything.

    All of it is hidden where it is not certain which part is the password.
    """
    found = _URL.fullmatch(url.strip())
    if found is None or _doubtful(*found.groups()):
        return MASK
    scheme, authority, path, behind = found.groups()
    user, colon, _ = authority.rpartition("@")[0].partition(":")
    if colon:
        authority = f"{user}:{MASK}@{authority.rpartition('@')[2]}"
    named = _PASSWORD.search(behind)
    return scheme + authority + path + (behind[: named.end()] + MASK if named else behind)


def masked_in(text: str) -> str:
    """Hide the passwords of a URL in a text, which begins at its scheme and ends with the text."""
    return _URL.sub(lambda found: mask(found[0]), text)


def _doubtful(scheme: str, authority: str, path: str, behind: str) -> bool:
    """Whether a password may stand where none belongs: with a /, ?, # or @ of its own, or under its name."""
    try:
        _ = urlsplit(f"{scheme}{authority}").port
    except ValueError:
        return True
    before, at, _ = (path + behind).rpartition("@")
    # Web addresses may have an @ in their path.
    astray = bool(at) and (not scheme.lower().startswith("http") or ":" in authority + before)
    named = _PASSWORD.search(behind)
    plain = path + (behind[: named.start()] if named else behind)
    return astray or authority.count("@") > 1 or "password" in unquote(plain).lower()
