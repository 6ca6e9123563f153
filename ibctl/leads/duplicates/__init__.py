"""Leads that are one person: finding and merging them."""
