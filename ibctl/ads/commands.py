"""`ibctl ads`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

SPEND = {
    "import": "ibctl.ads.day_commands",
    "list": "ibctl.ads.day_commands",
    "export": "ibctl.ads.day_commands",
    "report": "ibctl.ads.spend_commands",
    "check": "ibctl.ads.spend_commands",
    "reconcile": "ibctl.ads.spend_commands",
    "restatements": "ibctl.ads.sync_commands",
}
CAMPAIGNS = {
    "create": "ibctl.ads.create_commands",
    "list": "ibctl.ads.campaign_commands",
    "show": "ibctl.ads.campaign_commands",
    "sync": "ibctl.ads.campaign_commands",
    "pause": "ibctl.ads.switch_commands",
    "resume": "ibctl.ads.switch_commands",
    "archive": "ibctl.ads.switch_commands",
}
PLACES = {
    "sync": "ibctl.ads.sync_commands",
    "spend": "ibctl.ads.commands:spend",
    "accounts": "ibctl.ads.account_commands:app",
    "tokens": "ibctl.ads.token_commands:app",
    "templates": "ibctl.ads.template_commands:app",
    "campaigns": "ibctl.ads.commands:campaigns",
    "boost": "ibctl.ads.create_commands",
}
spend = lazy.Group(SPEND, help="What each ad account spent on each day.")
campaigns = lazy.Group(CAMPAIGNS, help="Campaigns: made, switched, and what they bring.")
group = lazy.Group(PLACES, help="Facebook: ad accounts, spend, campaigns.")
