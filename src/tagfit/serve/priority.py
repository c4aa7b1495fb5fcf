"""The loop goes first: refusals and health have to be said at once, however busy the cores are."""

from __future__ import annotations

import os
import sys

#: steps of niceness
_BACK = 5


def step_back() -> None:
    """Give this thread, and the threads and processes that it will start, a lower priority: on Linux, by thread."""
    if sys.platform == "linux":
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, min(19, mine + _BACK))
