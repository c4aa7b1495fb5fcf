"""What a notebook shows of the things that Python functions return: cards of the page's tables and charts.

A card carries no style sheet and no script, since notebooks and those who host them remove both: charts are images
that hold their own colours, and tables look as the notebook's own do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tagfit.data.inspection import InspectionRecord
from tagfit.diagnosis.registry import DiagnosisRecord
from tagfit.metrics.titles import TITLES
from tagfit.records.scores import Difference, Interval
from tagfit.records.verdict import NextStep
from tagfit.report.charts import dots
from tagfit.report.compose import outcome
from tagfit.report.context import Figure, OutcomeShown, ScoreShown
from tagfit.report.drawn import learning
from tagfit.report.page import render_card
from tagfit.report.plot import Plot
from tagfit.report.values import Tone, gains_of, tone_of
from tagfit.report.visible import number, written
from tagfit.runs.evaluation import EvaluationRecord
from tagfit.runs.record import RunRecord

#: rows of a card's table; what is left out is counted below it
ROWS = 40

#: metrics in the chart of an evaluation
CHARTED = ("micro_f1", "macro_f1", "sample_f1", "map")


@dataclass(frozen=True)
class CardTable:
    """A table: its columns, its rows, and how many more rows there are."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0

    @classmethod
    def of(cls, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> CardTable:
        every = [tuple(row) for row in rows]
        return cls(tuple(columns), tuple(every[:ROWS]), max(0, len(every) - ROWS))


@dataclass(frozen=True)
class Card:
    """What is shown of one thing.

    Attributes:
        lead: the sentence to read if you read one.
        tone: whether it is good or bad news.
    """

    title: str
    lead: str = ""
    tone: Tone = "even"
    sentences: tuple[str, ...] = ()
    tables: tuple[CardTable, ...] = ()
    charts: tuple[Plot, ...] = ()
    steps: tuple[NextStep, ...] = ()

    @property
    def html(self) -> str:
        return render_card(self)


# ------------------------------------------------------------------------------------------ fit and cure


def result_card(record: RunRecord, steps: tuple[NextStep, ...]) -> Card:
    """The verdict, scores before and after, how they were learnt, and what to do next."""
    data, verdict, shown = record.data, record.verdict, outcome(record)
    charts = [shown.figure, *(one.scores or one.loss for one in learning(record))]
    return Card(
        title=f"{record.command} · {data.name} · {data.samples:,} samples · {len(data.label_names)} labels",
        lead=" ".join(verdict.sentences[:1]),
        tone=tone_of(record),
        sentences=verdict.sentences[1:],
        tables=(_outcome_table(shown), *([_gains_table(record)] if record.gains else [])),
        charts=tuple(map(Plot, charts)),
        steps=steps,
    )


def _outcome_table(shown: OutcomeShown) -> CardTable:
    rows = [(one.name, one.recipe, *map(_score, one.scores), number(one.gap)) for one in shown.models]
    if shown.changes:
        rows.append(("change", "in brackets: noise", *map(_change, shown.changes), ""))
    rows.append(("asked", "", *shown.asked, ""))
    return CardTable.of((shown.metric, "recipe", *shown.parts, "gap"), rows)


def _gains_table(record: RunRecord) -> CardTable:
    rows = [
        (one.name, one.fields, _change(one.change), "–" if one.share is None else f"{one.share:.0%}", one.why)
        for one in gains_of(record)
    ]
    return CardTable.of(("why it is better", "changed", "on val", "share", "what it does"), rows)


def _score(one: ScoreShown) -> str:
    return number(one.value) + _between(one.interval)


def _between(interval: Interval | tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def _change(change: Difference | None) -> str:
    if change is None:
        return "–"
    text = written(change.value, "+.3f")
    return f"({text})" if change.within_noise else text


# --------------------------------------------------------------------------------------------- the others


def evaluation_card(record: EvaluationRecord) -> Card:
    """Every metric with its interval beside the constant baseline, and beside another model's if there is one."""
    return Card(
        title=f"{record.samples:,} samples scored",
        sentences=record.notes,
        tables=(CardTable.of(*_evaluated(record)),),
        charts=(Plot(evaluation_figure(record)),),
    )


def _evaluated(record: EvaluationRecord) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    ruled, other = record.decider.rule is not None, record.compare
    columns = ("metric", "score [95% interval]", *["decided"] * ruled, "constant")
    rows = []
    for name, title in TITLES.items():
        score = number(record.scores[name]) + _between(record.intervals.scores[name])
        decided = [number(record.decided[name])] * ruled
        beside = [] if other is None else [number(other.scores[name]), _change(other.differences.scores[name])]
        rows.append((title, score, *decided, number(record.constant[name]), *beside))
    return (*columns, *([] if other is None else ["other", "difference (in brackets: noise)"])), rows


def evaluation_figure(record: EvaluationRecord) -> Figure:
    """The main metrics with their intervals, beside the constant baseline."""
    groups = [dots.Group(TITLES[name], tuple(_dots(record, name))) for name in CHARTED]
    caption = "Scores with 95% intervals, beside the best fixed answer."
    return Figure("evaluation", caption, dots.intervals("Scores", caption, groups))


def _dots(record: EvaluationRecord, metric: str) -> Iterator[dots.Dot]:
    values = [("model", "after", record.scores[metric], record.intervals.scores[metric])]
    if record.compare is not None:
        values.append(("other", "before", record.compare.scores[metric], None))
    values.append(("constant", "constant", record.constant[metric], None))
    yield from (dots.Dot(*one[:2], one[2], one[3]) for one in values if one[2] is not None)


def inspection_card(record: InspectionRecord) -> Card:
    """How the data was read, what looks wrong, and each label."""
    shape = "x".join(map(str, record.shape))
    parts = [part for part, count in record.parts.items() if count]
    rows = [
        (one.name, f"{one.yes:,}", *(f"{one.yes_by_part[part]:,}" for part in parts), f"{one.unknown:,}")
        for one in sorted(record.labels, key=lambda one: -one.yes)
    ]
    read = (*record.reading, ", ".join(f"{part} {record.parts[part]:,}" for part in parts))
    return Card(
        title=f"{record.name} · {record.samples:,} {record.kind} of {shape} · {len(record.labels)} labels",
        lead="What looks wrong is listed below." if record.suspicions else "Nothing looks wrong.",
        tone="even" if record.suspicions else "good",
        sentences=(*record.suspicions, *read, *record.notes),
        tables=(CardTable.of(("label", "yes", *(f"in {part}" for part in parts), "unknown"), rows),),
    )


def diagnosis_card(record: DiagnosisRecord) -> Card:
    """The findings, the worst first, and which checks found nothing or could not run."""
    found = {one.check for one in record.findings}
    silent = [name for name in record.checked if name not in found]
    rows = [(one.code, one.meaning, one.seen, one.todo) for one in record.findings]
    nothing = [f"Nothing found by: {', '.join(silent)}."] if silent else []
    cannot = [f"Not checked: {one.check} ({one.code}): {one.why}." for one in record.cannot]
    return Card(
        title=record.subject or "Diagnosis",
        lead=f"{len(rows)} finding{'s' * (len(rows) != 1)}, the worst first." if rows else "Nothing was found.",
        tone="even" if rows else "good",
        sentences=(*nothing, *(f"{one.check}: {one.seen}" for one in record.powers), *cannot),
        tables=(CardTable.of(("code", "finding", "seen", "what to do"), rows),) if rows else (),
    )
