"""How a record is read, for the terminal and the page alike."""

from __future__ import annotations

from dataclasses import dataclass

from tagfit.records.scores import ByPart
from tagfit.runs.record import Continuation, LabelChange, ModelRecord, RunRecord

#: labels whose changes are named in a line
NAMED_LABELS = 8


@dataclass(frozen=True)
class TriedRecipe:
    """A recipe that was tried, on the target's metric.

    Attributes:
        gap: train minus val.
        remark: delivered, or how it ended where it did not finish.
    """

    name: str
    train: float | None
    val: float | None
    gap: float | None
    seconds: float
    remark: str


def tried_recipes(record: RunRecord) -> list[TriedRecipe]:
    """In the order in which they were tried."""
    tried = []
    for trial in record.tried:
        train, val = (trial.score(part, record.target.metric) for part in ("train", "val"))
        remark = trial.state if trial.state != "finished" else "delivered" * (trial.recipe == record.after.recipe)
        tried.append(TriedRecipe(trial.recipe.name, train, val, gap_of(train, val), trial.seconds, remark))
    return tried


def runs_of(record: RunRecord) -> dict[str, ModelRecord]:
    """The runs by what the page calls them; one alone is the model."""
    before = record.baseline
    return {"model": record.after} if before is None else {"before": before, "after": record.after}


def score_of(scores: ByPart, part: str, metric: str) -> float | None:
    """A metric of a part; None where the part was not scored, or the metric is undefined there."""
    of_part = scores.get(part)
    return None if of_part is None else of_part[metric]


def continued_line(continued: Continuation) -> str:
    """What changed in samples and labels since the run that was gone on from."""
    samples = f"{continued.kept:,} samples kept, {continued.added:,} added, {continued.gone:,} gone"
    changes = sorted(continued.labels, key=lambda one: -(one.added + one.changed))
    named = [_changes(one) for one in changes[:NAMED_LABELS]]
    more = [f"{len(changes) - NAMED_LABELS:,} more labels"] if len(changes) > NAMED_LABELS else []
    return f"Since {continued.run}: {samples}. Labels: {'; '.join(named + more) or 'as they were'}."


def _changes(one: LabelChange) -> str:
    words = [f"{count:,} {what}" for count, what in ((one.added, "added"), (one.changed, "changed")) if count]
    return f"{one.label} {', '.join(words)}"


def gap_of(train: float | None, val: float | None) -> float | None:
    """Train minus val."""
    return None if train is None or val is None else train - val
