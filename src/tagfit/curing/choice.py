"""Which of the tried runs a cure delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tagfit.curing.verdict import meets, value
from tagfit.records import Run, Target


def choose(baseline: Run, tried: Sequence[Run], target: Target, error: Callable[[Run], float] = lambda run: 0.0) -> Run:
    """The run to deliver: it never scores below the baseline on val.

    One that meets the target goes before one that does not, where the train band ranks; then the better val score
    counts. Of those within one standard error of the best, the one with the fewest parameters is taken (Breiman et al.,
    "Classification and Regression Trees", 1984). At a tie with the baseline it stays. Runs that did not finish are
    passed over.

    Args:
        error: the standard error of a run's score on val.
    """
    best = ranked([baseline, *_not_below(tried, baseline, target)], target)[0]
    if best is baseline:
        return baseline
    floor = _on_val(best, target) - error(best)
    rank = _rank(best, target)[0]
    near = [
        run
        for run in _not_below(tried, baseline, target)
        if _on_val(run, target) >= floor and _rank(run, target)[0] == rank
    ]
    return min(near, key=lambda run: (run.parameters, -_on_val(run, target)))


def ranked(runs: Sequence[Run], target: Target) -> list[Run]:
    """Those that finished, best first; among equals the earlier, then the smaller."""
    finished = [run for run in runs if run.state == "finished"]
    smallest_first = sorted(finished[1:], key=lambda run: run.parameters)
    return sorted([*finished[:1], *smallest_first], key=lambda run: _rank(run, target), reverse=True)


def _not_below(tried: Sequence[Run], baseline: Run, target: Target) -> list[Run]:
    """What finished and does not score below the baseline on val; as well, only where it alone meets the target."""
    floor = _on_val(baseline, target)
    return [
        run
        for run in tried
        if run.state == "finished" and _on_val(run, target) >= floor and _rank(run, target) > _rank(baseline, target)
    ]


def _rank(run: Run, target: Target) -> tuple[bool, float]:
    return target.train_ranks and meets(run, target), _on_val(run, target)


def _on_val(run: Run, target: Target) -> float:
    """The target's metric on val; below every score where it is undefined."""
    val = value(run, "val", target)
    return -1.0 if val is None else val
