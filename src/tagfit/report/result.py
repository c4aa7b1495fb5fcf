"""What Python functions return: records that print themselves as the tables of the commands."""

from __future__ import annotations

from tagfit.io.typed_json import to_plain
from tagfit.records.verdict import NextStep
from tagfit.report.table import as_text, evaluation_table, result_table
from tagfit.runs.evaluation import EvaluationRecord
from tagfit.runs.next_steps import next_steps
from tagfit.runs.record import Delivered


class Result(Delivered):
    """What a fit or a cure came to; `print(result)` shows the table."""

    def __str__(self) -> str:
        return as_text(result_table(self.record, self.folder))

    @property
    def next_steps(self) -> tuple[NextStep, ...]:
        """What to do next, the most promising first: commands that name the run's folder."""
        return next_steps(self.record, self.folder)

    def __repr__(self) -> str:
        record = self.record
        return f"<{record.command} on {record.data.name}: {record.verdict.state}>"


class Evaluation(EvaluationRecord):
    """A bundle's scores on labelled data; `print(evaluation)` shows the table."""

    def __str__(self) -> str:
        return as_text(evaluation_table(self))

    def to_dict(self) -> dict[str, object]:
        """As `tagfit evaluate --json` prints it."""
        plain: dict[str, object] = to_plain(self)
        return plain
