"""Metrics that flatter: where a constant baseline is as good, and where accuracy disagrees with F1 and mAP."""

from __future__ import annotations

from collections.abc import Iterator

from tagfit.diagnosis.evidence import CannotCheck, Evidence, within
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.intervals import Answers, contrast, difference, resample
from tagfit.metrics.titles import TITLES
from tagfit.records.runs import Finding
from tagfit.records.scores import Difference, Interval, Scores
from tagfit.search.verdict import ranks_better

#: no more above the constant baseline than this, with all of the interval, is nothing
SMALL = 0.05

#: further above F1 and mAP than this, with all of the interval, is another story
ANOTHER = 0.20

#: the metrics in which every no counts, or only the surest yes
ACCURACIES = ("label_accuracy", "keras_accuracy")


def flattery(evidence: Evidence) -> list[Finding]:
    """What the scores on val look better for than they are.

    Raises:
        CannotCheck: val is too small to tell the model from a constant baseline.
    """
    scores = evidence.spread("val").scores
    found = [_flattering(evidence, scores, metric, told) for metric, told in _stories(evidence)]
    if evidence.constant is None:
        return found
    above = _above_constant(evidence, evidence.constant)
    if above is not None and (above.value <= 0 or above.interval.high < SMALL):
        return [_as_good(evidence, evidence.constant, above), *found]
    if above is not None and above.interval.low <= 0 and not found:
        title = TITLES[evidence.target.metric]
        raise CannotCheck(
            f"val has {len(evidence.answers('val')):,} samples: {title} exceeds the constant baseline's by "
            f"{above.value:.3f} (95%: {above.interval.low:.3f} to {above.interval.high:.3f}), which may be chance"
        )
    return found


def _stories(evidence: Evidence) -> Iterator[tuple[str, Difference]]:
    """Each accuracy that is far above F1 and mAP, with how far."""
    spread = evidence.spread("val")
    for metric in ACCURACIES:
        above = [contrast(spread, metric, other) for other in ("micro_f1", "map")]
        told = [one for one in above if one is not None]
        if told and all(one.interval.low > ANOTHER for one in told):
            yield metric, min(told, key=lambda one: one.value)


def _flattering(evidence: Evidence, scores: Scores, metric: str, above: Difference) -> Finding:
    title, value = TITLES[metric], getattr(scores, metric)
    others = [f"{TITLES[name]} {getattr(scores, name):.3f}" for name in ("micro_f1", "map") if getattr(scores, name)]
    constant = None
    if evidence.constant is not None:
        constant = getattr(evidence.constant.score(evidence.answers("val").labels_NL), metric)
    beside = "" if constant is None else f" A constant baseline's {title} is {constant:.3f}."
    return Finding(
        check="flattery",
        strength=within(above.value / 2),  # it harms who reads it, not the model
        interval=Interval(within(above.interval.low / 2), within(above.interval.high / 2)),
        seen=f"{title} is {value:.3f} on val; {' and '.join(others)}.{beside}",
        meaning=f"{title[0].upper()}{title[1:]} flatters: it says little about the labels that are present.",
        todo="Judge the model by micro-F1, macro-F1 or mAP (--metric), and compare with the constant baseline.",
    )


def _above_constant(evidence: Evidence, constant: ConstantBaseline) -> Difference | None:
    """By how much the model beats the best constant baseline on val, on the same resamples."""
    metric, labels_NL = evidence.target.metric, evidence.answers("val").labels_NL
    p_NL, decisions_NL = constant.answers(metric, len(labels_NL))
    spread = evidence.spread("val")
    return difference(spread, resample(Answers(labels_NL, p_NL, decisions_NL), spread.resampling))[metric]


def _as_good(evidence: Evidence, constant: ConstantBaseline, above: Difference) -> Finding:
    metric, spread = evidence.target.metric, evidence.spread("val")
    value, ranking = getattr(spread.scores, metric), spread.scores.map
    fixed = constant.score(evidence.answers("val").labels_NL).map
    ranks = ranks_better(metric, spread.intervals["map"], fixed)
    left = max(1e-9, 1 - (value - above.value))
    return Finding(
        check="flattery",
        strength=within(1 - above.value / left),
        interval=Interval(within(1 - above.interval.high / left), within(1 - above.interval.low / left)),
        seen=f"{TITLES[metric]} is {value:.3f} on val; a constant baseline's is {value - above.value:.3f}: {above}."
        + (f" mAP is {ranking:.3f}; a constant baseline's is {fixed:.3f}." if ranks else ""),
        meaning="Decided at 0.5, the model is no better than a constant baseline, although it ranks samples better."
        if ranks
        else "A constant baseline is as good: on new samples the model is worth nothing.",
        todo=f"Fit thresholds: --decide-for {metric}."
        if ranks
        else "Check whether these samples can predict the labels at all (tagfit inspect DATA). On images, try a CNN.",
        tries=() if ranks else ("cnn", "dense-wide"),
    )
