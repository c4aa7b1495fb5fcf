"""What a bundle is worth on labelled data: its scores, how sure they are, by slice, and beside another bundle's.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tagfit.bundle.record import Bundle
from tagfit.data.dataset import align_features, align_labels, rows_of, rows_of_part
from tagfit.data.groups import AUTO, BLOCKS, GIVEN, NONE, group, joined, likeness
from tagfit.data.lock import copies_among
from tagfit.decisions.appraisal import calibration_report
from tagfit.decisions.decider import Decider, Predictions
from tagfit.decisions.guarantees import GuaranteeCheck
from tagfit.decisions.reliability import CalibrationReport, perfect_ece
from tagfit.errors import DataError, did_you_mean
from tagfit.images.signatures import known_again, signatures
from tagfit.inference.tagger import Prediction, Tagger
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.intervals import Answers, Resampling, Spread, difference, resample
from tagfit.metrics.scores import Labels
from tagfit.options.runs import EvaluateOptions
from tagfit.records.data import NO, Dataset, Likeness, LockedData, Part
from tagfit.records.scores import Difference, Interval, Scores, SmallSample

#: more values of a column are no slices
MOST_SLICES = 100


@dataclass(frozen=True)
class AssessmentIntervals:
    """The 95% intervals of scores and of what is decided, by metric."""

    scores: Mapping[str, Interval | None]
    decided: Mapping[str, Interval | None]


@dataclass(frozen=True)
class Assessment:
    """Scores on some samples: at 0.5, by the bundle's rule, and of the constant baseline."""

    scores: Scores
    decided: Scores
    constant: Scores
    intervals: AssessmentIntervals
    small_sample: SmallSample


@dataclass(frozen=True)
class Slice(Assessment):
    """The samples that have one value of a column."""

    value: str = ""
    samples: int = 0


@dataclass(frozen=True)
class Slices:
    """The samples by the values of a column, the largest slice first."""

    column: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class ComparedDifferences:
    """This model minus the other, by metric."""

    scores: Mapping[str, Difference | None]
    decided: Mapping[str, Difference | None]


@dataclass(frozen=True)
class ComparedModel:
    """Another model on the same samples and the labels that both know."""

    labels: tuple[str, ...]
    scores: Scores
    decided: Scores
    differences: ComparedDifferences
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EvaluationRecord(Assessment):
    """A bundle's scores on labelled data.

    Attributes:
        scores, decided, constant: as in a Run, of all rows given.
        samples: how many rows were scored.
        notes: rows that the model was trained or chosen on, labels it does not know, and the like.
        calibration: what the bundle's calibration is worth here.
        guarantee: how the bundle's guarantee fares here; None where it has none.
        by: None unless slices were asked for.
        compare: None unless another model was given.
    """

    samples: int
    notes: tuple[str, ...]
    calibration: CalibrationReport
    decider: Decider
    guarantee: GuaranteeCheck | None = None
    by: Slices | None = None
    compare: ComparedModel | None = None


@dataclass(frozen=True, eq=False)
class EvaluationSamples:
    """What is scored.

    Attributes:
        groups: (N,) numbers of what belongs together.
        notes: what that is, where the run's own groups are not to be found.
    """

    dataset: Dataset
    groups: NDArray[np.intp]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: LockedData | Dataset, part: Part | None, grouped_by: str | None = None) -> EvaluationSamples:
        """All samples of `data`, or those of one part.

        Args:
            grouped_by: what said in the run which samples belong together.

        Raises:
            DataError: no rows in that part.
        """
        if isinstance(data, LockedData):
            rows = np.arange(len(data.dataset)) if part is None else data.split.rows(part)
            dataset = data.dataset if part is None else rows_of(data.dataset, rows)
            own = np.arange(len(dataset)) if data.split.groups is None else data.split.groups[rows]
            known = data.split.grouped_by in (grouped_by, GIVEN)
            return cls(dataset, own) if known else cls(dataset, *_grouped(dataset, own, grouped_by))
        dataset = data if part is None else rows_of_part(data, part)
        own = group(dataset, AUTO, likeness(dataset, neighbours=False)).of
        return cls(dataset, *_grouped(dataset, own, grouped_by))


