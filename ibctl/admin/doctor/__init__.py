"""The check-up: where each setting came from, whether the database answers and is ready, whether the key fits."""
