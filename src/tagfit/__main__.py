"""`python -m tagfit`, and the program `tagfit`."""

import signal
import threading


def main() -> None:
    """The command line; ctrl-C while it is imported ends the process without a word, as any other program's."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # `cli.stops` takes it over
    from tagfit.cli.main import main as commands

    commands()


if __name__ == "__main__":
    main()
