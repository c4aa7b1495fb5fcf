"""Every option, spelled once: its type, default, meaning and check, and what the command line calls it.

Keyword arguments, commands, the record of a run and the command that repeats it are all made of the records in here.
Each stands beside the TypedDict that shows it to type checkers. Neither NumPy nor torch is imported, so that
`tagfit --help` answers at once.
"""