def _grouped(dataset: Dataset, own: NDArray[np.intp], by: str | None) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """(N,) `own` groups together with those of the run; and what to say where these are not to be had."""
    if by in (None, AUTO, NONE):
        return own, ()
    try:
        if by != GIVEN:
            return joined(own, group(dataset, by, Likeness()).of), ()
    except DataError:
        pass
    what = {BLOCKS: "blocks of neighbours", GIVEN: "the groups that it was given"}.get(
        by, f"samples of the same {by!r}"
    )
    return own, (f"The run kept {what} together, but this data does not tell which are: intervals may be too narrow.",)


def evaluation_of(
    tagger: Tagger,
    data: LockedData | Dataset,
    options: EvaluateOptions,
    compare: tuple[Tagger, LockedData | Dataset] | None = None,
) -> EvaluationRecord:
    """Score a tagger on labelled samples.

    Args:
        compare: another tagger, and the same samples as it takes them; differences are paired.

    Raises:
        DataError: no labels in common, samples of another kind or shape, no rows in that part, no such column.
    """
    by, samples, seed = options.by, EvaluationSamples.of(data, options.part, tagger.bundle.grouped_by), options.seed
    slices = None if by is None else _rows_by_value(samples.dataset, by)
    aligned = align_features(samples.dataset, tagger.preprocessing.feature_names)
    dataset, surplus, missing = align_labels(aligned, tagger.label_names)
    samples = replace(samples, dataset=dataset)
    prediction, decider = tagger.predict_dataset(dataset), tagger.bundle.decider
    predictions = Predictions(dataset.labels_NL, prediction.scores, samples.groups)
    scorer = _Scored(
        _both(tagger, dataset.labels_NL, prediction), samples.groups, tagger.bundle.constant_baseline, seed
    )
    guaranteed = decider.guaranteed
    return EvaluationRecord(
        **vars(scorer.assessment()),
        samples=len(dataset),
        notes=(*dataset.notes, *samples.notes, *_notes(tagger.bundle, dataset, surplus, missing)),
        calibration=calibration_report(predictions, prediction.probabilities, decider),
        decider=decider,
        guarantee=None
        if guaranteed is None
        else guaranteed.observed(predictions.labels_NL, prediction.probabilities, predictions.groups),
        by=None if by is None or slices is None else Slices(by, tuple(scorer.slice(*one) for one in slices)),
        compare=None
        if compare is None
        else _compared(
            tagger, samples, prediction, compare[0], EvaluationSamples.of(compare[1], options.part).dataset, seed
        ),
    )


@dataclass(frozen=True, eq=False)
class _Scored:
    """Answers of some samples: at 0.5, and by the rule; to be assessed as a whole and by slices."""

    answers: tuple[Answers, Answers]
    groups: NDArray[np.intp]
    constant: ConstantBaseline
    seed: int

    def assessment(self) -> Assessment:
        draw = Resampling.of(len(self.groups), self.groups, seed=self.seed)
        at_half, ruled = self.answers
        scores = resample(at_half, draw)
        decided = scores if ruled is at_half else resample(ruled, draw)
        intervals = AssessmentIntervals(scores.intervals, decided.intervals)
        constant = self.constant.score(at_half.labels_NL)
        few = SmallSample(perfect_ece(at_half.labels_NL, at_half.probabilities_NL), scores.corrected("map"))
        return Assessment(scores.scores, decided.scores, constant, intervals, few)

    def slice(self, value: str, rows: NDArray[np.intp]) -> Slice:
        at_half, ruled = self.answers
        scores = at_half.rows(rows)
        both = (scores, scores if ruled is at_half else ruled.rows(rows))
        here = replace(self, answers=both, groups=self.groups[rows])
        return Slice(**vars(here.assessment()), value=value, samples=len(rows))


def _both(
    tagger: Tagger, labels_NL: Labels, prediction: Prediction, columns: Sequence[int] | slice = slice(None)
) -> tuple[Answers, Answers]:
    """The scores as they are, decided at 0.5; and what the bundle's rule makes of them."""
    scores = Answers(labels_NL, prediction.scores[:, columns])
    if tagger.bundle.decider.rule is None:
        return scores, scores
    return scores, Answers(labels_NL, prediction.probabilities[:, columns], prediction.decisions[:, columns])


