"""Campaigns: kept as Facebook has them, made, switched."""
