"""RunRecord: what result.json holds, read and written (docs/result.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tagfit.bundle.files import unfinished
from tagfit.decisions.decider import Decider
from tagfit.decisions.earlier import upgraded_decider
from tagfit.decisions.reliability import CalibrationReport
from tagfit.errors import BundleError, nearest_file
from tagfit.inference.tagger import Tagger
from tagfit.io.strict_json import read_json
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.options.data import DataSource
from tagfit.recipes import Recipe
from tagfit.records.data import Kind, Part, Preprocessing
from tagfit.records.runs import (
    Finding,
    GainRecord,
    IngredientRecord,
    RepeatsRecord,
    Run,
    SearchSummary,
    Trial,
)
from tagfit.records.scores import Difference, Differences, EstimatedScore, Interval, SmallSample, Target
from tagfit.records.verdict import Choice, Expectation, NextStep, Verdict

#: version of the layout of result.json; 1 had other words, see `_upgrade`
SCHEMA = 2

#: by part and metric
IntervalsByPart = Mapping[str, Mapping[str, Interval | None]]


@dataclass(frozen=True)
class SetAside:
    """An image that could not be read.

    Attributes:
        sample: its path as the label file writes it.
        reason: why it could not be read.
    """

    sample: str
    reason: str


@dataclass(frozen=True)
class DataRecord:
    """The data of a run.

    Attributes:
        name: the short name of the data.
        kind: images or rows of features.
        samples: how many samples there are, in all parts together.
        label_names: the labels, in the order of every list that has one entry a label.
        parts: how many samples each part has.
        folds: how many folds replace train and val; None if there are none.
        preprocessing: how a sample becomes the network's input.
        positives: by part, how many samples have each label.
        unknown: by part, how many samples have no entry for each label, neither yes nor no.
        notes: what you should know about how the data was read and split.
        set_aside: the images that could not be read.
        source: where the data came from, and the options it was read with; None if it came from memory. Not part of
            the lock.
        grouped_by: what decides which samples stay in one part: `auto`, `blocks`, `none`, `given` (groups from Python)
            or a column. None in old records.
    """

    name: str
    kind: Kind
    samples: int
    label_names: tuple[str, ...]
    parts: Mapping[str, int]
    folds: int | None
    preprocessing: Preprocessing
    positives: Mapping[str, tuple[int, ...]]
    unknown: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    source: DataSource | None = None
    grouped_by: str | None = None


@dataclass(frozen=True)
class TargetRecord(Target):
    """The bands that were asked for, and whether the delivered model met them.

    Attributes:
        met: whether the verdict is that the target is met.
    """

    met: bool = False


@dataclass(frozen=True)
class Intervals:
    """The 95% intervals of the scores, and of what a rule decides.

    Attributes:
        scores: of `scores`, by part and metric; None if there are too few samples for one.
        decided: the same of `decided`.
    """

    scores: IntervalsByPart
    decided: IntervalsByPart


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelRecord(Run):
    """A trained recipe with its scores, their intervals, and what decides which labels are given.

    Attributes:
        members: the recipes of an ensemble's networks; None for a single network.
        intervals: the 95% intervals of its scores.
        decider: what makes labels of the network's scores.
        calibration: what the calibration changes.
        refusal: why a guarantee that was asked for cannot be given; else None.
        small_sample: by part, what two metrics owe to how few samples there are. Empty in old records.
        ensemble: with folds, what the mean of their networks is estimated to score on new samples, by metric; else
            empty.
    """

    members: tuple[Recipe, ...] | None
    intervals: Intervals
    decider: Decider
    calibration: CalibrationReport
    refusal: str | None = None
    small_sample: Mapping[Part, SmallSample] = field(default_factory=dict)
    ensemble: Mapping[str, EstimatedScore] = field(default_factory=dict)

    @property
    def networks(self) -> tuple[Recipe, ...]:
        """The recipe of each network."""
        return self.members or (self.recipe,)

    def interval(self, part: str, metric: str) -> Interval | None:
        """The 95% interval of a score."""
        return self.intervals.scores.get(part, {}).get(metric)


@dataclass(frozen=True)
class Refit:
    """The retrained network that is delivered in place of the one that was scored.

    Attributes:
        samples: how many samples it was trained on.
    """

    samples: int


@dataclass(frozen=True)
class LabelChange:
    """What became of a label's cells since the earlier run.

    Attributes:
        label: the label's name.
        added: cells that are known now, and were not: of new samples, or of samples that nobody had labelled.
        changed: cells that were known and differ now.
    """

    label: str
    added: int
    changed: int


@dataclass(frozen=True)
class SameSamples:
    """Both models on the same samples of one part, which neither was trained on, by the metric of the target.

    Attributes:
        samples: all of the part.
        kept: those of them that the earlier run had.
        cells_relabelled: cells of the kept samples whose label is not what it was.
        earlier: what the earlier model scores on all samples, by the labels of today.
        now: what the delivered model scores there.
        difference: `now` less `earlier`, on the same samples.
        earlier_on_labels_then: what the earlier model scores on the kept samples, by the labels that they had.
        earlier_on_labels_now: the same by the labels of today: what changed is due to the corrections alone.
        now_on_labels_then: what the delivered model scores on the kept samples, by the labels that they had.
        now_on_labels_now: the same by the labels of today.
    """

    samples: int
    kept: int
    cells_relabelled: int
    earlier: float | None
    now: float | None
    difference: Difference | None
    earlier_on_labels_then: float | None
    earlier_on_labels_now: float | None
    now_on_labels_then: float | None
    now_on_labels_now: float | None

    @property
    def by_relabelling(self) -> float | None:
        """By how much the corrected labels alone move the earlier model's score."""
        if self.earlier_on_labels_now is None or self.earlier_on_labels_then is None:
            return None
        return self.earlier_on_labels_now - self.earlier_on_labels_then


