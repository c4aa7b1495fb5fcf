"""How often a test part has been scored: a file in the cache for each lock, with an entry for each run.

A test part that many runs have scored is no longer new to whoever compares their scores. The same command scores the
same again, and counts once. What was done on other machines, or before the cache was cleared, is not known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from tagfit.io.cache import keep, kept

#: runs that are kept by lock
MOST = 10_000


def scored(lock: str, command: Mapping[str, object]) -> int:
    """Note that the run of `command` scores the test part of `lock`; which one it is, from 1."""
    name = f"tagfit-tests-{lock[:32]}.json"
    run = hashlib.sha256(json.dumps(command, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    runs = _runs(kept(name))
    if run not in runs:
        runs = [*runs[-MOST:], run]
        keep(name, json.dumps(runs))
    return runs.index(run) + 1


def _runs(content: bytes | None) -> list[str]:
    """None of a file that is not what was written."""
    try:
        runs = json.loads(content or b"[]")
    except ValueError:
        return []
    return runs if isinstance(runs, list) and all(isinstance(run, str) for run in runs) else []


def sentences(number: int | None) -> tuple[str, ...]:
    """What is to be said of a run that is not the first."""
    if number is None or number < 2:
        return ()
    return (
        f"Test of this data has been scored by {number - 1:,} other run{'s' if number > 2 else ''} before: whoever "
        "picks one of them by its score there chooses by test, which then flatters.",
    )
