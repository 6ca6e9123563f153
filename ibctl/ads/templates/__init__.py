"""Templates of campaigns: what their data look like, and what Facebook would refuse in them."""