@dataclass(frozen=True, eq=False)
class Continuation:
    """What changed since the run that was gone on from.

    Attributes:
        run: its folder.
        lock: its lock.
        kept: how many samples both runs have.
        added: how many are new.
        gone: how many are no longer there.
        relabelled: how many of the kept samples have other labels, by part.
        labels: the labels whose cells differ.
        compared: both models on the same samples, by part.
    """

    run: str
    lock: str
    kept: int
    added: int
    gone: int
    relabelled: Mapping[Part, int]
    labels: tuple[LabelChange, ...]
    compared: Mapping[Part, SameSamples]


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a fit or a cure came to.

    Attributes:
        schema: the version of this layout. It changes if a key changes its meaning; earlier versions are still read.
        tagfit: the version of tagfit that wrote it.
        command: the command that ran.
        state: whether it finished, or was stopped and delivered what it had.
        lock: the fingerprint of data, split and preprocessing, in hex.
        data: the data.
        seed: the seed that was given.
        device: where the networks ran.
        target: the target, and whether it is met.
        verdict: what came of it, in words: see [the verdict](result.md#the-verdict).
        before: the baseline; None for `fit`.
        after: the model that is delivered. It is the baseline again if nothing better was found.
        differences: the score of `after` less that of `before`, by part and metric, on the same samples.
        refit: the retrained network that is delivered, with `--refit`; else None.
        tried: each further recipe that was trained.
        search: how the search went; None if there was none.
        finalists: the recipes that a search trained again on further seeds.
        ingredients: what each ingredient of the chosen recipe brings, after a search.
        findings: what the [checks](checks/index.md) found that need no further training.
        seconds: how long the command took.
        expected: what to expect on new samples: the number to quote. None in old records.
        choice: how val chose the delivered model. None for `fit`, and in old records.
        test_run: how many commands have scored this test part on this machine, this one included. The cache counts
            them, and `tagfit cache --clear` forgets them. None without a test part, and in old records.
        gains: why it is better: what each change on the way from the baseline brought on val. They add up to the whole.
            Empty for `fit`, if the baseline is delivered, and in old records.
        untried: the ingredients that there was no time to leave out: with more `--minutes`, they would be.
        next_steps: what to do next, the most promising first. Commands call the run's folder RUN, and data from memory
            DATA. Empty in old records.
        continued: what changed since the run that was gone on from (`--from`). None without one.
    """

    schema: int
    tagfit: str
    command: Literal["fit", "cure"]
    state: Literal["finished", "stopped"]
    lock: str
    seed: int
    device: str
    data: DataRecord
    target: TargetRecord
    verdict: Verdict
    before: ModelRecord | None
    after: ModelRecord
    differences: Differences
    refit: Refit | None
    tried: tuple[Trial, ...]
    search: SearchSummary | None
    finalists: tuple[RepeatsRecord, ...]
    ingredients: tuple[IngredientRecord, ...]
    findings: tuple[Finding, ...]
    seconds: float
    expected: Expectation | None = None
    choice: Choice | None = None
    test_run: int | None = None
    next_steps: tuple[NextStep, ...] = ()
    continued: Continuation | None = None
    gains: tuple[GainRecord, ...] = ()
    untried: tuple[str, ...] = ()

    @property
    def baseline(self) -> ModelRecord | None:
        """What is compared with: None where there is nothing, or it is what is delivered."""
        return None if self.before is None or self.before.recipe == self.after.recipe else self.before

    def difference(self, part: str, metric: str) -> Difference | None:
        """After minus before."""
        by_metric: Mapping[str, Difference | None] = dict(self.differences).get(part, {})  # type: ignore[call-overload]
        return by_metric.get(metric)

    def to_json(self) -> str:
        return json.dumps(to_plain(self), indent=1, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, eq=False, repr=False)
class Delivered:
    """What a fit or a cure handed over.

    Attributes:
        tagger: the delivered model, ready to predict.
        folder: the run folder, if one was written.
        fresh: False if the folder held the finished record already and nothing was done.
    """

    record: RunRecord
    tagger: Tagger
    folder: Path | None = None
    fresh: bool = True


def read_record(path: Path) -> RunRecord:
    """The record of the run folder `path`, of its bundle, or of its result.json, whatever version wrote it.

    Raises:
        BundleError: there is none, or it cannot be read.
    """
    folder = path.resolve().parent if (path / "manifest.json").is_file() else path
    result = folder / "result.json" if folder.is_dir() else folder
    if not result.is_file() and (folder / "run.json").is_file():
        raise unfinished(folder)
    if not result.is_file():
        raise BundleError(
            f"{path}: no such run.{nearest_file(path)}"
            if not path.exists()
            else f"{path}: expected a run folder with a result.json in it",
            "Give the -o folder of `tagfit fit` or `tagfit cure`.",
        )
    values = read_json(result)
    if values.get("schema") not in (1, SCHEMA):
        raise BundleError(f"{result}: expected a result of schema {SCHEMA}; got {values.get('schema')!r}")
    try:
        return from_plain(_upgrade(values) if values["schema"] == 1 else values, RunRecord)
    except BundleError as error:
        raise BundleError([f"{result}: {fault}" for fault in error.faults]) from None
    except (KeyError, TypeError, AttributeError) as error:  # an older one that is not what it was
        raise BundleError(f"{result}: expected a result of schema 1; {type(error).__name__}: {error}") from None


def finished_record(folder: Path) -> RunRecord | None:
    """The record of a finished run, or None where there is none yet."""
    if not (folder / "result.json").exists():
        return None
    record = read_record(folder)
    return record if record.state == "finished" else None


def _upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """A record of schema 1, whose words were others."""
    data, preprocessing = values["data"], values["data"]["preprocessing"]
    runs = {name: _upgrade_run(values[name]) for name in ("before", "after")}
    images = {"pictures": "images"}
    kinds = [images.get(one["kind"], one["kind"]) for one in (data, preprocessing)]
    data = {**data, "kind": kinds[0], "preprocessing": {**preprocessing, "kind": kinds[1]}}
    return {**values, **runs, "schema": SCHEMA, "data": data}


def _upgrade_run(run: dict[str, Any] | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {**run, "recalibration": run.get("level"), "decider": upgraded_decider(run["decider"])}
