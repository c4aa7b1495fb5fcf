"""What to do after a fit or a cure: one to three commands, chosen by what keeps the model from the target."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from pathlib import Path

from tagfit.options.data import DataOptions
from tagfit.options.option import command_words
from tagfit.options.runs import CureOptions
from tagfit.records.scores import Target
from tagfit.records.verdict import MET, NextStep
from tagfit.runs.record import RunRecord
from tagfit.search.selection import on_val

#: with fewer samples, folds score a model on several times as many as val does
FEW_SAMPLES = 3_000

#: suggestions, at most
MOST_STEPS = 3


def next_steps(record: RunRecord, folder: Path | None) -> tuple[NextStep, ...]:
    """What to do next, the most promising first; never the command that was just run.

    Args:
        folder: the run's folder; if None, commands call it RUN.
    """
    run = "RUN" if folder is None else shlex.quote(str(folder))
    steps = _use(record, run) if record.verdict.state in MET else _improve(record, run)
    return tuple(steps)[:MOST_STEPS]


def _use(record: RunRecord, run: str) -> Iterator[NextStep]:
    images = record.data.preprocessing.takes_images
    inputs, output = ("new-photos/", "labels.csv") if images else ("new-rows.npz", "labels.csv")
    what = "images" if images else "rows"
    yield NextStep(f"Label new {what}.", f"tagfit predict {run} {inputs} -o {output}")
    yield NextStep("Try the model in a browser.", f"tagfit serve {run}")
    yield NextStep("Check it on labelled data that it has never seen.", f"tagfit evaluate {run} held-out/")


def _improve(record: RunRecord, run: str) -> Iterator[NextStep]:
    """By cause."""
    state, data = record.verdict.state, record.data
    images, backbone = data.preprocessing.takes_images, data.preprocessing.backbone
    if _only_train_band(record):
        yield NextStep(
            "Only the train band is missed: if you don't mind a high train score, ask nothing of it.",
            _again(record, "--train-below 1"),
        )
    if state in ("cannot tell", "not confirmed") and data.folds is None and data.samples < FEW_SAMPLES:
        yield NextStep("Use more of your samples for scoring: with folds, each one is.", _again(record, "--folds 5"))
    if images and backbone is None:
        yield NextStep("Start from a pretrained network: it needs fewer images.", _again(record, "--backbone FOLDER"))
    augmented = bool(record.after.recipe.training.augmentation)
    if state == "overfit" and images and backbone is None and not augmented:
        yield NextStep(
            "Let training vary the images, if mirrored and shifted ones mean the same.",
            _again(record, "--allow augmentation"),
        )
    if backbone is not None and record.after.engine == "compiled":
        yield NextStep(
            "Train the pretrained network further on your images.",
            _again(record, "--fine-tune --allow augmentation"),
        )
    yield NextStep("See what limits it: wrong labels, leaks, or too few samples.", f"tagfit diagnose {run}")
    if record.search is None:
        yield NextStep("Search for a better recipe.", _again(record, "--minutes 30"))
    else:
        minutes = max(10, math.ceil(2 * record.search.seconds / 60))
        yield NextStep("Search longer.", _again(record, f"--minutes {minutes}"))


def _only_train_band(record: RunRecord) -> bool:
    expected, target = record.expected, record.target
    if expected is None or expected.value is None or not target.train_ranks:
        return False
    enough = min(expected.value, on_val(record.after, target)) >= target.val_at_least
    train = record.after.score("train", target.metric)
    return enough and train is not None and not target.allows_train(train)


def _again(record: RunRecord, change: str) -> str:
    """`cure` on the same data for the same target, with one more option, into a folder of its own."""
    source, target = record.data.source, record.target
    # a backbone has its own size
    replaced = {"backbone", "size"} if change.startswith("--backbone") else {change.split()[0][2:].replace("-", "_")}
    allowed = any(one.training.augmentation for one in (record.after.recipe, *(run.recipe for run in record.tried)))
    asked = {
        "metric": target.metric,
        "val_at_least": target.val_at_least,
        "train_below": target.train_below if target.train_ranks and target.train_below != Target.train_below else None,
        "allow": ("augmentation",) if allowed and "augmentation" not in change else None,
        "seed": record.seed,
    }
    read = {} if source is None else source.options
    words = [
        *command_words(DataOptions, {name: value for name, value in read.items() if name not in replaced}),
        *command_words(CureOptions, {name: value for name, value in asked.items() if name not in replaced}),
    ]
    return f"{shlex.join(['tagfit', 'cure', 'DATA' if source is None else source.data, *words])} {change}"
