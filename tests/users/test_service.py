from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ibctl import db
from ibctl.errors import NotFoundError, RequestError, UsageError
from ibctl.models.platform import Role
from ibctl.users import service

Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def user(sql: Sql) -> Callable[..., str]:
    """Put an account there as the web application would; returns its id."""

    def insert(email: str, role: str = "IB", *, active: bool = True, **columns: object) -> str:
        values = {
            "email": email,
            "role": role,
            "isActive": active,
            "password": "$2b$04$x",
            "id": f"c_{email}",
            **columns,
        }
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(["%s"] * len(values))
        sql(f'INSERT INTO "User" ({names}, "updatedAt") VALUES ({marks}, \'2025-01-01\')', *values.values())
        return str(values["id"])

    return insert


def stored(sql: Sql, email: str) -> dict[str, Any]:
    ((row,),) = sql('SELECT to_jsonb(u) FROM "User" u WHERE lower(email) = %s', email)
    assert isinstance(row, dict)
    return row


# ---------------------------------------------------------------------------------------------------------- looking up


def find(who: str, role: Role | None = None) -> str:
    with db.reading() as session:
        return service.find(session, who, role=role).id


def test_an_account_is_found_by_id_and_by_email_in_whatever_case(user: Callable[..., str]) -> None:
    user("Anna@Example.com")
    assert find("anna@EXAMPLE.com") == find(" Anna@Example.com ") == find("c_Anna@Example.com") == "c_Anna@Example.com"


def test_an_unknown_account_is_named_with_what_was_probably_meant(user: Callable[..., str]) -> None:
    user("anna@example.com")
    user("boss@example.com", "ADMIN")
    with pytest.raises(NotFoundError, match=r"there is no user 'ana@example.com': did you mean anna@example.com\?"):
        find("ana@example.com")
    with pytest.raises(NotFoundError, match=r"there is no IB 'nobody@else.org': `ibctl users list` shows all"):
        find("nobody@else.org", Role.IB)


def test_only_accounts_of_the_wanted_role_are_suggested(user: Callable[..., str]) -> None:
    user("anna@example.com", "ADMIN")
    user("annam@example.com", "IB")
    with pytest.raises(NotFoundError, match=r"did you mean annam@example.com\?"):
        find("annan@example.com", Role.IB)


def test_an_account_of_another_role_is_not_taken_for_an_ib(user: Callable[..., str]) -> None:
    user("boss@example.com", "ADMIN")
    with pytest.raises(NotFoundError, match=r"there is no IB 'BOSS@example.com': that account's role is ADMIN"):
        find("BOSS@example.com", Role.IB)
    assert find("boss@example.com", Role.ADMIN) == "c_boss@example.com"


def test_a_strange_name_is_nobody(user: Callable[..., str]) -> None:
    user("anna@example.com")
    for who in ("", " ", "a\0b", "%", "_", "' OR 1=1 --", "\\", "@", "x" * 100_000):
        with pytest.raises(NotFoundError, match="there is no user"):
            find(who)


def test_two_emails_that_differ_in_case_are_told_apart_by_spelling_or_id(user: Callable[..., str]) -> None:
    user("anna@example.com", id="c1")
    user("Anna@example.com", id="c2")
    assert find("Anna@example.com") == "c2"
    assert find("anna@example.com") == "c1"
    with pytest.raises(RequestError, match=r"ANNA@example.com' is the email of 2 accounts .*c1.*c2.*give the id"):
        find("ANNA@example.com")


def test_emails_for_completion_are_those_that_begin_with_what_is_typed(user: Callable[..., str]) -> None:
    for email, role in (("b@x.org", "IB"), ("anna@x.org", "IB"), ("Abe@x.org", "ADMIN"), ("a%@x.org", "IB")):
        user(email, role)
    with db.reading() as session:
        assert service.emails(session, prefix="a") == ["a%@x.org", "Abe@x.org", "anna@x.org"]
        assert service.emails(session, Role.IB) == ["a%@x.org", "anna@x.org", "b@x.org"]
        assert service.emails(session, prefix="a%") == ["a%@x.org"]
        assert service.emails(session, limit=2) == ["a%@x.org", "Abe@x.org"]


def test_a_listing_is_newest_first_and_says_how_many_there_are(user: Callable[..., str]) -> None:
    for day in (1, 3, 2):
        user(f"u{day}@x.org", createdAt=f"2025-10-0{day}")
    with db.reading() as session:
        rows, total = service.listing(session, limit=2)
    assert [row["email"] for row in rows] == ["u3@x.org", "u2@x.org"]
    assert total == 3


