"""`ibctl leads`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

PLACES = {
    "import": (
        "ibctl.leads.commands.importing",
        "Import leads from a file: create new ones, or update those that are there.",
    ),
    "imports": (
        "ibctl.leads.commands.imports:imports_app",
        "What was imported: batches, refused rows, mappings of sources.",
    ),
    "list": (
        "ibctl.leads.commands.leads",
        "List leads, the newest first. Months and days begin in the platform's time zone.",
    ),
    "show": ("ibctl.leads.commands.leads", "Show a lead: its fields, activities, MT5 accounts, and the last changes."),
    "add": ("ibctl.leads.commands.leads", "Add a lead. It needs an email, a phone or a tracking token."),
    "edit": (
        "ibctl.leads.commands.leads",
        "Set or empty fields of a lead. The total follows from the two sums earned.",
    ),
    "set-status": ("ibctl.leads.commands.leads", "Set the status of leads."),
    "export": ("ibctl.leads.commands.leads", "Write all leads with all columns, as CSV that can be imported."),
    "programmes": (
        "ibctl.leads.commands.qualification:programmes_app",
        "What brokers ask of a lead, and what they pay for it.",
    ),
    "qualify": ("ibctl.leads.commands.qualification", "Let leads qualify that have met their broker's terms."),
    "progress": ("ibctl.leads.commands.qualification", "Show how far a lead is from qualifying, or by what it has."),
    "assign": ("ibctl.leads.commands.ownership", "Give leads to an IB, share them among IBs, or take them away."),
    "transfer": ("ibctl.leads.commands.ownership", "Hand leads over to another IB from a day on."),
    "dupes": ("ibctl.leads.commands.duplicates", "Find leads that are probably one person."),
    "merge": ("ibctl.leads.commands.duplicates", "Merge leads that are one person into the one named first."),
    "funnel": ("ibctl.leads.commands.funnel", "Show how many leads were contacted, made a deposit, traded, qualified."),
    "activity": ("ibctl.leads.commands.activities:activity_app", "What happened to a lead: note it down, look at it."),
    "anonymize": ("ibctl.leads.commands.privacy", "Erase the persons behind leads. This cannot be undone."),
}
group = lazy.Group(PLACES, help="Leads: import, look at, assign and export them.")
