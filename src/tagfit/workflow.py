"""load, inspect, fit, cure, evaluate: the only place that composes the layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tagfit.curing.choice import choose
from tagfit.curing.ladder import ladder
from tagfit.curing.verdict import meets
from tagfit.data.dataset import DEFAULT_SIZE, align_labels, build, rows_of, rows_of_part
from tagfit.data.inspection import Inspection, look
from tagfit.data.lock import copies_among, lock
from tagfit.data.sources.memory import from_arrays, from_memory
from tagfit.data.sources.postcards import POSTCARDS, read_postcards
from tagfit.data.sources.read import read
from tagfit.data.split import parse_shares
from tagfit.data.split import split as deal
from tagfit.delivery.bundle import Bundle
from tagfit.delivery.predictor import Tagger
from tagfit.errors import DataError, RecipeError
from tagfit.pictures.store import OnRead
from tagfit.recipes import Recipe, find_recipe
from tagfit.records import NO, Dataset, LabelTable, LockedData, Part, Run, Scores, Target
from tagfit.report.table import evaluation_text
from tagfit.scoring.metrics import score
from tagfit.session import Result, Session, Trained, Work
from tagfit.training.device import find_device
from tagfit.training.events import Listener

DEFAULT_RECIPE = "dense-regularised"
DEFAULT_BASELINE = "dense-baseline"

#: what changes the data, and so has to be asked for
ALLOWABLE = ("augmentation",)


# ------------------------------------------------------------------------------------------------ data


def read_dataset(
    data: Any,
    labels: Any = None,
    *,
    images: str | Path | None = None,
    size: int = DEFAULT_SIZE,
    label_names: Sequence[str] | None = None,
    label_separator: str | None = None,
    minus_one: Literal["no", "unknown"] | None = None,
    max_pixels: int | None = None,
    strict: bool = False,
    on_read: OnRead | None = None,
) -> Dataset:
    """Read data without splitting it, e.g. to evaluate on all of it. Arguments and errors are those of `load`."""
    root = None if images is None else Path(images)
    table = _table(data, labels, root, label_names, label_separator, minus_one, on_read)
    return build(table, size=size, max_pixels=max_pixels, strict=strict, on_read=on_read)


def load(
    data: Any,
    labels: Any = None,
    *,
    images: str | Path | None = None,
    size: int = DEFAULT_SIZE,
    split: str | Mapping[str, float] | None = None,
    split_seed: int = 0,
    groups: str | None = None,
    label_names: Sequence[str] | None = None,
    label_separator: str | None = None,
    minus_one: Literal["no", "unknown"] | None = None,
    max_pixels: int | None = None,
    strict: bool = False,
    on_read: OnRead | None = None,
) -> LockedData:
    """Read, split and lock data.

    Args:
        data: a folder with a label file in it or with keywords in its pictures, a label file, an arrays file,
            `postcards:COUNT` for the embedded set; or a feature array or frame, a frame of picture paths and labels, a
            mapping of arrays as in an .npz, or a Hugging Face dataset.
        labels: (N, L) of 1, 0 and -1 or NaN for unknown, where `data` is an array or a frame of features.
        images: the folder that picture paths are relative to, where it is not the label file's.
        size: picture files become size x size pixels.
        split: `70/15/15` or shares by part, where the data brings no split of its own.
        split_seed: deals the samples another way; a training seed never moves the split.
        groups: what comes into one part where tagfit deals: `auto` (unless given), near-copies; `blocks`, neighbouring
            file numbers or capture times as well; `none`, byte-identical samples only; or a further column of the data.
        label_names: names for the columns of `labels`.
        label_separator: what stands between labels in one cell, where it cannot be told.
        minus_one: what -1 means in a matrix of -1 and +1.
        max_pixels: a picture file with more is not decoded; 100 million unless given.
        strict: refuse pictures that cannot be read, instead of setting them aside.
        on_read: told (done, total) while pictures are read.

    Raises:
        DataError: with every fault that was found.
    """
    shares = parse_shares(split) if isinstance(split, str) else split
    dataset = read_dataset(
        data,
        labels,
        images=images,
        size=size,
        label_names=label_names,
        label_separator=label_separator,
        minus_one=minus_one,
        max_pixels=max_pixels,
        strict=strict,
        on_read=on_read,
    )
    return lock(dataset, deal(dataset, shares=shares, seed=split_seed, groups=groups))


def _locked(data: Any) -> LockedData:
    return data if isinstance(data, LockedData) else load(data)


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
    recipe: str | Path | Recipe = DEFAULT_RECIPE,
    allow: Collection[str] = (),
    seed: int = 0,
    output: str | Path | None = None,
    device: str = "auto",
    on_event: Listener = lambda event: None,
) -> Result:
    """Train one recipe, and score it on every part.

    Args:
        data: what `load` returned, or anything that `load` takes without further options.
        recipe: a name, a TOML file or a Recipe.
        allow: `augmentation`, where the recipe may change the pictures in training.
        seed: of the first weights, the order of samples and dropout.
        output: the run folder to write; what the same command has finished there is returned as it is, and what it
            was stopped or killed in is gone on with.
        device: auto, cpu, cuda or mps.
        on_event: told what happens; when it returns True, training stops cleanly and delivers what it has reached.

    Raises:
        DataError, RecipeError, OutputError: before anything is trained.
        TrainingDivergedError: the loss became NaN or exploded.
    """
    chosen = find_recipe(recipe)
    _check_allowed(allow, chosen)
    data = _locked(data)
    session = Session(data, Target(), seed, find_device(device), on_event)
    command = {"command": "fit", "lock": data.lock, "recipe": chosen.to_dict(), "seed": seed}

    def work() -> Work:
        trained = session.run(chosen)
        return Work(None, session.with_test(trained), (), complete=trained.run.state == "finished")

    return session.deliver(command, [chosen], work, output)


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
    baseline: str | Path | Recipe = DEFAULT_BASELINE,
    allow: Collection[str] = (),
    seed: int = 0,
    output: str | Path | None = None,
    device: str = "auto",
    on_event: Listener = lambda event: None,
) -> Result:
    """Train the baseline, then recipes that may overfit less; deliver the best on val, never below the baseline's.

    The data, the split and the preprocessing stay what they are: the lock is computed again for every run.

    Args:
        target: the bands to reach; unless given, `Target()`, whose train band ranks only where nothing is allowed: a
            strong model may know its training set.
        baseline: a name, a TOML file or a Recipe: the network to be cured.
        allow: `augmentation`, where recipes may change the pictures in training as well.
        the others are as in `fit`.

    Raises:
        DataError, RecipeError, OutputError: before anything is trained.
        TrainingDivergedError: the baseline's loss became NaN or exploded.
        LockChangedError: data, split or preprocessing changed meanwhile.
    """
    first = find_recipe(baseline)
    _check_allowed(allow, first)
    data = _locked(data)
    target = target or Target(train_ranks=not allow)
    session = Session(data, target, seed, find_device(device), on_event)
    rungs = ladder(data.dataset.preprocessing, target, augmentation="augmentation" in allow)
    command = {
        "command": "cure",
        "lock": data.lock,
        "baseline": first.to_dict(),
        "target": target.to_dict(),
        "allow": sorted(allow),
        "seed": seed,
    }

    def work() -> Work:
        before = session.run(first, 1, 1 + len(rungs))
        tried: list[Trained] = []
        for number, recipe in enumerate(rungs, start=2):
            if session.stopped or (tried and _ends_the_ladder(tried[-1].run, target)):
                break
            tried.append(session.attempt(recipe, number, 1 + len(rungs)))
        chosen = choose(before.run, [trained.run for trained in tried], target)
        after = next(trained for trained in [before, *tried] if trained.run is chosen)
        scored = session.with_test(before)
        return Work(
            before=scored,
            after=scored if after is before else session.with_test(after),
            tried=tuple(trained.run for trained in tried),
            complete=not session.stopped,
        )

    return session.deliver(command, [first, *rungs], work, output)


def _ends_the_ladder(run: Run, target: Target) -> bool:
    """Where the target is met, further rungs have nothing left to reach; without a train band val can only gain."""
    return target.train_ranks and meets(run, target)


# ------------------------------------------------------------------------------------ evaluate, inspect


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A bundle's scores on labelled data.

    Attributes:
        scores, decided, constant: as in a Run, of all rows given.
        samples: how many rows were scored.
        notes: rows that the model was trained or chosen on, labels it does not know, and the like.
    """

    scores: Scores
    decided: Scores
    constant: Scores
    samples: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": self.scores.to_dict(),
            "decided": self.decided.to_dict(),
            "constant": self.constant.to_dict(),
            "samples": self.samples,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return evaluation_text(self.to_dict())


