"""The small world that a newcomer meets: two IBs, their pages and ad accounts, a month of figures."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.graph import forms
from tests.fakes.graph.world import Account, World

# Tokens by whom they belong to; `python -m tests.fakes.graph` prints them.
ANNA, BO, CLEO, DEAD = "EAAFAKEanna0001", "EAAFAKEbo0002", "EAAFAKEcleo0003", "EAAFAKEdead0004"


def world() -> World:
    """Anna has three ad accounts, in USD, JPY and HUF; Bo one in EUR; Cleo only a page; Dan's token is dead."""
    made = World()
    made.user("1001", "Anna Lindqvist")
    made.user("1002", "Bo Jensen", declined=["business_management"])
    made.user("1003", "Cleo Marin", only=["public_profile", "pages_show_list"])
    made.user("1004", "Dan Ost")
    made.token(ANNA, "1001", days=1 / 24)
    made.token(BO, "1002", days=1 / 24)
    made.token(CLEO, "1003", days=1 / 24)
    made.token(DEAD, "1004", dead=460)
    made.page("7700", "Lindqvist Trading", "1001")
    made.page("7701", "Marin Signals", "1003")
    made.business("5500", "Lindqvist Ltd", "1001")
    made.account("900", "1001", "Lindqvist USD", timezone="America/New_York", business="5500")
    made.account("901", "1001", "Lindqvist Japan", currency="JPY", timezone="Asia/Tokyo", business="5500")
    made.account("902", "1001", "Lindqvist Hungary", currency="HUF", timezone="Europe/Budapest", status=3)
    made.account("910", "1002", "Bo EUR", currency="EUR", timezone="Europe/Copenhagen")
    for number, account in enumerate(made.accounts.values()):
        _fill(made, account, number)
    forms.form(made, "7700", "Learn forex", id_="880011")
    for number, name in enumerate(("Ada Novak", "Ben Okoro", "Chloé Petit")):
        answers = {"full_name": name, "email": f"{name.split()[0].lower()}@example.org", "experience": "none yet"}
        forms.lead(made, "880011", answers, ago=86_400 * (number + 1))
    forms.post(made, "7700", "1001")
    return made


def _fill(made: World, account: Account, number: int) -> None:
    """Forty days of figures, the same on every start, from two campaigns of which one is archived."""
    live = made.campaign(account.id, f"{account.name}: leads", daily_budget="5000")
    archived = made.campaign(account.id, f"{account.name}: old", status="ARCHIVED")
    scale = {"JPY": 150, "HUF": 350}.get(account.currency, 1)
    for back in range(40):
        if back % 9 == 8:
            continue  # a day without delivery has no row
        day = account.today() - timedelta(days=back)
        cents = 1500 + (back * 137 + number * 911) % 4000
        spend = f"{cents * scale // 100}" if scale > 1 else f"{cents / 100:.2f}"
        account.spent(
            day, spend, campaign=live, impressions=1000 + 37 * back, clicks=12 + back % 7,
            actions={"lead": back % 4, "complete_registration": back % 2, "link_click": 9},
        )  # fmt: skip
        account.spent(day, str(scale), campaign=archived, impressions=50, clicks=1)
