"""What a fit or a cure came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import tagfit
from tagfit.data.folds import trainings
from tagfit.data.unknown import cell_counts
from tagfit.decisions.appraisal import Appraisal, differences, differences_record
from tagfit.decisions.decider import Predictions
from tagfit.images.thumbnails import thumbnail
from tagfit.inference.tagger import Tagger
from tagfit.metrics.intervals import Answers, Difference
from tagfit.metrics.scores import THRESHOLD
from tagfit.recipes import Recipe
from tagfit.records.data import UNKNOWN, YES, Backbone, LockedData, Part
from tagfit.records.runs import Finding, Run
from tagfit.records.scores import Target
from tagfit.report.table import result_text
from tagfit.runs.folder import SCHEMA
from tagfit.runs.gallery import shown
from tagfit.runs.predictions import Place, SavedPredictions
from tagfit.search.repeats import Ingredient, Repeats
from tagfit.search.verdict import judge, meets


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a fit or a cure came to.

    Attributes:
        record: what result.json holds (see docs/result.md).
        tagger: the delivered model, ready to predict.
        folder: the run folder, where one was written.
        fresh: False where the folder held the finished result already and nothing was done.
    """

    record: Mapping[str, Any]
    tagger: Tagger
    folder: Path | None = None
    fresh: bool = True

    def __str__(self) -> str:
        return result_text(self.record)

    def __repr__(self) -> str:
        record = self.record
        return f"<{record['command']} on {record['data']['name']}: {record['verdict']['state']}>"


