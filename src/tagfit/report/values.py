"""How a record is read, for the terminal and the page alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tagfit.records.runs import GainRecord
from tagfit.records.scores import ByPart, Difference
from tagfit.runs.record import Continuation, LabelChange, ModelRecord, RunRecord

#: whether something is good or bad news
Tone = Literal["good", "bad", "even"]

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


@dataclass(frozen=True)
class GainShown:
    """A change on the way from the baseline to what is delivered.

    Attributes:
        name: the recipe that it led to, or that it is an ensemble.
        fields: what was changed.
        share: of the whole gain; None unless that is above 0.
        why: what the change does, in a sentence.
    """

    name: str
    fields: str
    change: Difference | None
    share: float | None
    why: str


def gains_of(record: RunRecord) -> tuple[GainShown, ...]:
    """In order."""
    whole = sum(one.change.value for one in record.gains if one.change is not None)
    return tuple(_gain(one, whole) for one in record.gains)


def _gain(one: GainRecord, whole: float) -> GainShown:
    ensemble = one.networks > 1 and not one.changed
    name = f"ensemble of {one.networks} networks" if ensemble else one.recipe.name
    fields = ", ".join(field.partition(".")[2] for field in one.changed)
    share = one.change.value / whole if one.change is not None and whole > 0 else None
    return GainShown(name, fields, one.change, share, one.why)


def gains_remark(record: RunRecord) -> str:
    """What the gains are of, and what would tell more."""
    remark = "Measured on val, which chose among these models, with one seed each."
    if record.untried:
        return f"{remark} There was no time to leave out {', '.join(record.untried)}: give more with --minutes."
    if record.ingredients or len(record.gains[-1].changed) < 2:
        return remark
    return f"{remark} If you give the cure time (--minutes 30), each ingredient is left out by itself, on three seeds."


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


def tone_of(record: RunRecord) -> Tone:
    """Only harm is bad news: a better model that misses the target is not."""
    if record.verdict.comparison == "worse":
        return "bad"
    return "good" if record.target.met else "even"


def gap_of(train: float | None, val: float | None) -> float | None:
    """Train minus val."""
    return None if train is None or val is None else train - val
