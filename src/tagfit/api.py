"""load, inspect, fit, cure: one of the modules that compose the layers (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tagfit.cluster.connection import connected, demand_place
from tagfit.cluster.loading import decoding
from tagfit.cluster.training import rank_trainers
from tagfit.cluster.trials import trainers
from tagfit.data.dataset import DEFAULT_SIZE, build
from tagfit.data.inspection import Inspection, look
from tagfit.data.lock import lock
from tagfit.data.sources.memory import from_arrays, from_memory
from tagfit.data.sources.postcards import POSTCARDS, read_postcards
from tagfit.data.sources.read import read
from tagfit.data.split import parse_shares
from tagfit.data.split import split as deal
from tagfit.data.unknown import check_single_positive
from tagfit.decisions.decider import DecisionObjective
from tagfit.decisions.guarantees import Guarantee
from tagfit.decisions.rules import Objective
from tagfit.errors import DataError, RecipeError
from tagfit.images.known_features import KnownFeatures
from tagfit.images.store import OnRead
from tagfit.images.workers import Decode
from tagfit.inference.tagger import Tagger
from tagfit.models.backbones import Pretrained, load_backbone
from tagfit.recipes import DenseModel, Recipe, find_recipe
from tagfit.records.data import Dataset, LabelTable, LockedData, Preprocessing
from tagfit.records.scores import Target
from tagfit.runs.result import Result, Trained, Work
from tagfit.runs.session import Job, Session
from tagfit.search.campaign import FOLLOWING, Budget, Campaign
from tagfit.search.candidates import ladder, losses_for, pinned
from tagfit.search.sampler import Search
from tagfit.search.space import space
from tagfit.training.device import find_device
from tagfit.training.events import Listener
from tagfit.training.features import Extractor

DEFAULT_RECIPE = "dense-regularised"
DEFAULT_BASELINE = "dense-baseline"
FINE_TUNED = "fine-tuned"

_NOTHING = DecisionObjective()

#: how many recipes a cure of features tries unless told otherwise; images are left to the ladder
TRIALS: int | None = 48

#: what changes the data, and so has to be asked for
ALLOWABLE = ("augmentation",)


# ------------------------------------------------------------------------------------------------ data


def read_dataset(
    data: Any,
    labels: Any = None,
    *,
    images: str | Path | None = None,
    size: int | None = None,
    backbone: str | Path | Pretrained | None = None,
    label_names: Sequence[str] | None = None,
    label_separator: str | None = None,
    minus_one: Literal["no", "unknown"] | None = None,
    max_pixels: int | None = None,
    strict: bool = False,
    on_read: OnRead | None = None,
    on: str | None = None,
) -> Dataset:
    """Read data without splitting it, e.g. to evaluate on all of it. Arguments and errors are those of `load`.

    Feature rows are taken for what the backbone has made of images already.
    """
    root = None if images is None else Path(images)
    table = _table(data, labels, root, label_names, label_separator, minus_one, on_read)
    if backbone is None:
        given = DEFAULT_SIZE if size is None else size
        with connected(on) as ray:
            decode = None if ray is None else decoding(ray)
            return build(table, size=given, max_pixels=max_pixels, strict=strict, on_read=on_read, decode=decode)
    if size is not None:
        raise DataError("a size was given, but a backbone has its own", "Leave it away.")
    if table.kind == "features":
        return build(table, max_pixels=max_pixels, strict=strict, on_read=on_read)
    pretrained = backbone if isinstance(backbone, Pretrained) else load_backbone(backbone)
    with connected(on) as ray:
        decode = None if ray is None else decoding(ray)
        return _seen_by(pretrained, table, max_pixels, strict, on_read, decode)


def _seen_by(
    pretrained: Pretrained,
    table: LabelTable,
    max_pixels: int | None,
    strict: bool,
    on_read: OnRead | None,
    decode: Decode | None,
) -> Dataset:
    """The features that a backbone makes of images, beside the images in its form."""
    backbone = pretrained.backbone
    extractor = Extractor(pretrained, find_device("auto"))
    with (
        closing(KnownFeatures(pretrained.fingerprint, backbone.features)) as known,
        extractor.looking(known) as looking,
    ):
        dataset = build(
            table,
            size=backbone.form,
            max_pixels=max_pixels,
            strict=strict,
            on_read=on_read,
            on_pixels=looking.at,
            decode=decode,
        )
        digests = [row.tobytes() for row in dataset.hashes]
        features = looking.features(dataset.x, digests, on_read or (lambda done, total: None))
    preprocessing = Preprocessing("features", (backbone.features,), backbone=backbone)
    return replace(dataset, x=features, pixels=dataset.x, preprocessing=preprocessing, pretrained=pretrained)


def load(
    data: Any,
    labels: Any = None,
    *,
    images: str | Path | None = None,
    size: int | None = None,
    backbone: str | Path | Pretrained | None = None,
    split: str | Mapping[str, float] | None = None,
    split_seed: int = 0,
    groups: str | None = None,
    calibrate: bool = False,
    folds: int | None = None,
    label_names: Sequence[str] | None = None,
    label_separator: str | None = None,
    minus_one: Literal["no", "unknown"] | None = None,
    max_pixels: int | None = None,
    strict: bool = False,
    on_read: OnRead | None = None,
    on: str | None = None,
) -> LockedData:
    """Read, split and lock data.

    Args:
        data: a folder with a label file in it or with keywords in its images, a label file, an arrays file,
            `postcards:COUNT` for the embedded set; or a feature array or frame, a frame of image paths and labels, a
            mapping of arrays as in an .npz, or a Hugging Face dataset.
        labels: (N, L) of 1, 0 and -1 or NaN for unknown, where `data` is an array or a frame of features.
        images: the folder that image paths are relative to, where it is not the label file's.
        size: image files become size x size pixels; 64 unless given.
        backbone: a network that was trained elsewhere, a folder or its name on the hub (`owner/name`): images are
            brought to its own form, and become the features that it makes of them.
        split: `70/15/15`, `60/15/10/15` with a calibrate part before test, or shares by part, where the data brings no
            split of its own.
        split_seed: deals the samples another way; a training seed never moves the split.
        groups: what comes into one part where tagfit deals: `auto` (unless given), near-copies; `blocks`, neighbouring
            file numbers or capture times as well; `none`, byte-identical samples only; or a further column of the data.
        calibrate: whether a calibrate part, which a guarantee needs, is carved out of train where there is none.
        folds: how many folds take the place of train and val, for small data: every sample is scored by a network that
            has not seen it, and their ensemble is delivered.
        label_names: names for the columns of `labels`.
        label_separator: what stands between labels in one cell, where it cannot be told.
        minus_one: what -1 means in a matrix of -1 and +1.
        max_pixels: an image file with more is not decoded; 100 million unless given.
        strict: refuse images that cannot be read, instead of setting them aside.
        on_read: told (done, total) while images are read.
        on: `ray` or `ray://HOST:PORT`: the Ray cluster that decodes images; what comes of them is kept here.

    Raises:
        DataError: with every fault that was found.
    """
    shares = parse_shares(split) if isinstance(split, str) else split
    dataset = read_dataset(
        data,
        labels,
        images=images,
        size=size,
        backbone=backbone,
        label_names=label_names,
        label_separator=label_separator,
        minus_one=minus_one,
        max_pixels=max_pixels,
        strict=strict,
        on_read=on_read,
        on=on,
    )
    if backbone is not None and dataset.pixels is None:
        raise DataError(f"a backbone looks at images, and {dataset.name} has feature rows", "Leave it away.")
    dealt = deal(dataset, shares=shares, seed=split_seed, groups=groups, calibrate=calibrate, folds=folds)
    options = {
        "images": None if images is None else str(Path(images).resolve()),
        "size": size,
        "backbone": _place(backbone) if isinstance(backbone, str | Path) else None,
        "split": split if isinstance(split, str) or split is None else dict(split),
        "split_seed": split_seed,
        "groups": groups,
        "calibrate": calibrate,
        "folds": folds,
        "label_separator": label_separator,
        "minus_one": minus_one,
        "max_pixels": max_pixels,
        "strict": strict,
    }
    again = isinstance(data, str | Path) and not isinstance(backbone, Pretrained)
    return replace(lock(dataset, dealt), source={"data": _place(data), **options} if again else None)


def _place(name: str | Path) -> str:
    """A path as it is called from anywhere; what is no path, such as `postcards:2400`, as it is."""
    return str(Path(name).resolve()) if Path(name).exists() else str(name)


def _locked(data: Any, wish: DecisionObjective = _NOTHING) -> LockedData:
    return data if isinstance(data, LockedData) else load(data, calibrate=wish.guarantee is not None)


def _refuse(given: Sequence[str], meaningless: Sequence[str], what: str) -> None:
    """An option is never silently ignored."""
    faults = [f"{name} was given, but means nothing for {what}" for name in given if name in meaningless]
    if faults:
        raise DataError(faults, "Leave it away.")


def _table(
    data: Any,
    labels: Any,
    images: Path | None,
    label_names: Sequence[str] | None,
    label_separator: str | None,
    minus_one: Literal["no", "unknown"] | None,
    on_read: OnRead | None,
) -> LabelTable:
    reading = {"images": images, "label_separator": label_separator, "minus_one": minus_one, "label_names": label_names}
    given = [name for name, value in reading.items() if value is not None]
    if labels is not None:
        _refuse(given, ("images", "label_separator"), "arrays")
        return from_arrays(data, labels, label_names=label_names, minus_one=minus_one)
    if not isinstance(data, str | Path):
        return from_memory(
            data, images=images, label_names=label_names, label_separator=label_separator, minus_one=minus_one
        )
    if str(data).startswith(POSTCARDS):
        _refuse(given, tuple(reading), "the embedded set")
        return read_postcards(str(data), on_read)
    _refuse(given, ("label_names",), "a label file, which names its labels")
    return read(Path(data), images=images, label_separator=label_separator, minus_one=minus_one)


# ------------------------------------------------------------------------------------------------- runs


def fit(
    data: Any,
    *,
    recipe: str | Path | Recipe | None = None,
    fine_tune: bool = False,
    allow: Collection[str] = (),
    decide_for: str | None = None,
    guarantee: str | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    device: str = "auto",
    on: str | None = None,
    on_event: Listener = lambda event: None,
) -> Result:
    """Train one recipe, and score it on every part.

    Args:
        data: what `load` returned, or anything that `load` takes without further options.
        recipe: a name, a TOML file or a Recipe; `dense-regularised` unless given.
        fine_tune: train the backbone that the data was loaded with further: `fine-tuned` is then the usual recipe.
        allow: `augmentation`, where the recipe may change the images in training.
        decide_for: the metric that labels are decided for: `micro_f1`, `macro_f1`, `sample_f1`, `subset_accuracy`,
            `recall>=0.9` or `precision>=0.8`. Unless given, a label is given above 0.5.
        guarantee: `recall=0.9` or `precision=0.8`, kept on new samples; it takes a calibrate part, which `load` carves
            where `calibrate` is set.
        seed: of the first weights, the order of samples and dropout.
        output: the run folder to write; what the same command has finished there is returned as it is, and what it
            was stopped or killed in is gone on with.
        device: auto, cpu, cuda or mps.
        on: `ray`, or `ray://HOST:PORT`: a Ray cluster that trains a CNN or a fine-tuned network together.
        on_event: told what happens; when it returns True, training stops cleanly and delivers what it has reached.

    Raises:
        DataError, RecipeError, OutputError: before anything is trained.
        TrainingDivergedError: the loss became NaN or exploded.
        TagfitError: the cluster lost those who trained too often.
    """
    chosen = recipe_to_fit(recipe, fine_tune, on)
    _check_allowed(allow, chosen)
    wish = parse_wish(decide_for, guarantee)
    data = _locked(data, wish)
    _check_backbone(data, fine_tune)
    check_single_positive(data)
    chosen = pinned(chosen, data.dataset.preprocessing.backbone)
    _check_wish(wish, data)
    if data.single_positive:
        chosen = chosen.with_loss(losses_for(data)[0])
    target = Target(train_ranks=not data.single_positive)
    command = {"command": "fit", "lock": data.lock, "recipe": chosen.to_dict(), "seed": seed, **wish.to_dict()}

    def work() -> Work:
        trained = session.run(Job(chosen, curve=True))
        return Work(None, session.appraise(trained), (), complete=trained.run.state == "finished")

    with rank_trainers(on, device) as trainer:
        session = Session(data, target, seed, find_device(device), on_event, wish, trainer)
        return session.deliver(command, [chosen], work, output)


def train(data: LockedData, recipe: str | Path | Recipe, seed: int, device: str) -> tuple[Trained, Tagger]:
    """Train one recipe and nothing more: nothing is calibrated, and nobody says how sure its scores are.

    Raises:
        RecipeError: before anything is trained.
        TrainingDivergedError: the loss became NaN or exploded.
    """
    chosen = find_recipe(recipe)
    _check_allowed((), chosen)
    session = Session(data, Target(), seed, find_device(device), lambda event: None)
    trained = session.run(Job(chosen))
    return trained, Tagger(session.bundle(trained), session.device.type)


def recipe_to_fit(recipe: str | Path | Recipe | None, fine_tune: bool, on: str | None) -> Recipe:
    """The recipe that `fit` trains.

    Raises:
        RecipeError: there is no such recipe, or a cluster is of no use for it.
        InputError: `on` names no cluster.
    """
    chosen = find_recipe(recipe or (FINE_TUNED if fine_tune else DEFAULT_RECIPE))
    if on is not None and demand_place(on) and isinstance(chosen.model, DenseModel):
        raise RecipeError(
            f"recipe {chosen.name!r} is dense: one machine trains it sooner than several could add up their steps",
            "Leave --on away, or take a CNN or a fine-tuned network: --recipe cnn.",
        )
    return chosen


def _check_allowed(allow: Collection[str], recipe: Recipe) -> None:
    """What changes the data has to be asked for."""
    faults = [f"allow must be among {', '.join(ALLOWABLE)}; got {name!r}" for name in allow if name not in ALLOWABLE]
    if recipe.training.augmentation and "augmentation" not in allow:
        faults.append(f"recipe {recipe.name!r}: training.augmentation changes the data, which is locked")
    if faults:
        raise RecipeError(faults, "Allow it with --allow augmentation (allow=['augmentation']).")


def cure(
    data: Any,
    *,
    target: Target | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    single: bool = False,
    refit: bool = False,
    fine_tune: bool = False,
    baseline: str | Path | Recipe = DEFAULT_BASELINE,
    allow: Collection[str] = (),
    decide_for: str | None = None,
    guarantee: str | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    device: str = "auto",
    on: str | None = None,
    on_event: Listener = lambda event: None,
) -> Result:
    """Train the baseline, then recipes that may overfit less; deliver the best on val, never below the baseline's.

    The data, the split and the preprocessing stay what they are: the lock is computed again for every run.

    Args:
        target: the bands to reach; unless given, `Target()`, whose train band ranks only where nothing is allowed and
            no backbone used: a strong model may know its training set.
        trials: how many recipes to try, those of the ladder included; further ones are searched for. Unless given, 48
            on features, and the ladder alone on images, which takes minutes.
        minutes: search for about so long instead; how many recipes that are depends on the machine.
        single: deliver one network, never an ensemble of the finalists.
        refit: hand over the chosen recipe trained again, on all labelled rows but test, once test was scored. No split
            scores that network; calibration and rules stay those that were fitted before. Not with a guarantee.
        fine_tune: train the backbone that the data was loaded with further as well, which takes minutes.
        baseline: a name, a TOML file or a Recipe: the network to be cured.
        allow: `augmentation`, where recipes may change the images in training as well.
        on: `ray` or `ray://HOST:PORT`: the Ray cluster that trains what is trained side by side; what is trained
            alone, such as the baseline, is trained here, and so are fine-tuned networks. It comes to the same.
        the others are as in `fit`.

    Raises:
        DataError, RecipeError, OutputError, InputError: before anything is trained.
        TrainingDivergedError: the baseline's loss became NaN or exploded.
        LockChangedError: data, split or preprocessing changed meanwhile.
    """
    first = find_recipe(baseline)
    _check_allowed(allow, first)
    wish = parse_wish(decide_for, guarantee)
    if refit and wish.guarantee is not None:
        raise DataError("a guarantee is of the very network that was calibrated, not of one that is trained again")
    data = _locked(data, wish)
    _check_backbone(data, fine_tune)
    check_single_positive(data)
    _check_wish(wish, data)
    target = target or Target(train_ranks=not allow and data.dataset.pretrained is None)
    if data.single_positive:
        first, target = first.with_loss("assume-negative"), replace(target, train_ranks=False)
    samples, augmentation, losses = data.dataset.preprocessing, "augmentation" in allow, losses_for(data)
    candidates = ladder(samples, target, augmentation=augmentation, fine_tune=fine_tune, losses=losses)
    searched = space(samples, target, augmentation=augmentation, losses=losses)
    usual = None if fine_tune else _usual_trials(data)
    budget = _budget(trials, minutes, single, refit, usual, until_met=not fine_tune)
    command = {
        "command": "cure",
        "lock": data.lock,
        "baseline": first.to_dict(),
        "target": target.to_dict(),
        "allow": sorted(allow),
        "trials": budget.trials,
        "until_met": budget.until_met,
        "minutes": minutes,
        "single": single,
        "refit": refit,
        "fine_tune": fine_tune,
        "seed": seed,
        **wish.to_dict(),
    }

    with trainers(on) as trainer:
        session = Session(data, target, seed, find_device(device), on_event, wish, trainer)
        campaign = Campaign(session, first, candidates, searched, budget)
        return session.deliver(command, [first, *candidates], campaign.work, output)


def _usual_trials(data: LockedData) -> int | None:
    """How many recipes a cure of such data tries unless told otherwise; None: the ladder."""
    return TRIALS if data.dataset.kind == "features" else None


def _budget(
    trials: int | None, minutes: float | None, single: bool, refit: bool, usual: int | None, *, until_met: bool
) -> Budget:
    """What was asked for, or what is usual; then, where `until_met`, no more than it takes."""
    faults = []
    if trials is not None and not trials >= 1:
        faults.append(f"trials must be at least 1; got {trials}")
    if minutes is not None and not minutes > 0:
        faults.append(f"minutes must be above 0; got {minutes}")
    if faults:
        raise RecipeError(faults)
    if trials is not None or minutes is not None:
        return Budget(trials, minutes, False, single, refit)
    return Budget(usual, None, until_met, single, refit)


def _check_backbone(data: LockedData, fine_tune: bool) -> None:
    """Whether there is one to be trained further, where that was asked for."""
    if fine_tune and data.dataset.preprocessing.backbone is None:
        raise DataError(
            "a pretrained backbone was to be trained further, but none was given",
            "Name one with --backbone (load(..., backbone=...)).",
        )


def parse_wish(decide_for: str | None, guarantee: str | None) -> DecisionObjective:
    """What the decisions are asked for.

    Raises:
        DataError: text that means nothing, or both.
    """
    faults: list[str] = []
    if decide_for is not None and guarantee is not None:
        faults.append("decide_for and guarantee were both given, and only one can decide")
    wishes: dict[str, Any] = {}
    for name, text, parse in (("objective", decide_for, Objective.parse), ("guarantee", guarantee, Guarantee.parse)):
        try:
            wishes[name] = None if text is None else parse(text)
        except DataError as error:
            faults += error.faults
    if faults:
        raise DataError(faults)
    return DecisionObjective(**wishes)


def _check_wish(wish: DecisionObjective, data: LockedData) -> None:
    """Whether a guarantee can be given at all, before anything is trained."""
    if wish.guarantee is None:
        return
    rows = data.split.rows("calibrate")
    if not len(rows):
        raise DataError(
            "a guarantee needs a calibrate part, which nothing else has touched; this split has none",
            "Load the data with calibrate=True, or with a split that names one: 60/15/10/15.",
        )
    groups = None if data.split.groups is None else data.split.groups[rows]
    wish.guarantee.check(data.dataset.labels_NL[rows], groups)


# ------------------------------------------------------------------------------------ inspect, estimate


def inspect(data: Any) -> Inspection:
    """What there is to know about data before it is trained on; it takes what `fit` takes."""
    return look(_locked(data))


@dataclass(frozen=True)
class Estimate:
    """About what training would take without early stopping, which usually takes less; measured on this machine.

    Attributes:
        cure_seconds: with the search, its finalists and ingredients where a cure searches unless told otherwise.
        memory_bytes: the samples, unless they lie in a file, and the weights of every run with what an optimiser keeps
            of them.
    """

    fit_seconds: float
    cure_seconds: float
    memory_bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(data: Any, *, device: str = "auto") -> Estimate:
    """Time a few steps of every recipe, and of some that a search would propose; scale them up to `fit` and `cure`."""
    data = _locked(data)
    session = Session(data, Target(), 0, find_device(device), lambda event: None)
    samples, target = data.dataset.preprocessing, session.target
    losses = losses_for(data)
    first, candidates = find_recipe(DEFAULT_BASELINE), ladder(samples, target, losses=losses)
    cure_seconds = session.longest([first]) + session.longest(candidates)
    trials = _usual_trials(data)
    if trials is not None and trials > len(candidates):
        proposed = [one.recipe for one in Search(space(samples, target, losses=losses), target, 0).generation(1)]
        cure_seconds += session.longest(proposed) / len(proposed) * (trials - len(candidates) + FOLLOWING)
    parameters = max(session.parameters(recipe) for recipe in (first, *candidates))
    # a run keeps its weights; the one in training has gradients, two moments and the best weights so far as well
    floats = parameters * (1 + len(candidates) + 4)
    return Estimate(
        fit_seconds=session.longest([find_recipe(DEFAULT_RECIPE)]),
        cure_seconds=cure_seconds,
        memory_bytes=4 * floats + (0 if isinstance(data.dataset.x, np.memmap) else data.dataset.x.nbytes),
    )
