"""`ibctl ads`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

SPEND = {
    "import": ("ibctl.ads.day_commands", "Import daily ad spend from a file, your own or Facebook's export."),
    "list": ("ibctl.ads.day_commands", "List spend by account and day, newest first."),
    "export": ("ibctl.ads.day_commands", "Write all spend days with all columns, as CSV that can be imported."),
    "report": ("ibctl.ads.spend_commands", "Show what the ads cost, for a lead (cpl) and a qualified lead (cpql)."),
    "check": ("ibctl.ads.spend_commands", "Check the stored spend: by itself, and against Facebook."),
    "reconcile": ("ibctl.ads.spend_commands", "Hold Facebook's invoices against the stored spend."),
    "restatements": (
        "ibctl.ads.sync_commands",
        "List what Facebook came to tell otherwise about stored days, newest first.",
    ),
}
CAMPAIGNS = {
    "create": ("ibctl.ads.create_commands", "Make a campaign from a template: campaign, ad set, creative and ad."),
    "list": ("ibctl.ads.campaign_commands", "List campaigns as the last sync saw them, newest first."),
    "show": ("ibctl.ads.campaign_commands", "Show a campaign with all that is known of it."),
    "sync": (
        "ibctl.ads.campaign_commands",
        "Take over what Facebook knows of all campaigns, archived and deleted ones too.",
    ),
    "pause": (
        "ibctl.ads.switch_commands",
        "Stop campaigns, with everything under them; --account stops all of an account.",
    ),
    "resume": ("ibctl.ads.switch_commands", "Let campaigns run again; asks, since they spend."),
    "archive": ("ibctl.ads.switch_commands", "End campaigns for good: an archived one cannot run again. Asks."),
}
PLACES = {
    "sync": ("ibctl.ads.sync_commands", "Read daily spend of the connected accounts from Facebook."),
    "spend": ("ibctl.ads.commands:spend", "What each ad account spent on each day."),
    "accounts": (
        "ibctl.ads.account_commands:app",
        "Facebook ad accounts: connect them, see how far their set-up goes.",
    ),
    "tokens": ("ibctl.ads.token_commands:app", "Facebook tokens: how long they hold, and making them last."),
    "templates": ("ibctl.ads.template_commands:app", "Templates of campaigns: kept, checked, published."),
    "campaigns": ("ibctl.ads.commands:campaigns", "Campaigns: made, switched, and what they bring."),
    "boost": ("ibctl.ads.create_commands", "Promote a page's post for some days."),
}
spend = lazy.Group(SPEND, help="What each ad account spent on each day.")
campaigns = lazy.Group(CAMPAIGNS, help="Campaigns: made, switched, and what they bring.")
group = lazy.Group(PLACES, help="Facebook: ad accounts, spend, campaigns.")
