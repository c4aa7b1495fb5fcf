"""Which samples to label next: those that the model is unsure about, for the labels that need it, spread over the data.

Shapes: N candidates, L labels, D features.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.dataset import rows_of
from tagfit.data.lock import copies_among
from tagfit.diagnosis.evidence import cheapest_features
from tagfit.errors import DataError
from tagfit.inference.tagger import Tagger
from tagfit.recipes import find_recipe
from tagfit.records.data import UNKNOWN, YES, Dataset, hash_keys
from tagfit.records.runs import Fitting
from tagfit.training.quick import fit_all

#: the share of suggestions that are drawn at random: they alone estimate what is true of the whole collection
AT_RANDOM = 0.2

#: candidates of the highest gain, for each that is chosen, among which the choice is spread
_PRESELECTED = 10

#: the network that is trained if no run is named, and over how many seeds it is averaged
_RECIPE, _SEEDS = "dense-regularised", 3

#: labelled samples that a network can be trained on, at least
FEWEST = 10

#: labels that a suggestion names
_NAMED = 3


@dataclass(frozen=True)
class Suggestion:
    """A sample that is worth labelling.

    Attributes:
        sample: its name.
        file: the image file; None of rows and of images in memory.
        at_random: whether it was drawn at random, whatever its gain.
        gain: what labelling it is expected to bring, in units of one label that is wholly unsure.
        scores: what the model says of the labels that it is most worth asking about.
        why: the same as a sentence.
    """

    sample: str
    file: Path | None
    at_random: bool
    gain: float
    scores: dict[str, float]
    why: str


@dataclass(frozen=True)
class Suggestions:
    """What to label next, at the head what brings most.

    Attributes:
        candidates: samples with a label that is not known, among which the choice was made.
        model: whose scores they are.
    """

    candidates: int
    model: str
    chosen: tuple[Suggestion, ...]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What may be labelled.

    Attributes:
        scores_NL: (N, L) what the model says.
        open_NL: (N, L) bool, the labels that are not known.
        positives_L: (L,) how many labelled samples have each label.
        x_ND: (N, D) features by which samples are alike.
    """

    scores_NL: NDArray[np.float32]
    open_NL: NDArray[np.bool_]
    positives_L: NDArray[np.intp]
    x_ND: NDArray[np.float32]

    @classmethod
    def of(
        cls, dataset: Dataset, rows: NDArray[np.intp], scores_nL: NDArray[np.float32], x_nD: NDArray[np.float32]
    ) -> Candidates:
        """Some rows of a data set, with what a model says of them and their features."""
        labels_NL = dataset.labels_NL
        return cls(scores_nL, labels_NL[rows] == UNKNOWN, (labels_NL == YES).sum(axis=0), x_nD)

    @property
    def gains_NL(self) -> NDArray[np.float64]:
        """(N, L) the variance of each answer, 4p(1-p), weighted by 1/sqrt(1 + positives) with a mean weight of 1."""
        p_NL = self.scores_NL.astype(np.float64)
        weight_L = 1 / np.sqrt(1 + self.positives_L)
        gains_NL: NDArray[np.float64] = 4 * p_NL * (1 - p_NL) * self.open_NL * (weight_L / weight_L.mean())
        return gains_NL


