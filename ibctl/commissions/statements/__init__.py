"""What an IB is given in hand: its account in a month, and a dossier with which it recalculates the month alone."""
