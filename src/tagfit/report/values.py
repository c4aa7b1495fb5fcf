"""How a result's record is read, wherever the report needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def runs_of(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The runs by what the page calls them; one alone is the model."""
    before, after = result["before"], result["after"]
    if before is None or before["recipe"] == after["recipe"]:
        return {"model": after}
    return {"before": before, "after": after}


def kind_of(name: str) -> str:
    return "before" if name == "before" else "after"


def value_of(by_part: Mapping[str, Any], part: str, metric: str) -> Any:
    """None where the part was not scored, or the metric is undefined there."""
    scores = by_part.get(part)
    return None if scores is None else scores.get(metric)


def gap_of(train: float | None, val: float | None) -> float | None:
    return None if train is None or val is None else train - val
