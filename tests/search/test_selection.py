from dataclasses import replace

import pytest

from tagfit.recipes import RECIPES
from tagfit.records.runs import Run
from tagfit.records.scores import METRICS, Scores, Target
from tagfit.search.selection import choose
from tagfit.search.verdict import judge

TARGET = Target("micro_f1", train_below=0.92, val_at_least=0.85)


def scores(value):
    return Scores(**dict.fromkeys(METRICS, value))


def run(name, train, val, *, parameters=100, state="finished", constant=0.3, test=None):
    by_part = {"train": scores(train), "val": scores(val)}
    if test is not None:
        by_part["test"] = scores(test)
    return Run(
        recipe=replace(RECIPES["dense-baseline"], name=name),
        lock="0" * 64,
        scores=by_part,
        constant={part: scores(constant) for part in by_part},
        history=(),
        delivered_epoch=1,
        parameters=parameters,
        seconds=1.0,
        state=state,
    )


BASELINE = run("baseline", 0.99, 0.70)


def chosen(*tried, baseline=BASELINE):
    return choose(baseline, tried, TARGET).recipe.name


def test_meeting_the_target_goes_before_a_higher_val_score():
    assert chosen(run("high", 0.97, 0.90), run("meets", 0.91, 0.86)) == "meets"


def test_otherwise_val_decides():
    assert chosen(run("low", 0.80, 0.72), run("high", 0.90, 0.75)) == "high"


def test_it_never_falls_below_the_baseline():
    assert chosen(run("small gap", 0.69, 0.69)) == "baseline"
    assert chosen(run("same", 0.70, 0.70)) == "baseline"
    assert chosen() == "baseline"


def test_the_same_val_score_serves_where_only_it_meets_the_target():
    assert chosen(run("meets", 0.90, 0.86), baseline=run("baseline", 0.99, 0.86)) == "meets"


def test_a_baseline_that_meets_the_target_yields_only_to_one_that_does_too():
    fine = run("baseline", 0.90, 0.86)
    assert chosen(run("higher", 0.95, 0.89), baseline=fine) == "baseline"
    assert chosen(run("better", 0.91, 0.87), baseline=fine) == "better"


def test_fewer_parameters_win_a_tie():
    assert chosen(run("large", 0.8, 0.75, parameters=200), run("small", 0.8, 0.75, parameters=50)) == "small"


@pytest.mark.parametrize("state", ["stopped", "diverged"])
def test_runs_that_did_not_finish_are_passed_over(state):
    assert chosen(run("cut short", 0.8, 0.9, state=state)) == "baseline"


def test_an_undefined_score_beats_nothing():
    assert chosen(run("undefined", 0.8, None)) == "baseline"


def sentences(before, after, *others):
    return " ".join(judge(before, after, TARGET, [run for run in (after, *others) if run is not before]).sentences)


@pytest.mark.parametrize(
    ("train", "val", "state"),
    [
        (0.90, 0.86, "cured"),
        (0.96, 0.80, "overfit"),
        (0.88, 0.72, "overfit"),
        (0.74, 0.72, "underfit"),
        (0.93, 0.92, "out of reach"),
        (0.95, 0.90, "out of reach"),
        (None, 0.90, "out of reach"),
    ],
)
def test_the_verdict_follows_from_train_val_and_their_gap(train, val, state):
    after = run("after", train, val)
    verdict = judge(BASELINE, after, TARGET, [after])
    assert verdict.state == state
    assert (verdict.sentences[0].startswith("Not cured.")) == (state != "cured")


def test_a_single_fit_is_not_compared_with_anything():
    verdict = judge(None, run("alone", 0.99, 0.70), TARGET)
    assert verdict.state == "overfit"
    assert verdict.sentences[0].startswith("Overfit")
    assert "tried" not in " ".join(verdict.sentences)
    assert judge(None, run("alone", 0.9, 0.86), TARGET).state == "fine"


def test_a_baseline_without_fault_is_fine():
    fine = run("fine", 0.90, 0.88)
    assert judge(fine, fine, TARGET, [run("other", 0.8, 0.8)]).state == "fine"


def test_where_nothing_beats_the_baseline_it_says_so():
    weak = run("weak", 0.6, 0.6)
    assert "Of 1 recipe tried none does better on val" in sentences(BASELINE, BASELINE, weak)
    assert "No further recipe was tried to its end" in sentences(
        BASELINE, BASELINE, run("cut", 0.9, 0.9, state="stopped")
    )


def test_what_was_passed_over_is_told():
    delivered = run("meets", 0.91, 0.86)
    assert "high scores more on val, 0.900, but misses the target" in sentences(
        BASELINE, delivered, run("high", 0.97, 0.90)
    )
    strong = run("baseline", 0.99, 0.90)
    assert "within meets the target, but scores below the baseline" in sentences(
        strong, strong, run("within", 0.91, 0.88)
    )
    several = sentences(strong, strong, run("within", 0.91, 0.86), run("nearer", 0.91, 0.88))
    assert "nearer meets the target (as one other does), but scores below the baseline on val" in several
    assert "within" not in several


def test_an_undefined_score_is_not_called_zero():
    assert "undefined on val" in sentences(BASELINE, run("blank", 0.9, None))


def test_a_stopped_run_is_called_preliminary():
    stopped = run("cut", 0.5, 0.5, state="stopped")
    assert "preliminary" in " ".join(judge(None, stopped, TARGET).sentences)


def test_no_better_than_a_constant_answer_is_said():
    assert "worth no more than that" in sentences(BASELINE, run("flat", 0.60, 0.75, constant=0.76))


def test_a_missing_test_part_is_said():
    assert "val flatters" in sentences(BASELINE, run("x", 0.9, 0.86))
    assert "val flatters" not in sentences(BASELINE, run("x", 0.9, 0.86, test=0.8))


@pytest.mark.parametrize(("on_test", "carried"), [(0.72, True), (0.65, False)])
def test_what_test_says_of_the_gain_is_said(on_test, carried):
    text = sentences(run("before", 0.99, 0.70, test=0.68), run("after", 0.9, 0.75, test=on_test))
    assert f"On test, which chose nothing, it moves from 0.680 to {on_test:.3f}." in text
    assert ("did not carry over" not in text) == carried


def test_where_the_train_band_does_not_rank_val_alone_chooses():
    free = replace(TARGET, train_ranks=False)
    tried = [run("high", 0.97, 0.90), run("meets", 0.91, 0.86)]
    assert choose(BASELINE, tried, free).recipe.name == "high"
    assert "val alone chose" in " ".join(judge(BASELINE, tried[0], free, tried).sentences)


def test_augmentation_is_said():
    after = run("changed", 0.90, 0.86)
    recipe = replace(after.recipe, training=replace(after.recipe.training, augmentation=("mirror", "crop")))
    sentences = " ".join(judge(BASELINE, replace(after, recipe=recipe), TARGET, [after]).sentences)
    assert "images changed at random in training (mirror, crop)" in sentences
    assert "changed at random" not in " ".join(judge(BASELINE, after, TARGET, [after]).sentences)
