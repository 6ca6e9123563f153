"""An IB with a connected ad account, a published template, and a lead form: what it takes to make campaigns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ibctl import crypto, ids
from ibctl.ads.campaigns import rules as campaign_rules
from tests.ads.conftest import Ads
from tests.ads.templates.test_template_rules import CLEAN
from tests.conftest import KEY, Result
from tests.fakes.graph import Server, World, forms

TOKEN = "EAAshortTokenOfAnna01"
PAGE, FORM = "7700", "880011"
Run = Callable[..., Result]
CREATED = ("campaign", "adset", "creative", "ad")


@dataclass
class Shop:
    """The account act_900 of anna@x.y, at Facebook and here."""

    ads: Ads
    server: Server
    ibctl: Run

    @property
    def world(self) -> World:
        return self.server.world

    def run(self, *arguments: str, **more: Any) -> Result:
        return self.ibctl("ads", *arguments, **more)

    def create(self, *more: str, name: str = "US 1", template: str = "US leads") -> Result:
        named = ("--template", template, "--account", "act_900", "--name", name)
        where = () if {"--form", "--link"} & set(more) else ("--form", FORM)
        return self.run("campaigns", "create", *named, *where, *more)

    def template(self, name: str, data: dict[str, Any]) -> None:
        self.ads.sql(
            'INSERT INTO "AdTemplate" (id, name, category, "templateData", "updatedAt")'
            " VALUES (%s, %s, 'lead_generation', %s, now())",
            ids.cuid(), name, json.dumps(data),
        )  # fmt: skip

    def connect(self, account: str, token: str = TOKEN) -> None:
        """Connect another of Anna's accounts at Facebook (its id without `act_`)."""
        at_facebook = self.world.accounts[account]
        self.ads.sql(
            'INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", "adAccountName", currency, timezone,'
            ' "accessToken", "pageId", "pageAccessToken", "setupTier", "canBoostPosts", "canCreateCampaigns",'
            ' "isConnected", "updatedAt")'
            """ SELECT %s, id, %s, %s, %s, %s, %s, %s, %s, 3, true, true, true, now() FROM "User" """,
            ids.cuid(), at_facebook.node, at_facebook.name, at_facebook.currency, at_facebook.timezone,
            crypto.encrypt(token, KEY), PAGE, crypto.encrypt(self.world.pages[PAGE].token, KEY),
        )  # fmt: skip

    def at_facebook(self, kind: str, name: str = "US 1") -> list[dict[str, Any]]:
        """What there is at Facebook that bears a campaign's tag."""
        tag = campaign_rules.tag("act_900", name)
        found = self.world.objects.values()
        return [one for one in found if one["kind"] == kind and tag in one.get("name", "")]

    def counts(self, name: str = "US 1") -> list[int]:
        """How many campaigns, ad sets, creatives and ads there are of a name."""
        return [len(self.at_facebook(kind, name)) for kind in CREATED]

    def row(self, columns: str, name: str = "US 1") -> tuple[Any, ...]:
        (found,) = self.ads.sql(f'SELECT {columns} FROM "AdCampaign" WHERE name = %s', name)
        return found

    def uses(self) -> int:
        ((count,),) = self.ads.sql("""SELECT "usageCount" FROM "AdTemplate" WHERE name = 'US leads'""")
        return int(count)


def shop(ads: Ads, server: Server, ibctl: Run) -> Shop:
    """Connect anna@x.y to act_900, publish the template 'US leads', and put a form on her page."""
    ads.sql('DELETE FROM "FacebookAdAccount"')
    world = server.world
    world.user("1001", "Anna")
    world.token(TOKEN, "1001")
    world.page(PAGE, "Anna's page", "1001")
    world.account("900", "1001", "Anna USD", timezone="America/New_York")
    forms.form(world, PAGE, "Learn forex", id_=FORM)
    made = Shop(ads, server, ibctl)
    made.connect("900")
    made.template("US leads", CLEAN)
    return made
