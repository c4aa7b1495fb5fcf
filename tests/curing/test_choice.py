from dataclasses import replace

import pytest

from tagfit.curing.choice import choose
from tagfit.curing.verdict import condition, judge
from tagfit.recipes import RECIPES
from tagfit.records import METRICS, Run, Scores, Target

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


@pytest.mark.parametrize(
    ("before", "after", "state", "said"),
    [
        (BASELINE, run("good", 0.90, 0.86), "cured", "Cured: the target is met"),
        (BASELINE, run("better", 0.96, 0.80), "overfit", "Overfit"),
        (BASELINE, run("weak", 0.74, 0.72), "underfit", "stronger architecture"),
        (BASELINE, run("stuck", 0.88, 0.72), "out of reach", "Out of reach"),
        (BASELINE, BASELINE, "overfit", "None of the 6 recipes tried beats the baseline"),
    ],
)
def test_the_verdict_says_what_it_is_and_why(before, after, state, said):
    verdict = judge(before, after, TARGET, tried=6)
    assert verdict.state == state
    assert said in " ".join(verdict.sentences)


def test_a_single_fit_is_not_compared_with_anything():
    verdict = judge(None, run("alone", 0.99, 0.70), TARGET, tried=0)
    assert verdict.state == "overfit"
    assert verdict.sentences[0].startswith("Overfit")
    assert "tried" not in " ".join(verdict.sentences)
    assert judge(None, run("alone", 0.9, 0.86), TARGET, tried=0).state == "fine"


def test_a_baseline_without_fault_is_fine():
    fine = run("fine", 0.90, 0.88)
    assert judge(fine, fine, TARGET, tried=6).state == "fine"


def test_no_better_than_a_constant_answer_is_said():
    after = run("flat", 0.60, 0.75, constant=0.76)
    assert "worth no more than that" in " ".join(judge(BASELINE, after, TARGET, 6).sentences)


def test_a_missing_test_part_is_said():
    assert "val flatters" in " ".join(judge(BASELINE, run("x", 0.9, 0.86), TARGET, 6).sentences)
    assert "val flatters" not in " ".join(judge(BASELINE, run("x", 0.9, 0.86, test=0.8), TARGET, 6).sentences)


@pytest.mark.parametrize(("on_test", "carried"), [(0.72, True), (0.65, False)])
def test_what_test_says_of_the_gain_is_said(on_test, carried):
    before, after = run("before", 0.99, 0.70, test=0.68), run("after", 0.9, 0.75, test=on_test)
    said = " ".join(judge(before, after, TARGET, 6).sentences)
    assert f"On test, which chose nothing, from 0.680 to {on_test:.3f}." in said
    assert ("did not carry over" not in said) == carried


def test_conditions():
    assert condition(0.95, 0.80, TARGET) == "overfit"
    assert condition(0.60, 0.58, TARGET) == "underfit"
    assert condition(0.85, 0.60, TARGET) == "out of reach"
    assert condition(0.93, 0.92, TARGET) == "out of reach"
