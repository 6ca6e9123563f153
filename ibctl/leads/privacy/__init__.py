"""Erasing persons: from the tables, the record of changes, and what people wrote about them."""
