"""`python -m tagfit`."""

from tagfit.cli import main

main()
