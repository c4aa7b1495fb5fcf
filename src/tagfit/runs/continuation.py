"""What changed since the run that a cure goes on from: samples, labels, and the score of both models.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.dataset import rows_of
from tagfit.data.kept_split import gone_from, place_in
from tagfit.inference.tagger import Tagger
from tagfit.metrics.intervals import Answers, Resampling, difference, resample
from tagfit.metrics.scores import Labels, score_one
from tagfit.metrics.titles import TITLES
from tagfit.records.data import PARTS, UNKNOWN, EarlierRun, LockedData, Part
from tagfit.runs.record import Continuation, LabelChange, SameSamples, read_record
from tagfit.training.trained import TrainedModel


def continuation(data: LockedData, after: TrainedModel, metric: str, seed: int) -> Continuation | None:
    """How the data and the score of `after` differ from those of the run that was gone on from; None without one."""
    earlier = data.earlier
    if earlier is None:
        return None
    return _Compared(data, earlier, metric, seed).record(after)


class _Compared:
    """The samples now beside those of the earlier run, on the labels that both have."""

    def __init__(self, data: LockedData, earlier: EarlierRun, metric: str, seed: int) -> None:
        self._data, self._earlier, self._metric, self._seed = data, earlier, metric, seed
        names = data.dataset.label_names
        self._names = earlier.samples.label_names
        self._columns = [names.index(name) for name in self._names]
        at = place_in(earlier.samples, data.dataset.hashes)
        self._kept: NDArray[np.bool_] = at >= 0
        self._gone = gone_from(len(earlier.samples.parts), at)
        self._then_NL: Labels = np.where(self._kept[:, None], earlier.samples.labels_NL[at], np.int8(UNKNOWN))
        self._now_NL: Labels = data.dataset.labels_NL[:, self._columns]

    def record(self, after: TrainedModel) -> Continuation:
        record = read_record(self._earlier.folder)
        # val chose neither where folds took its place, and trained the earlier model where that was refitted
        parts: list[Part] = ["test"] if self._data.split.folds is not None or record.refit else ["test", "val"]
        tagger = Tagger.load(self._earlier.folder, runtime="torch")
        relabelled = self._kept & (self._then_NL != self._now_NL).any(axis=1)
        return Continuation(
            run=str(self._earlier.folder),
            lock=self._earlier.lock,
            kept=int(self._kept.sum()),
            added=int((~self._kept).sum()),
            gone=self._gone,
            relabelled={part: int(relabelled[self._data.split.rows(part)].sum()) for part in PARTS},
            labels=tuple(self._changes()),
            compared={
                part: self._same_samples(part, after, tagger)
                for part in parts
                if part in after.predictions and len(self._data.split.rows(part))
            },
        )

    def _changes(self) -> Iterator[LabelChange]:
        """Of each label whose known cells are not what they were; a new label was unknown everywhere."""
        for column, name in enumerate(self._data.dataset.label_names):
            now = self._data.dataset.labels_NL[:, column]
            then = self._then_NL[:, self._names.index(name)] if name in self._names else np.full_like(now, UNKNOWN)
            added = int(((then == UNKNOWN) & (now != UNKNOWN)).sum())
            changed = int(((then != UNKNOWN) & (then != now)).sum())
            if added or changed:
                yield LabelChange(name, added, changed)

    def _same_samples(self, part: Part, after: TrainedModel, tagger: Tagger) -> SameSamples:
        rows, predictions = self._data.split.rows(part), after.predictions[part]
        order = [tagger.label_names.index(name) for name in self._names]
        theirs_NL = tagger.predict_dataset(rows_of(self._data.dataset, rows)).scores[:, order]
        ours_NL = predictions.probabilities_NL[:, self._columns]
        now_NL, then_NL, kept = self._now_NL[rows], self._then_NL[rows], self._kept[rows]
        draw = Resampling.of(len(rows), predictions.groups, seed=self._seed)
        ours, theirs = (resample(Answers(now_NL, one), draw, [self._metric]) for one in (ours_NL, theirs_NL))
        values = {
            f"{who}_on_{which}": score_one(self._metric, labels_NL[kept], scores_NL[kept]) if kept.any() else None
            for who, scores_NL in (("earlier", theirs_NL), ("now", ours_NL))
            for which, labels_NL in (("labels_then", then_NL), ("labels_now", now_NL))
        }
        return SameSamples(
            samples=len(rows),
            kept=int(kept.sum()),
            cells_relabelled=int((now_NL[kept] != then_NL[kept]).sum()),
            earlier=theirs.scores[self._metric],
            now=ours.scores[self._metric],
            difference=difference(ours, theirs).get(self._metric),
            **values,
        )


def sentences(record: Continuation | None, metric: str) -> Sequence[str]:
    """How the two models compare on the same samples, on test where there is one."""
    if record is None:
        return ()
    part, same = next(iter(record.compared.items()), (None, None))  # test, where there is one
    if same is None:
        return ()
    title = TITLES[metric]
    if same.earlier is None or same.now is None:
        return ()
    found = [
        f"On the same {same.samples:,} samples of {part}, {title} was {same.earlier:.3f} for {record.run} and is "
        f"{same.now:.3f} now" + ("." if same.difference is None else f": {same.difference}.")
    ]
    by_labels = same.by_relabelling
    if same.cells_relabelled and by_labels is not None:
        found.append(
            f"{same.cells_relabelled:,} labels of {part} were corrected since: that alone moves the earlier model's "
            f"score by {by_labels:+.3f}."
        )
    return found
