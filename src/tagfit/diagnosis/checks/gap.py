"""The gap between train and val: whether there is one beyond noise, and which labels make it.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.evidence import CannotCheck, Evidence
from tagfit.metrics import intervals
from tagfit.metrics.scores import THRESHOLD
from tagfit.metrics.titles import TITLES
from tagfit.records.data import UNKNOWN, YES
from tagfit.records.runs import Finding
from tagfit.records.scores import Difference, Interval
from tagfit.search.verdict import SMALL_GAP, overfits

#: where the interval is wider than this, and a gap cannot be told from none, the samples are too few to tell
WIDE = 0.15

#: the same for log loss, as a share of what the constant baseline loses
SMALL_LOSS = 0.25


def gap(evidence: Evidence) -> list[Finding]:
    """Overfitting or underfitting, beyond noise.

    Raises:
        CannotCheck: the metric is undefined, or the samples are too few to tell.
    """
    train, val = evidence.spread("train"), evidence.spread("val")
    metric = evidence.target.metric
    by_metric = intervals.gap(train, val)
    wide, loss = by_metric[metric], by_metric["log_loss"]
    if wide is None or loss is None:
        raise CannotCheck(f"{TITLES[metric]} is undefined on train or val, or on too many resamples of them")
    if overfits(wide):
        return [_overfit(evidence, wide, loss)]
    if (confident := _loss_alone(evidence, loss)) is not None:
        return [confident]
    if wide.interval.high > SMALL_GAP and wide.interval.high - wide.interval.low > WIDE:
        raise CannotCheck(
            f"val has {len(evidence.answers('val')):,} samples: the gap is {_value(wide)}, too uncertain to call; "
            "--folds 5 scores every sample"
        )
    return _underfit(evidence)


def _overfit(evidence: Evidence, wide: Difference, loss: Difference) -> Finding:
    metric = evidence.target.metric
    on_train, on_val = (getattr(evidence.spread(part).scores, metric) for part in ("train", "val"))
    names, told = _who(evidence)
    return Finding(
        check="gap",
        strength=min(1.0, wide.value),
        interval=wide.interval,
        seen=f"{TITLES[metric]} is {on_train:.3f} on train and {on_val:.3f} on val: a gap of {_value(wide)}. "
        f"Log loss is {-loss.value:.3f} higher on val. {told}",
        meaning="The model overfits: it does far better on its training samples than on new ones.",
        todo="Try recipes that overfit less: tagfit cure does, and with --minutes 30 it searches longer.",
        names=names,
    )


def _loss_alone(evidence: Evidence, loss: Difference) -> Finding | None:
    """Where decisions hold on val, and the probabilities do not."""
    scores = evidence.spread("val").scores
    constant = (
        None if evidence.constant is None else evidence.constant.score(evidence.answers("val").labels_NL).log_loss
    )
    if not constant or scores.log_loss is None:
        return None
    share = Interval(-loss.interval.high / constant, -loss.interval.low / constant)
    if share.low <= SMALL_LOSS:
        return None
    return Finding(
        check="gap",
        strength=min(1.0, -loss.value / constant) / 2,
        interval=share,
        seen=f"Log loss is {scores.log_loss + loss.value:.3f} on train and {scores.log_loss:.3f} on val; a constant "
        f"baseline's is {constant:.3f}. {TITLES[evidence.target.metric]} shows no such gap.",
        meaning="The model is overconfident on new samples, though most of its decisions hold.",
        todo="Use calibrated probabilities (tagfit predict --calibrated), or a recipe with label_smoothing.",
        tries=("dense-label-smoothing",),
    )


def _underfit(evidence: Evidence) -> list[Finding]:
    """Where not even train reaches what is asked for on val."""
    metric, asked = evidence.target.metric, evidence.target.val_at_least
    spread = evidence.spread("train")
    on_train, interval = getattr(spread.scores, metric), spread.intervals[metric]
    if interval is None or interval.high >= asked:
        return []
    return [
        Finding(
            check="gap",
            strength=asked - on_train,
            interval=Interval(asked - interval.high, asked - interval.low),
            seen=f"{TITLES[metric]} is {on_train:.3f} on train itself ({interval.low:.3f} to {interval.high:.3f}); "
            f"the target asks for {asked:.3f} on val.",
            meaning="The model underfits: it has learnt too little, or its input does not hold enough information.",
            todo="Try more units, more epochs or, on images, a CNN. tagfit cure tries them.",
            tries=("cnn", "dense-wide"),
        )
    ]


def _who(evidence: Evidence) -> tuple[tuple[str, ...], str]:
    """The labels that make most of the gap: those with the most errors on val beyond what they have on train."""
    excess_L = np.maximum(_errors(evidence.answers("val")) - _errors(evidence.answers("train")), 0)
    if not excess_L.any():
        return (), ""
    order = np.argsort(-excess_L, kind="stable")
    share_L = excess_L[order] / excess_L.sum()
    half = int(np.searchsorted(np.cumsum(share_L), 0.5)) + 1
    names = tuple(evidence.label_names[label] for label in order[:half])
    if half > max(2, len(order) // 4):
        return (), "All labels contribute to it."
    told = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, share_L, strict=False))
    return names, f"Share of the additional errors on val: {told}."


def _errors(predictions: Predictions) -> NDArray[np.float64]:
    """(L,) the share of wrong cells among the known ones."""
    known_NL = predictions.labels_NL != UNKNOWN
    wrong_NL = ((predictions.probabilities_NL > THRESHOLD) != (predictions.labels_NL == YES)) & known_NL
    errors: NDArray[np.float64] = wrong_NL.sum(axis=0) / np.maximum(known_NL.sum(axis=0), 1)
    return errors


def _value(wide: Difference) -> str:
    return f"{wide.value:.3f} (95%: {wide.interval.low:.3f} to {wide.interval.high:.3f})"
