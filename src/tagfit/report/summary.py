"""The card on top of the page: is the model better, is the target met, and by how much the score changed."""

from __future__ import annotations

from collections.abc import Iterator

from tagfit.metrics.titles import TITLES
from tagfit.records.data import Part
from tagfit.records.verdict import MET, Verdict
from tagfit.report.context import Badge, ScoreShown, Summary, SummaryChange
from tagfit.report.values import gap_of, score_of
from tagfit.runs.record import RunRecord

#: the parts that no network was trained on; test first, since it chose nothing
JUDGED: tuple[Part, ...] = ("test", "val")

_COMPARED = {
    "better": Badge("Better than the baseline", "good"),
    "alike": Badge("No clear difference from the baseline", "plain"),
    "worse": Badge("Worse than the baseline", "bad"),
}


def summary(record: RunRecord) -> Summary:
    """What the card says."""
    return Summary(TITLES[record.target.metric], tuple(_badges(record.verdict)), tuple(_changes(record)), _gaps(record))


def _badges(verdict: Verdict) -> Iterator[Badge]:
    """Better and target met are told apart, and only harm is red."""
    if verdict.comparison is not None:
        yield _COMPARED[verdict.comparison]
    if verdict.state in MET:
        yield Badge("Target met", "good")
    elif verdict.state == "not confirmed":
        yield Badge("Target met on val, not confirmed", "plain")
    elif verdict.state == "cannot tell":
        yield Badge("Too few samples to tell whether the target is met", "plain")
    else:
        yield Badge(f"Target missed: {verdict.state}", "plain")


def _changes(record: RunRecord) -> Iterator[SummaryChange]:
    metric, after, before = record.target.metric, record.after, record.baseline
    for part in JUDGED:
        if (value := after.score(part, metric)) is not None:
            yield SummaryChange(
                part=part,
                before=None if before is None else before.score(part, metric),
                after=ScoreShown(value, after.interval(part, metric)),
                change=record.difference(part, metric),
                constant=score_of(after.constant, part, metric),
            )


def _gaps(record: RunRecord) -> tuple[float | None, float | None]:
    """Train minus val, before and after."""
    metric = record.target.metric
    before, after = (
        None if run is None else gap_of(run.score("train", metric), run.score("val", metric))
        for run in (record.baseline, record.after)
    )
    return before, after
