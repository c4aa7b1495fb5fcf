"""Manifests of earlier protocols, brought to the form of today's before they are audited.

1  one network, and yes above 0.5: neither `members` nor `decider`
2  no backbone
3  images are called pictures, the constant baseline `constant_answer`; a decider's objective is its `wish`
4  today's
"""

from __future__ import annotations

from typing import Any, Literal

from tagfit.decisions.decider import Decider
from tagfit.decisions.earlier import upgraded_decider
from tagfit.errors import BundleError
from tagfit.io.typed_json import to_plain
from tagfit.records.scores import METRICS

PROTOCOL: Literal[4] = 4
READABLE = (1, 2, 3, PROTOCOL)


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a manifest in today's form. What is not as it should be is left so, for the audit to refuse.

    Raises:
        BundleError: a protocol that is not known.
    """
    protocol = values.get("protocol")
    if type(protocol) is not int or protocol not in READABLE:
        raise BundleError(
            f"expected protocol {PROTOCOL}; got {protocol!r:.60}", "A newer tagfit may read it: upgrade tagfit."
        )
    if protocol == 1:
        values = {"members": [values.get("recipe")], "decider": to_plain(Decider()), **values}
    return values if protocol == PROTOCOL else {**_in_todays_words(values), "protocol": PROTOCOL}


def _in_todays_words(values: dict[str, Any]) -> dict[str, Any]:
    values = {"constant_baseline" if name == "constant_answer" else name: value for name, value in values.items()}
    if "decider" in values:
        values["decider"] = upgraded_decider(values["decider"])
    preprocessing, scores = values.get("preprocessing"), values.get("scores")
    if isinstance(preprocessing, dict) and preprocessing.get("kind") == "pictures":
        values["preprocessing"] = {**preprocessing, "kind": "images"}
    if isinstance(scores, dict):
        values["scores"] = {part: _with_all_metrics(one) for part, one in scores.items()}
    return values


def _with_all_metrics(scores: Any) -> Any:
    return {**dict.fromkeys(METRICS), **scores} if isinstance(scores, dict) else scores
