"""`ibctl leads`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

PLACES = {
    "import": (
        "ibctl.leads.import_command",
        "Import leads from a file: create new ones, or update those that are there.",
    ),
    "imports": (
        "ibctl.leads.imports_commands:imports_app",
        "What was imported: batches, refused rows, mappings of sources.",
    ),
    "list": (
        "ibctl.leads.lead_commands",
        "List leads, the newest first. Months and days begin in the platform's time zone.",
    ),
    "show": ("ibctl.leads.lead_commands", "Show a lead: its fields, activities, MT5 accounts, and the last changes."),
    "add": ("ibctl.leads.lead_commands", "Add a lead. It needs an email, a phone or a tracking token."),
    "edit": ("ibctl.leads.lead_commands", "Set or empty fields of a lead. The total follows from the two sums earned."),
    "set-status": ("ibctl.leads.lead_commands", "Set the status of leads."),
    "export": ("ibctl.leads.lead_commands", "Write all leads with all columns, as CSV that can be imported."),
    "programmes": (
        "ibctl.leads.qualification_commands:programmes_app",
        "What brokers ask of a lead, and what they pay for it.",
    ),
    "qualify": ("ibctl.leads.qualification_commands", "Let leads qualify that have met their broker's terms."),
    "progress": ("ibctl.leads.qualification_commands", "Show how far a lead is from qualifying, or by what it has."),
    "assign": ("ibctl.leads.ownership_commands", "Give leads to an IB, share them among IBs, or take them away."),
    "transfer": ("ibctl.leads.ownership_commands", "Hand leads over to another IB from a day on."),
    "dupes": ("ibctl.leads.duplicate_commands", "Find leads that are probably one person."),
    "merge": ("ibctl.leads.duplicate_commands", "Merge leads that are one person into the one named first."),
    "funnel": ("ibctl.leads.funnel_commands", "Show how many leads were contacted, made a deposit, traded, qualified."),
    "activity": ("ibctl.leads.activity_commands:activity_app", "What happened to a lead: note it down, look at it."),
    "anonymize": ("ibctl.leads.privacy_commands", "Erase the persons behind leads. This cannot be undone."),
}
group = lazy.Group(PLACES, help="Leads: import, look at, assign and export them.")
