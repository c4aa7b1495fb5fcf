"""Which samples a report shows: the most wrong ones, labels that are likely wrong, and near-copies.

Shapes: n samples of a part, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.metrics.intervals import Answers
from tagfit.metrics.scores import CLIP, Floats
from tagfit.records.data import NO, UNKNOWN, YES, Part
from tagfit.runs.predictions import Place, SavedPredictions

#: how many of each kind; of near-copies, groups, and images in one
WORST, SUSPECTS, GROUPS, IN_GROUP = 20, 20, 8, 3

#: what no network was trained on
UNSEEN: tuple[Part, ...] = ("test", "val")


@dataclass(frozen=True)
class Suspect:
    """A cell whose label the model contradicts: the label `number` of the sample at `place`, `given` as yes or no."""

    place: Place
    number: int
    given: bool
    score: float


def scored_part(predictions: SavedPredictions) -> Part:
    """The part that a report looks at closely: test, or val where there is no test."""
    after = predictions.runs["after"]
    return next((part for part in UNSEEN if part in after and len(after[part].labels_NL)), "val")


def shown(predictions: SavedPredictions) -> list[Place]:
    """All samples that a report shows."""
    places = [*worst(predictions), *(one.place for one in suspects(predictions))]
    places += [place for group in near_copies(predictions) for place in group]
    return list(dict.fromkeys(places))


def worst(predictions: SavedPredictions) -> list[Place]:
    """Samples that have a wrong decision, those with the highest log loss first."""
    part = scored_part(predictions)
    answers = predictions.runs["after"].get(part)
    if answers is None:
        return []
    known_NL = answers.labels_NL != UNKNOWN
    wrong_NL = known_NL & ((answers.labels_NL == YES) != answers.decisions_NL)
    losses_NL = np.where(known_NL, -np.log(_of_label(answers)), 0.0)
    losses_N = losses_NL.sum(axis=1) / np.maximum(known_NL.sum(axis=1), 1)
    order = np.argsort(-losses_N, kind="stable")
    return [(part, int(row)) for row in order[wrong_NL.any(axis=1)[order]][:WORST]]


def suspects(predictions: SavedPredictions) -> list[Suspect]:
    """Labels that the model contradicts on what it has not seen, the most surely contradicted first.

    A cell counts whose score passes what the cells of the opposite label score on average: the off-diagonal of
    confident learning (Northcutt, Jiang and Chuang, Confident learning, JAIR 2021).
    """
    found = [
        suspect
        for part in UNSEEN
        if part in predictions.runs["after"]
        for suspect in _contradicted(part, predictions.runs["after"][part])
    ]
    found.sort(key=lambda one: one.score if one.given else 1 - one.score)
    return found[:SUSPECTS]


def near_copies(predictions: SavedPredictions) -> list[tuple[Place, ...]]:
    """Groups of near-copies, those that lie in several parts first."""
    groups = sorted(predictions.near_copies, key=lambda group: -len({part for part, _ in group}))
    return [_parts_first(group)[:IN_GROUP] for group in groups[:GROUPS]]


def _parts_first(group: tuple[Place, ...]) -> tuple[Place, ...]:
    """One of each part before others of the same."""
    firsts = {part: place for place in reversed(group) for part in [place[0]]}
    return (*reversed(firsts.values()), *(place for place in group if place not in firsts.values()))


def _contradicted(part: Part, answers: Answers) -> Iterator[Suspect]:
    labels_NL, scores_NL = answers.labels_NL, answers.probabilities_NL
    for number, (labels_N, scores_N) in enumerate(zip(labels_NL.T, scores_NL.T, strict=True)):
        yes_N, no_N = labels_N == YES, labels_N == NO
        if not (yes_N.any() and no_N.any()) or scores_N[yes_N].mean() <= scores_N[no_N].mean():
            continue
        missing_N = no_N & (scores_N >= scores_N[yes_N].mean())
        false_N = yes_N & (scores_N <= scores_N[no_N].mean())
        for row in _surest(missing_N, -scores_N):
            yield Suspect((part, int(row)), number, False, float(scores_N[row]))
        for row in _surest(false_N, scores_N):
            yield Suspect((part, int(row)), number, True, float(scores_N[row]))


def _surest(marked_N: NDArray[np.bool_], keys_N: Floats) -> NDArray[np.intp]:
    rows = np.flatnonzero(marked_N)
    return rows[np.argsort(keys_N[rows], kind="stable")][:SUSPECTS]


def _of_label(answers: Answers) -> NDArray[np.float64]:
    """(n, L) the probability that was given to what the label says."""
    p_NL = np.clip(answers.probabilities_NL.astype(np.float64), CLIP, 1 - CLIP)
    return np.where(answers.labels_NL == YES, p_NL, 1 - p_NL)
