"""The demo's own server, its settings, and the rows that the web application would have made before."""

from __future__ import annotations

import csv
import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import config, db, embedded
from ibctl.embedded import folder as folders
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.ledger import ChangeSet
from ibctl.models.payouts import PayoutItem
from ibctl.models.platform import FacebookAdAccount, Lead, User

# A demo is gone after a power cut anyway.
HASTY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# Nobody can sign in with it: it is no bcrypt hash.
NO_PASSWORD = "!"  # noqa: S105
ENV_FILE = "demo.env"
# The one of `examples/ibs.csv` whose whole month fits on a screen.
SMALL_IB = "rosa.vidal@example.com"


@dataclass(frozen=True)
class Demo:
    """The demo's folder. `files` is for what its commands write."""

    folder: Path

    @property
    def server(self) -> Path:
        """The embedded server's data."""
        return self.folder / "postgres"

    @property
    def files(self) -> Path:
        """Reject files and exports."""
        return self.folder / "files"

    @property
    def env_file(self) -> Path:
        """The settings with which `ibctl` reaches the demo's server."""
        return self.folder / ENV_FILE


def demo() -> Demo:
    """Return where the demo is, or would be. Raises ConfigError."""
    return Demo(config.data_dir() / "demo")


# --------------------------------------------------------------------------------------------------- the server's life


@contextmanager
def running(place: Demo, *, keep: bool, no_color: bool = False) -> Iterator[None]:
    """Start the demo's server with an empty database, and make it the one that this process uses, until the end.

    What an earlier demo left is removed first; in the end everything is, however it ends, unless `keep`. Raises
    RequestError while another demo is running, ConfigError when the server cannot be started.
    """
    with _alone(place), _ended_in_order():
        _erase(place)
        try:
            url = embedded.start(place.server, settings=HASTY)
            place.files.mkdir()
            folders.write_secret(place.env_file, _env_text(url))
            with _settings_from(place.env_file, no_color=no_color):
                yield
        finally:
            # Of a server that did not start there is nothing to keep.
            if not keep or not place.env_file.exists():
                with _uninterrupted():
                    _erase(place)
                    folders.delete(place.folder)


def remove(place: Demo) -> bool:
    """Stop the demo's server and delete what it made; False when there is none.

    Raises RequestError while a demo is running, ConfigError when the server cannot be stopped.
    """
    if not folders.is_ours(folders.own(place.folder)):
        return False
    with _alone(place):
        _erase(place)
        folders.delete(place.folder)
    return True


@contextmanager
def _alone(place: Demo) -> Iterator[None]:
    root = folders.own(place.folder)
    with folders.explained(root):
        folders.check(root)
        descriptor = folders.lock(root)
    if descriptor is None:
        raise RequestError(f"another `ibctl demo` is at work in {root}: wait until it has ended")
    try:
        yield
    finally:
        os.close(descriptor)
        if not place.server.exists():
            folders.delete_lock_where_open_files_stay(root)


