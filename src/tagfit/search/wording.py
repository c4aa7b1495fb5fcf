"""The sentences of a verdict, each made of what decided; `tests/sentences.py` holds them against the record."""

from __future__ import annotations

from collections.abc import Iterator

from tagfit.metrics.titles import TITLES
from tagfit.records.data import Part
from tagfit.records.verdict import Comparison, Expectation, PassedOver, State, Verdict
from tagfit.search.selection import in_train_band, on_val
from tagfit.search.verdict import Case, comparison_of, ranks_better, state_of

#: val this close below the train band: whatever is better on new samples would leave the band
NEAR_BAND = 0.02


def judge(case: Case) -> Verdict:
    """The verdict on a fit or a cure, in words."""
    state, comparison = state_of(case), comparison_of(case)
    sentences = (_headline(case, state, comparison), _meaning(case, state), *_bands(case), *_remarks(case))
    return Verdict(state, sentences, comparison)


# -------------------------------------------------------------------------------------------- the headline


def _headline(case: Case, state: State, comparison: Comparison | None) -> str:
    """How it compares, the state, and the number to quote: *better* and *met* are two things."""
    return f"{_name(case, state, comparison)}: {_expected(case)}."


def _name(case: Case, state: State, comparison: Comparison | None) -> str:
    if case.before is None or state not in ("overfit", "underfit", "out of reach"):
        name = "Cannot tell whether the target is met" if state == "cannot tell" else state.capitalize()
        beside = _COMPARED[comparison] if case.cured else "" if case.before is None else ", the baseline is delivered"
        return f"{name}{beside}"
    if not case.cured:
        return f"The target is not met ({state}), and the baseline is delivered"
    return {
        "better": f"Better than the baseline, but the target is not met ({state})",
        "alike": f"The target is not met ({state}), and the model is not shown to be better than the baseline",
        "worse": f"Worse than the baseline, and the target is not met ({state})",
        None: f"The target is not met ({state})",
    }[comparison]


_COMPARED: dict[Comparison | None, str] = {
    "better": ", better than the baseline",
    "alike": ", not shown to be better than the baseline",
    "worse": ", worse than the baseline",
    None: "",
}


def _expected(case: Case) -> str:
    """The number to quote, and how probable it is that it is enough."""
    expected, title, asked = case.expected, TITLES[case.target.metric], case.target.val_at_least
    if expected.value is None:
        return f"{title} is undefined on {expected.part}"
    where = _where(case)
    if expected.interval is None or expected.probability is None:
        return f"{title} {expected.value:.3f} ({where}; {_size(expected)}, too few for an interval)"
    low, high = expected.interval
    return (
        f"expect {title} {expected.value:.3f} on new samples ({where}; 95%: {low:.3f} to {high:.3f}), at least "
        f"{asked:.3f} with probability {_probability(expected.probability)}"
    )


def _where(case: Case) -> str:
    if case.expected.part == "test":
        return "test"
    less = ", less what the choice adds" if case.optimism else ""
    plus = ", plus what averaging the folds' networks brings" if case.expected.averaging else ""
    return f"val{less}{plus}"


def _size(expected: Expectation) -> str:
    """How many samples, or groups of them, stand each for itself."""
    one, several = ("sample", "samples")
    if expected.groups != expected.samples:
        one, several = ("group of samples", "groups of samples")
    return f"{expected.groups:,} {one if expected.groups == 1 else several}"


def _probability(value: float) -> str:
    return "above 0.99" if value > 0.99 else "below 0.01" if value < 0.01 else f"{value:.2f}"


def _meaning(case: Case, state: State) -> str:
    """What the state means here."""
    if state == "cannot tell":
        return _cannot_tell(case)
    if state == "not confirmed":
        if case.expected.part == "test":
            return "Val meets the target, test does not confirm it."
        return "Val meets the target, but not once what the choice adds is taken off."
    if state == "out of reach":
        return _out_of_reach(case)
    return {
        "cured": "The target is met.",
        "fine": "The target is met." if case.before is None else "The baseline meets the target: nothing to cure.",
        "overfit": "It knows its training samples far better than new ones.",
        "underfit": "It has learnt too little: even on train it stays below what is asked of new samples.",
    }[state]


