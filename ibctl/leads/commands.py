"""`ibctl leads`: where each of its commands is."""

from __future__ import annotations

from ibctl import lazy

PLACES = {
    "import": "ibctl.leads.import_command",
    "imports": "ibctl.leads.imports_commands:imports_app",
    "list": "ibctl.leads.lead_commands",
    "show": "ibctl.leads.lead_commands",
    "add": "ibctl.leads.lead_commands",
    "edit": "ibctl.leads.lead_commands",
    "set-status": "ibctl.leads.lead_commands",
    "export": "ibctl.leads.lead_commands",
    "programmes": "ibctl.leads.qualification_commands:programmes_app",
    "qualify": "ibctl.leads.qualification_commands",
    "progress": "ibctl.leads.qualification_commands",
    "assign": "ibctl.leads.ownership_commands",
    "transfer": "ibctl.leads.ownership_commands",
    "dupes": "ibctl.leads.duplicate_commands",
    "merge": "ibctl.leads.duplicate_commands",
    "funnel": "ibctl.leads.funnel_commands",
    "activity": "ibctl.leads.activity_commands:activity_app",
    "anonymize": "ibctl.leads.privacy_commands",
}
group = lazy.Group(PLACES, help="Leads: import, look at, assign and export them.")
