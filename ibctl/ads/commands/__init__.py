"""`ibctl ads`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

SPEND = {
    "import": ("ibctl.ads.commands.days", "Import daily ad spend from a file, your own or Facebook's export."),
    "list": ("ibctl.ads.commands.days", "List spend by account and day, newest first."),
    "export": ("ibctl.ads.commands.days", "Write all spend days with all columns, as CSV that can be imported."),
    "report": ("ibctl.ads.commands.spend", "Show what the ads cost, for a lead (cpl) and a qualified lead (cpql)."),
    "check": ("ibctl.ads.commands.spend", "Check the stored spend: by itself, and against Facebook."),
    "reconcile": ("ibctl.ads.commands.spend", "Hold Facebook's invoices against the stored spend."),
    "restatements": (
        "ibctl.ads.commands.sync",
        "List what Facebook came to tell otherwise about stored days, newest first.",
    ),
}
CAMPAIGNS = {
    "create": ("ibctl.ads.commands.create", "Make a campaign from a template: campaign, ad set, creative and ad."),
    "list": ("ibctl.ads.commands.campaigns", "List campaigns as the last sync saw them, newest first."),
    "show": ("ibctl.ads.commands.campaigns", "Show a campaign with all that is known of it."),
    "sync": (
        "ibctl.ads.commands.campaigns",
        "Take over what Facebook knows of all campaigns, archived and deleted ones too.",
    ),
    "pause": (
        "ibctl.ads.commands.switch",
        "Stop campaigns, with everything under them; --account stops all of an account.",
    ),
    "resume": ("ibctl.ads.commands.switch", "Let campaigns run again; asks, since they spend."),
    "archive": ("ibctl.ads.commands.switch", "End campaigns for good: an archived one cannot run again. Asks."),
}
PLACES = {
    "sync": ("ibctl.ads.commands.sync", "Read daily spend of the connected accounts from Facebook."),
    "spend": ("ibctl.ads.commands:spend", "What each ad account spent on each day."),
    "accounts": (
        "ibctl.ads.commands.accounts:app",
        "Facebook ad accounts: connect them, see how far their set-up goes.",
    ),
    "tokens": ("ibctl.ads.commands.tokens:app", "Facebook tokens: how long they hold, and making them last."),
    "templates": ("ibctl.ads.commands.templates:app", "Templates of campaigns: kept, checked, published."),
    "campaigns": ("ibctl.ads.commands:campaigns", "Campaigns: made, switched, and what they bring."),
    "boost": ("ibctl.ads.commands.create", "Promote a page's post for some days."),
}
spend = lazy.Group(SPEND, help="What each ad account spent on each day.")
campaigns = lazy.Group(CAMPAIGNS, help="Campaigns: made, switched, and what they bring.")
group = lazy.Group(PLACES, help="Facebook: ad accounts, spend, campaigns.")
