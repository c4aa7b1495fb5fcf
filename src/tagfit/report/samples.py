"""What the page shows of labels and samples: from the predictions that a run folder keeps."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from tagfit.decisions.decider import Decider
from tagfit.metrics.scores import THRESHOLD, Floats
from tagfit.records.data import UNKNOWN, YES
from tagfit.report.charts.heat import heat
from tagfit.report.context import (
    Confusion,
    Figure,
    Gallery,
    ImageShown,
    LabelFilter,
    LabelGiven,
    LabelRow,
    LabelsShown,
    Together,
)
from tagfit.report.labels import Confused, decisions, label_scores
from tagfit.report.labels import together as occurring
from tagfit.runs import gallery as chosen
from tagfit.runs.gallery import scored_part
from tagfit.runs.predictions import Place, SavedPredictions
from tagfit.runs.record import RunRecord

#: labels in a heat map, and confusions in the list
MAPPED, CONFUSIONS = 30, 12
#: labels below an image
GIVEN = 8


def labels(saved: SavedPredictions, record: RunRecord) -> LabelsShown:
    """Label by label, on the part that is looked at closely."""
    part, names = scored_part(saved), record.data.label_names
    rows = label_scores(saved.runs["after"][part], saved.groups[part])
    before = saved.runs.get("before", {}).get(part)
    old: list[float | None] = [None] * len(rows)
    if before is not None:
        old = [row.f1 for row in label_scores(before, saved.groups[part], sure=False)]
    thresholds = _thresholds(record.after.decider, len(names))
    return LabelsShown(
        part=part,
        compared=before is not None,
        deciding=_deciding(record.after.decider),
        rows=tuple(LabelRow(*one) for one in zip(names, rows, thresholds, old, strict=True)),
    )


def _thresholds(decider: Decider, count: int) -> list[float | None]:
    if decider.rule is None:
        return [THRESHOLD] * count
    return [None] * count if decider.rule.label_sets else list(decider.rule.thresholds)


def _deciding(decider: Decider) -> str:
    if decider.rule is None:
        return "A label is given where the network's score is above 0.5."
    return f"Labels are decided for {decider.objective}: thresholds are on calibrated probabilities."


def together(saved: SavedPredictions, record: RunRecord) -> Together:
    """Of the part that is looked at closely; of many labels, the most frequent."""
    part, names = scored_part(saved), record.data.label_names
    answers = saved.runs["after"][part]
    yes_L = (answers.labels_NL == YES).sum(axis=0)
    shown = np.sort(np.argsort(-yes_L, kind="stable")[:MAPPED])
    some = [names[number] for number in shown]
    pairs = Confused.of(answers)
    misses_L = pairs.misses_L
    shares_LL = pairs.counts(shown, shown) / np.where(misses_L > 0, misses_L, np.nan)[shown, None]
    np.fill_diagonal(shares_LL, np.nan)
    most = pairs.most(CONFUSIONS)
    occurrence = _map(
        "together",
        f"Labels that occur together, on {part}",
        "Of the samples that have the label on the left, how many percent have the one above as well.",
        some,
        occurring(answers.labels_NL[:, shown]),
    )
    confusion = _map(
        "confused",
        f"Labels taken for each other, on {part}",
        "Where the label on the left was missed, in how many percent of cases the one above was given wrongly.",
        some,
        shares_LL,
    )
    return Together(
        limited=f"The {MAPPED} most frequent of {len(names)} labels are shown." if len(names) > MAPPED else "",
        occurrence=occurrence,
        confusion=confusion if most else None,
        confusions=tuple(
            Confusion(names[missed], names[given], count, int(misses_L[missed]))
            for missed, given, count in most
            if count > 1
        ),
    )


def _map(slug: str, title: str, caption: str, names: list[str], values_LL: Floats) -> Figure:
    fractions = [[None if np.isnan(value) else float(value) for value in row] for row in values_LL]
    rows = tuple(
        (name, *("–" if v is None else f"{v:.0%}" for v in row)) for name, row in zip(names, fractions, strict=True)
    )
    svg = heat(title, caption, names, fractions, "before" if slug == "confused" else "after")
    return Figure(slug, f"{title}. {caption}", svg, ("label", *names), rows)


# --------------------------------------------------------------------------------------------- gallery


def gallery(saved: SavedPredictions, record: RunRecord) -> Gallery:
    """The samples worth looking at."""
    names = record.data.label_names
    worst = tuple(_image(saved, place, names) for place in chosen.worst(saved))
    suspects = tuple(_suspect(saved, one, names) for one in chosen.suspects(saved))
    copies = tuple(tuple(_image(saved, place, names) for place in group) for group in chosen.near_copies(saved))
    return Gallery(
        note="" if saved.thumbnails else "There are no images to show: the samples are rows of features.",
        filters=tuple(_filters((*worst, *suspects, *chain(*copies)), names)),
        worst=worst,
        suspects=suspects,
        near_copies=copies,
        groups=len(saved.near_copies),
    )


def _filters(images: Sequence[ImageShown], names: Sequence[str]) -> Iterator[LabelFilter]:
    """The labels that the images are about, in order."""
    samples = Counter(number for image in images for number in image.about)
    yield from (LabelFilter(number, names[number], samples[number]) for number in sorted(samples))


def _suspect(saved: SavedPredictions, suspect: chosen.Suspect, names: Sequence[str]) -> ImageShown:
    label = names[suspect.number]
    given = "labelled" if suspect.given else "not labelled"
    remark = f"{given} {label}; the model gives it {suspect.score:.2f}"
    return replace(_image(saved, suspect.place, names), labels=(), about=(suspect.number,), remark=remark)


def _image(saved: SavedPredictions, place: Place, names: Sequence[str]) -> ImageShown:
    """With all labels that are yes or were given, what is wrong first."""
    part, row = place
    answers = saved.runs["after"][part]
    labels_L, given_L, scores_L = (
        one[row] for one in (answers.labels_NL, decisions(answers), answers.probabilities_NL)
    )
    there = np.flatnonzero((labels_L == YES) | given_L).tolist()
    numbers = sorted(there, key=lambda one: (labels_L[one] == YES) == given_L[one])
    return ImageShown(
        name=saved.names[part][row],
        part=part,
        source=_data_url(saved.thumbnails.get(place)),
        labels=tuple(
            LabelGiven(names[one], _verdict(int(labels_L[one]), bool(given_L[one])), float(scores_L[one]))
            for one in numbers[:GIVEN]
        ),
        about=tuple(there),
    )


def _verdict(label: int, given: bool) -> str:
    if label == UNKNOWN:
        return "unsaid"
    if given:
        return "right" if label == YES else "wrong"
    return "missed" if label == YES else "right"


def _data_url(content: bytes | None) -> str:
    return "" if content is None else f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"