NARROWED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"ib", "off", "locked", "was-locked", "boss"}),
    ({"role": Role.ADMIN}, {"boss"}),
    ({"active": True}, {"ib", "locked", "was-locked", "boss"}),
    ({"active": False}, {"off"}),
    ({"locked": True}, {"locked"}),
    ({"locked": False}, {"ib", "off", "was-locked", "boss"}),
    ({"search": "LOCK"}, {"locked", "was-locked"}),
    ({"search": "c_off@x.org"}, {"off"}),
    ({"search": "%"}, set()),
    ({"search": "lock", "locked": False}, {"was-locked"}),
]


def test_a_listing_can_be_narrowed(user: Callable[..., str]) -> None:
    user("ib@x.org")
    user("off@x.org", active=False)
    user("locked@x.org", lockedUntil="2199-01-01")
    user("was-locked@x.org", lockedUntil="2020-01-01")
    user("boss@x.org", "ADMIN")
    for filters, expected in NARROWED:
        with db.reading() as session:
            rows, total = service.listing(session, **filters)
        assert {row["email"].removesuffix("@x.org") for row in rows} == expected, filters
        assert total == len(expected), filters


def test_a_description_counts_what_hangs_on_the_account_and_names_its_last_change(
    user: Callable[..., str], sql: Sql
) -> None:
    owner = user("anna@x.org")
    other = user("bob@x.org")
    seed_holdings(sql, owner, other)
    with db.transaction() as session:
        service.edit(session, "anna@x.org", verified=True)
    with db.transaction() as session:
        service.edit(session, "bob@x.org", verified=True)
    with db.reading() as session:
        row = service.describe(session, "anna@x.org")
    assert (row["leads"], row["adAccounts"], row["commissions"]) == (2, 1, 3)
    ((first,),) = sql("SELECT min(id) FROM ibctl.change_set")
    assert (row["changeSet"], row["changedBy"]) == (first, "tester")
    assert not any("$2b$" in str(value) for value in row.values())


def seed_holdings(sql: Sql, owner: str, other: str) -> None:
    """Two leads, an ad account and three commissions for `owner`; one lead for `other`."""
    for number, user_id in enumerate((owner, owner, other)):
        sql('INSERT INTO "Lead" (id, "userId", "updatedAt") VALUES (%s, %s, now())', f"lead{number}", user_id)
    sql('INSERT INTO "FacebookAdAccount" (id, "userId", "updatedAt") VALUES (\'fb1\', %s, now())', owner)
    for month, payout, status in ((8, 100.1, "PAID"), (9, 0.1, "PENDING"), (10, 0.2, "HELD")):
        sql(
            'INSERT INTO "IbCommission" (id, "userId", year, month, "totalPayout", "paymentStatus", "updatedAt", '
            '"commissionRate") VALUES (%s, %s, 2025, %s, %s, %s, now(), 0.3)',
            f"com{month}", owner, month, payout, status,
        )  # fmt: skip


def test_what_hangs_on_accounts_is_summed_exactly_and_without_what_is_paid(user: Callable[..., str], sql: Sql) -> None:
    owner, other = user("anna@x.org"), user("bob@x.org")
    seed_holdings(sql, owner, other)
    with db.reading() as session:
        held = service.holdings(session, [service.find(session, "anna@x.org"), service.find(session, "bob@x.org")])
    assert (held.leads, held.unpaid, held.unpaid_total) == (3, 2, Decimal("0.3"))
    assert held.currency == "USD"


def test_only_making_an_ib_with_holdings_an_administrator_has_an_effect(user: Callable[..., str], sql: Sql) -> None:
    owner, other = user("anna@x.org"), user("bob@x.org")
    seed_holdings(sql, owner, other)
    user("empty@x.org")
    user("boss@x.org", "ADMIN")
    with db.reading() as session:
        assert "2 leads" in (service.role_effect(session, "anna@x.org", Role.ADMIN) or "")
        assert service.role_effect(session, "anna@x.org", Role.IB) is None
        assert service.role_effect(session, "empty@x.org", Role.ADMIN) is None
        assert service.role_effect(session, "boss@x.org", Role.IB) is None


# ------------------------------------------------------------------------------------------------------------ changing


def add(email: str, **options: Any) -> str:
    with db.transaction() as session:
        return service.add(
            session, email=email, **{"role": Role.IB, "verified": False, "password_hash": "h", **options}
        ).id


