"""Processes that were forked: they have none of the threads that their parent had."""

from __future__ import annotations

import os

from tagfit.errors import TagfitError

_user: int | None = None


def demand_own_threads() -> None:
    """Called before threads are used that live as long as the process does: torch's, ONNX Runtime's, those that decode.

    Raises:
        TagfitError: they were used before this process was forked, and would be waited for without an end.
    """
    global _user  # noqa: PLW0603 (of the process, and it has to survive a fork)
    if _user is None:
        _user = os.getpid()
    if _user != os.getpid():
        raise TagfitError(
            "this process was forked after tagfit had trained or predicted, and has none of the threads that do it.\n"
            "Start processes with multiprocessing's 'spawn', or load and use the model in the new process alone "
            "(gunicorn: without --preload)."
        )
