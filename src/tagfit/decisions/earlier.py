"""What decides, as versions of before wrote it to bundles (protocols 1 to 3) and to result.json."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def upgraded_decider(values: Any) -> Any:
    """The JSON of a decider in the form of today's. What it does not know is left as it is, for the audit to refuse."""
    if not isinstance(values, dict):
        return values
    values = {"objective" if name == "wish" else name: value for name, value in values.items()}
    calibration, guaranteed = values.get("calibration"), values.get("guaranteed")
    if isinstance(calibration, dict) and isinstance(calibration.get("by_label"), list):
        values["calibration"] = {**calibration, "by_label": [_curve(one) for one in calibration["by_label"]]}
    if isinstance(guaranteed, dict) and isinstance(guaranteed.get("guarantee"), str):
        values["guaranteed"] = {**guaranteed, "guarantee": _guarantee(guaranteed["guarantee"])}
    return values


def _curve(listed: Any) -> Any:
    """Slope and shift of a sigmoid, or scores and probabilities of an isotonic curve."""
    if not (isinstance(listed, list) and len(listed) == 2):
        return listed
    first, second = listed
    if isinstance(first, list):
        return {"kind": "isotonic", "at": first, "values": second}
    return {"kind": "sigmoid", "slope": first, "shift": second}


def _guarantee(text: str) -> Any:
    """`recall=0.9`."""
    metric, _, level = text.partition("=")
    with suppress(ValueError):
        return {"metric": metric, "level": float(level)}
    return text
