"""What Python functions return: records that print themselves as the tables of the commands."""

from __future__ import annotations

from tagfit.report.table import result_text
from tagfit.runs.record import Delivered


class Result(Delivered):
    """What a fit or a cure came to; `print(result)` shows the table."""

    def __str__(self) -> str:
        return result_text(self.record)

    def __repr__(self) -> str:
        record = self.record
        return f"<{record.command} on {record.data.name}: {record.verdict.state}>"
