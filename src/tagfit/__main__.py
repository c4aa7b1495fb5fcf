"""`python -m tagfit`."""

from tagfit.cli.main import main

main()
