"""What the report's page shows, in its order. `compose` builds it of a run folder's records, `page` renders it.

Records that are shown as they are stand in it themselves. Every field of the classes here is used by the template
(`tests/report/test_page.py`). Numbers are None where undefined; text may be a stranger's, and the page escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tagfit.records.runs import Finding, RepeatsRecord
from tagfit.records.scores import Difference
from tagfit.records.verdict import NextStep
from tagfit.report.labels import LabelScores
from tagfit.report.values import GainShown, TriedRecipe
from tagfit.runs.record import RunRecord


@dataclass(frozen=True)
class Figure:
    """A chart, and the same as a table for whoever cannot see it.

    Attributes:
        slug: its file's name among the figures.
        svg: the image as markup, in which all text is escaped.
    """

    slug: str
    caption: str
    svg: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ScoreShown:
    """A value with its 95% interval."""

    value: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Badge:
    """A few words of the verdict; `tone` is good, plain, or bad, which is for harm alone."""

    text: str
    tone: str


@dataclass(frozen=True)
class SummaryChange:
    """One part's score before and after; `before` and `change` are None if there is no baseline."""

    part: str
    before: float | None
    after: ScoreShown
    change: Difference | None
    constant: float | None


@dataclass(frozen=True)
class Summary:
    """The card on top.

    Attributes:
        badges: whether the model is better than the baseline, and whether the target is met: two things.
        changes: test before val, which chose the model.
        gaps: train minus val, before and after.
    """

    metric: str
    badges: tuple[Badge, ...]
    changes: tuple[SummaryChange, ...]
    gaps: tuple[float | None, float | None]


@dataclass(frozen=True)
class ModelRow:
    """A model, or a constant baseline; `kind` is its series in the palette, `gap` train minus val."""

    name: str
    kind: str
    recipe: str
    scores: tuple[ScoreShown, ...]
    gap: float | None


@dataclass(frozen=True)
class OutcomeShown:
    """Before and after on the metric that was asked for.

    Attributes:
        parts: what `scores` and `changes` are of, in order.
        asked: the band of each part, in words; empty where nothing was asked.
    """

    metric: str
    parts: tuple[str, ...]
    models: tuple[ModelRow, ...]
    changes: tuple[Difference | None, ...]
    asked: tuple[str, ...]
    figure: Figure


@dataclass(frozen=True)
class WhyShown:
    """Why it is better: what each change on the way from the baseline brought."""

    gains: tuple[GainShown, ...]
    remark: str


@dataclass(frozen=True)
class Learning:
    """A run's loss by epoch, and its metric where that was computed while it was trained."""

    run: str
    recipe: str
    remark: str
    loss: Figure
    scores: Figure | None


@dataclass(frozen=True)
class SameSamplesRow:
    """Both models on the same samples of a part; `corrected` counts labels that were corrected there since."""

    part: str
    samples: int
    earlier: float | None
    now: float | None
    change: str
    corrected: str


@dataclass(frozen=True)
class SinceShown:
    """What changed in the data since the run that was gone on from, in a line, and what both models score."""

    line: str
    same: tuple[SameSamplesRow, ...]


@dataclass(frozen=True)
class LockShown:
    """What stayed as it was, and what was changed.

    Attributes:
        proof: whether all runs were trained under the lock.
        facts: (term, description) of data, split and preprocessing.
        changes: (field, before, after) of the recipe.
        notes: on how the data was read.
        since: what changed since the run that was gone on from; None without one.
    """

    proof: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    since: SinceShown | None


@dataclass(frozen=True)
class MetricRow:
    """One metric, of all models and parts side by side; those where more is better are fractions."""

    title: str
    lower_is_better: bool
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class MetricTable:
    """All metrics side by side.

    Attributes:
        heads: models, with how many columns each has.
        columns: the part of each column.
        kinds: the series of each column in the palette.
    """

    heads: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: tuple[MetricRow, ...]


@dataclass(frozen=True)
class LabelRow:
    """What the delivered model makes of a label.

    Attributes:
        threshold: above which probability it is given; None where a rule looks at all labels together.
        before: the baseline's F1.
    """

    name: str
    scores: LabelScores
    threshold: float | None
    before: float | None


