"""What a bundle is worth on labelled data: its scores, how sure they are, by slice, and beside another bundle's.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.bundle.bundle import Bundle
from tagfit.data.dataset import align_labels, rows_of, rows_of_part
from tagfit.data.groups import AUTO, group, likeness
from tagfit.data.lock import copies_among
from tagfit.decisions.appraisal import as_pairs, calibration_record, differences_record
from tagfit.decisions.decider import Predictions
from tagfit.errors import DataError, did_you_mean
from tagfit.inference.tagger import Prediction, Tagger
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.intervals import Answers, Resampling, Spread, difference, resample
from tagfit.metrics.scores import Labels
from tagfit.options.runs import EvaluateOptions
from tagfit.records.data import NO, Dataset, LockedData, Part
from tagfit.records.scores import Scores
from tagfit.report.table import evaluation_text

#: more values of a column are no slices
MOST_SLICES = 100


@dataclass(frozen=True, eq=False)
class Assessment:
    """Scores on some samples, and the resamples that say how sure they are."""

    scores: Spread
    decided: Spread
    constant: Scores

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": self.scores.scores.to_dict(),
            "decided": self.decided.scores.to_dict(),
            "constant": self.constant.to_dict(),
            "intervals": {
                "scores": as_pairs(self.scores.intervals),
                "decided": as_pairs(self.decided.intervals),
            },
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A bundle's scores on labelled data.

    Attributes:
        scores, decided, constant: as in a Run, of all rows given.
        samples: how many rows were scored.
        notes: rows that the model was trained or chosen on, labels it does not know, and the like.
        details: what `to_dict` has besides: `intervals`, `calibration`, `decider`, and `guarantee`, `by` and `compare`
            where there are any.
    """

    scores: Scores
    decided: Scores
    constant: Scores
    samples: int
    notes: tuple[str, ...]
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": self.scores.to_dict(),
            "decided": self.decided.to_dict(),
            "constant": self.constant.to_dict(),
            "samples": self.samples,
            "notes": list(self.notes),
            **self.details,
        }

    def __str__(self) -> str:
        return evaluation_text(self.to_dict())


def evaluate(
    tagger: Tagger,
    data: Dataset | LockedData,
    options: EvaluateOptions,
    compare: Tagger | None = None,
    compare_data: Dataset | LockedData | None = None,
) -> Evaluation:
    """Score a tagger, and beside it another on the same samples; as `tagfit.evaluate`."""
    seed, by = options.seed, options.by
    dataset, groups = _samples_of(data, options.part)
    slices = None if by is None else _slices(dataset, by)
    aligned, surplus, missing = align_labels(dataset, tagger.label_names)
    prediction = tagger.predict_dataset(aligned)
    predictions = Predictions(aligned.labels_NL, prediction.scores, groups)
    constant, decider = tagger.bundle.constant, tagger.bundle.decider
    both = _both(tagger, aligned.labels_NL, prediction)
    whole = _assess(both, groups, constant, seed)
    details: dict[str, Any] = {
        "intervals": whole.to_dict()["intervals"],
        "calibration": calibration_record(predictions, prediction.probabilities, decider),
        "decider": decider.to_dict(),
    }
    if decider.guaranteed is not None:
        details["guarantee"] = decider.guaranteed.observed(
            predictions.labels_NL, prediction.probabilities, predictions.groups
        )
    if slices is not None:
        details["by"] = {"column": by, "slices": [_slice(both, groups, constant, seed, *one) for one in slices]}
    if compare is not None:
        there = _samples_of(data if compare_data is None else compare_data, options.part)[0]
        details["compare"] = _compared(tagger, aligned, prediction, groups, compare, there, seed)
    return Evaluation(
        scores=whole.scores.scores,
        decided=whole.decided.scores,
        constant=whole.constant,
        samples=len(aligned),
        notes=(*dataset.notes, *_notes(tagger.bundle, aligned, surplus, missing)),
        details=details,
    )


