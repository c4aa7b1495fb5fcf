"""What Python functions return: records that print as the commands' tables, and are cards in notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tagfit.data.inspection import InspectionRecord
from tagfit.diagnosis.registry import DiagnosisRecord
from tagfit.errors import OptionError, did_you_mean
from tagfit.io.typed_json import to_plain
from tagfit.metrics.titles import TITLES
from tagfit.records.scores import SCORED_PARTS
from tagfit.records.verdict import NextStep
from tagfit.report.compose import outcome
from tagfit.report.context import Figure
from tagfit.report.drawn import ingredients, learning, search
from tagfit.report.findings import diagnosis_text
from tagfit.report.frames import FrameRow, Tabular
from tagfit.report.history import History
from tagfit.report.inspection import inspection_table
from tagfit.report.notebook import diagnosis_card, evaluation_card, evaluation_figure, inspection_card, result_card
from tagfit.report.plot import Plot
from tagfit.report.table import as_text, evaluation_table, result_table
from tagfit.report.values import runs_of
from tagfit.runs.evaluation import EvaluationRecord
from tagfit.runs.next_steps import next_steps
from tagfit.runs.record import Delivered


class Result(Delivered, Tabular):
    """What a fit or a cure came to; `print(result)` shows the table, a notebook the table and charts."""

    @property
    def next_steps(self) -> tuple[NextStep, ...]:
        """What to do next, the most promising first: commands that name the run's folder."""
        return next_steps(self.record, self.folder)

    @property
    def history(self) -> History:
        """Loss and metric of each epoch, of the baseline and of what is delivered."""
        return History.of(self.record)

    def plot(self, name: str = "before-and-after") -> Plot:
        """A chart of the report's page, by name.

        Args:
            name: `before-and-after` (scores by part), `search` (every recipe tried), `ingredients` (what each brings),
                or `learning-before-loss`, `learning-after-metric` and the like. A wrong name is answered with all that
                this run has.

        Raises:
            OptionError: this run has no such chart.
        """
        charts = {one.slug: one for one in self._figures()}
        if name not in charts:
            hint = did_you_mean(name, charts)
            raise OptionError(f"there is no chart {name!r}.{hint}", f"This run has {', '.join(charts)}.")
        return Plot(charts[name])

    def _figures(self) -> Iterator[Figure]:
        yield outcome(self.record).figure
        for one in learning(self.record):
            yield from (one.loss, *([] if one.scores is None else [one.scores]))
        if self.record.tried:
            yield search(self.record).figure
        if self.record.ingredients:
            yield ingredients(self.record)

    def _rows(self) -> Sequence[FrameRow]:
        """A row for each run, part and metric."""
        return [
            {
                "run": name,
                "recipe": run.recipe.name,
                "part": part,
                "metric": metric,
                "score": run.score(part, metric),
                **_ends(run.interval(part, metric)),
                "constant": None if (fixed := run.constant.get(part)) is None else fixed[metric],
            }
            for name, run in runs_of(self.record).items()
            for part in SCORED_PARTS
            if run.scores.get(part) is not None
            for metric in TITLES
        ]

    def __str__(self) -> str:
        return as_text(result_table(self.record, self.folder))

    def __repr__(self) -> str:
        record = self.record
        return f"<{record.command} on {record.data.name}: {record.verdict.state}>"

    def _repr_html_(self) -> str:
        return result_card(self.record, self.next_steps).html


class Evaluation(EvaluationRecord, Tabular):
    """A bundle's scores on labelled data; `print(evaluation)` shows the table, a notebook the table and a chart."""

    def plot(self) -> Plot:
        """The main metrics with their intervals, beside the constant baseline."""
        return Plot(evaluation_figure(self))

    def _rows(self) -> Sequence[FrameRow]:
        """A row for each metric."""
        return [
            {
                "metric": metric,
                "score": self.scores[metric],
                **_ends(self.intervals.scores[metric]),
                "decided": self.decided[metric],
                "constant": self.constant[metric],
            }
            for metric in TITLES
        ]

    def __str__(self) -> str:
        return as_text(evaluation_table(self))

    def __repr__(self) -> str:
        return f"<evaluation on {self.samples:,} samples>"

    def to_dict(self) -> dict[str, object]:
        """As `tagfit evaluate --json` prints it."""
        plain: dict[str, object] = to_plain(self)
        return plain

    def _repr_html_(self) -> str:
        return evaluation_card(self).html


class Inspection(InspectionRecord, Tabular):
    """What there is to know about data; `print(inspection)` shows all of it."""

    def _rows(self) -> Sequence[FrameRow]:
        """A row for each label."""
        return [
            {
                "label": one.name,
                "yes": one.yes,
                "no": one.no,
                "unknown": one.unknown,
                **{f"yes_{part}": count for part, count in one.yes_by_part.items()},
            }
            for one in self.labels
        ]

    def __str__(self) -> str:
        return as_text(inspection_table(self))

    def __repr__(self) -> str:
        return f"<inspection of {self.name}: {self.samples:,} samples, {len(self.labels)} labels>"

    def _repr_html_(self) -> str:
        return inspection_card(self).html


class Diagnosis(DiagnosisRecord, Tabular):
    """What checks found; `print(diagnosis)` shows it with what to do."""

    def _rows(self) -> Sequence[FrameRow]:
        """A row for each finding."""
        return [
            {
                "code": one.code,
                "check": one.check,
                "of": one.of,
                "strength": one.strength,
                **_ends(one.interval),
                "meaning": one.meaning,
                "seen": one.seen,
                "todo": one.todo,
            }
            for one in self.findings
        ]

    def __str__(self) -> str:
        return as_text(diagnosis_text(self))

    def __repr__(self) -> str:
        return f"<diagnosis: {len(self.findings)} findings of {len(self.checked)} checks>"

    def _repr_html_(self) -> str:
        return diagnosis_card(self).html


def _ends(interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = (None, None) if interval is None else interval
    return {"low": low, "high": high}