def _erase(place: Demo) -> None:
    """Delete all but the folder and its lock."""
    embedded.remove(place.server)
    with folders.explained(place.folder):
        place.env_file.unlink(missing_ok=True)
        if place.files.exists():
            shutil.rmtree(place.files)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a second Ctrl-C not leave half of the demo behind."""
    with _handled(signal.SIG_IGN, signal.SIGINT, *_ENDING):
        yield


# What a service manager sends, and a terminal that is closed.
_ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let a signal that would kill the process unwind it instead, with the exit code that shells give to it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    with _handled(end, *_ENDING):
        yield


@contextmanager
def _handled(handler: Any, *numbers: signal.Signals) -> Iterator[None]:
    # What `nohup` lets a process ignore is ignored.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, handler)) for number in heeded]
    try:
        yield
    finally:
        for number, former in before:
            signal.signal(number, former)


# -------------------------------------------------------------------------------------------------------- its settings


def _env_text(url: str) -> str:
    settings = {
        "DATABASE_URL": url,
        "ENCRYPTION_KEY": secrets.token_hex(16),
        "IBCTL_TIMEZONE": "UTC",
        "IBCTL_BASE_CURRENCY": "USD",
        "IBCTL_ACTOR": "demo",
    }
    lines = "".join(f"{name}='{value}'\n" for name, value in settings.items())
    return f"# The server that `ibctl demo --keep` left; `ibctl demo --reset` removes it.\n{lines}"


@contextmanager
def _settings_from(env_file: Path, *, no_color: bool) -> Iterator[None]:
    """Take all settings from `env_file`, and none from the environment or any other file."""
    own = [*(name for name in config.SETTINGS if name != "NO_COLOR"), "IBCTL_NO_COLOR"]
    before = {name: os.environ.pop(name) for name in own if name in os.environ}
    os.environ["IBCTL_ENV_FILE"] = str(env_file)
    if no_color:
        os.environ["IBCTL_NO_COLOR"] = "1"
    config.use_env_file(env_file)
    db.forget()
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)
        os.environ.update(before)
        config.use_env_file(None)
        db.forget()


def overriding(environment: Mapping[str, str]) -> list[str]:
    """Name the variables of the user's environment that would win over the demo's env file."""
    return [name for name in config.SETTINGS if name not in ("NO_COLOR", "IBCTL_ENV_FILE") and environment.get(name)]


# ------------------------------------------------------------------------------------------------------- what it shows


def put_platform(examples: Path) -> tuple[int, int]:
    """Write the example IBs and ad accounts as the web application would: outside any change set; return how many."""
    users = [
        User(
            id=row["id"],
            email=row["email"],
            password=NO_PASSWORD,
            is_active=row["isActive"] == "true",
            email_verified=row["emailVerified"] == "true",
            created_at=_time(row["createdAt"]),
        )
        for row in _rows(examples / "ibs.csv")
    ]
    accounts = [
        FacebookAdAccount(
            id=row["id"],
            user_id=row["userId"],
            setup_tier=3,
            ad_account_id=row["adAccountId"],
            ad_account_name=row["adAccountName"],
            is_connected=True,
            can_boost_posts=True,
            can_create_campaigns=True,
            currency=row["currency"],
            timezone=row["timezone"],
            created_at=_time(row["createdAt"]),
        )
        for row in _rows(examples / "accounts.csv")
    ]
    counts = len(users), len(accounts)
    with db.translated(), Session(db.engine()) as session:
        session.add_all(users)
        session.flush()
        session.add_all(accounts)
        session.commit()
    return counts


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)
    except OSError as exc:
        raise NotFoundError(f"cannot read the demo's example file {path}: {exc.strerror}") from None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))


def newest_change_set(session: Session) -> int:
    """Return the number of the newest change set."""
    return session.exec(select(sa.func.max(ChangeSet.id))).one() or 0


def lead_to_correct(session: Session, ib: str) -> str:
    """Return the email of the IB's lead that qualified last."""
    statement = (
        select(Lead.email)
        .join(User, col(User.id) == col(Lead.user_id))
        .where(User.email == ib, col(Lead.qualified_at).is_not(None), col(Lead.email).is_not(None))
        .order_by(col(Lead.qualified_at).desc())
    )
    return session.exec(statement.limit(1)).one() or ""


def write_bank_answer(session: Session, batch: str, path: Path) -> None:
    """Write what a bank might report for a batch: all of it has been paid, but of the first ten units are missing."""
    items = session.exec(select(PayoutItem).where(PayoutItem.batch_id == batch).order_by(PayoutItem.reference)).all()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["reference", "amount", "currency", "date", "id"])
        for number, item in enumerate(items):
            amount = item.amount if number else item.amount - 10
            writer.writerow([item.reference, amount, item.currency, "2025-11-05", f"B{number + 1}"])
