"""load, inspect, fit, cure, evaluate: the only place that composes the layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import tagfit
from tagfit.curing.choice import choose
from tagfit.curing.ladder import ladder
from tagfit.curing.verdict import judge
from tagfit.data.dataset import DEFAULT_SIZE, OnRead, align_labels, build, known_samples, rows_of_part
from tagfit.data.inspection import Inspection, look
from tagfit.data.lock import lock, verify
from tagfit.data.sources.memory import from_arrays, from_memory
from tagfit.data.sources.postcards import POSTCARDS, read_postcards
from tagfit.data.sources.read import read
from tagfit.data.split import parse_shares
from tagfit.data.split import split as deal
from tagfit.delivery.bundle import Bundle, write_bundle
from tagfit.delivery.predictor import Tagger
from tagfit.delivery.run_folder import RunFolder, claim
from tagfit.errors import TrainingDivergedError
from tagfit.models.registry import build_network
from tagfit.recipes import Recipe, find_recipe
from tagfit.records import Dataset, LabelTable, LockedData, Part, Run, Scores, Target
from tagfit.report.table import evaluation_text, result_text
from tagfit.scoring.constant import ConstantAnswer
from tagfit.scoring.metrics import score
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.estimate import longest_training
from tagfit.training.events import Event, Listener, RunEnded, RunStarted
from tagfit.training.inference import find_device, probabilities
from tagfit.training.loop import train

#: version of the layout of result.json
SCHEMA = 1

DEFAULT_RECIPE = "dense-regularised"
DEFAULT_BASELINE = "dense-baseline"


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
    on_read: OnRead | None = None,
) -> Dataset:
    """Read data without splitting it, e.g. to evaluate on all of it. Arguments and errors are those of `load`."""
    table = _table(data, labels, None if images is None else Path(images), label_names, label_separator, minus_one)
    return build(table, size=size, on_read=on_read)


def load(
    data: Any,
    labels: Any = None,
    *,
    images: str | Path | None = None,
    size: int = DEFAULT_SIZE,
    split: str | Mapping[str, float] | None = None,
    split_seed: int = 0,
    label_names: Sequence[str] | None = None,
    label_separator: str | None = None,
    minus_one: Literal["no", "unknown"] | None = None,
    on_read: OnRead | None = None,
) -> LockedData:
    """Read, split and lock data.

    Args:
        data: a folder with a label file in it, a label file, an arrays file, `postcards:COUNT` for the embedded set;
            or a feature array or frame, a frame of picture paths and labels, a mapping of arrays as in an .npz, or a
            Hugging Face dataset.
        labels: (N, L) of 1, 0 and -1 or NaN for unknown, where `data` is an array or a frame of features.
        images: the folder that picture paths are relative to, where it is not the label file's.
        size: picture files become size x size pixels.
        split: `70/15/15` or shares by part, where the data brings no split of its own.
        split_seed: deals the samples another way; a training seed never moves the split.
        label_names: names for the columns of `labels`.
        label_separator: what stands between labels in one cell, where it cannot be told.
        minus_one: what -1 means in a matrix of -1 and +1.
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
        on_read=on_read,
    )
    return lock(dataset, deal(dataset, shares=shares, seed=split_seed))


def _locked(data: Any) -> LockedData:
    return data if isinstance(data, LockedData) else load(data)


def _table(
    data: Any,
    labels: Any,
    images: Path | None,
    label_names: Sequence[str] | None,
    label_separator: str | None,
    minus_one: Literal["no", "unknown"] | None,
) -> LabelTable:
    if labels is not None:
        return from_arrays(data, labels, label_names=label_names, minus_one=minus_one)
    if not isinstance(data, str | Path):
        return from_memory(
            data, images=images, label_names=label_names, label_separator=label_separator, minus_one=minus_one
        )
    if str(data).startswith(POSTCARDS):
        return read_postcards(str(data))
    return read(Path(data), images=images, label_separator=label_separator, minus_one=minus_one)


# ------------------------------------------------------------------------------------------------- runs


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


