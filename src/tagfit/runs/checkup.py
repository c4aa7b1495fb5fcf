"""diagnose: what is wrong with data, or with a run, and what to do: one of the modules that compose the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfit.api import DEFAULT_BASELINE, load
from tagfit.bundle.files import find_bundle
from tagfit.data.dataset import rows_of
from tagfit.data.folds import trainings
from tagfit.data.lock import lock
from tagfit.decisions.appraisal import joined
from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.evidence import Evidence, Features, cheapest_features
from tagfit.diagnosis.registry import CHECKS, Diagnosis, look
from tagfit.errors import DataError, InputError, TrainingDivergedError
from tagfit.inference.tagger import Tagger
from tagfit.recipes import DenseModel, Recipe, find_recipe
from tagfit.records.data import LockedData, Part, Preprocessing
from tagfit.records.scores import Target
from tagfit.runs.folder import read_result
from tagfit.runs.session import MOST_ASKED, Job, Session
from tagfit.training import engine as dense_engine
from tagfit.training.device import find_device
from tagfit.training.events import Listener
from tagfit.training.quick import fit_all

QUICK = "it needs training, which --quick leaves out"


def diagnose(
    data: Any,
    *,
    recipe: str | Path | Recipe | None = None,
    metric: str = "micro_f1",
    quick: bool = False,
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
    on_event: Listener = lambda event: None,
) -> Diagnosis:
    """Look for what is wrong with data or with a run: nothing is cured, and nothing is written.

    Args:
        data: the folder of a run; or what `load` returned, or anything that `load` takes without further options: a
            model is trained on it first.
        recipe: that model, on the samples as they are; unless given, `dense-baseline` on the cheapest features.
        metric: what the gap is looked for in, and what more data would improve. A run has its own.
        quick: leave out the checks that need further training.
        seed: of the trainings and the resamples.
        say: told what is going to be trained, and about how long that takes.

    Raises:
        DataError, RecipeError, BundleError: before anything is trained.
    """
    if is_run(data):
        subject, evidence = _of_run(Path(data), seed)
    else:
        locked = data if isinstance(data, LockedData) else load(data)
        session_of = partial(Session, target=Target(metric), seed=seed, device=find_device(device), on_event=on_event)
        subject, evidence = _of_data(locked, None if recipe is None else find_recipe(recipe), session_of)
    if quick:
        evidence = replace(evidence, train=None, lacks={**evidence.lacks, "train": QUICK})
    else:
        _announce(evidence, say)
    return look(evidence, CHECKS, subject)


def is_run(data: Any) -> bool:
    """Whether it is the folder of a run, rather than data."""
    return isinstance(data, str | Path) and (Path(data) / "result.json").is_file() and (Path(data) / "bundle").is_dir()


# ------------------------------------------------------------------------------------------------ data


def _of_data(data: LockedData, recipe: Recipe | None, session_of: Callable[..., Session]) -> tuple[str, Evidence]:
    """Train a model, and look at it."""
    features = cheapest_features(data.dataset.x, data.dataset.preprocessing)
    shown, name = data, "the samples as they are"
    if recipe is None:
        recipe, name = find_recipe(DEFAULT_BASELINE), features.name
        shown = _on(features, data)
    session = session_of(shown)
    seconds = None
    try:
        trained = session.run(Job(recipe))
        evidence = session.evidence(trained)
        seconds = trained.run.seconds if shown.dataset.kind == "features" else None
    except TrainingDivergedError as error:
        how = f"at step {error.step}, in epoch {error.epoch}, the loss was {error.loss:g}"
        nothing = "its training diverged"
        evidence = Evidence(
            target=session.target,
            recipe=recipe,
            label_names=data.dataset.label_names,
            diverged=how,
            seed=session.seed,
            lacks={"predictions": nothing},
        )
    subject = f"{data.dataset.name} · {len(data.dataset):,} samples · {recipe.name} on {name}"
    return subject, replace(_with_training(evidence, data, features), quick_seconds=seconds)


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


def _announce(evidence: Evidence, say: Callable[[str], None]) -> None:
    costly = [check for check in CHECKS.values() if check.trainings]
    if evidence.train is None or not costly:
        return
    count, seconds = sum(check.trainings for check in costly), evidence.quick_seconds
    about = "" if seconds is None else f", at most about {count * seconds:.0f} s"
    say(f"{count} quick trainings of {evidence.quick_name}{about}, for what --quick leaves out:")
    say(", ".join(check.title for check in costly))


# ------------------------------------------------------------------------------------------------- run


def _of_run(path: Path, seed: int) -> tuple[str, Evidence]:
    """Look at a run again: its record, its bundle and, where they are still there, its samples."""
    record, tagger = read_result(path), Tagger.load(find_bundle(path), runtime="torch")
    after, lacks = record["after"], dict[str, str]()
    target = Target(**{name: value for name, value in record["target"].items() if name != "met"})
    evidence = Evidence(
        target=target,
        recipe=Recipe.from_dict((after["members"] or [after["recipe"]])[0]),
        label_names=tagger.label_names,
        history=after["history"],
        samples=record["data"]["parts"]["train"],
        constant=tagger.bundle.constant,
        seed=seed,
    )
    try:
        data = _read_again(record)
    except InputError as error:
        gone = f"the run's samples are not to be had ({error.faults[0]}); diagnose the data itself"
        evidence = replace(evidence, lacks={"data": gone, "predictions": gone, "train": gone})
    else:
        predictions = _said(tagger, data, record, lacks)
        units = partial(tagger.dead_units, data.dataset.x[data.split.rows("train")[:MOST_ASKED]])
        evidence = replace(evidence, predictions=predictions, units=units, lacks=lacks)
        evidence = _with_training(evidence, data, cheapest_features(data.dataset.x, data.dataset.preprocessing))
    name, samples = record["data"]["name"], record["data"]["samples"]
    return f"{path} · {name} · {samples:,} samples · {after['recipe']['name']}", evidence


def _read_again(record: Mapping[str, Any]) -> LockedData:
    """The samples that a run was trained on.

    Raises:
        DataError: they came from memory, are no longer there, or are not the same.
    """
    source = record["data"].get("source")
    if source is None:
        raise DataError("the run does not say where they came from")
    data = load(**source)
    if data.lock != record["lock"]:
        raise DataError(f"what is at {source['data']} now is not what the run was locked to")
    return data


def _said(
    tagger: Tagger, data: LockedData, record: Mapping[str, Any], lacks: dict[str, str]
) -> dict[Part, Predictions]:
    """What the bundle says of train and val; of folds, each network of those that it has not seen as val."""
    if record["refit"] is not None:
        lacks["predictions"] = "what is handed over was trained again on val as well: no split scores it"
        return {}
    folds = trainings(data)
    if len(folds) == 1:
        return {part: _ask(tagger, data, data.split.rows(part)) for part in ("train", "val")}
    members = tagger.members()
    if len(members) != len(folds):
        lacks["predictions"] = "of a searched ensemble of folds it is not known which network has seen which samples"
        return {}
    seen = [_ask(one, data, fold.split.rows("train")) for one, fold in zip(members, folds, strict=True)]
    unseen = [_ask(one, data, fold.split.rows("test")) for one, fold in zip(members, folds, strict=True)]
    return {"train": joined(seen), "val": joined(unseen)}


def _ask(tagger: Tagger, data: LockedData, rows: NDArray[np.intp]) -> Predictions:
    return Predictions.of(data, rows, tagger.predict_dataset(rows_of(data.dataset, rows)).scores)
