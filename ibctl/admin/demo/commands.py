"""`ibctl demo`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ibctl import db, errors, output, resources
from ibctl.admin.demo import service
from ibctl.errors import IbctlError, UsageError

app = typer.Typer(add_completion=False)

MONTH = "2025-10"
WIDTH = 78
MEANINGS = {
    3: "the request could not be carried out", errors.PARTIAL: "done in part",
    errors.FINDINGS: "a check found something",
}  # fmt: skip
# Ctrl-C ends the demo, too, and so do a closed pipe (`ibctl demo | head`), SIGTERM and SIGHUP.
ENDINGS = (errors.INTERRUPTED, 141, 143, 129)


@dataclass(frozen=True)
class Step:
    """A command as a user would type it, what to look at in what it says, and how it has to end."""

    look: str
    arguments: list[str]
    exit_code: int = 0


@app.command()
def demo(
    ctx: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server and its data, to play with.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Remove what --keep left, and do nothing else.")] = False,
) -> None:
    """See a month from CSV files to commissions, on a server of its own.

    The real commands run on made-up data, one after the other, with a word
    on what to look at. Your own database and .env file are not touched.
    Takes some five seconds.
    """
    if keep and reset:
        raise UsageError("--keep and --reset exclude each other")
    place = service.demo()
    if reset:
        gone = service.remove(place)
        output.note(f"the demo in {place.folder} has been removed" if gone else "there is no demo to remove")
        return
    hidden, kept = service.overriding(os.environ), place.env_file.exists()
    with service.running(place, keep=keep, no_color=bool(ctx.find_root().params.get("no_color"))):
        output.say(f"PostgreSQL runs in {place.folder}; your own database is not touched.")
        if kept:
            output.say("It is a new one: what an earlier `ibctl demo --keep` left is gone.")
        _tell(ctx.find_root().command, place)
    _say_how_to_go_on(place, keep=keep, hidden=hidden)


def _tell(root: Any, place: service.Demo) -> None:
    examples = resources.examples_dir()
    # What a terminal shows in one stream is one stream in a file, too.
    with redirect_stderr(sys.stdout):
        for number, step in enumerate(_steps(examples, place), start=1):
            run_step(root, number, step)


def run_step(root: Any, number: int, step: Step) -> None:
    """Show a step and run its command through the real root command `root`.

    Raises typer.Exit when the user ended it, IbctlError when it ended otherwise than the story says.
    """
    output.say("")
    output.heading(f"{number}. {step.look}")
    for line in command_line(["ibctl", *step.arguments]):
        output.say(line)
    sys.stdout.flush()
    try:
        root.main(args=step.arguments, prog_name="ibctl")
        code: Any = 0
    except SystemExit as exc:
        code = exc.code or 0
    sys.stdout.flush()
    if code in ENDINGS:
        raise typer.Exit(code)
    if code != step.exit_code:
        raise IbctlError(
            f"the demo failed: `{shlex.join(['ibctl', *step.arguments])}` ended with exit code {code}, "
            f"not with {step.exit_code}"
        )
    if code:
        output.say(f"[exit code {code}: {MEANINGS[code]}]")


def command_line(words: list[str]) -> Iterator[str]:
    """Write a command as it can be pasted into a shell, over several lines where one is too long."""
    line = "$"
    for word in map(shlex.quote, words):
        if len(line) + len(word) + 3 > WIDTH and line.strip():
            yield f"{line} \\"
            line = "   "
        line += f" {word}"
    yield line


def shown(path: Path) -> str:
    """Return a path as short as it works from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _say_how_to_go_on(place: service.Demo, *, keep: bool, hidden: list[str]) -> None:
    output.say("")
    if not keep:
        output.say("The server has been stopped and its folder removed; `ibctl demo --keep` leaves both.")
        return
    output.heading("The server stays, to play with:")
    output.say(f"  {_without(hidden)}ibctl --env-file {shlex.quote(str(place.env_file))} leads list")
    output.say("  ibctl demo --reset    removes it")


def _without(variables: list[str]) -> str:
    """Write what lets a command run without these variables: the environment wins over an env file."""
    if os.name == "nt":
        return "".join(f"set {name}=& " for name in variables)
    return "".join(["env ", *(f"-u {name} " for name in variables)]) if variables else ""


# ------------------------------------------------------------------------------------------------------------ the story


def _steps(examples: Path, place: service.Demo) -> Iterator[Step]:
    """Yield the steps; each begins when the one before has ended, and may name what that one wrote."""
    yield Step("An empty database gets the platform's tables, and ibctl's own schema.", ["db", "upgrade"])
    users, accounts = service.put_platform(examples)
    output.say(f"({users} IBs and {accounts} ad accounts are put in, as the web application would have done.)")
    yield Step("These are the IBs.", ["users", "list", "--limit", "5"])
    yield from _imports(examples, place)
    yield from _month(examples, place)
    yield from _correction()
    yield from _plan(examples)
    yield from _payout(examples, place)
    yield from _afterwards()