def test_a_new_account_is_stored_as_the_web_application_would(database: str, sql: Sql) -> None:
    new_id = add(" Anna@Example.com ", role=Role.ADMIN, verified=True)
    row = stored(sql, "anna@example.com")
    assert len(new_id) == 25
    assert new_id.startswith("c")
    assert row["email"] == "anna@example.com"
    assert (row["id"], row["role"], row["isActive"], row["emailVerified"]) == (new_id, "ADMIN", True, True)
    assert (row["failedLoginCount"], row["lockedUntil"], row["password"]) == (0, None, "h")
    created, updated = (datetime.fromisoformat(row[name]) for name in ("createdAt", "updatedAt"))
    assert timedelta(0) <= updated - created < timedelta(seconds=1)


@pytest.mark.parametrize("there", ["anna@example.com", "Anna@Example.COM"])
def test_an_email_is_given_once_in_whatever_case_it_is_there(user: Callable[..., str], sql: Sql, there: str) -> None:
    user(there)
    with pytest.raises(RequestError, match=r"the email anna@example.com belongs to another account"):
        add("ANNA@example.com")
    assert sql('SELECT count(*) FROM "User"') == [(1,)]


def test_an_email_keeps_its_account_when_only_its_case_is_changed(user: Callable[..., str], sql: Sql) -> None:
    user("Anna@Example.com", emailVerified=True)
    with db.transaction() as session:
        service.edit(session, "anna@example.com", email="anna@example.com")
    row = stored(sql, "anna@example.com")
    assert (row["email"], row["emailVerified"]) == ("anna@example.com", True)
    assert row["updatedAt"] > "2025-01-01T00:00:00"


def test_a_new_email_is_unverified_until_said_otherwise(user: Callable[..., str], sql: Sql) -> None:
    user("anna@example.com", emailVerified=True)
    with db.transaction() as session:
        service.edit(session, "anna@example.com", email="anna@example.org")
    assert stored(sql, "anna@example.org")["emailVerified"] is False
    with db.transaction() as session:
        service.edit(session, "anna@example.org", email="anna@example.net", verified=True)
    assert stored(sql, "anna@example.net")["emailVerified"] is True


def test_an_edit_without_a_change_or_to_anothers_email_is_refused(user: Callable[..., str]) -> None:
    user("anna@example.com")
    user("Bob@example.com")
    with pytest.raises(UsageError, match="nothing to change"), db.transaction() as session:
        service.edit(session, "anna@example.com")
    with pytest.raises(RequestError, match="belongs to another account"), db.transaction() as session:
        service.edit(session, "anna@example.com", email="bob@example.com")


def test_unlocking_clears_the_lock_and_the_count_so_that_the_next_failure_does_not_lock_again(
    user: Callable[..., str], sql: Sql
) -> None:
    user("a@x.org", lockedUntil="2199-01-01", failedLoginCount=5)
    user("b@x.org", failedLoginCount=2)
    user("c@x.org", lockedUntil="2020-01-01")
    user("d@x.org")
    with db.transaction() as session:
        changed = service.unlock(session, ["d@x.org", "c@x.org", "b@x.org", "a@x.org", "A@x.org"])
    assert [one.email for one in changed] == ["a@x.org", "b@x.org", "c@x.org"]
    assert session.written.counts == {"User": {"update": 3}}
    assert sql('SELECT DISTINCT "lockedUntil", "failedLoginCount" FROM "User"') == [(None, 0)]


def test_deactivating_and_activating_change_nothing_else_and_nothing_twice(user: Callable[..., str], sql: Sql) -> None:
    user("anna@x.org", emailVerified=True, failedLoginCount=2)
    before = stored(sql, "anna@x.org")
    with db.transaction() as session:
        assert len(service.deactivate(session, ["anna@x.org"])) == 1
    off = stored(sql, "anna@x.org")
    assert {name for name in off if off[name] != before[name]} == {"isActive", "updatedAt"}
    with db.transaction() as session:
        assert service.deactivate(session, ["anna@x.org"]) == []
    assert session.written.nothing
    with db.transaction() as session:
        assert len(service.activate(session, ["anna@x.org"])) == 1
    assert stored(sql, "anna@x.org")["isActive"] is True


def test_a_password_is_replaced_and_nothing_else(user: Callable[..., str], sql: Sql) -> None:
    user("anna@x.org")
    before = stored(sql, "anna@x.org")
    with db.transaction() as session:
        service.set_password(session, "anna@x.org", password_hash="new")
    after = stored(sql, "anna@x.org")
    assert {name for name in after if after[name] != before[name]} == {"password", "updatedAt"}


