"""What an undo leaves as it is, and the reason that it gives: written since, paid for, refused by the database."""

from __future__ import annotations

import json

import pytest

from ibctl import config, db
from ibctl.admin.database import schema
from tests.admin.undo_cases import Run, Sql, lead, listed, state, user, write

# -------------------------------------------------------------------------------------------------------- what is kept


def test_a_row_edited_since_by_ibctl_is_kept_and_the_later_command_named(sql: Sql, ibctl: Run) -> None:
    number = write(lead("edited"), lead("plain"))
    later = write("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'edited'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    rows = listed(result)
    assert list(rows) == ["edited"]
    assert rows["edited"]["result"] == "kept"
    assert rows["edited"]["why"].startswith(f"edited since by change set {later} (tester: ibctl")
    assert "1 Lead deleted; 1 kept" in result.stderr
    assert sql('SELECT id, status FROM "Lead"') == [("edited", "contacted")]


def test_a_row_edited_since_by_the_web_application_is_kept_with_its_time(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    sql("UPDATE \"Lead\" SET status = 'contacted', \"updatedAt\" = '2025-11-05 10:00:00.25'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert listed(result)["l"]["why"] == "edited since outside ibctl (updatedAt 2025-11-05T10:00:00.25)"
    assert f"nothing of change set {number} could be taken back: 1 kept" in result.stderr
    assert sql("SELECT count(*) FROM ibctl.change_set WHERE undoes IS NOT NULL") == [(0,)]


def test_the_web_application_having_the_last_word_is_not_put_down_to_ibctl(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    write("UPDATE \"Lead\" SET status = 'contacted'")
    sql("UPDATE \"Lead\" SET status = 'rejected'")
    assert "edited since outside ibctl" in ibctl("undo", number, "--yes").stdout


def test_a_row_deleted_since_is_named_with_who_deleted_it(sql: Sql, ibctl: Run) -> None:
    number = write(lead("by-ibctl"), lead("by-app"), lead("there"))
    later = write("DELETE FROM \"Lead\" WHERE id = 'by-ibctl'")
    sql("DELETE FROM \"Lead\" WHERE id = 'by-app'")
    rows = listed(ibctl("undo", number, "--yes", "--format", "json"))
    assert rows["by-ibctl"]["why"].startswith(f"deleted since by change set {later} (")
    assert rows["by-app"]["why"] == "deleted since outside ibctl"


def test_a_deleted_row_made_again_since_is_kept(sql: Sql, ibctl: Run) -> None:
    write(lead("l", token="old"))
    number = write('DELETE FROM "Lead"')
    sql('INSERT INTO "Lead" (id, "trackingToken", "updatedAt") VALUES (\'l\', \'new\', now())')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert (result.exit_code, listed(result)["l"]["why"]) == (3, "made again since outside ibctl")
    assert sql('SELECT "trackingToken" FROM "Lead"') == [("new",)]


def test_a_change_that_somebody_set_back_by_hand_needs_no_undo(sql: Sql, ibctl: Run) -> None:
    write(lead("l"), lead("other"))
    number = write("UPDATE \"Lead\" SET status = 'contacted'")
    sql("UPDATE \"Lead\" SET status = 'captured' WHERE id = 'l'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 0
    assert listed(result)["l"] == {
        "result": "already", "table": "Lead", "id": "l", "why": "is as it was before already",
    }  # fmt: skip
    assert "1 already back" in result.stderr


def test_a_second_undo_says_that_it_is_done_and_by_what(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    assert ibctl("undo", number, "--yes").exit_code == 0
    again = ibctl("undo", number, "--yes")
    assert again.exit_code == 3
    assert (
        f"change set {number} has been taken back already by change set {number + 1} (tester: ibctl undo"
        in again.stderr
    )
    assert f"`ibctl undo {number + 1}` would bring it back" in again.stderr


def test_what_an_undo_had_to_keep_can_be_taken_back_once_it_is_free(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l1"), lead("l2"))
    sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'l1'")
    assert ibctl("undo", number, "--yes").exit_code == 6
    sql("UPDATE \"Lead\" SET status = 'captured' WHERE id = 'l1'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 0
    assert listed(result)["l2"]["why"].startswith("taken back already by change set")
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]


def test_a_new_row_that_others_point_at_since_is_kept_lest_they_lose_it(sql: Sql, ibctl: Run) -> None:
    number = write(user("ib"))
    sql('INSERT INTO "Lead" (id, "userId", "updatedAt") VALUES (\'l\', \'ib\', now())')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert listed(result)["ib"] == {
        "result": "kept", "table": "User", "id": "ib", "why": "1 row of Lead refers to it and would be cut off",
    }  # fmt: skip
    assert sql('SELECT "userId" FROM "Lead"') == [("ib",)]


def test_a_transfer_does_not_come_back_without_its_lead(sql: Sql, ibctl: Run) -> None:
    write(user("u1"), user("u2"), lead("a", "u1"))
    number = write(
        'UPDATE "Lead" SET "userId" = \'u2\'',
        'INSERT INTO ibctl.lead_transfer (id, "leadId", "toUserId", "effectiveAt", "createdAt")'
        " VALUES ('ta', 'a', 'u2', now(), now())",
    )
    assert ibctl("undo", number, "--yes").exit_code == 0
    sql("DELETE FROM \"User\" WHERE id = 'u2'")
    result = ibctl("undo", number + 1, "--yes", "--format", "json")
    assert result.exit_code == 3
    assert {row["id"]: row["result"] for row in listed(result).values()} == {"a": "failed", "ta": "kept"}
    assert sql("SELECT id FROM ibctl.lead_transfer") == []


@pytest.mark.parametrize("reason", ["edited", "refused"])
def test_a_transfer_of_a_lead_is_taken_back_only_together_with_the_lead(sql: Sql, ibctl: Run, reason: str) -> None:
    write(user("u1"), user("u2"), lead("a", "u1"), lead("b"))
    before = state(sql)
    number = write(
        'UPDATE "Lead" SET "userId" = \'u2\'',
        'INSERT INTO ibctl.lead_transfer (id, "leadId", "toUserId", "effectiveAt", "createdAt")'
        " VALUES ('ta', 'a', 'u2', now(), now()), ('tb', 'b', 'u2', now(), now())",
    )
    after = state(sql)
    if reason == "edited":
        sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'a'")
    else:
        sql("DELETE FROM \"User\" WHERE id = 'u1'")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert set(listed(result)) == {"a", "ta"}
    assert listed(result)["ta"]["why"] == "goes with Lead a, which stays as it is"
    assert sql("SELECT id FROM ibctl.lead_transfer") == [("ta",)]
    assert ibctl("undo", number + 1, "--yes").exit_code == 0
    if reason == "edited":
        sql("UPDATE \"Lead\" SET status = 'captured' WHERE id = 'a'")
        assert state(sql) == after
        assert ibctl("undo", number, "--yes").exit_code == 0
        assert state(sql) == before


# ------------------------------------------------------------------------------------------- what the database refuses


def test_a_lead_with_activities_since_stays_and_the_others_go(sql: Sql, ibctl: Run) -> None:
    number = write(*(lead(f"l{n}") for n in range(20)))
    sql(
        'INSERT INTO "LeadActivity" (id, "leadId", "activityType", "updatedAt")'
        " VALUES ('a', 'l7', 'call', now()), ('b', 'l7', 'call', now())"
    )
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert listed(result) == {
        "l7": {
            "result": "failed", "table": "Lead", "id": "l7",
            "why": "2 rows of LeadActivity refer to it: delete those first",
        }
    }  # fmt: skip
    assert sql('SELECT id FROM "Lead"') == [("l7",)]


def test_a_unique_value_that_somebody_took_since_fails_that_row_only(sql: Sql, ibctl: Run) -> None:
    write(*(lead(f"l{n}", token=f"t{n}") for n in range(9)))
    number = write('UPDATE "Lead" SET "trackingToken" = NULL')
    sql('INSERT INTO "Lead" (id, "trackingToken", "updatedAt") VALUES (\'thief\', \'t4\', now())')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert list(listed(result)) == ["l4"]
    assert (
        listed(result)["l4"]["why"] == 'another row has what must be unique: Key ("trackingToken")=(t4) already exists.'
    )
    assert sql(
        'SELECT count(*) FROM "Lead" WHERE "trackingToken" LIKE \'t%%\'',
    ) == [(9,)]


def test_a_row_whose_owner_is_gone_cannot_be_set_back_to_it(sql: Sql, ibctl: Run) -> None:
    write(user("u"), lead("l", "u"), lead("m"))
    number = write('UPDATE "Lead" SET "userId" = NULL, status = \'x\'')
    sql('DELETE FROM "User"')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert "(u) is not present in table" in listed(result)["l"]["why"]


def test_an_error_that_is_no_refusal_ends_the_undo(sql: Sql, database: str, ibctl: Run) -> None:
    number = write(lead("l"))
    sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN OLD; END'")
    sql('CREATE TRIGGER slow BEFORE DELETE ON "Lead" FOR EACH ROW EXECUTE FUNCTION slow()')
    sql(f'ALTER DATABASE "{database.rpartition("/")[2].partition("?")[0]}" SET statement_timeout = 500')
    result = ibctl("undo", number, "--yes")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "cancelled a statement, nothing was written" in result.stderr
    assert sql('SELECT count(*) FROM "Lead"') == [(1,)]


def test_a_refusal_never_shows_the_row_that_was_refused(sql: Sql, ibctl: Run) -> None:
    write(user("u"))
    number = write("UPDATE \"User\" SET password = '$2b$12$secret-hash' WHERE id = 'u'", 'DELETE FROM "User"')
    sql('ALTER TABLE "User" ADD CONSTRAINT "no_x" CHECK (password <> \'x\')')
    result = ibctl("undo", number, "--yes")
    assert result.exit_code == 3
    assert 'violates check constraint "no_x"' in result.stdout
    assert "2b" not in result.stdout + result.stderr
    assert "Failing row" not in result.stdout + result.stderr


def test_a_table_that_is_gone_is_a_message_and_the_rest_is_undone(sql: Sql, ibctl: Run) -> None:
    template = (
        'INSERT INTO "Workflow" (id, name, "updatedAt") VALUES (:id, \'w\', now())', {"id": "w"},
    )  # fmt: skip
    number = write(template, lead("l"))
    sql('DROP TABLE "Workflow" CASCADE')
    sql(  # as `db upgrade` would find it: the triggers' number is part of what every write checks
        'CREATE TABLE "Dummy" (id text)'
    )
    for kind in ("INSERT", "UPDATE", "DELETE"):
        sql(
            f'CREATE TRIGGER ibctl_capture_{kind.lower()} AFTER {kind} ON "Dummy" FOR EACH STATEMENT'
            " WHEN (false) EXECUTE FUNCTION ibctl.capture()"
        )
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert listed(result)["w"]["why"] == "its table does not exist any more"


def test_columns_that_came_or_went_since_are_a_message(sql: Sql, ibctl: Run) -> None:
    number = write(user("u"), lead("l"))
    sql('ALTER TABLE "Lead" ADD COLUMN notes text')
    sql('ALTER TABLE "Lead" DROP COLUMN broker CASCADE')
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert listed(result)["l"]["why"] == "its table has other columns now (new: notes; gone: broker)"
    assert sql('SELECT count(*) FROM "User"') == [(0,)]


def test_tables_in_a_schema_of_any_name_are_undone(
    empty_database: str, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{empty_database}{'&' if '?' in empty_database else '?'}schema=a%3Ab%25%22c")
    config.use_env_file(None)
    db.forget()
    with db.engine().begin() as connection:
        schema.upgrade(connection, platform_schema=db.address().schema)
    first = write(user("u"), lead("l", "u"))
    number = write("UPDATE \"Lead\" SET status = 'x'", 'DELETE FROM "User"')
    for target in (number, first, number + 2, number + 1):
        result = ibctl("undo", target, "--yes")
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr


# ---------------------------------------------------------------------------------------------- what was paid for


def commission(
    sql: Sql, user_id: str, month: str, status: str, leads: list[str] | None, days: dict[str, str | None] | None = None
) -> str:
    """A commission with (ibctl's own) or without (the web application's) a snapshot; `days` with their rates' ids."""
    year, number = map(int, month.split("-"))
    id_ = f"k-{user_id}-{month}"
    sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "paymentStatus", "updatedAt")'
        " VALUES (%s, %s, %s, %s, %s, now())",
        id_, user_id, number, year, status,
    )  # fmt: skip
    if leads is not None:
        for version in ("old", "new"):
            # Only the current snapshot counts; the old one names every row there is.
            counted = leads if version == "new" else ["not-counted"]
            sql(
                "INSERT INTO ibctl.commission_snapshot VALUES (%s, %s, %s, %s, %s, now(), 0, '{}', '{}', %s, '{}',"
                " '{}', '{}', %s, '{}', '{}', '{}', %s, '{}', '2025-01-01', 'd')",
                f"{version}-{id_}", id_, user_id, year, number, counted, list(days or {}), list((days or {}).values()),
            )  # fmt: skip
        sql("INSERT INTO ibctl.commission_state VALUES (%s, %s)", id_, f"new-{id_}")
    return id_


@pytest.mark.parametrize(
    ("status", "goes"), [("PROCESSING", False), ("PAID", False), ("PENDING", True), ("HELD", True)]
)
def test_a_lead_in_the_snapshot_of_a_paid_month_is_blocked(sql: Sql, ibctl: Run, status: str, goes: bool) -> None:
    write(user("ib", "ib@x.com"))
    number = write(lead("counted", "ib"), lead("not-counted", "ib"))
    commission(sql, "ib", "2025-10", status, ["counted"])
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == (0 if goes else 6)
    if not goes:
        assert listed(result) == {
            "counted": {
                "result": "blocked", "table": "Lead", "id": "counted",
                "why": f"counted in the commission of ib@x.com for 2025-10, which is {status}",
            }
        }  # fmt: skip
    assert sql('SELECT id FROM "Lead"') == ([] if goes else [("counted",)])


def test_a_lead_that_was_moved_away_is_blocked_by_its_former_owners_payment(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), user("other"), lead("l", "ib"))
    number = write('UPDATE "Lead" SET "userId" = \'other\'')
    commission(sql, "ib", "2025-10", "PAID", ["l"])
    assert ibctl("undo", number, "--yes").exit_code == 3
    assert sql('SELECT "userId" FROM "Lead"') == [("other",)]


def test_a_deleted_lead_that_was_paid_for_may_come_back(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), lead("gone", "ib"), lead("changed", "ib"))
    number = write("DELETE FROM \"Lead\" WHERE id = 'gone'", "UPDATE \"Lead\" SET status = 'x'")
    commission(sql, "ib", "2025-10", "PAID", ["gone", "changed"])
    result = ibctl("undo", number, "--yes", "--all", "--format", "json")
    assert result.exit_code == 6
    assert {row["id"]: row["result"] for row in listed(result).values()} == {"gone": "reversed", "changed": "blocked"}


def test_without_a_snapshot_every_lead_of_the_month_counts(
    sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Asia/Dubai")  # the month begins at 20:00 UTC of the day before
    write(user("ib"), user("other"))
    dates = {
        "captured": ("2025-09-30 20:00", None), "before": ("2025-09-30 19:59:59.999", None),
        "qualified": ("2025-08-01", "2025-10-31 19:59:59.999"), "after": ("2025-10-31 20:00", None),
    }  # fmt: skip
    insert = (
        'INSERT INTO "Lead" (id, "userId", "leadCapturedAt", "qualifiedAt", "updatedAt") VALUES (:i, :u, :c, :q, now())'
    )
    number = write(
        *((insert, {"i": i, "u": "ib", "c": c, "q": q}) for i, (c, q) in dates.items()),
        (insert, {"i": "others", "u": "other", "c": "2025-10-10", "q": None}),
    )
    commission(sql, "ib", "2025-10", "PAID", None)
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert set(listed(result)) == {"captured", "qualified"}
    assert {row["result"] for row in listed(result).values()} == {"blocked"}


def test_a_spend_day_and_its_rate_are_blocked_by_the_month_that_paid_them(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), user("app"))
    sql(
        'INSERT INTO "FacebookAdAccount" (id, "userId", "updatedAt")'
        " VALUES ('acc', 'ib', now()), ('acc2', 'app', now())"
    )
    day = (
        'INSERT INTO "AdSpendHistory" (id, "userId", "adAccountId", date, "dailySpend", "updatedAt")'
        " VALUES (:id, :user, :account, :date, 10, now())"
    )
    rate = "INSERT INTO ibctl.exchange_rate VALUES (:id, :date, 'EUR', 'USD', 1.1, 'ECB', now())"
    number = write(
        (day, {"id": "s1", "user": "ib", "account": "acc", "date": "2025-10-01"}),
        (day, {"id": "s2", "user": "ib", "account": "acc", "date": "2025-10-02"}),
        (day, {"id": "w1", "user": "app", "account": "acc2", "date": "2025-10-31"}),
        (day, {"id": "w2", "user": "app", "account": "acc2", "date": "2025-11-01"}),
        (rate, {"id": "r1", "date": "2025-10-01"}),
        (rate, {"id": "r2", "date": "2025-10-02"}),
    )
    commission(sql, "ib", "2025-10", "PROCESSING", [], {"s1": "r1", "elsewhere": None})
    commission(sql, "app", "2025-10", "PAID", None)
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert {row["id"]: row["result"] for row in listed(result).values()} == dict.fromkeys(("s1", "w1", "r1"), "blocked")


def test_a_commission_that_is_paid_now_is_blocked_with_its_snapshot(sql: Sql, ibctl: Run) -> None:
    write(user("ib"), user("ib2"))
    insert = 'INSERT INTO "IbCommission" (id, "userId", month, year, "updatedAt") VALUES (:id, :user, 10, 2025, now())'
    number = write(
        (insert, {"id": "k1", "user": "ib"}), (insert, {"id": "k2", "user": "ib2"}),
        "INSERT INTO ibctl.commission_state VALUES ('k1', 's1'), ('k2', 's2')",
    )  # fmt: skip
    later = write("UPDATE \"IbCommission\" SET \"paymentStatus\" = 'PROCESSING' WHERE id = 'k1'")
    result = ibctl("undo", later, "--yes", "--format", "json")
    assert (result.exit_code, listed(result)["k1"]["result"]) == (3, "blocked")
    result = ibctl("undo", number, "--yes", "--format", "json")
    assert result.exit_code == 6
    assert [(row["table"], row["result"]) for row in json.loads(result.stdout)] == [
        ("commission_state", "blocked"), ("IbCommission", "kept"),
    ]  # fmt: skip
    assert sql("SELECT id FROM ibctl.commission_state") == [("k1",)]
