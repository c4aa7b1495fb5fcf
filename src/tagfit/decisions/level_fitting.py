"""Thresholds for a recall or a precision that is asked for, of all cells together.

Labels may part from the common threshold by an offset in logits, fitted on folds and shrunk; the cut that all share is
set on rows that no offset was fitted on. On these the level is kept; on new rows chance moves it either way.

Shapes: N samples, L labels, C cells, T candidate thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.rule_worth import Worth, worth
from tagfit.decisions.rules import LEVEL_OBJECTIVES, Objective, Rule
from tagfit.decisions.threshold_search import NOISE, STRENGTHS, Doubles, FitRows, logit, sigmoid

#: what a decided cell costs, in hits: thresholds that are best at each price keep another level
_PRICES = np.linspace(0.98, 0.02, 49)


def fit_level(objective: Objective, rows: FitRows, fold_N: NDArray[np.intp], group_N: NDArray[np.intp]) -> Rule:
    """The rule of the best precision at a recall, or of the best recall at a precision.

    Args:
        objective: with a level.
        rows: with a yes among them.
        fold_N: (N,) fold numbers.
        group_N: (N,) numbers of what moves together.
    """
    parts = [(fold_N == fold, rows.where(fold_N != fold)) for fold in np.unique(fold_N)]
    fitted = [(left_out_N, part, _own_offsets(objective, part)) for left_out_N, part in parts]
    best, offsets_L = _Cut.of(objective, rows, np.zeros(rows.p_NL.shape)), np.zeros(len(rows.yes_L))
    own_L = _own_offsets(objective, rows)
    for strength in STRENGTHS:
        offsets_NL = np.empty(rows.p_NL.shape)
        for left_out_N, part, own_of_part_L in fitted:
            offsets_NL[left_out_N] = own_of_part_L * part.share(strength)
        richer = _Cut.of(objective, rows, offsets_NL)
        if richer.reached >= best.reached and richer.other.beats(best.other, group_N, NOISE):
            best, offsets_L = richer, own_L * rows.share(strength)
    z_L = best.cut + offsets_L
    # below what logits tell apart, every probability above 0 is meant
    rule = Rule(tuple(np.where(z_L < logit(np.zeros(1)), 0.0, sigmoid(z_L)).tolist()))
    return rule if best.reached else replace(rule, note=f"{objective} was not reached: {best.asked.value:.3f}")


@dataclass(frozen=True, eq=False)
class _Cut:
    """The cut, in logits, that all labels share.

    Attributes:
        reached: whether it keeps the level.
        asked: what it comes to in what was asked for, recall or precision.
        other: what it comes to in the other.
    """

    cut: float
    reached: bool
    asked: Worth
    other: Worth

    @classmethod
    def of(cls, objective: Objective, rows: FitRows, offsets_NL: Doubles) -> _Cut:
        """Args: offsets_NL: (N, L) of each row's labels, which were not fitted on the row."""
        z_NL = logit(rows.p_NL) - offsets_NL
        cut, reached = _cut(objective, z_NL[rows.known_NL], rows.yes_NL[rows.known_NL])
        names = LEVEL_OBJECTIVES if objective.metric == LEVEL_OBJECTIVES[0] else LEVEL_OBJECTIVES[::-1]
        asked, other = (worth(name, rows.labels_NL, z_NL > cut) for name in names)
        return cls(cut, reached, asked, other)


def _own_offsets(objective: Objective, rows: FitRows) -> Doubles:
    """(L,) how far, in logits, each label's threshold is from the common one where each keeps the level best."""
    if not rows.yes_L.any():
        return np.zeros(len(rows.yes_L))
    cut, _ = _cut(objective, logit(rows.p_NL[rows.known_NL]), rows.yes_NL[rows.known_NL])
    each_L = np.arange(len(rows.yes_L))
    # from the highest price, which gives few labels, to the lowest
    for price in _PRICES if objective.metric == "recall" else _PRICES[::-1]:
        chosen_L = rows.at_price(float(price), cut)
        hits, decided = rows.hits_LT[each_L, chosen_L].sum(), rows.decided_LT[each_L, chosen_L].sum()
        if hits >= (objective.level or 0) * (rows.yes_L.sum() if objective.metric == "recall" else max(decided, 1)):
            break
    return logit(rows.candidates_T[chosen_L]) - cut


def _cut(objective: Objective, z_C: Doubles, yes_C: NDArray[np.bool_]) -> tuple[float, bool]:
    """Above which cells are decided yes, for the best of the other level; whether it keeps the one asked for."""
    order = np.argsort(-z_C, kind="stable")
    falling = z_C[order]
    last = np.flatnonzero(np.append(falling[1:] < falling[:-1], True))
    hits, decided = yes_C[order].cumsum()[last], last + 1
    recall, precision = hits / max(int(hits[-1]), 1), hits / decided
    asked, other = (recall, precision) if objective.metric == "recall" else (precision, recall)
    kept = asked >= (objective.level or 0)
    reached = bool(kept.any())
    place = int(np.where(kept, other, -1).argmax() if reached else asked.argmax())
    below = falling[last[place] + 1] if last[place] + 1 < len(falling) else falling[last[place]] - 1
    return float((falling[last[place]] + below) / 2), reached