def fit(
    data: Any,
    *,
    recipe: str | Path | Recipe = DEFAULT_RECIPE,
    seed: int = 0,
    output: str | Path | None = None,
    device: str = "auto",
    on_event: Listener = lambda event: None,
) -> Result:
    """Train one recipe, and score it on every part.

    Args:
        data: what `load` returned, or anything that `load` takes without further options.
        recipe: a name, a TOML file or a Recipe.
        seed: of the first weights, the order of samples and dropout.
        output: the run folder to write; finished runs of the same command there are returned as they are.
        device: auto, cpu, cuda or mps.
        on_event: told what happens; when it returns True, training stops cleanly and the best so far is delivered.

    Raises:
        DataError, RecipeError, OutputError: before anything is trained.
        TrainingDivergedError: the loss became NaN or exploded.
    """
    chosen, data = find_recipe(recipe), _locked(data)
    session = _Session(data, Target(), seed, find_device(device), on_event)
    command = {"command": "fit", "lock": data.lock, "recipe": chosen.to_dict(), "seed": seed}

    def work() -> _Work:
        return _Work(None, session.with_test(session.run(chosen)), ())

    return session.deliver(command, work, output)


def cure(
    data: Any,
    *,
    target: Target = Target(),  # noqa: B008 (frozen)
    baseline: str | Path | Recipe = DEFAULT_BASELINE,
    seed: int = 0,
    output: str | Path | None = None,
    device: str = "auto",
    on_event: Listener = lambda event: None,
) -> Result:
    """Train the baseline, then recipes that may overfit less; deliver the best on val, never below the baseline's.

    The data, the split and the preprocessing stay what they are: the lock is computed again for every run.

    Args:
        target: the bands to reach.
        baseline: a name, a TOML file or a Recipe: the network to be cured.
        the others are as in `fit`.

    Raises:
        DataError, RecipeError, OutputError: before anything is trained.
        TrainingDivergedError: the baseline's loss became NaN or exploded.
        LockChangedError: data, split or preprocessing changed meanwhile.
    """
    first, data = find_recipe(baseline), _locked(data)
    session = _Session(data, target, seed, find_device(device), on_event)
    command = {
        "command": "cure",
        "lock": data.lock,
        "baseline": first.to_dict(),
        "target": target.to_dict(),
        "seed": seed,
    }

    def work() -> _Work:
        rungs = ladder()
        before = session.run(first, 1, 1 + len(rungs))
        tried = []
        for number, recipe in enumerate(rungs, start=2):
            if session.stopped:
                break
            tried.append(session.attempt(recipe, number, 1 + len(rungs)))
        chosen = choose(before.run, [trained.run for trained in tried], target)
        after = next(trained for trained in [before, *tried] if trained.run is chosen)
        scored = session.with_test(before)
        return _Work(
            before=scored,
            after=scored if after is before else session.with_test(after),
            tried=tuple(trained.run for trained in tried),
        )

    return session.deliver(command, work, output)


@dataclass(frozen=True, eq=False)
class _Trained:
    """A run and its network; a diverged run's is of no use."""

    run: Run
    network: nn.Module


@dataclass(frozen=True, eq=False)
class _Work:
    """What a session did: `before` is None where there was nothing to compare with."""

    before: _Trained | None
    after: _Trained
    tried: tuple[Run, ...]