def _samples_of(data: Dataset | LockedData, part: Part | None) -> tuple[Dataset, NDArray[np.intp]]:
    """All samples of `data`, or those of one part, and what belongs together among them."""
    if isinstance(data, LockedData):
        rows = np.arange(len(data.dataset)) if part is None else data.split.rows(part)
        groups = np.arange(len(data.dataset)) if data.split.groups is None else data.split.groups
        return (data.dataset if part is None else rows_of(data.dataset, rows)), groups[rows]
    dataset = data if part is None else rows_of_part(data, part)
    return dataset, group(dataset, AUTO, likeness(dataset, neighbours=False)).of


def _both(
    tagger: Tagger, labels_NL: Labels, prediction: Prediction, columns: Sequence[int] | slice = slice(None)
) -> tuple[Answers, Answers]:
    """The scores as they are, decided at 0.5; and what the bundle's rule makes of them."""
    scores = Answers(labels_NL, prediction.scores[:, columns])
    if tagger.bundle.decider.rule is None:
        return scores, scores
    return scores, Answers(labels_NL, prediction.probabilities[:, columns], prediction.decisions[:, columns])


def _assess(
    both: tuple[Answers, Answers], groups: NDArray[np.intp], constant: ConstantBaseline, seed: int
) -> Assessment:
    draw = Resampling.of(len(groups), groups, seed=seed)
    scores = resample(both[0], draw)
    decided = scores if both[1] is both[0] else resample(both[1], draw)
    return Assessment(scores, decided, constant.score(both[0].labels_NL))


def _slices(dataset: Dataset, column: str) -> list[tuple[str, NDArray[np.intp]]]:
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


def _slice(
    both: tuple[Answers, Answers],
    groups: NDArray[np.intp],
    constant: ConstantBaseline,
    seed: int,
    value: str,
    rows: NDArray[np.intp],
) -> dict[str, Any]:
    scores = both[0].rows(rows)
    here = (scores, scores if both[1] is both[0] else both[1].rows(rows))
    return {"value": value, "samples": len(rows), **_assess(here, groups[rows], constant, seed).to_dict()}


def _compared(
    tagger: Tagger,
    dataset: Dataset,
    prediction: Prediction,
    groups: NDArray[np.intp],
    other: Tagger,
    there: Dataset,
    seed: int,
) -> dict[str, Any]:
    """Both models on the labels that both know, on the same resamples: the first minus the other."""
    if len(there) != len(dataset) or (there.hashes != dataset.hashes).any():
        raise DataError("the data for the other model is not made of the same samples in the same order")
    common = [name for name in tagger.label_names if name in other.label_names]
    if not common:
        raise DataError(
            f"no label in common: one model knows {', '.join(tagger.label_names[:8])}; "
            f"the other {', '.join(other.label_names[:8])}"
        )
    draw = Resampling.of(len(dataset), groups, seed=seed)
    labels_NL = dataset.labels_NL[:, [tagger.label_names.index(name) for name in common]]
    spreads = []
    for model, predictions in ((tagger, prediction), (other, other.predict_dataset(there))):
        columns = [model.label_names.index(name) for name in common]
        spreads.append([resample(answers, draw) for answers in _both(model, labels_NL, predictions, columns)])
    kinds = ("scores", "decided")
    return {
        "labels": common,
        **{kind: spread.scores.to_dict() for kind, spread in zip(kinds, spreads[1], strict=True)},
        "differences": {
            kind: differences_record(difference(ours, theirs))
            for kind, ours, theirs in zip(kinds, *spreads, strict=True)
        },
        "notes": _seen_notes(other.bundle, dataset, "The other model"),
    }


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
    """Rows that the model has learnt from in one way or another."""
    deeds = (("train", "trained"), ("val", "chosen"), ("calibrate", "calibrated"))
    counts = [(copies_among(dataset.hashes, bundle.trained_on[part]), deed) for part, deed in deeds]
    return [
        f"{who} was {deed} on {seen} of these {len(dataset)} samples: the scores flatter."
        for seen, deed in counts
        if seen
    ]