def evaluate(tagger: Tagger | str | Path, data: Any, *, part: Part | None = None) -> Evaluation:
    """Score a tagger on labelled data, all rows of it or one part of the data's own split.

    Args:
        tagger: or the folder of its bundle or run.
        data: what `load` returned, or anything that it takes without further options.

    Raises:
        BundleError: the bundle cannot be read.
        DataError: no labels in common, samples of another kind or shape, or no rows in that part.
    """
    tagger = tagger if isinstance(tagger, Tagger) else Tagger.load(tagger)
    bundle = tagger.bundle
    dataset = _samples_of(data, part, tagger.size)
    aligned, surplus, missing = align_labels(dataset, bundle.label_names)
    prediction = tagger.predict_array(aligned.x)
    scores = score(aligned.labels_NL, prediction.scores)
    return Evaluation(
        scores=scores,
        decided=scores,
        constant=bundle.constant.score(aligned.labels_NL),
        samples=len(aligned),
        notes=(*dataset.notes, *_evaluation_notes(bundle, aligned, surplus, missing)),
    )


def _samples_of(data: Any, part: Part | None, size: int) -> Dataset:
    """All samples of `data`, or those of one part."""
    if isinstance(data, LockedData):
        return data.dataset if part is None else rows_of(data.dataset, data.split.rows(part))
    dataset = data if isinstance(data, Dataset) else read_dataset(data, size=size)
    return dataset if part is None else rows_of_part(dataset, part)


