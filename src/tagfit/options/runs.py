"""What is trained, tried, scored and looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from tagfit.options.checks import FRACTION, SWITCH, choice, number, place, several, text, whole
from tagfit.options.option import Options, option
from tagfit.options.shared import (
    ALLOWABLE,
    DEFAULT_BASELINE,
    DEFAULT_RECIPE,
    FINE_TUNED,
    PARTS,
    Part,
    device_option,
    metric_option,
    on_option,
    recipe_option,
    seed_option,
)

if TYPE_CHECKING:
    from tagfit.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What `fit` and `cure` share."""

    fine_tune: bool = option(False, "Also train the upper blocks of the backbone.", SWITCH, "Training")
    allow: Collection[str] = option(
        (),
        "Allow recipes to augment the images in training.",
        several("augmentation", *ALLOWABLE),
        "Training",
        several=True,
    )
    decide_for: str | None = option(
        None,
        "What to fit the decision rule for: micro_f1, macro_f1, sample_f1, subset_accuracy, 'recall>=R' or "
        "'precision>=P'.",
        text("METRIC"),
        "Decisions",
        usual="labels above 0.5",
    )
    guarantee: str | None = option(
        None,
        "Decide labels so that this recall or precision holds on new samples. The rule is fitted on a calibrate part.",
        text("recall=R|precision=P"),
        "Decisions",
    )
    seed: int = seed_option("The seed of the initial weights, the order of samples and dropout.")
    device: str = device_option()
    on: str | None = on_option()
    output: str | Path | None = option(
        None,
        "The run folder to write. If a run was stopped there, it continues.",
        place("RUN"),
        "Output",
        typed_usual="runs/NAME-COMMAND",
        short="-o",
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, object], name: Callable[[str], str]) -> Iterator[str]:
        if "decide_for" in given and "guarantee" in given:
            yield f"{name('decide_for')} and {name('guarantee')} were both given, and only one can decide"


class RunKeywords(TypedDict, total=False):
    """`RunOptions` as keyword arguments."""

    fine_tune: bool
    allow: Collection[str]
    decide_for: str | None
    guarantee: str | None
    seed: int
    device: str
    on: str | None
    output: str | Path | None


@dataclass(frozen=True, kw_only=True)
class RecipeOptions(Options):
    """Which recipe `fit` trains."""

    recipe: str | Path | Recipe | None = recipe_option(
        None, "The recipe to train", "Training", f"{DEFAULT_RECIPE} ({FINE_TUNED}, if the backbone is trained)"
    )


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions, RecipeOptions):
    """What `fit` trains, and how."""


class TrainKeywords(RunKeywords, total=False):
    """`TrainOptions` as keyword arguments."""

    recipe: str | Path | Recipe | None


@dataclass(frozen=True, kw_only=True)
class CureOptions(RunOptions):
    """What `cure` is to reach, and how much it may try."""

    metric: str = metric_option("The metric of the target.", "Target")
    train_below: float | None = option(
        None,
        "The score that train must stay below.",
        number("a fraction above 0 and at most 1", 0, 1, above=True, metavar="SCORE"),
        "Target",
        usual="0.92",
    )
    val_at_least: float = option(0.85, "The score to reach on val.", FRACTION, "Target")
    baseline: str | Path | Recipe = recipe_option(DEFAULT_BASELINE, "The recipe to cure", "Search")
    trials: int | None = option(
        None,
        "How many recipes to try: first the ladder of known good ones, then a search.",
        whole(1),
        "Search",
        usual="48 on features, the ladder on images",
    )
    minutes: float | None = option(
        None,
        "Search for about this many minutes, instead of a number of trials.",
        number("a number above 0", 0, above=True),
        "Search",
    )
    single: bool = option(False, "Deliver a single network, never an ensemble.", SWITCH, "Search")
    refit: bool = option(
        False, "Retrain the chosen recipe on all labelled samples except test, and deliver that.", SWITCH, "Search"
    )

    @classmethod
    def conflicts(cls, given: Mapping[str, object], name: Callable[[str], str]) -> Iterator[str]:
        yield from super().conflicts(given, name)
        if given.get("refit") and "guarantee" in given:
            yield (
                f"{name('refit')} and {name('guarantee')} were both given: a guarantee is for the network that was "
                "calibrated, not for one that is trained again"
            )


class CureKeywords(RunKeywords, total=False):
    """`CureOptions` as keyword arguments."""

    metric: str
    train_below: float | None
    val_at_least: float
    baseline: str | Path | Recipe
    trials: int | None
    minutes: float | None
    single: bool
    refit: bool


@dataclass(frozen=True, kw_only=True)
class DiagnoseOptions(Options):
    """What `diagnose` looks at."""

    quick: bool = option(False, "Skip the checks that need further training.", SWITCH, "Checks")
    ignore: Collection[str] = option(
        (),
        "Skip this check: its code, such as TAG008, or its name. Repeat it for each check.",
        several("CHECK"),
        "Checks",
        several=True,
    )
    recipe: str | Path | Recipe | None = recipe_option(
        None, "The recipe to train on the data and examine", "Checks", f"{DEFAULT_BASELINE} on the cheapest features"
    )
    metric: str = metric_option("The metric that the checks use.", "Checks")
    seed: int = seed_option("The seed of the trainings and the resampling.")
    device: str = device_option()


class DiagnoseKeywords(TypedDict, total=False):
    """`DiagnoseOptions` as keyword arguments."""

    quick: bool
    ignore: Collection[str]
    recipe: str | Path | Recipe | None
    metric: str
    seed: int
    device: str


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Options):
    """What `evaluate` scores."""

    part: Part | None = option(None, "Score only this part of the data's own split.", choice(*PARTS), "Scores")
    by: str | None = option(None, "Also score each value of this column separately.", text("COLUMN"), "Scores")
    seed: int = seed_option("The seed of the resampling that gives the intervals.", flag=None)


class EvaluateKeywords(TypedDict, total=False):
    """`EvaluateOptions` as keyword arguments."""

    part: Part | None
    by: str | None
    seed: int
