"""Connected ad accounts and their tokens: how far each set-up goes, and what is wrong with one."""