@dataclass(frozen=True)
class LabelsShown:
    """Label by label, on one part; `compared` where there is a baseline's F1, `deciding` what decides, in words."""

    part: str
    compared: bool
    deciding: str
    rows: tuple[LabelRow, ...]


@dataclass(frozen=True)
class LabelCurves:
    """Precision against recall, and reliability, of one label."""

    name: str
    precision_recall: Figure
    reliability: Figure


@dataclass(frozen=True)
class Curves:
    """Of all labels together, then of those shown at once, then of those folded away; `left_out` labels have none."""

    pooled: Figure
    at_once: tuple[LabelCurves, ...]
    further: tuple[LabelCurves, ...]
    left_out: int


@dataclass(frozen=True)
class Confusion:
    """A label that was missed where another was given wrongly, in `count` samples of the `misses`."""

    missed: str
    given: str
    count: int
    misses: int


@dataclass(frozen=True)
class Together:
    """Which labels occur together, and which are taken for each other; `limited` says where only some are shown."""

    limited: str
    occurrence: Figure
    confusion: Figure | None
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class SearchShown:
    """Every recipe tried, but for `more` that the table leaves out; `summary` says how much was tried."""

    summary: str
    figure: Figure
    trials: tuple[TriedRecipe, ...]
    more: int
    finalists: tuple[RepeatsRecord, ...]


@dataclass(frozen=True)
class LabelGiven:
    """A label of an image, with its score; `verdict` is right, missed, wrong, or unsaid where it is unknown."""

    name: str
    verdict: str
    score: float


@dataclass(frozen=True)
class ImageShown:
    """A sample, and what to look at.

    Attributes:
        source: its thumbnail as a data URL; empty for feature rows.
        about: numbers of the labels that it is found by.
    """

    name: str
    part: str
    source: str
    labels: tuple[LabelGiven, ...]
    about: tuple[int, ...]
    remark: str = ""


@dataclass(frozen=True)
class LabelFilter:
    """A label by which samples can be filtered, and how many samples are about it."""

    number: int
    name: str
    samples: int


@dataclass(frozen=True)
class Gallery:
    """The samples worth looking at.

    Attributes:
        note: what cannot be shown, and why.
        filters: the labels that the samples shown are about.
        suspects: whose label is likely wrong.
        near_copies: groups of images that are nearly the same, some of `groups`.
    """

    note: str
    filters: tuple[LabelFilter, ...]
    worst: tuple[ImageShown, ...]
    suspects: tuple[ImageShown, ...]
    near_copies: tuple[tuple[ImageShown, ...], ...]
    groups: int


@dataclass(frozen=True)
class Reproduction:
    """How to do the run again.

    Attributes:
        command: for a shell; empty where the data came from memory.
        remark: what the command needs beside it.
        recipes: (name, TOML) of each network that is delivered.
    """

    command: str
    remark: str
    recipes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ComparedRun:
    """A run among others; `kind` is its series in the palette, `same_lock` whether its lock is the page's own run's."""

    name: str
    kind: str
    record: RunRecord
    same_lock: bool
    scores: tuple[ScoreShown, ...]
    constant: float | None


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side; `notice` says what keeps them from being compared."""

    notice: str
    metric: str
    parts: tuple[str, ...]
    runs: tuple[ComparedRun, ...]
    figure: Figure
    metrics: MetricTable


@dataclass(frozen=True)
class Context:
    """The whole page; what is None has no section.

    Attributes:
        facts: what stands below the title, piece by piece.
        steps: what to do next; commands call the folder RUN.
        missing: what the run folder lacks, so that it is not shown.
    """

    record: RunRecord
    facts: tuple[str, ...]
    summary: Summary
    comparison: Comparison | None
    outcome: OutcomeShown
    learning: tuple[Learning, ...]
    why: WhyShown | None
    lock: LockShown
    metrics: MetricTable
    findings: tuple[Finding, ...]
    labels: LabelsShown | None
    curves: Curves | None
    together: Together | None
    search: SearchShown | None
    ingredients: Figure | None
    gallery: Gallery | None
    reproduction: Reproduction
    steps: tuple[NextStep, ...]
    missing: tuple[str, ...]
