"""What `tagfit.evaluate` returns: a record that prints itself as the command's table."""

from __future__ import annotations

from typing import Any

from tagfit.io.typed_json import to_plain
from tagfit.report.table import evaluation_text
from tagfit.runs.evaluation import EvaluationRecord


class Evaluation(EvaluationRecord):
    """A bundle's scores on labelled data; `print(evaluation)` shows the table."""

    def __str__(self) -> str:
        return evaluation_text(self)

    def to_dict(self) -> dict[str, Any]:
        """As `tagfit evaluate --json` prints it."""
        plain: dict[str, Any] = to_plain(self)
        return plain