def _evaluation_notes(
    bundle: Bundle, dataset: Dataset, surplus: tuple[str, ...], missing: tuple[str, ...]
) -> list[str]:
    notes = [f"{len(dataset.set_aside)} pictures could not be read and were not scored."] if dataset.set_aside else []
    if surplus:
        notes.append(f"The model does not know {len(surplus)} of the labels, left out: {', '.join(surplus)}.")
    if missing:
        read_as = "no" if dataset.absent_label == NO else "unknown"
        notes.append(
            f"The data does not mention {len(missing)} of the model's labels, {read_as}: {', '.join(missing)}."
        )
    for part, deed in (("train", "trained"), ("val", "chosen")):
        seen = copies_among(dataset.hashes, bundle.trained_on[part])
        if seen:
            notes.append(f"The model was {deed} on {seen} of these {len(dataset)} samples: the scores flatter.")
    return notes


def inspect(data: Any) -> Inspection:
    """What there is to know about data before it is trained on; it takes what `fit` takes."""
    return look(_locked(data))


@dataclass(frozen=True)
class Estimate:
    """About what training would take without early stopping, which usually takes less; measured on this machine.

    Attributes:
        memory_bytes: the samples, unless they lie in a file, and the weights of every run with what an optimiser keeps
            of them.
    """

    fit_seconds: float
    cure_seconds: float
    memory_bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(data: Any, *, device: str = "auto") -> Estimate:
    """Time a few steps of every recipe, and scale them up to `fit` and `cure`."""
    data = _locked(data)
    session = Session(data, Target(), 0, find_device(device), lambda event: None)
    first, rungs = find_recipe(DEFAULT_BASELINE), ladder(data.dataset.preprocessing, session.target)
    parameters = max(session.parameters(recipe) for recipe in (first, *rungs))
    # a run keeps its weights; the one in training has gradients, two moments and the best weights so far as well
    floats = parameters * (1 + len(rungs) + 4)
    return Estimate(
        fit_seconds=session.longest(find_recipe(DEFAULT_RECIPE)),
        cure_seconds=sum(session.longest(recipe) for recipe in (first, *rungs)),
        memory_bytes=4 * floats + (0 if isinstance(data.dataset.x, np.memmap) else data.dataset.x.nbytes),
    )
