"""Whose leads these are: handing them out, and handing them over from a day on."""
