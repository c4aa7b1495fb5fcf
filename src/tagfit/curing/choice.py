"""Which of the tried runs a cure delivers."""

from __future__ import annotations

from collections.abc import Sequence

from tagfit.curing.verdict import meets, value
from tagfit.records import Run, Target


def choose(baseline: Run, tried: Sequence[Run], target: Target) -> Run:
    """The run to deliver: it never scores below the baseline on val.

    One that meets the target goes before one that does not, where the train band ranks; then the better val score
    counts; at a tie the baseline stays, then the run with fewer parameters wins. Runs that did not finish are passed
    over.
    """
    floor = _on_val(baseline, target)
    eligible = [run for run in tried if run.state == "finished" and _on_val(run, target) >= floor]
    simplest_first = sorted(eligible, key=lambda run: run.parameters)
    return max(
        [baseline, *simplest_first],
        key=lambda run: (target.train_ranks and meets(run, target), _on_val(run, target)),
    )


def _on_val(run: Run, target: Target) -> float:
    """The target's metric on val; below every score where it is undefined."""
    val = value(run, "val", target)
    return -1.0 if val is None else val
