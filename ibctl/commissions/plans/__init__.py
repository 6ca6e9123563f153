"""Plans: the terms on which IBs are paid, by versions; what boundaries pay, and what months would have cost."""
