"""`ibctl ads templates`, as it is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ibctl.ads.templates import files as template_files
from tests.ads.conftest import Ads, Sql
from tests.ads.templates.test_template_rules import CLEAN, DOCUMENTED
from tests.conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A file with data that keep to every rule."""
    return write(tmp_path / "clean.json", CLEAN)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def add(ibctl: Run, file: Path, *arguments: str, name: str = "US leads") -> Result:
    return ibctl("ads", "templates", "add", name, "--file", file, "--category", "lead_generation", *arguments)


def stored(sql: Sql, columns: str = '"isActive", "isPublic", "templateData"') -> list[tuple[Any, ...]]:
    return sql(f'SELECT name, {columns} FROM "AdTemplate" ORDER BY name')


@pytest.mark.parametrize("command", ["add", "lint"])
def test_a_file_without_a_template_is_3(sql: Sql, ibctl: Run, tmp_path: Path, command: str) -> None:
    run = ibctl("ads", "templates", command, "--file", write(tmp_path / "empty.json", []))
    assert (run.exit_code, run.stderr) == (3, f"Error: {tmp_path}/empty.json holds no template: it is an empty list\n")


def test_a_template_comes_from_a_file_and_is_not_offered_yet(sql: Sql, ibctl: Run, clean: Path) -> None:
    run = add(ibctl, clean)
    assert (run.exit_code, run.stdout) == (0, "")
    assert run.stderr == "added US leads; change set 1, `ibctl undo 1` takes it back\n"
    assert stored(sql) == [("US leads", False, True, CLEAN)]


