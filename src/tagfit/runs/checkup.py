"""Evidence for a diagnosis: of data, by a model trained quickly, or of a run, looked at again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from tagfit.bundle.files import find_bundle, unfinished
from tagfit.data.dataset import rows_of
from tagfit.data.folds import trainings
from tagfit.data.lock import lock
from tagfit.decisions.appraisal import joined
from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.evidence import Evidence, Features, cheapest_features
from tagfit.diagnosis.registry import CHECKS, OF_DATA, DiagnosisRecord, find_check, look
from tagfit.errors import DataError, InputError, TrainingDivergedError
from tagfit.inference.tagger import Tagger
from tagfit.options.runs import DiagnoseOptions
from tagfit.options.shared import DEFAULT_BASELINE
from tagfit.recipes import DenseModel, find_recipe
from tagfit.records.data import LockedData, Part, Preprocessing
from tagfit.records.scores import Target
from tagfit.runs.loading import load_again
from tagfit.runs.record import RunRecord, read_record
from tagfit.runs.session import MOST_ASKED, Session
from tagfit.training import engine as dense_engine
from tagfit.training.device import find_device
from tagfit.training.events import Listener
from tagfit.training.quick import fit_all

QUICK = "it needs training, which --quick skips"


@dataclass(frozen=True, eq=False)
class Checkup:
    """What is to be diagnosed, in a line, what is known of it, which checks are made, and which were left out."""

    subject: str
    evidence: Evidence
    checks: tuple[str, ...] = tuple(CHECKS)
    ignored: tuple[str, ...] = ()

    def without(self, ignore: Collection[str]) -> Checkup:
        """Without some checks, by their codes or names."""
        ignored = {find_check(text) for text in ignore}
        kept = tuple(name for name in self.checks if name not in ignored)
        return replace(self, checks=kept, ignored=tuple(name for name in self.checks if name in ignored))

    def quick(self) -> Checkup:
        """Without the checks that need further training."""
        return replace(self, evidence=replace(self.evidence, train=None, lacks={**self.evidence.lacks, "train": QUICK}))

    def announcement(self) -> list[str]:
        """What is going to be trained, and about how long that takes; nothing where nothing is."""
        costly = [CHECKS[name] for name in self.checks if CHECKS[name].trainings]
        if self.evidence.train is None or not costly:
            return []
        count, seconds = sum(check.trainings for check in costly), self.evidence.quick_seconds
        about = "" if seconds is None else f", at most about {count * seconds:.0f} s"
        return [
            f"{count} quick trainings of {self.evidence.quick_name}{about}, for the checks that --quick skips:",
            ", ".join(check.title for check in costly),
        ]

    def diagnosis(self) -> DiagnosisRecord:
        return look(self.evidence, self.checks, self.subject, self.ignored)


def is_run(data: object) -> TypeGuard[str | Path]:
    """Whether it is the folder of a run, rather than data.

    Raises:
        BundleError: it is the folder of a run that has no result yet.
    """
    if not isinstance(data, str | Path):
        return False
    finished = (Path(data) / "result.json").is_file()
    if not finished and (Path(data) / "run.json").is_file():
        raise unfinished(Path(data))
    return finished and (Path(data) / "bundle").is_dir()


# ------------------------------------------------------------------------------------------------ data


def of_data(data: LockedData, options: DiagnoseOptions, on_event: Listener) -> Checkup:
    """Train a model, and look at it: a recipe on the samples as they are, or the baseline on the cheapest features.

    The baseline, which nobody asked about, is not accused: it only serves to look at the data.
    """
    recipe = None if options.recipe is None else find_recipe(options.recipe)
    features = cheapest_features(data.dataset.x, data.dataset.preprocessing)
    shown, name = data, "the samples as they are"
    if recipe is None:
        recipe, name = find_recipe(DEFAULT_BASELINE), features.name
        shown = _on(features, data)
    session = Session(shown, Target(options.metric), options.seed, find_device(options.device), on_event)
    seconds = None
    try:
        trained = session.run(session.job(recipe))
        if session.stopped or trained.run.state == "stopped":  # by ctrl-C: half a training is no evidence
            raise KeyboardInterrupt
        evidence = session.evidence(trained)
        seconds = trained.run.seconds if shown.dataset.kind == "features" else None
    except TrainingDivergedError as error:
        evidence = Evidence(
            target=session.target,
            recipe=recipe,
            label_names=data.dataset.label_names,
            diverged=f"at step {error.step}, in epoch {error.epoch}, the loss was {error.loss:g}",
            seed=session.seed,
            lacks={"predictions": "its training diverged"},
        )
    subject = f"{data.dataset.name} · {len(data.dataset):,} samples · {recipe.name} on {name}"
    checks = OF_DATA if options.recipe is None else tuple(CHECKS)
    return Checkup(subject, replace(_with_training(evidence, data, features), quick_seconds=seconds), checks)


def _on(features: Features, data: LockedData) -> LockedData:
    """The same data and split, with features in place of images."""
    if data.dataset.kind == "features":
        return data
    preprocessing = Preprocessing("features", features.x_ND.shape[1:])
    return lock(replace(data.dataset, x=features.x_ND, preprocessing=preprocessing), data.split)


def _with_training(evidence: Evidence, data: LockedData, features: Features) -> Evidence:
    """Quick trainings look at the cheapest features; of the recipe itself where it is a dense one."""
    recipe = evidence.recipe
    dense = isinstance(recipe.model, DenseModel) and dense_engine.usable(recipe)
    quick_recipe = recipe if dense else find_recipe(DEFAULT_BASELINE)
    train = partial(fit_all, x_ND=features.x_ND, recipe=quick_recipe)
    return replace(evidence, data=data, features=features, quick_recipe=quick_recipe, train=train)


# ------------------------------------------------------------------------------------------------- run


def of_run(path: Path, seed: int, device: str) -> Checkup:
    """Look at a run again: its record, its bundle and, where they are still there, its samples.

    Raises:
        BundleError: the record or the bundle cannot be read.
    """
    record, tagger = read_record(path), Tagger.load(find_bundle(path), device, runtime="torch")
    after, lacks = record.after, dict[str, str]()
    evidence = Evidence(
        target=record.target,
        recipe=after.networks[0],
        label_names=tagger.label_names,
        history=after.history,
        samples=record.data.parts["train"],
        constant=tagger.bundle.constant_baseline,
        seed=seed,
    )
    try:
        data = _read_again(path, record, device)
    except InputError as error:
        gone = f"the run's data could not be loaded ({error.faults[0]}); diagnose the data itself"
        evidence = replace(evidence, lacks={"data": gone, "predictions": gone, "train": gone})
    else:
        predictions = _predictions(tagger, data, record, lacks)
        units = partial(tagger.dead_units, data.dataset.x[data.split.rows("train")[:MOST_ASKED]])
        evidence = replace(evidence, predictions=predictions, units=units, lacks=lacks)
        evidence = _with_training(evidence, data, cheapest_features(data.dataset.x, data.dataset.preprocessing))
    return Checkup(f"{path} · {record.data.name} · {record.data.samples:,} samples · {after.recipe.name}", evidence)


def _read_again(path: Path, record: RunRecord, device: str) -> LockedData:
    """The samples that a run was trained on.

    Raises:
        DataError: they came from memory, are no longer there, or are not the same.
    """
    source = record.data.source
    if source is None:
        raise DataError("the run does not record where its data came from")
    if source.from_run is not None:
        source = replace(source, from_run=str(path))  # it keeps the split itself, whatever became of the run before it
    data = load_again(source, device)
    if data.lock != record.lock:
        raise DataError(f"the data at {source.data} has changed since the run")
    return data


def _predictions(tagger: Tagger, data: LockedData, record: RunRecord, lacks: dict[str, str]) -> dict[Part, Predictions]:
    """What the bundle predicts of train and val; of folds, each network of those that it has not seen as val."""
    if record.refit is not None:
        lacks["predictions"] = "the delivered network was retrained on val as well, so it has no score of its own"
        return {}
    folds = trainings(data)
    if len(folds) == 1:
        return {part: _ask(tagger, data, data.split.rows(part)) for part in ("train", "val")}
    members = tagger.members()
    if len(members) != len(folds):
        lacks["predictions"] = (
            "for an ensemble that was searched over folds, it is not recorded which network was "
            "trained on which samples"
        )
        return {}
    seen = [_ask(one, data, fold.split.rows("train")) for one, fold in zip(members, folds, strict=True)]
    unseen = [_ask(one, data, fold.split.rows("test")) for one, fold in zip(members, folds, strict=True)]
    return {"train": joined(seen), "val": joined(unseen)}


def _ask(tagger: Tagger, data: LockedData, rows: NDArray[np.intp]) -> Predictions:
    return Predictions.of(data, rows, tagger.predict_dataset(rows_of(data.dataset, rows)).scores)
