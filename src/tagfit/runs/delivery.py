"""What a fit or a cure leaves behind: bundle, predictions and record, in a run folder where one is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.bundle.manifest import Origin
from tagfit.bundle.record import Bundle
from tagfit.bundle.write import write_bundle
from tagfit.data.folds import trainings
from tagfit.decisions.decider import Decider
from tagfit.images.thumbnails import thumbnail
from tagfit.inference.tagger import Tagger
from tagfit.io.files import writable, write_atomically
from tagfit.metrics.intervals import Answers
from tagfit.metrics.scores import THRESHOLD
from tagfit.recipes import Recipe
from tagfit.records.data import UNKNOWN, YES, LockedData, Part
from tagfit.runs.continuation import continuation
from tagfit.runs.earlier import SAMPLES, samples_file
from tagfit.runs.folder import RunCommand, RunFolder, claim
from tagfit.runs.gallery import shown
from tagfit.runs.ledger import scored
from tagfit.runs.model_card import model_card
from tagfit.runs.predictions import Place, SavedPredictions
from tagfit.runs.record import Delivered, RunRecord, finished_record
from tagfit.runs.recording import record_of
from tagfit.runs.session import Session
from tagfit.search.campaign import Outcome
from tagfit.training.events import StageStarted
from tagfit.training.trained import TrainedModel


def deliver(
    session: Session,
    command: RunCommand,
    recipes: Sequence[Recipe],
    work: Callable[[], Outcome],
    output: str | Path | None,
) -> Delivered:
    """Do `work`, which trains `recipes` in `session`, and write the run folder where one is asked for.

    Args:
        command: what identifies the run: its name, options and lock.

    Raises:
        OutputError: the folder cannot be written to, is in use, or belongs to something else.
    """
    if output is None:
        return _delivered(session, command, work(), None)
    with claim(Path(output), command) as folder:
        earlier = finished_record(folder.path)
        if earlier is not None:
            folder.forget_checkpoints()  # left where a process was killed right after its record was written
            return Delivered(earlier, Tagger.load(folder.path, runtime="torch"), folder.path, fresh=False)
        folder.check_room(session.bytes_kept(recipes))
        session.folder = folder
        return _delivered(session, command, work(), folder)


def bundle_of(session: Session, trained: TrainedModel) -> Bundle:
    """What is handed over of a model; nothing is calibrated unless it was appraised."""
    decider = Decider() if trained.appraisal is None else trained.appraisal.decider
    return Bundle.of(trained.network, trained.members, trained.run, decider, session.constant, session.data)


def _delivered(session: Session, command: RunCommand, outcome: Outcome, folder: RunFolder | None) -> Delivered:
    record = record_of(
        "cure" if command["command"] == "cure" else "fit",
        outcome,
        session.data,
        session.target,
        test_run=scored(session.data.lock, command) if session.data.split.counts["test"] else None,
        continued=continuation(session.data, outcome.after, session.target.metric, session.seed),
        seed=session.seed,
        device=session.device.type,
        seconds=round(time.perf_counter() - session.began, 3),
    )
    bundle = replace(bundle_of(session, outcome.after), origin=_origin(record, outcome.after))
    if outcome.refit is not None:
        bundle = bundle.refitted(outcome.refit.network)
    if folder is not None:
        session.on_event(StageStarted("writing the results"))
        with writable(folder.path):
            write_bundle(folder.bundle, bundle, model_card(record))
            folder.write_predictions(predictions_of(outcome, session.data).to_files())
            write_atomically(folder.path / SAMPLES, samples_file(session.data))
            write_atomically(folder.path / "result.json", record.to_json())
        if outcome.complete:
            folder.forget_checkpoints()
    return Delivered(record, Tagger(bundle, session.device.type), None if folder is None else folder.path)


def _origin(record: RunRecord, trained: TrainedModel) -> Origin:
    """What people know the model by: scored on test or, if there is none, on val."""
    metric, after = record.target.metric, record.after
    part: Part = "test" if after.score("test", metric) is not None else "val"
    answers = _answers(trained).get(part)
    return Origin(
        data=record.data.name[:1000],
        made=datetime.now(UTC).date().isoformat(),
        metric=metric,
        part=part,
        score=after.score(part, metric),
        interval=after.interval(part, metric),
        label_f1=() if answers is None else tuple(_label_f1(answers)),
    )


def _label_f1(answers: Answers) -> Iterator[float | None]:
    """Each label's, as far as it is known; None for a label that nobody has."""
    assert answers.decisions_NL is not None
    yes_NL = answers.labels_NL == YES
    given_NL = answers.decisions_NL & (answers.labels_NL != UNKNOWN)
    counts = ((yes_NL & given_NL).sum(axis=0), yes_NL.sum(axis=0), given_NL.sum(axis=0))
    for hits, yes, given in zip(*(one.tolist() for one in counts), strict=True):
        yield round(2 * hits / (yes + given), 4) if yes else None


# ----------------------------------------------------------------------------------------- predictions

#: where a sample is looked for; of folds, one of val is in train as well
_FOUND_IN: tuple[Part, ...] = ("test", "val", "calibrate", "train")


def predictions_of(outcome: Outcome, data: LockedData) -> SavedPredictions:
    """What the appraised models predict of every sample, with thumbnails of those that a report shows."""
    before, after = outcome.before, outcome.after
    runs = {"after": after} if before in (None, after) else {"before": before, "after": after}
    answers = {name: _answers(trained) for name, trained in runs.items() if trained is not None}
    rows = {part: _rows_predicted(data, part)[: len(one)] for part, one in after.predictions.items() if len(one)}
    names, place_of = data.dataset.sample_names, dict[int, Place]()
    for part in sorted(rows, key=_FOUND_IN.index):
        for number, row in enumerate(rows[part].tolist()):
            place_of.setdefault(row, (part, number))
    saved = SavedPredictions(
        names={part: tuple(names[row] for row in rows[part]) for part in rows},
        groups={part: after.predictions[part].belongs_to.astype(np.int64) for part in rows},
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


def _answers(trained: TrainedModel) -> dict[Part, Answers]:
    decisions = {} if trained.appraisal is None else trained.appraisal.decisions
    return {
        part: Answers(one.labels_NL, one.probabilities_NL, decisions.get(part, one.probabilities_NL > THRESHOLD))
        for part, one in trained.predictions.items()
    }


def _rows_predicted(data: LockedData, part: Part) -> NDArray[np.intp]:
    """The rows of a part's predictions, in their order: of folds, what each network was trained on, or has not seen."""
    if data.split.folds is None or part not in ("train", "val"):
        return data.split.rows(part)
    unseen: Part = "train" if part == "train" else "test"
    return np.concatenate([fold.split.rows(unseen) for fold in trainings(data)])