def test_the_documented_example_is_added_and_told_what_is_wrong_with_it(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    run = add(ibctl, write(tmp_path / "t.json", DOCUMENTED))
    assert (run.exit_code, stored(sql)) == (0, [("US leads", False, True, DOCUMENTED)])
    assert "breaks rules (errors: 2, warnings: 1): `ibctl ads templates lint 'US leads'` explains" in run.stderr


def test_data_that_do_not_fit_are_refused_with_their_place(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    run = add(ibctl, write(tmp_path / "t.json", {**CLEAN, "dailyBuget": 5}))
    assert (run.exit_code, stored(sql)) == (3, [])
    assert "the data of 'US leads' do not fit: dailyBuget: is no key that a template has here" in run.stderr


def test_a_template_needs_a_name_and_a_category(sql: Sql, ibctl: Run, clean: Path) -> None:
    assert ibctl("ads", "templates", "add", "--file", clean, "--category", "awareness").exit_code == 2
    run = ibctl("ads", "templates", "add", "A", "--file", clean)
    assert (run.exit_code, "--category lead_generation|conversion|awareness" in run.stderr) == (2, True)
    assert stored(sql) == []


def test_a_name_is_taken_once_in_whatever_case(sql: Sql, ibctl: Run, clean: Path) -> None:
    add(ibctl, clean)
    run = add(ibctl, clean, name="us LEADS")
    assert (run.exit_code, "there is a template 'us LEADS' already" in run.stderr) == (3, True)
    add(ibctl, clean, name="Other")
    assert ibctl("ads", "templates", "edit", "Other", "--name", "US leads").exit_code == 3
    assert [name for name, *_ in stored(sql)] == ["Other", "US leads"]


def test_who_made_it_is_an_administrator(sql: Sql, ads: Ads, ibctl: Run, clean: Path) -> None:
    assert "that account's role is IB" in add(ibctl, clean, "--created-by", "anna@x.y").stderr
    admin = ads.user("root@x.y")
    sql("UPDATE \"User\" SET role = 'ADMIN' WHERE id = %s", admin)
    assert add(ibctl, clean, "--created-by", "root@x.y").exit_code == 0
    assert stored(sql, '"createdBy"') == [("US leads", admin)]


def test_publishing_asks_for_the_rules_and_can_let_one_pass(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    add(ibctl, write(tmp_path / "t.json", {**CLEAN, "adCopy": "We do not offer CFDs"}))
    run = ibctl("ads", "templates", "publish", "US leads")
    assert (run.exit_code, stored(sql, '"isActive"')) == (3, [("US leads", False)])
    assert (
        "first prohibited-product at adCopy: 'cfds': Facebook takes no ads for contracts for difference" in run.stderr
    )
    assert "--allow prohibited-product lets it pass" in run.stderr
    assert "there is no rule 'cfd'" in ibctl("ads", "templates", "publish", "US leads", "--allow", "cfd").stderr
    run = ibctl("ads", "templates", "publish", "US leads", "--allow", "prohibited-product", "--reason", "a disclaimer")
    assert (run.exit_code, stored(sql, '"isActive"')) == (0, [("US leads", True)])


def test_publish_and_unpublish_write_once_and_can_be_taken_back(sql: Sql, ibctl: Run, clean: Path) -> None:
    add(ibctl, clean)
    assert "published US leads; change set 2" in ibctl("ads", "templates", "publish", "us leads").stderr
    assert ibctl("ads", "templates", "publish", "US leads").stderr == "nothing to do: published already\n"
    assert "unpublished US leads" in ibctl("ads", "templates", "unpublish", "US leads").stderr
    assert stored(sql, '"isActive"') == [("US leads", False)]
    ((last,),) = sql("SELECT max(id) FROM ibctl.change_set")
    ibctl("undo", str(last), "--yes")
    assert stored(sql, '"isActive"') == [("US leads", True)]


def test_a_published_template_cannot_be_made_one_that_breaks_rules(sql: Sql, ibctl: Run, clean: Path) -> None:
    add(ibctl, clean, "--publish")
    run = ibctl("ads", "templates", "edit", "US leads", "--set", "adCopy=Guaranteed profit")
    assert (run.exit_code, "promised-profit" in run.stderr) == (3, True)
    assert stored(sql) == [("US leads", True, True, CLEAN)]


def test_single_places_are_changed_and_the_rest_stays(sql: Sql, ibctl: Run, clean: Path) -> None:
    add(ibctl, clean)
    edit = ("ads", "templates", "edit", "US leads", "--set", "dailyBudget=75.5", "--unset", "headline", "--private")
    assert "dry run" in ibctl(*edit, "--dry-run").stderr
    assert stored(sql) == [("US leads", False, True, CLEAN)]
    assert ibctl(*edit).exit_code == 0
    after = {key: value for key, value in CLEAN.items() if key != "headline"}
    assert stored(sql) == [("US leads", False, False, {**after, "dailyBudget": 75.5})]
    assert "nothing to do" in ibctl("ads", "templates", "edit", "US leads", "--set", "dailyBudget=75.5").stderr
    assert ibctl("ads", "templates", "edit", "US leads").exit_code == 2


def test_what_export_writes_add_reads(sql: Sql, ibctl: Run, clean: Path, tmp_path: Path) -> None:
    add(ibctl, clean, "--description", "Für alle", "--thumbnail-url", "https://x.y/a.png", "--private", "--publish")
    add(ibctl, clean, name="Zwei")
    before = stored(sql, 'description, category, "thumbnailUrl", "isPublic", "templateData"')
    assert ibctl("ads", "templates", "export", "--output", tmp_path / "all.json").exit_code == 0
    sql('DELETE FROM "AdTemplate"')
    run = ibctl("ads", "templates", "add", "--file", tmp_path / "all.json")
    assert run.exit_code == 0, run.stderr
    assert stored(sql, 'description, category, "thumbnailUrl", "isPublic", "templateData"') == before
    assert stored(sql, '"isActive"') == [("US leads", False), ("Zwei", False)]
    assert set(json.loads(ibctl("ads", "templates", "export", "Zwei").stdout)[0]) == set(template_files.KEYS)


def test_a_file_of_several_is_added_whole_or_not_at_all(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    good = {"name": "A", "category": "awareness", "templateData": CLEAN}
    both = write(tmp_path / "two.json", [good, {**good, "name": "B", "templateData": {}}])
    run = ibctl("ads", "templates", "add", "--file", both)
    assert (run.exit_code, "the data of 'B' do not fit" in run.stderr, stored(sql)) == (3, True, [])
    assert ibctl("ads", "templates", "add", "C", "--file", both).exit_code == 2


def test_list_filters_and_show_has_everything(sql: Sql, ibctl: Run, clean: Path) -> None:
    add(ibctl, clean, "--publish")
    add(ibctl, clean, name="Draft")
    assert ibctl("ads", "templates", "list", "--published", "-f", "csv", "--columns", "name,dailyBudget").stdout == (
        "name,dailyBudget\nUS leads,50\n"
    )
    assert "no templates" in ibctl("ads", "templates", "list", "--category", "awareness").stderr
    run = ibctl("ads", "templates", "show", "us leads")
    assert "dailyBudget" in run.stdout
    assert "50.00" in run.stdout
    assert '    "age_min": 18' in run.stdout
    assert "Facebook is sent OUTCOME_LEADS for LEAD_GENERATION" in run.stderr
    (row,) = json.loads(ibctl("ads", "templates", "show", "us leads", "-f", "json").stdout)
    assert (row["templateData"], row["usageCount"]) == (CLEAN, 0)
    assert "did you mean US leads?" in ibctl("ads", "templates", "show", "leads").stderr


def test_lint_names_rule_place_and_source_and_ends_with_7(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    add(ibctl, write(tmp_path / "t.json", {**CLEAN, "headline": "Binary options"}))
    run = ibctl("ads", "templates", "lint")
    assert run.exit_code == 7
    assert "prohibited-product   headline" in run.stdout
    assert "transparency.meta.com/policies/ad-standards/deceptive-content/prohibited-financial" in run.stdout
    assert run.stderr == "errors: 1, warnings: 0\n"
    (row,) = json.loads(ibctl("ads", "templates", "lint", "-f", "json").stdout)
    assert (row["template"], row["severity"], row["place"]) == ("US leads", "error", "headline")


def test_lint_judges_a_file_before_it_is_added_and_budgets_by_an_accounts_currency(
    ads: Ads, ibctl: Run, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.json", {**CLEAN, "dailyBudget": 50.5})
    assert ibctl("ads", "templates", "lint", "--file", path).exit_code == 0
    ads.account(ads.user("bo@x.y"), "act_2", currency="JPY")
    run = ibctl("ads", "templates", "lint", "--file", path, "--account", "act_2")
    assert (run.exit_code, "budget-unit" in run.stdout) == (7, True)
    assert ibctl("ads", "templates", "lint", "X", "--file", path).exit_code == 2


def test_warnings_are_findings_only_when_asked(ibctl: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", {**CLEAN, "callToAction": "SHOP_NOW"})
    assert ibctl("ads", "templates", "lint", "--file", path).exit_code == 0
    assert ibctl("ads", "templates", "lint", "--file", path, "--strict").exit_code == 7


def test_lint_finds_what_the_web_application_stored_wrongly(sql: Sql, ibctl: Run) -> None:
    sql(
        'INSERT INTO "AdTemplate" (id, name, category, "templateData", "updatedAt")'
        """ VALUES ('t1', 'Odd', 'other', '{"dailyBudget": "50"}', now())"""
    )
    run = ibctl("ads", "templates", "lint", "-f", "json")
    assert run.exit_code == 7
    assert {(row["rule"], row["place"]) for row in json.loads(run.stdout)} == {
        ("schema", place) for place in ("targeting", "adCopy", "objective", "dailyBudget")
    }
    assert ibctl("ads", "templates", "list").exit_code == 0
    assert ibctl("ads", "templates", "show", "Odd").exit_code == 0


def test_the_rules_themselves_are_shown_with_their_sources(ibctl: Run) -> None:
    rules = json.loads(ibctl("ads", "templates", "lint", "--rules", "-f", "json").stdout)
    assert len(rules) == 15
    assert all(rule["meaning"] and rule["source"] for rule in rules)


def test_a_file_that_cannot_be_read_is_one_line(ibctl: Run, tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes('{"adCopy": "für"}'.encode("latin-1"))
    for name, message in (("none.json", "No such file"), ("latin.json", "is not UTF-8 text")):
        run = ibctl("ads", "templates", "lint", "--file", tmp_path / name)
        assert (run.exit_code, message in run.stderr) == (3, True)


def test_a_template_can_be_read_from_stdin(sql: Sql, ibctl: Run) -> None:
    run = ibctl(
        "ads", "templates", "add", "A", "--file", "-", "--category", "awareness", input=json.dumps(CLEAN)
    )  # fmt: skip
    assert (run.exit_code, len(stored(sql))) == (0, 1)