@dataclass
class _Session:
    """Trains recipes on one lock with one seed, and remembers whether it was asked to stop."""

    data: LockedData
    target: Target
    seed: int
    device: torch.device
    on_event: Listener
    stopped: bool = False
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.constant = ConstantAnswer.choose(self.data.labels("train"))

    def listen(self, event: Event) -> bool:
        self.stopped = bool(self.on_event(event)) or self.stopped
        return self.stopped

    def run(self, recipe: Recipe, number: int = 1, of: int = 1) -> _Trained:
        """Train `recipe` and score it on train and val; test is not touched."""
        verify(self.data)
        began = time.perf_counter()
        train_rows, val_rows = (LabelledRows.of(self.data, part, self.device) for part in ("train", "val"))
        steps = -(-len(train_rows) // recipe.training.batch_size)
        self.listen(RunStarted(recipe.name, recipe.training.epochs, steps, number, of))
        network = self._network(recipe)
        try:
            trained = train(
                network,
                recipe.training,
                train_rows,
                val_rows,
                seed=self.seed,
                score_val=self._score_val,
                on_event=self.listen,
            )
        except TrainingDivergedError:
            self.listen(RunEnded(recipe.name, "diverged"))
            raise
        self.stopped = self.stopped or trained.state == "stopped"
        run = Run(
            recipe=recipe,
            lock=self.data.lock,
            scores={part: self._score(network, part) for part in ("train", "val")},
            constant={part: self.constant.score(self.data.labels(part)) for part in ("train", "val")},
            history=trained.history,
            delivered_epoch=trained.delivered_epoch,
            parameters=sum(p.numel() for p in network.parameters()),
            seconds=time.perf_counter() - began,
            state=trained.state,
        )
        self.listen(RunEnded(recipe.name, run.state))
        return _Trained(run, network)

    def attempt(self, recipe: Recipe, number: int, of: int) -> _Trained:
        """As `run`, but a recipe that diverges is only noted."""
        began = time.perf_counter()
        try:
            return self.run(recipe, number, of)
        except TrainingDivergedError:
            seconds = time.perf_counter() - began
            return _Trained(Run.diverged(recipe, self.data.lock, seconds), nn.Identity())

    def with_test(self, trained: _Trained) -> _Trained:
        """Score the delivered weights on test: once, at the end."""
        network, run = trained.network, trained.run
        constant = self.constant.score(self.data.labels("test")) if self.data.split.counts["test"] else None
        return _Trained(
            replace(
                run,
                scores={**run.scores, "test": self._score(network, "test")},
                constant={**run.constant, "test": constant},
            ),
            network,
        )

    def deliver(self, command: Mapping[str, Any], work: Callable[[], _Work], output: str | Path | None) -> Result:
        """Do `work`, and write the run folder where one is asked for."""
        if output is None:
            return self._result(command, work(), None)
        with claim(Path(output), command) as folder:
            earlier = folder.finished_result()
            if earlier is not None:
                return Result(earlier, Tagger.load(folder.path), folder.path, fresh=False)
            return self._result(command, work(), folder)

    def _result(self, command: Mapping[str, Any], work: _Work, folder: RunFolder | None) -> Result:
        record = self._record(command, work)
        bundle = Bundle.of(work.after.network.cpu(), work.after.run, self.constant, self.data)
        if folder is not None:
            write_bundle(folder.bundle, bundle)
            folder.write_result(record)
        return Result(record, Tagger(bundle), None if folder is None else folder.path)

    def _record(self, command: Mapping[str, Any], work: _Work) -> dict[str, Any]:
        dataset, before, after = self.data.dataset, work.before, work.after.run
        verdict = judge(None if before is None else before.run, after, self.target, len(work.tried))
        train, val = after.scores["train"], after.scores["val"]
        return {
            "schema": SCHEMA,
            "tagfit": tagfit.__version__,
            "command": command["command"],
            "state": "stopped" if self.stopped else "finished",
            "lock": self.data.lock,
            "seed": self.seed,
            "device": self.device.type,
            "data": {
                "name": dataset.name,
                "kind": dataset.kind,
                "samples": len(dataset),
                "label_names": list(dataset.label_names),
                "parts": self.data.split.counts,
                "preprocessing": dataset.preprocessing.to_dict(),
                "notes": [*dataset.notes, *self.data.split.notes],
                "set_aside": [{"sample": name, "reason": reason} for name, reason in dataset.set_aside],
            },
            "target": {**self.target.to_dict(), "met": bool(train and val and self.target.met_by(train, val))},
            "verdict": verdict.to_dict(),
            "before": None if before is None else before.run.to_dict(),
            "after": after.to_dict(),
            "tried": [run.to_trial() for run in work.tried],
            "findings": [],
            "seconds": round(time.perf_counter() - self.began, 3),
        }

    def longest(self, recipe: Recipe) -> float:
        """Seconds that `recipe` would train without early stopping."""
        train_rows, val_rows = (LabelledRows.of(self.data, part, self.device) for part in ("train", "val"))
        return longest_training(self._network(recipe), recipe.training, train_rows, val_rows)

    def parameters(self, recipe: Recipe) -> int:
        return sum(p.numel() for p in self._network(recipe).parameters())

    def _network(self, recipe: Recipe) -> nn.Module:
        dataset = self.data.dataset
        network = build_network(recipe, dataset.preprocessing.shape, len(dataset.label_names), seed=self.seed)
        return network.to(self.device)

    def _score(self, network: nn.Module, part: Part) -> Scores | None:
        rows = self.data.split.rows(part)
        if not len(rows):
            return None
        samples = Samples.of(self.data.dataset.x, self.data.dataset.preprocessing, self.device)
        return score(self.data.dataset.labels_NL[rows], probabilities(network, samples, rows))

    def _score_val(self, probabilities_NL: NDArray[np.float32]) -> dict[str, float | None]:
        scores = score(self.data.labels("val"), probabilities_NL)
        return {f"val_{self.target.metric}": self.target.of(scores)}


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
        data: what `read_dataset` returned, or anything that it reads without further options.

    Raises:
        BundleError: the bundle cannot be read.
        DataError: no labels in common, samples of another kind or shape, or no rows in that part.
    """
    tagger = tagger if isinstance(tagger, Tagger) else Tagger.load(tagger)
    bundle = tagger.bundle
    dataset = data if isinstance(data, Dataset) else read_dataset(data, size=tagger.size)
    if part is not None:
        dataset = rows_of_part(dataset, part)
    aligned, surplus = align_labels(dataset, bundle.label_names)
    prediction = tagger.predict_array(aligned.x)
    scores = score(aligned.labels_NL, prediction.scores)
    return Evaluation(
        scores=scores,
        decided=scores,
        constant=bundle.constant.score(aligned.labels_NL),
        samples=len(aligned),
        notes=(*dataset.notes, *_evaluation_notes(bundle, aligned, surplus)),
    )


def _evaluation_notes(bundle: Bundle, dataset: Dataset, surplus: tuple[str, ...]) -> list[str]:
    notes = [f"{len(dataset.set_aside)} pictures could not be read and were not scored."] if dataset.set_aside else []
    if surplus:
        notes.append(f"The model does not know {len(surplus)} of the labels, left out: {', '.join(surplus)}.")
    for part, deed in (("train", "trained"), ("val", "chosen")):
        seen = known_samples(dataset, bundle.trained_on[part])
        if seen:
            notes.append(f"The model was {deed} on {seen} of these {len(dataset)} samples: the scores flatter.")
    return notes


def inspect(data: LockedData) -> Inspection:
    """What there is to know about data before it is trained on."""
    return look(data)


@dataclass(frozen=True)
class Estimate:
    """What training would take at most, by command, measured on this machine; early stopping usually takes less.

    Attributes:
        memory_bytes: the samples, and the weights of every run with what an optimiser keeps of them.
    """

    fit_seconds: float
    cure_seconds: float
    memory_bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(data: LockedData, *, device: str = "auto") -> Estimate:
    """Time a few steps of the default recipe and of the baseline, and scale them up to `fit` and `cure`."""
    session = _Session(data, Target(), 0, find_device(device), lambda event: None)
    first, rungs = find_recipe(DEFAULT_BASELINE), ladder()
    one = session.longest(find_recipe(DEFAULT_RECIPE))
    parameters = max(session.parameters(recipe) for recipe in (first, *rungs))
    # a run keeps its weights; the one in training has gradients, two moments and the best weights so far as well
    floats = parameters * (1 + len(rungs) + 4)
    return Estimate(one, session.longest(first) + len(rungs) * one, data.dataset.x.nbytes + 4 * floats)
