"""A month's commissions: the plan's terms, drafted in SQL for all IBs, in Python for one, stored by a run."""