def _rows_by_value(dataset: Dataset, column: str) -> list[tuple[str, NDArray[np.intp]]]:
    """The rows of each value of a column, the largest slice first."""
    if column not in dataset.metadata:
        known = ", ".join(dataset.metadata) or "it has no further column"
        hint = did_you_mean(column, dataset.metadata)
        raise DataError(
            f"there is no column {column!r} in {dataset.name}: expected one of its further columns ({known}).{hint}"
        )
    cells = np.array([cell.strip() for cell in dataset.metadata[column]], dtype=object)
    values, counts = np.unique(cells.astype(str), return_counts=True)
    if len(values) > MOST_SLICES:
        raise DataError(
            f"the column {column!r} has {len(values)} values: expected at most {MOST_SLICES} to score one by one",
            "Choose a column of fewer values.",
        )
    order = np.argsort(-counts, kind="stable")
    return [(str(values[number]), np.flatnonzero(cells == values[number])) for number in order]


def _compared(
    tagger: Tagger, samples: EvaluationSamples, prediction: Prediction, other: Tagger, there: Dataset, seed: int
) -> ComparedModel:
    """Both models on the labels that both know, on the same resamples."""
    dataset = samples.dataset
    here = align_features(there, tagger.preprocessing.feature_names)
    if len(here) != len(dataset) or (here.hashes != dataset.hashes).any():
        raise DataError("the data for the other model does not hold the same samples in the same order")
    common = [name for name in tagger.label_names if name in other.label_names]
    if not common:
        raise DataError(
            f"no label in common: one model knows {', '.join(tagger.label_names[:8])}; "
            f"the other {', '.join(other.label_names[:8])}"
        )
    there = align_features(there, other.preprocessing.feature_names)
    draw = Resampling.of(len(dataset), samples.groups, seed=seed)
    labels_NL = dataset.labels_NL[:, [tagger.label_names.index(name) for name in common]]

    def spreads(model: Tagger, predicted: Prediction) -> list[Spread]:
        columns = [model.label_names.index(name) for name in common]
        return [resample(answers, draw) for answers in _both(model, labels_NL, predicted, columns)]

    ours, theirs = spreads(tagger, prediction), spreads(other, other.predict_dataset(there))
    return ComparedModel(
        labels=tuple(common),
        scores=theirs[0].scores,
        decided=theirs[1].scores,
        differences=ComparedDifferences(*(difference(*both) for both in zip(ours, theirs, strict=True))),
        notes=tuple(_seen_notes(other.bundle, there, "The other model")),
    )


def _notes(bundle: Bundle, dataset: Dataset, surplus: tuple[str, ...], missing: tuple[str, ...]) -> list[str]:
    notes = [f"{len(dataset.set_aside)} images could not be read and were not scored."] if dataset.set_aside else []
    if surplus:
        notes.append(f"The model does not know {len(surplus)} of the labels, left out: {', '.join(surplus)}.")
    if missing:
        read_as = "no" if dataset.absent_label == NO else "unknown"
        notes.append(
            f"The data does not mention {len(missing)} of the model's labels, {read_as}: {', '.join(missing)}."
        )
    return notes + _seen_notes(bundle, dataset, "The model")


def _seen_notes(bundle: Bundle, dataset: Dataset, who: str) -> list[str]:
    """Samples that the model has learnt from in one way or another, or whose near-copies it has learnt from."""
    deeds = (("train", "trained"), ("val", "chosen"), ("calibrate", "calibrated"))
    count, notes, known = len(dataset), list[str](), np.zeros(len(dataset), dtype=np.bool_)
    for part, deed in deeds:
        seen = copies_among(dataset.hashes, bundle.trained_on[part])
        known |= seen
        if seen.any():
            notes.append(f"{who} was {deed} on {seen.sum()} of these {count} samples, so the scores are too high.")
    if dataset.images is None or not bundle.signatures:
        return notes
    here = signatures(dataset.images)
    for part, deed in deeds:
        near = known_again(here, bundle.signatures[part]) & ~known
        known |= near
        if near.any():
            notes.append(
                f"{who} was {deed} on near-copies of {near.sum()} of these {count} images, e.g. of "
                f"{dataset.sample_names[int(near.argmax())]}, so the scores are too high."
            )
    return notes
