"""`python -m ibctl`."""

from ibctl.cli import main

main()
