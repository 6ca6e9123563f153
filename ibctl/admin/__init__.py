"""The tool's own housekeeping: the database and its schema, secrets, the audit record and undo, checks, the demo.

The platform's schema belongs to the web application: ibctl adds nothing to it but the triggers that record its own
writes. Whatever else it needs lies in schema `ibctl`.
"""