# --------------------------------------------------------------------------------------- the last active administrator


def demote(who: str) -> None:
    with db.transaction() as session:
        service.set_role(session, who, role=Role.IB)


def deactivate(*who: str) -> None:
    with db.transaction() as session:
        service.deactivate(session, who)


def test_the_last_active_administrator_can_neither_be_demoted_nor_deactivated(
    user: Callable[..., str], sql: Sql
) -> None:
    user("boss@x.org", "ADMIN")
    user("former@x.org", "ADMIN", active=False)
    user("ib@x.org")
    for attempt in (demote, deactivate):
        with pytest.raises(RequestError, match=r"boss@x.org: no active administrator would be left"):
            attempt("boss@x.org")
    row = stored(sql, "boss@x.org")
    assert (row["role"], row["isActive"]) == ("ADMIN", True)


def test_all_administrators_at_once_cannot_be_deactivated_either(user: Callable[..., str], sql: Sql) -> None:
    user("a@x.org", "ADMIN")
    user("b@x.org", "ADMIN")
    with pytest.raises(RequestError, match=r"a@x.org, b@x.org: no active administrator would be left"):
        deactivate("b@x.org", "a@x.org")
    deactivate("b@x.org")
    assert sql('SELECT email FROM "User" WHERE "isActive"') == [("a@x.org",)]


def test_an_administrator_who_is_inactive_already_can_be_demoted(user: Callable[..., str], sql: Sql) -> None:
    user("boss@x.org", "ADMIN")
    user("former@x.org", "ADMIN", active=False)
    demote("former@x.org")
    deactivate("former@x.org")
    assert stored(sql, "former@x.org")["role"] == "IB"


def start_second(sql: Sql, action: Callable[[], object]) -> Future[object]:
    """Run `action` in a thread and session of its own; return once it waits for a lock of the first."""
    future = ThreadPoolExecutor(1).submit(action)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 20
    while sql(waiting) == [(0,)]:
        assert not future.done(), "the second session did not wait for the first"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return future


@pytest.mark.parametrize("remove", [demote, deactivate])
def test_of_two_administrators_who_remove_each_other_at_once_one_stays(
    user: Callable[..., str], sql: Sql, remove: Callable[..., None]
) -> None:
    user("a@x.org", "ADMIN")
    user("b@x.org", "ADMIN")
    with db.transaction() as session:
        service.set_role(session, "a@x.org", role=Role.IB)
        second = start_second(sql, lambda: remove("b@x.org"))
    with pytest.raises(RequestError, match=r"b@x.org: no active administrator would be left"):
        second.result(20)
    assert sql('SELECT email FROM "User" WHERE role = \'ADMIN\' AND "isActive"') == [("b@x.org",)]


def test_leads_are_still_captured_for_an_administrator_whose_row_is_being_changed(
    user: Callable[..., str], database: str, sql: Sql
) -> None:
    owner = user("a@x.org", "ADMIN")
    user("b@x.org", "ADMIN")
    with db.transaction() as session:
        service.deactivate(session, ["a@x.org"])
        with psycopg.connect(database, options="-c lock_timeout=2s") as web:
            web.execute('INSERT INTO "Lead" (id, "userId", "updatedAt") VALUES (\'l\', %s, now())', (owner,))
    assert sql('SELECT "userId" FROM "Lead"') == [(owner,)]


def test_of_two_who_add_the_same_email_at_once_the_second_is_told_as_if_it_had_come_later(
    database: str, sql: Sql
) -> None:
    with db.transaction() as session:
        service.add(session, email="anna@x.org", role=Role.IB, verified=False, password_hash="first")
        second = start_second(sql, lambda: add("ANNA@x.org", password_hash="second"))
    with pytest.raises(RequestError, match=r"the email anna@x.org belongs to another account"):
        second.result(20)
    assert stored(sql, "anna@x.org")["password"] == "first"


def test_a_failed_sign_in_that_is_just_being_counted_is_forgotten_by_unlocking_too(
    user: Callable[..., str], database: str, sql: Sql
) -> None:
    user("anna@x.org")

    def unlock() -> list[str]:
        with db.transaction() as session:
            return [one.email for one in service.unlock(session, ["anna@x.org"])]

    with psycopg.connect(database) as web:
        web.execute('UPDATE "User" SET "failedLoginCount" = 5')
        second = start_second(sql, unlock)
    assert second.result(20) == ["anna@x.org"]
    assert stored(sql, "anna@x.org")["failedLoginCount"] == 0
