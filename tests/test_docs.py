"""README and CONTRIBUTING say what is: commands, options, settings, files, links."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ibctl import config
from tests.conftest import ROOT
from tests.test_cli import commands, root

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Typer's own, those of other programs, and of the server of `tests/fakes`.
FOREIGN = {"--help", "--cov", "--insert", "--latency", "--fail", "--on"}


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Every command → its options."""
    return {
        " ".join(path): {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for path, found in commands(root())
    }


def named(line: str, known: dict[str, set[str]]) -> Iterator[str]:
    """The commands in a line, wherever arguments begin."""
    for found in re.findall(r"\bibctl((?: [a-z][a-z-]*)+)", line):
        words = found.split()
        while words and " ".join(words) not in known:
            words.pop()
        if words:
            yield " ".join(words)


def test_a_command_is_named_with_options_that_it_has(options: dict[str, set[str]]) -> None:
    everywhere = {name for parameter in root().params for name in parameter.opts}
    lines = [(line, [*named(line, options)]) for line in README.replace("\\|", "|").splitlines()]
    assert sum(len(found) for _, found in lines) > len(options)
    for line, found in lines:
        # Where a line names no command, it may be about those of its section.
        known = set().union(*(options[one] for one in found or options), everywhere, FOREIGN)
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) <= known, line


def test_each_setting_stands_in_the_readme_in_the_order_of_doctor() -> None:
    table = README[README.index("| setting | |") :].partition("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])]
    assert [name for name in names if name != "IBCTL_NO_COLOR"] == [*config.SETTINGS]


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]*)\)", text):
        there = target.startswith("https://") or target.removeprefix("#") in anchors or (ROOT / target).exists()
        assert there, target


def test_a_file_that_is_named_is_there() -> None:
    tops = ("ibctl", "migrations", "tests", "examples")
    files = {f"/{path.relative_to(ROOT)}" for top in tops for path in (ROOT / top).rglob("*")}
    code = re.findall(r"[` (]((?:[a-z_]+/)+[\w-]+\.(?:py|toml|sql))\b", CONTRIBUTING)
    data = re.findall(r"[` (](examples/[\w.-]+[\w])", README)
    assert len(code) > 10
    assert len(data) > 10
    # What an import writes beside its file is there afterwards.
    named = {f"/{path}" for path in [*code, *data] if not path.endswith(".rejects.csv")}
    assert [path for path in named if not any(file.endswith(path) for file in files)] == []


def test_the_map_has_every_module_and_folder() -> None:
    drawn = CONTRIBUTING[CONTRIBUTING.index("    ibctl/\n") :].partition("\n    migrations/")[0]
    for path in (ROOT / "ibctl").iterdir():
        if not path.name.startswith(("_", ".", "py.typed")):
            assert path.name in drawn.replace("/", " ").split(), path.name
