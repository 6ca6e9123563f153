"""What people filled in at Facebook's lead forms, taken in as leads."""
