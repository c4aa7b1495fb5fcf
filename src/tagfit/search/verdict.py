"""The verdict on a run or a cure, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tagfit.metrics.titles import TITLES
from tagfit.records.data import Part
from tagfit.records.runs import Condition, Run, Verdict
from tagfit.records.scores import Differences, Target

#: train and val this close together are not called overfitting
SMALL_GAP = 0.10


_NONE: Differences = {}


def judge(
    before: Run | None, after: Run, target: Target, tried: Sequence[Run] = (), differences: Differences = _NONE
) -> Verdict:
    """The verdict on `after`: on a cure of `before` that tried further recipes, or on a single fit.

    Args:
        differences: how sure it is that `after` differs from `before`.
    """
    met = meets(after, target)
    state: Condition
    if met:
        state = "fine" if before is None or after is before else "cured"
    else:
        state = condition(after.score("train", target.metric), after.score("val", target.metric), target)
    lead = _LEADS[state] if met else _missed(state, before, after, target)
    return Verdict(state, (lead, *_remarks(before, after, target, tried, differences)))


def _missed(state: Condition, before: Run | None, after: Run, target: Target) -> str:
    """The first sentence where the target is not met."""
    on_val = after.score("val", target.metric)
    if after.scores.get("train") is None and on_val is not None:
        return "Out of reach: val stays below what was asked."
    if not target.train_ranks and on_val is not None and on_val >= target.val_at_least:
        return "The band of val is met; that of train, which did not rank, is not."
    return _LEADS[state] if before is None else f"Not cured. {_LEADS[state]}"


def condition(train: float | None, val: float | None, target: Target) -> Condition:
    """What keeps a model, scored on train and val, from the target."""
    if train is None or val is None:
        return "out of reach"
    if train - val > SMALL_GAP:
        return "overfit"
    return "underfit" if train < target.val_at_least else "out of reach"


_LEADS: dict[Condition, str] = {
    "fine": "Fine: the target is met as it is, there is nothing to cure.",
    "cured": "Cured: the target is met on train and on val.",
    "overfit": "Overfit: it knows its training set far better than new samples.",
    "underfit": "Underfit: train and val score alike, and low: it has learnt too little.",
    "out of reach": "Out of reach: it does not overfit by much, and yet the bands are not met.",
}


def meets(run: Run, target: Target) -> bool:
    """Whether a run's scores lie within the bands; of val alone where train cannot be scored and is not to rank."""
    train, val = run.scores.get("train"), run.scores.get("val")
    if train is None and not target.train_ranks:
        return val is not None and (val[target.metric] or 0.0) >= target.val_at_least
    return train is not None and val is not None and target.met_by(train, val)


def _remarks(
    before: Run | None, after: Run, target: Target, tried: Sequence[Run], differences: Differences
) -> Iterator[str]:
    """What a careful reader would ask next."""
    if after.state == "stopped":
        yield "It was stopped before its training was over, so all this is preliminary."
    training = after.recipe.training
    if training.augmentation and training.augmentation_strength:
        changes = ", ".join(training.augmentation)
        strength = "" if training.augmentation_strength == 1 else f"; strength {training.augmentation_strength:g}"
        yield f"It saw images changed at random in training ({changes}{strength}), as was allowed."
    yield from _bands(after, target)
    if after.scores.get("train") is None and after.scores.get("val") is not None:
        yield "Of train only yes is known, so that it cannot be scored: val alone chose."
    elif not target.train_ranks:
        yield "The train band did not rank the recipes: val alone chose."
    if before is not None:
        yield from _gain(before, after, target, tried, differences)
    val = after.score("val", target.metric)
    constant = after.constant.get("val")
    level = None if constant is None else constant[target.metric]
    if val is not None and level is not None and val <= level:
        yield f"A constant baseline scores {level:.3f} on val: this model is worth no more than that."
    if after.folds:
        yield (
            f"Val is every sample by the one of {len(after.folds.each)} networks that has not seen it; "
            "what is delivered is their ensemble."
        )
    if after.scores.get("test") is None and not (after.folds and before is None):
        what = "the recipe" if after.folds else "the model"
        yield f"There is no test part: {what} was chosen on val, so val flatters."


def _bands(run: Run, target: Target) -> Iterator[str]:
    """What was asked and what came, band by band."""
    train, val = run.score("train", target.metric), run.score("val", target.metric)
    title = TITLES[target.metric]
    met = {True: "met", False: "missed"}
    if train is None and val is not None and not target.train_ranks:
        yield f"{title} on val {val:.3f}, asked at least {target.val_at_least:.3f}: {met[val >= target.val_at_least]}."
        return
    if train is None or val is None:
        yield f"{title} is undefined on {'train' if train is None else 'val'}, so the target cannot be judged."
        return
    yield (
        f"{title} on train {train:.3f}, asked below {target.train_below:.3f}: {met[train < target.train_below]}; "
        f"on val {val:.3f}, asked at least {target.val_at_least:.3f}: {met[val >= target.val_at_least]}."
    )


def _gain(before: Run, after: Run, target: Target, tried: Sequence[Run], differences: Differences) -> Iterator[str]:
    """What the recipes tried brought, on val and on test, and what was passed over."""
    finished = [run for run in tried if run.state == "finished"]
    if not finished:
        yield "No further recipe was tried to its end."
    elif after is before:
        yield f"Of {_recipes(len(finished))} tried none does better on val, so the baseline is what is delivered."
    else:
        yield from _moves(before, after, target, len(finished), differences)
    delivered = after.score("val", target.metric) or 0.0
    above = [run for run in finished if run is not after and (run.score("val", target.metric) or 0.0) > delivered]
    if above:
        best = max(above, key=lambda run: run.score("val", target.metric) or 0.0)
        others = _others(len(above) - 1)
        passed = (
            "but misses the target, which this one meets"
            if target.train_ranks and meets(after, target) and not meets(best, target)
            else "but by no more than a standard error, or no longer on other seeds: the simpler one is taken"
        )
        yield f"{best.recipe.name} scores more on val{others}, {best.score('val', target.metric):.3f}, {passed}."
    if not meets(after, target) and (met := [run for run in finished if meets(run, target)]):
        best = max(met, key=lambda run: run.score("val", target.metric) or 0.0)
        others = _others(len(met) - 1)
        yield f"{best.recipe.name} meets the target{others}, but scores below the baseline on val: it is not delivered."


def _moves(before: Run, after: Run, target: Target, tried: int, differences: Differences) -> Iterator[str]:
    parts: tuple[tuple[Part, str], ...] = (
        ("val", f"On val, which chose it among {_recipes(tried)},"),
        ("test", "On test, which chose nothing,"),
    )
    for part, what in parts:
        old, new = (run.score(part, target.metric) for run in (before, after))
        if old is None or new is None:
            continue
        moved = differences.get(part, {}).get(target.metric)
        lost = " The gain on val did not carry over." if part == "test" and new <= old else ""
        yield f"{what} it moves from {old:.3f} to {new:.3f}{'' if moved is None else f', {moved}'}.{lost}"


def _others(count: int) -> str:
    return {0: "", 1: " (as one other does)"}.get(count, f" (as {count} others do)")


def _recipes(count: int) -> str:
    return f"{count} recipe{'s' if count != 1 else ''}"