def _cannot_tell(case: Case) -> str:
    expected = case.expected
    if expected.value is None:
        return "So the target cannot be judged."
    if expected.interval is None:
        return "So there is no verdict."
    alike = f"{case.target.val_at_least:.3f} and {expected.interval.low:.3f} look alike"
    return f"{_size(expected)} on {expected.part} are too few to tell: {alike}."


def _out_of_reach(case: Case) -> str:
    asked, value = case.target.val_at_least, case.expected.value
    if case.target.train_ranks and value is not None and min(value, on_val(case.after, case.target)) >= asked:
        return "Val and what is expected of new samples reach what was asked; only the train band is missed."
    if case.gap is None:
        return "The target is not met."
    return "It does not overfit beyond noise, and yet the target is not met."


# --------------------------------------------------------------------------------------------- the remarks


def _bands(case: Case) -> Iterator[str]:
    """What was asked and what came, band by band."""
    target, title = case.target, TITLES[case.target.metric]
    train, val = (case.after.score(part, target.metric) for part in ("train", "val"))
    if val is None or (train is None and target.train_ranks):
        return
    on_val = f"on val {val:.3f}, asked at least {target.val_at_least:.3f}: {_met(val >= target.val_at_least)}."
    if train is None:
        yield f"{title} {on_val}"
        return
    band = f"asked below {target.train_below:.3f}: {_met(target.allows_train(train))}"
    band = "nothing asked" if target.train_below >= 1 else band
    yield f"{title} on train {train:.3f}, {band}; {on_val}"


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _remarks(case: Case) -> Iterator[str]:
    """What a careful reader would ask next."""
    after, target = case.after, case.target
    if after.state == "stopped":
        yield "It was stopped before its training was over, so all this is preliminary."
    training = after.recipe.training
    if training.augmentation and training.augmentation_strength:
        changes = ", ".join(training.augmentation)
        strength = "" if training.augmentation_strength == 1 else f"; strength {training.augmentation_strength:g}"
        yield f"It saw images changed at random in training ({changes}{strength}), as was allowed."
    if after.scores.get("train") is None and after.scores.get("val") is not None:
        yield "Of train only yes is known, so that it cannot be scored: val alone chose."
    elif not target.train_ranks:
        yield "The train band did not rank the recipes: val alone chose."
    yield from _gain(case)
    yield from _choice(case)
    yield from _near_band(case)
    yield from _constant(case)
    if after.folds:
        yield (
            f"Val and its interval are of single networks: every sample by the one of {len(after.folds.each)} that has "
            "not seen it. What is delivered is their ensemble, which no sample of train can score."
        )
    if case.expected.averaging:
        yield (
            f"Averaging the folds' networks is estimated to bring {case.expected.averaging:+.3f}, from samples that "
            "two of them have not learnt from."
        )
    if after.scores.get("test") is None and not (after.folds and case.before is None):
        yield f"There is no test part: what is quoted is {_where(case)}."


def _gain(case: Case) -> Iterator[str]:
    """What the recipes tried brought, on val and on test."""
    if case.before is None:
        return
    finished = [run for run in case.tried if run.state == "finished"]
    if not finished:
        yield "No further recipe was tried to its end."
    elif not case.cured:
        higher = [run for run in finished if on_val(run, case.target) > on_val(case.after, case.target)]
        if not higher:
            yield f"Of {_recipes(len(finished))} tried none scores more on val: the baseline is what is delivered."
    else:
        yield from _moves(case, len(finished))


def _moves(case: Case, tried: int) -> Iterator[str]:
    metric, before = case.target.metric, case.before
    assert before is not None
    parts: tuple[tuple[Part, str], ...] = (
        ("val", f"On val, which chose it among {_recipes(tried)},"),
        ("test", "On test, which chose nothing,"),
    )
    for part, what in parts:
        old, new = (run.score(part, metric) for run in (before, case.after))
        if old is None or new is None:
            continue
        moved = case.differences.get(part, {}).get(metric)
        gained = on_val(case.after, case.target) > on_val(before, case.target)
        lost = " The gain on val did not carry over." if part == "test" and new <= old and gained else ""
        yield f"{what} it moves from {old:.3f} to {new:.3f}{'' if moved is None else f', {moved}'}.{lost}"


