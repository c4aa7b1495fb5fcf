"""The checks of a diagnosis, one a file."""
