"""The verdict on a run or a cure, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from tagfit.records import Condition, Run, Scores, Target, Verdict
from tagfit.scoring.titles import TITLES

#: train and val this close together are not called overfitting
SMALL_GAP = 0.10


def judge(before: Run | None, after: Run, target: Target, tried: int) -> Verdict:
    """The verdict on `after`: on a cure of `before` that tried `tried` further recipes, or on a single fit."""
    met = _met(after, target)
    state: Condition
    if met:
        state = "fine" if before is None or after is before else "cured"
    else:
        state = condition(*_train_val(after, target), target)
    lead = _LEADS[state] if met or before is None else f"Not cured. {_LEADS[state]}"
    return Verdict(state, (lead, *_bands(after, target), *_remarks(before, after, target, tried)))


def condition(train: float, val: float, target: Target) -> Condition:
    """What keeps a model, scored on train and val, from the target."""
    if train - val <= SMALL_GAP:
        return "underfit" if train < target.train_below else "out of reach"
    return "overfit" if train >= target.train_below else "out of reach"


_LEADS: dict[Condition, str] = {
    "fine": "Fine: the target is met as it is, there is nothing to cure.",
    "cured": "Cured: the target is met on train and on val.",
    "overfit": "Overfit: it knows its training set far better than new samples.",
    "underfit": "Underfit: it learns too little, on train and val alike; a stronger architecture is needed.",
    "out of reach": "Out of reach: overfitting is not all that keeps it from the target.",
}


def _bands(run: Run, target: Target) -> Iterator[str]:
    """What was asked and what came, band by band."""
    train, val = _train_val(run, target)
    title = TITLES[target.metric]
    yes_no = {True: "met", False: "missed"}
    yield (
        f"{title} on train {train:.3f}, asked below {target.train_below:.3f}: {yes_no[train < target.train_below]}; "
        f"on val {val:.3f}, asked at least {target.val_at_least:.3f}: {yes_no[val >= target.val_at_least]}."
    )


def _remarks(before: Run | None, after: Run, target: Target, tried: int) -> Iterator[str]:
    """What a careful reader would ask next."""
    if before is not None and tried:
        yield from _gain(before, after, target, tried)
    _, val = _train_val(after, target)
    constant = _value(after.constant.get("val"), target)
    if constant is not None and val <= constant:
        yield f"A constant answer scores {constant:.3f} on val: this model is worth no more than that."
    if after.scores.get("test") is None:
        yield "There is no test part: the model was chosen on val, so val flatters."


def _gain(before: Run, after: Run, target: Target, tried: int) -> Iterator[str]:
    """What the recipes tried brought, on val and on test."""
    if after is before:
        if not _met(after, target):
            yield f"None of the {tried} recipes tried beats the baseline on val, so the baseline is what is delivered."
        return
    (_, val_before), (_, val) = _train_val(before, target), _train_val(after, target)
    yield f"On val it moves from {val_before:.3f} to {val:.3f}, the best of {tried} recipes tried."
    test_before, test = (_value(run.scores.get("test"), target) for run in (before, after))
    if test_before is not None and test is not None:
        worse = " The gain on val did not carry over." if test <= test_before else ""
        yield f"On test, which chose nothing, from {test_before:.3f} to {test:.3f}.{worse}"


def _met(run: Run, target: Target) -> bool:
    train, val = run.scores.get("train"), run.scores.get("val")
    return train is not None and val is not None and target.met_by(train, val)


def _train_val(run: Run, target: Target) -> tuple[float, float]:
    """The target's metric on train and val; 0 where it is undefined, as nothing was reached then."""
    return tuple(_value(run.scores.get(part), target) or 0.0 for part in ("train", "val"))  # type: ignore[return-value]


def _value(scores: Scores | None, target: Target) -> float | None:
    return None if scores is None else target.of(scores)