def _choice(case: Case) -> Iterator[str]:
    """What luck adds on val, and what else had a claim to be delivered."""
    choice, title = case.choice, TITLES[case.target.metric]
    if choice is None:
        return
    if choice.optimism >= 0.0005:
        yield (
            f"Val chose among {_recipes(choice.among)} and the baseline: by luck alone, what it chooses looks "
            f"{choice.optimism:.3f} better there."
        )
    if choice.ensemble is not None:
        decided, moved = choice.ensemble
        what = title if decided == case.target.metric else "the log loss"
        yield f"An ensemble is delivered, since val prefers it to its best member: {what} moves by {moved}."
    for passed in choice.passed_over:
        yield _PASSED[passed.reason](case, passed)


def _claim(case: Case, passed: PassedOver) -> str:
    """Whose claim it is, and what it is."""
    others = {0: "", 1: " (as one other does)"}.get(passed.others, f" (as {passed.others} others do)")
    if passed.val > on_val(case.after, case.target):
        return f"{passed.name} scores more on val{others}, {passed.val:.3f}"
    return f"{passed.name} meets the target on val{others}"


def _beyond_band(case: Case, passed: PassedOver) -> str:
    ahead = "" if passed.ahead is None else f" ({passed.ahead})"
    return f"{_claim(case, passed)}{ahead}, but is outside the train band. --train-below 1 would ask nothing of train."


def _below(case: Case, passed: PassedOver) -> str:
    return f"{_claim(case, passed)}, but scores below the baseline there: it is not delivered."


def _simpler(case: Case, passed: PassedOver) -> str:
    if passed.means is None:
        return (
            f"{_claim(case, passed)}, by no more than a standard error: {passed.instead}, which is simpler, is taken."
        )
    mean, instead = passed.means
    return (
        f"{_claim(case, passed)}, and {mean:.3f} on average over seeds against {instead:.3f}, by no more than a "
        f"standard error: {passed.instead}, which is simpler, is taken."
    )


def _misses_on_seeds(case: Case, passed: PassedOver) -> str:
    return f"{_claim(case, passed)}, but misses the target on most further seeds, which {passed.instead} does not."


def _lower_on_seeds(case: Case, passed: PassedOver) -> str:
    assert passed.means is not None
    mean, instead = passed.means
    return f"{_claim(case, passed)}, but over seeds {mean:.3f} on average; {passed.instead} {instead:.3f}."


_PASSED = {
    "train band": _beyond_band,
    "below the baseline": _below,
    "simpler": _simpler,
    "misses on seeds": _misses_on_seeds,
    "lower on seeds": _lower_on_seeds,
}


def _near_band(case: Case) -> Iterator[str]:
    target, val = case.target, on_val(case.after, case.target)
    near = val > target.train_below - NEAR_BAND
    if target.train_ranks and target.train_below < 1 and near and in_train_band(case.after, target):
        yield (
            f"Val comes near the train band, {target.train_below:.3f}: what is better on new samples would leave it. "
            "--train-below 1 would ask nothing of train."
        )


def _constant(case: Case) -> Iterator[str]:
    """Where the best fixed answer does as well, and whether the model at least ranks better."""
    metric, scores, constant = case.target.metric, case.after.scores.get("val"), case.after.constant.get("val")
    val = None if scores is None else scores[metric]
    level = None if constant is None else constant[metric]
    if scores is None or constant is None or val is None or level is None or case.expected.interval is None:
        return
    if val > level:
        return
    decided = case.after.decided.get("val")
    if not ranks_better(metric, case.intervals.get("map"), constant.map):
        yield f"A constant baseline scores {level:.3f} on val: this model is worth no more than that."
        return
    thresholds = f": --decide-for {metric} fits thresholds" if decided in (None, scores) else ""
    yield (
        f"A constant baseline scores {level:.3f} on val: at 0.5 this model decides no better. It ranks better, though "
        f"(mAP {scores.map:.3f}, constant {constant.map:.3f}){thresholds}."
    )


def _recipes(count: int) -> str:
    return f"{count} recipe{'s' if count != 1 else ''}"