@dataclass(frozen=True, eq=False)
class Trained:
    """A run and its network; a diverged run's is of no use.

    Attributes:
        members: the recipe of each network of an ensemble; of a single one, its own.
        said: what it says of each part; where there are folds, what each fold's network says of those it has not seen.
        appraisal: what that is worth; None until the run is chosen.
        findings: what is wrong with it, as far as it says so itself; none until the run is chosen.
    """

    run: Run
    network: nn.Module
    members: tuple[Recipe, ...] = ()
    predictions: Mapping[Part, Predictions] = field(default_factory=dict)
    appraisal: Appraisal | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class Work:
    """What a session did.

    Attributes:
        before: None where there was nothing to compare with.
        complete: False where it was asked to stop before all was done.
        finalists: the best recipes, each on several seeds.
        ingredients: what each ingredient of the chosen recipe brings.
        search: how many `generations` were searched, in how many `seconds`, and the `overhead`: what fraction of these
            went neither into training nor into scoring.
        refit: a network of the chosen recipe, trained on all labelled rows but test, to be handed over instead.
    """

    before: Trained | None
    after: Trained
    tried: tuple[Run, ...]
    complete: bool
    finalists: tuple[Repeats, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    search: Mapping[str, float] | None = None
    refit: nn.Module | None = None


def result_record(
    command: Mapping[str, Any], work: Work, data: LockedData, target: Target, device: str, seconds: float
) -> dict[str, Any]:
    """What result.json holds (see docs/result.md)."""
    dataset, before, after = data.dataset, work.before, work.after
    changes = {} if before is None else _differences(before, after)
    verdict = judge(None if before is None else before.run, after.run, target, work.tried, changes)
    outside = _outside(dataset.preprocessing.backbone)
    decisions = () if after.appraisal is None else after.appraisal.sentences(dataset.label_names, target.metric)
    refitted = len(dataset) - data.split.counts["test"]
    if work.refit is not None:
        decisions += (
            f"What is handed over was trained again on all {refitted:,} labelled samples but test: "
            "no split scores that network. The scores are of the same recipe on train alone.",
        )
    return {
        "schema": SCHEMA,
        "tagfit": tagfit.__version__,
        "command": command["command"],
        "state": "finished" if work.complete else "stopped",
        "lock": data.lock,
        "seed": command["seed"],
        "device": device,
        "data": {
            "name": dataset.name,
            "kind": dataset.kind,
            "samples": len(dataset),
            "label_names": list(dataset.label_names),
            "parts": data.split.counts,
            "folds": None if data.split.folds is None else int(data.split.folds.max()) + 1,
            "preprocessing": dataset.preprocessing.to_dict(),
            "positives": cell_counts(dataset, data.split.parts, YES),
            "unknown": cell_counts(dataset, data.split.parts, UNKNOWN),
            "notes": [*dataset.notes, *data.split.notes],
            "set_aside": [{"sample": name, "reason": reason} for name, reason in dataset.set_aside],
            "source": None if data.source is None else asdict(data.source),
        },
        "target": {**target.to_dict(), "met": meets(after.run, target)},
        "verdict": replace(verdict, sentences=(*verdict.sentences, *outside, *decisions)).to_dict(),
        "before": None if before is None else _run_record(before),
        "after": _run_record(after),
        "differences": {part: differences_record(by_metric) for part, by_metric in changes.items()},
        "refit": None if work.refit is None else {"samples": refitted},
        "tried": [run.to_trial() for run in work.tried],
        "search": work.search,
        "finalists": [repeats.to_dict() for repeats in work.finalists],
        "ingredients": [ingredient.to_dict() for ingredient in work.ingredients],
        "findings": _findings(before, after),
        "seconds": round(seconds, 3),
    }


def predictions_of(work: Work, data: LockedData) -> SavedPredictions:
    """What the appraised runs of `work` say of every sample, with thumbnails of those that a report shows."""
    runs = {"after": work.after} if work.before in (None, work.after) else {"before": work.before, "after": work.after}
    answers = {name: _answers(trained) for name, trained in runs.items() if trained is not None}
    rows = {part: _rows_said(data, part)[: len(saved)] for part, saved in work.after.predictions.items() if len(saved)}
    names, place_of = data.dataset.sample_names, dict[int, Place]()
    for part in sorted(rows, key=_FOUND_IN.index):
        for number, row in enumerate(rows[part].tolist()):
            place_of.setdefault(row, (part, number))
    saved = SavedPredictions(
        names={part: tuple(names[row] for row in rows[part]) for part in rows},
        groups={part: work.after.predictions[part].belongs_to.astype(np.int64) for part in rows},
        runs={name: {part: by_part[part] for part in rows} for name, by_part in answers.items()},
        near_copies=tuple(
            tuple(place_of[row] for row in group.tolist() if row in place_of)
            for group in data.split.likeness.near_copies
        ),
    )
    images = data.dataset.images
    if images is None:
        return saved
    return replace(saved, thumbnails={(part, row): thumbnail(images[rows[part][row]]) for part, row in shown(saved)})


#: where a sample is looked for; of folds, one of val is in train as well
_FOUND_IN: tuple[Part, ...] = ("test", "val", "calibrate", "train")


def _answers(trained: Trained) -> dict[Part, Answers]:
    decisions = {} if trained.appraisal is None else trained.appraisal.decisions
    return {
        part: Answers(
            predictions.labels_NL,
            predictions.probabilities_NL,
            decisions.get(part, predictions.probabilities_NL > THRESHOLD),
        )
        for part, predictions in trained.predictions.items()
    }


def _rows_said(data: LockedData, part: Part) -> NDArray[np.intp]:
    """The rows of what is said of a part, in its order: of folds, what each network was trained on, or has not seen."""
    if data.split.folds is None or part not in ("train", "val"):
        return data.split.rows(part)
    unseen: Part = "train" if part == "train" else "test"
    return np.concatenate([fold.split.rows(unseen) for fold in trainings(data)])


def _outside(backbone: Backbone | None) -> tuple[str, ...]:
    if backbone is None:
        return ()
    return (f"It brings knowledge from outside: {backbone} was trained on other images, and made features of these.",)


def _findings(before: Trained | None, after: Trained) -> list[dict[str, Any]]:
    """Those of what is delivered, then those of the baseline, each the worst first."""
    runs = [("after", after), *([] if before is None or before is after else [("before", before)])]
    return [{"of": name, **finding.to_dict()} for name, trained in runs for finding in trained.findings]


def _differences(before: Trained, after: Trained) -> dict[Part, dict[str, Difference | None]]:
    if before is after or before.appraisal is None or after.appraisal is None:
        return {}
    return differences(after.appraisal.spreads, before.appraisal.spreads)


def _run_record(trained: Trained) -> dict[str, Any]:
    members = [recipe.to_dict() for recipe in trained.members] if len(trained.members) > 1 else None
    return (
        trained.run.to_dict()
        | {"members": members}
        | ({} if trained.appraisal is None else trained.appraisal.to_dict())
    )
