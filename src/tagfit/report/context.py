"""What the report's page shows: a tree of plain data. `compose` builds it of a run folder's records, `page` renders it.

Every field is used by the template, and the template uses nothing else (`tests/report/test_page.py`). Numbers are as
the records have them, None where undefined; text is as the records have it, whoever wrote it: the page escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A chart, and the same as a table for whoever cannot see it.

    Attributes:
        slug: its file's name among the figures.
        caption: what it shows and how to read it, in a sentence or two.
        svg: the image as markup, in which all text is escaped.
        columns, rows: the table behind it.
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
class ChangeShown:
    """After minus before, with its 95% interval, which may hold zero."""

    value: float
    low: float
    high: float
    within_noise: bool


@dataclass(frozen=True)
class Head:
    """What run it is.

    Attributes:
        subject: the data's name.
        facts: what stands below the title, piece by piece.
    """

    command: str
    subject: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class VerdictShown:
    """What it came to: a sentence, and what a careful reader would ask next.

    Attributes:
        state: cured, fine, overfit, underfit or out of reach.
        met: whether the target is met.
    """

    state: str
    met: bool
    lead: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class ModelRow:
    """A model's scores on train, val and test, or a constant baseline's.

    Attributes:
        kind: its series in the palette.
        gap: train minus val.
    """

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
    changes: tuple[ChangeShown | None, ...]
    asked: tuple[str, ...]
    figure: Figure


@dataclass(frozen=True)
class Learning:
    """How a run was trained: its loss and its metric by epoch.

    Attributes:
        scores: None where the metric was not looked at while it was trained.
    """

    run: str
    recipe: str
    remark: str
    loss: Figure
    scores: Figure | None


@dataclass(frozen=True)
class FieldChange:
    """A field of the recipe that differs from the baseline's; empty where a recipe has no such field."""

    field: str
    old: str
    new: str


@dataclass(frozen=True)
class LockShown:
    """What stayed as it was, and what was allowed to change.

    Attributes:
        fingerprint: of data, split and preprocessing.
        proof: whether all runs were trained under it.
        facts: (term, description) of data, split and preprocessing.
        changes: between the baseline's recipe and what is delivered.
        notes: on how the data was read.
    """

    fingerprint: str
    proof: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[FieldChange, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MetricRow:
    """One metric, of all models and parts side by side."""

    title: str
    lower_is_better: bool
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class MetricTable:
    """All metrics side by side.

    Attributes:
        heads: (model, how many columns it has).
        columns: the part of each column.
    """

    heads: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[MetricRow, ...]


@dataclass(frozen=True)
class FindingShown:
    """What a check saw, as records.Finding has it; `model` says of what."""

    model: str
    strength: float
    meaning: str
    seen: str
    todo: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class LabelRow:
    """What the delivered model makes of a label; None where undefined.

    Attributes:
        yes: how many samples have it.
        threshold: above which probability it is given; None where a rule looks at all labels together.
        before: the baseline's F1.
    """

    name: str
    yes: int
    precision: float | None
    recall: float | None
    f1: ScoreShown
    average_precision: float | None
    threshold: float | None
    before: float | None


@dataclass(frozen=True)
class LabelsShown:
    """Label by label, on one part.

    Attributes:
        compared: whether there is a baseline's F1.
        deciding: what decides, in words.
    """

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
    """Curves of all labels together, then label by label.

    Attributes:
        at_once: those that are seen at once.
        further: those that are folded away.
        left_out: how many labels have none.
    """

    pooled: Figure
    at_once: tuple[LabelCurves, ...]
    further: tuple[LabelCurves, ...]
    left_out: int


@dataclass(frozen=True)
class Confusion:
    """A label that was missed where another was given wrongly, in so many samples of those where it was missed."""

    missed: str
    given: str
    count: int
    misses: int


@dataclass(frozen=True)
class Together:
    """Which labels occur together, and which are taken for each other.

    Attributes:
        limited: says so where only some labels are shown.
        confusion: None where nothing is taken for anything else.
    """

    limited: str
    occurrence: Figure
    confusion: Figure | None
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class TrialShown:
    """A recipe that was tried.

    Attributes:
        remark: delivered, or how it ended where it did not finish.
    """

    recipe: str
    train: float | None
    val: float | None
    gap: float | None
    seconds: float
    remark: str


@dataclass(frozen=True)
class Finalist:
    """A recipe on several seeds: mean and standard deviation of the metric."""

    recipe: str
    seeds: int
    train: str
    val: str


@dataclass(frozen=True)
class SearchShown:
    """Every recipe tried.

    Attributes:
        summary: how much was tried, and in what time.
        more: how many are left out of the table.
    """

    summary: str
    figure: Figure
    trials: tuple[TrialShown, ...]
    more: int
    finalists: tuple[Finalist, ...]


@dataclass(frozen=True)
class LabelGiven:
    """A label of an image.

    Attributes:
        verdict: right, missed, wrong, or unsaid where nobody knows.
        score: what the model gave it.
    """

    name: str
    verdict: str
    score: float


@dataclass(frozen=True)
class ImageShown:
    """A sample: its name, its part, its thumbnail as a data URL (empty of feature rows), and what to look at."""

    name: str
    part: str
    source: str
    labels: tuple[LabelGiven, ...]
    remark: str = ""


@dataclass(frozen=True)
class Gallery:
    """The samples worth looking at.

    Attributes:
        note: what cannot be shown, and why.
        worst: the most wrong ones.
        suspects: whose label is likely wrong.
        near_copies: groups of images that are nearly the same.
        groups: how many such groups there are.
    """

    note: str
    worst: tuple[ImageShown, ...]
    suspects: tuple[ImageShown, ...]
    near_copies: tuple[tuple[ImageShown, ...], ...]
    groups: int


@dataclass(frozen=True)
class Reproduction:
    """What to do it again with.

    Attributes:
        command: for a shell; empty where the data came from memory.
        remark: what the command needs beside it.
        recipes: (name, TOML) of what is delivered, of an ensemble each one.
    """

    command: str
    remark: str
    recipes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ComparedRun:
    """A run among others.

    Attributes:
        kind: its series in the palette.
        lock: the first figures of its lock.
        same_lock: whether it is that of the page's own run.
    """

    name: str
    kind: str
    recipe: str
    state: str
    lock: str
    same_lock: bool
    scores: tuple[ScoreShown, ...]
    constant: float | None


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        notice: what keeps them from being compared; empty where nothing does.
        figure: the metric by part, of every run.
    """

    notice: str
    metric: str
    parts: tuple[str, ...]
    runs: tuple[ComparedRun, ...]
    figure: Figure
    metrics: MetricTable


@dataclass(frozen=True)
class Context:
    """All that the page shows, in its order; what is None has no section.

    Attributes:
        version: of tagfit, that made the run.
        missing: what the run folder does not hold, and so is not here.
    """

    version: str
    head: Head
    verdict: VerdictShown
    comparison: Comparison | None
    outcome: OutcomeShown
    learning: tuple[Learning, ...]
    lock: LockShown
    metrics: MetricTable
    findings: tuple[FindingShown, ...]
    labels: LabelsShown | None
    curves: Curves | None
    together: Together | None
    search: SearchShown | None
    ingredients: Figure | None
    gallery: Gallery | None
    reproduction: Reproduction
    missing: tuple[str, ...]