def choose(candidates: Candidates, count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Which candidates to label: (n,) rows, the highest gain first, and (n,) whether each was drawn at random.

    The best by gain are grouped by k-means, weighted by gain, and the best of each group is taken: near-copies fall
    into one group, and are asked about once (Zhdanov, Diverse mini-batch Active Learning, 2019). A share is drawn at
    random.
    """
    rng, size = np.random.default_rng(seed), len(candidates.scores_NL)
    count = min(count, size)
    drawn = rng.choice(size, int(count * AT_RANDOM), replace=False)
    gain_N = candidates.gains_NL.sum(axis=1)
    rest = np.setdiff1d(np.arange(size), drawn)
    best = rest[np.argsort(-gain_N[rest], kind="stable")][: _PRESELECTED * (count - len(drawn))]
    rows = np.concatenate([_spread(candidates.x_ND[best], gain_N[best], count - len(drawn), seed, best), drawn])
    order = np.argsort(-gain_N[rows], kind="stable")
    return rows[order], np.isin(rows, drawn)[order]


def _spread(
    x_ND: NDArray[np.float32], gain_N: NDArray[np.float64], count: int, seed: int, rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """(count,) of `rows`: the highest gain of each of `count` groups that are alike; rows come by falling gain."""
    if len(rows) <= count:
        return rows
    from sklearn.cluster import KMeans

    scale_D = x_ND.std(axis=0)
    scaled_ND = (x_ND - x_ND.mean(axis=0)) / np.where(scale_D > 0, scale_D, 1)
    distinct = len(np.unique(scaled_ND, axis=0))
    means = KMeans(min(count, distinct), n_init=1, random_state=seed)
    group_N = means.fit(scaled_ND, sample_weight=gain_N + 1e-12).labels_
    firsts = np.unique(group_N, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(rows)), firsts)
    found: NDArray[np.intp] = rows[np.concatenate([firsts, others[: count - len(firsts)]])]
    return found


def suggest(dataset: Dataset, tagger: Tagger | None, count: int, seed: int = 0) -> Suggestions:
    """Which samples of `dataset` to label next.

    Args:
        dataset: labelled samples, and those that are not: an unknown label can be asked about.
        tagger: whose scores are used; a small dense network is trained on the labelled samples unless given.

    Raises:
        DataError: there is nothing to suggest, or nothing to train on.
    """
    rows = askable(dataset)
    if not len(rows):
        raise DataError(
            f"{dataset.name}: every label of every sample is known, so there is nothing to suggest",
            "Name a folder with further images: tagfit suggest DATA PHOTOS.",
        )
    features = cheapest_features(dataset.x, dataset.preprocessing)
    demand_same_labels(dataset, tagger)
    model = f"{_RECIPE} on {features.name}, trained for this" if tagger is None else "the run's model"
    scores_NL = scores_of(dataset, tagger, features.x_ND, rows, seed)
    candidates = Candidates.of(dataset, rows, scores_NL, features.x_ND[rows])
    chosen, at_random = choose(candidates, count, seed)
    files = [None] * len(dataset) if dataset.files is None else dataset.files
    told = []
    for place, drawn in zip(chosen, at_random, strict=True):
        row, gains_L = rows[place], candidates.gains_NL[place]
        top = [column for column in np.argsort(-gains_L, kind="stable")[:_NAMED] if gains_L[column] > 0]
        scores = {dataset.label_names[column]: round(float(scores_NL[place, column]), 3) for column in top}
        file = files[row]
        place_of = file if isinstance(file, Path) else None
        name = dataset.sample_names[row]
        told.append(Suggestion(name, place_of, bool(drawn), float(gains_L.sum()), scores, _why(scores, bool(drawn))))
    return Suggestions(len(rows), model, tuple(told))


def askable(dataset: Dataset) -> NDArray[np.intp]:
    """Rows with an unknown label, each content once, and none whose copy is labelled throughout."""
    open_N = (dataset.labels_NL == UNKNOWN).any(axis=1)
    known = copies_among(dataset.hashes, dataset.hashes[~open_N])
    rows = np.flatnonzero(open_N & ~known)
    _, first = np.unique(hash_keys(dataset.hashes[rows]), return_index=True)
    return rows[np.sort(first)]


def demand_same_labels(dataset: Dataset, tagger: Tagger | None) -> None:
    """Raises DataError: the data has other labels than the run's model."""
    if tagger is not None and dataset.label_names != tagger.label_names:
        raise DataError(f"{dataset.name} does not have the labels that the model gives", "Name the run's own data.")


def labelled_rows(dataset: Dataset) -> NDArray[np.intp]:
    """Rows with a known label.

    Raises:
        DataError: there are too few of them to train on.
    """
    labelled = np.flatnonzero((dataset.labels_NL != UNKNOWN).any(axis=1))
    if len(labelled) < FEWEST:
        raise DataError(f"{dataset.name}: {len(labelled)} samples with a known label are too few; label {FEWEST} first")
    return labelled


def scores_of(
    dataset: Dataset, tagger: Tagger | None, x_ND: NDArray[np.float32], rows: NDArray[np.intp], seed: int
) -> NDArray[np.float32]:
    """(len(rows), L) what the run's model says of some rows; without one, networks that are trained for it.

    Raises:
        DataError: there are too few labelled samples to train on.
    """
    if tagger is not None:
        return tagger.predict_dataset(rows_of(dataset, rows)).scores
    return _quick_scores(dataset, x_ND, rows, seed)


def _quick_scores(dataset: Dataset, x_ND: NDArray[np.float32], ask: NDArray[np.intp], seed: int) -> NDArray[np.float32]:
    """(len(ask), L) the mean of a few networks trained on the samples that have a known label."""
    labelled = labelled_rows(dataset)
    fittings = [_fitting(dataset, labelled, ask, seed + number) for number in range(_SEEDS)]
    mean_NL: NDArray[np.float32] = np.mean(fit_all(fittings, x_ND, find_recipe(_RECIPE)), axis=0, dtype=np.float32)
    return mean_NL


def _fitting(dataset: Dataset, labelled: NDArray[np.intp], ask: NDArray[np.intp], seed: int) -> Fitting:
    """Of the labelled samples a sixth stops the training."""
    order = np.random.default_rng(seed).permutation(labelled)
    held = max(1, len(order) // 6)
    return Fitting(dataset.labels_NL, order[held:], ask, seed, stop=order[:held])


def _why(scores: dict[str, float], at_random: bool) -> str:
    named = ", ".join(f"{name} ({score:.2f})" for name, score in scores.items())
    return f"at random, to keep an honest sample; unsure about {named}" if at_random else f"unsure about {named}"


def as_csv(found: Suggestions) -> str:
    """The suggestions as a table, one a line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "at_random", "gain", "why"])
    for one in found.chosen:
        writer.writerow([one.sample, "yes" if one.at_random else "no", f"{one.gain:.3f}", one.why])
    return text.getvalue()
