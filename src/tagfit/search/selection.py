"""Which of the tried runs a cure delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tagfit.records.runs import Run
from tagfit.records.scores import Target
from tagfit.search.verdict import meets

#: the standard error of the difference between two runs' scores on val
ErrorOf = Callable[[Run, Run], float]


def choose(baseline: Run, tried: Sequence[Run], target: Target, error: ErrorOf = lambda one, other: 0.0) -> Run:
    """The run to deliver: it never scores below the baseline on val.

    One that meets the target goes before one that does not, where the train band ranks; then the better val score
    counts. Of those within one standard error of the best, the one with the fewest parameters is taken (Breiman et al.,
    "Classification and Regression Trees", 1984). At a tie with the baseline it stays. Runs that did not finish are
    passed over.
    """
    better = [run for run in ranked(tried, target) if _goes_before(run, baseline, target)]
    if not better:
        return baseline
    best = better[0]
    near = [
        run
        for run in better
        if _rank(run, target)[0] == _rank(best, target)[0]
        and (run is best or _on_val(best, target) - _on_val(run, target) <= error(best, run))
    ]
    return min(near, key=lambda run: (run.parameters, -_on_val(run, target)))


def ranked(runs: Sequence[Run], target: Target) -> list[Run]:
    """Those that finished, best first; among equals the smaller first."""
    smallest_first = sorted((run for run in runs if run.state == "finished"), key=lambda run: run.parameters)
    return sorted(smallest_first, key=lambda run: _rank(run, target), reverse=True)


def _goes_before(run: Run, baseline: Run, target: Target) -> bool:
    """Whether it is better than the baseline, without scoring below it on val."""
    return _on_val(run, target) >= _on_val(baseline, target) and _rank(run, target) > _rank(baseline, target)


def _rank(run: Run, target: Target) -> tuple[bool, float]:
    return target.train_ranks and meets(run, target), _on_val(run, target)


def _on_val(run: Run, target: Target) -> float:
    """The target's metric on val; below every score where it is undefined."""
    val = run.score("val", target.metric)
    return -1.0 if val is None else val
