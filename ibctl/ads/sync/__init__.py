"""Spend from Facebook: which days are read, what counts of them, how they are written; restatements and checks."""
