"""Spend days: imported from files, derived, listed, held against invoices; and what the ads cost for a lead."""