def _imports(examples: Path, place: service.Demo) -> Iterator[Step]:
    leads = shown(examples / "leads.csv")
    yield Step(
        "Leads from a file: good rows are in, bad ones are refused with a reason.",
        ["leads", "import", leads, "--rejects", shown(place.files / "leads.rejects.csv")],
        errors.PARTIAL,
    )
    yield Step("The same file again: nothing is written twice.", ["leads", "import", leads])
    yield Step(
        "A partner's file with words of its own; a dry run shows what would be done.",
        [
            "leads", "import", shown(examples / "leads-partner.csv"), "--source", "webinar", "--dry-run",
            "--rejects", shown(place.files / "partner.rejects.csv"),
        ],
        errors.PARTIAL,
    )  # fmt: skip
    yield Step(
        "What the ad accounts spent, day by day.",
        [
            "ads", "spend", "import", shown(examples / "spend.csv"), "--rejects",
            shown(place.files / "spend.rejects.csv"),
        ],
        errors.PARTIAL,
    )  # fmt: skip


def _month(examples: Path, place: service.Demo) -> Iterator[Step]:
    run = ["commissions", "run", "--month", MONTH]
    yield Step(
        "The month's commissions. Some spend is in EUR and JPY: no rate is guessed.", run, errors.RequestError.exit_code
    )
    yield Step("So the rates come first.", ["commissions", "rates", "import", shown(examples / "rates.csv")])
    yield Step("Now the month can be calculated.", run)
    columns = "email,qualifiedLeads,totalPayout,paymentStatus"
    yield Step(
        "What is to be paid, the highest first; --columns picks what to see.",
        ["commissions", "list", "--month", MONTH, "--limit", "8", "--columns", columns],
    )
    yield Step(
        "Why one IB gets what it gets, to the cent: each lead, each day of spend.",
        ["commissions", "explain", service.SMALL_IB, MONTH],
    )
    yield Step(
        "And why the others do not count: each lead has its reason.",
        ["commissions", "why-not", service.SMALL_IB, MONTH, "--limit", "3"],
    )
    yield Step(
        "The whole month for the accountant, every column.",
        ["commissions", "export", "--month", MONTH, "--output", shown(place.files / f"{MONTH}.csv")],
    )


def _correction() -> Iterator[Step]:
    run = ["commissions", "run", "--month", MONTH]
    yield Step("A broker takes back a part of what it paid for a lead.", _edit("broker statement of 3 November"))
    with db.reading() as session:
        correction = service.newest_change_set(session)
    yield Step("Who changed what, and why: the database has kept it.", ["audit", "show", str(correction)])
    yield Step("The month again: one commission is updated, the others stay as they were.", run)
    yield Step(
        "All that was written so far: how many rows, with which command.",
        ["audit", "list", "--columns", "id,actor,rows,command"],
    )
    yield Step(
        "The statement was wrong. Whatever one command wrote can be taken back.", ["undo", str(correction), "--yes"]
    )
    yield Step("The month once more: the total is what it was in the beginning.", run)


def _edit(reason: str) -> list[str]:
    with db.reading() as session:
        lead = service.lead_to_correct(session, service.SMALL_IB)
    return ["leads", "edit", lead, "--cpa-earned", "250", "--reason", reason]


def _plan(examples: Path) -> Iterator[Step]:
    plan, month = shown(examples / "plan-starter.toml"), ["--from", MONTH, "--to", MONTH]
    yield Step(
        "What a plan with tiers and a bonus would cost; nothing is written.",
        ["commissions", "simulate", "--plan", plan, *month, "--limit", "5"],
    )
    yield Step(
        "That is too much for everybody, but the plan is kept for one IB,", ["commissions", "plans", "add", plan]
    )
    yield Step(
        "which is paid by it from a month on.",
        ["commissions", "plans", "assign", service.SMALL_IB, "--plan", "starter", "--from", MONTH],
    )
    yield Step("The month by the new plan: one commission is updated.", ["commissions", "run", "--month", MONTH])
    yield Step(
        "Why? The third lead counts at the second tier, and there is a bonus.",
        ["commissions", "explain", service.SMALL_IB, MONTH],
    )


def _payout(examples: Path, place: service.Demo) -> Iterator[Step]:
    yield Step(
        "Where the IBs want their money: checked, encrypted, and shown in part only.",
        [
            "commissions", "payees", "import", shown(examples / "payees.csv"), "--rejects",
            shown(place.files / "payees.rejects.csv"),
        ],
        errors.PARTIAL,
    )  # fmt: skip
    yield Step(
        "A batch of all who are paid by bank: no other batch can pay its rows.",
        ["commissions", "payouts", "create", "--month", MONTH, "--yes"],
        errors.PARTIAL,
    )
    batch = f"{MONTH}-1"
    yield Step(
        "What the bank is to pay, with a manifest of its sums.",
        ["commissions", "payouts", "export", batch, "--output", shown(place.files / "bank")],
    )
    answer = place.files / "bank" / "paid.csv"
    with db.reading() as session:
        service.write_bank_answer(session, batch, answer)
    yield Step(
        "The bank's answer: what it proves is PAID, and what is not right is found.",
        ["commissions", "payouts", "reconcile", batch, shown(answer)],
        errors.FINDINGS,
    )
    yield Step(
        "What the IB is given (also as HTML): its account, and why it gets that.",
        ["commissions", "statement", service.SMALL_IB, MONTH, "--format", "md"],
    )


def _afterwards() -> Iterator[Step]:
    yield Step("Weeks later the broker takes it back after all. What is paid stays as it is,", _edit("chargeback"))
    yield Step(
        "and what it would be today is found, with the change that did it.",
        ["commissions", "drift"],
        errors.FINDINGS,
    )
    yield Step(
        "The difference goes into a month that is open, at the paid month's terms.",
        ["commissions", "true-up", "--yes"],
    )
