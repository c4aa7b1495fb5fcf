"""The verdict: what decides it, and every branch of every sentence, held against the record's figures."""

from dataclasses import replace

import numpy as np
import pytest

from cases import record_of_case, run_of
from sentences import ADDED, FORMS, contradictions, forms_of
from tagfit.metrics.intervals import Answers, Resampling, resample
from tagfit.records.data import YES
from tagfit.records.runs import FoldRun, Folds
from tagfit.records.scores import Difference, Interval, Target
from tagfit.records.verdict import Choice, Expectation, PassedOver
from tagfit.search.verdict import Case, expectation
from tagfit.search.wording import judge

TARGET = Target("micro_f1", train_below=0.92, val_at_least=0.85)
BASELINE = run_of("baseline", 0.99, 0.70, test=0.68)


def moved(value, error=0.01):
    return Difference.around(value, Interval(value - 2 * error, value + 2 * error), error)


def expected(value, probability, part="test", samples=105, reach=0.03, groups=None, averaging=0.0):
    interval = None if probability is None else Interval(value - reach, value + reach)
    return Expectation(part, value, interval, probability, samples, groups or samples, averaging)


SURE, OPEN, NOT = expected(0.90, 0.999), expected(0.86, 0.7), expected(0.80, 0.001)


def case(after, expectation, before=BASELINE, **values):
    """A cure of `before`, or a fit where that is None."""
    differences = {}
    if before is not None and after is not before:
        differences = {
            part: {"micro_f1": moved(after.score(part, "micro_f1") - before.score(part, "micro_f1"))}
            for part in ("val", "test")
            if None not in (after.score(part, "micro_f1"), before.score(part, "micro_f1"))
        }
        values.setdefault("tried", (after,))
        values.setdefault("choice", Choice(len(values["tried"]), 0.0))
    return Case(values.pop("target", TARGET), before, after, expectation, differences=differences, **values)


def run(train, val, test=None, **values):
    return run_of(values.pop("name", "after"), train, val, test=test, **values)


#: by the state that the figures make
STATES = {
    "cured": case(run(0.91, 0.88, 0.90), SURE),
    "not confirmed": case(run(0.91, 0.86, 0.80), NOT),
    "cannot tell": case(run(0.91, 0.86, 0.86), OPEN),
    "overfit": case(run(0.96, 0.80, 0.80), NOT, gap=moved(0.16)),
    "underfit": case(run(0.74, 0.72, 0.72), expected(0.72, 0.001), gap=moved(0.02)),
    "out of reach": case(run(0.90, 0.84, 0.83), expected(0.83, 0.2), gap=moved(0.06)),
}


@pytest.mark.parametrize("state", STATES)
def test_the_state_follows_from_what_is_expected(state):
    verdict = judge(STATES[state])
    assert verdict.state == state
    assert verdict.sentences[0].lower().startswith(state) or f"target is not met ({state})" in verdict.sentences[0]


def test_luck_on_val_cures_nothing():
    """Val meets the target, and is worth nothing against a test part that does not."""
    for on_val in (0.85, 0.90, 0.99):
        assert judge(case(run(0.91, on_val, 0.83), expected(0.83, 0.2))).state == "not confirmed"


def test_test_decides_where_val_is_unlucky():
    assert judge(case(run(0.91, 0.84, 0.90), SURE)).state == "cured"


def test_the_train_band_is_kept_where_it_ranks():
    outside = case(run(0.96, 0.90, 0.90), SURE, gap=moved(0.06))
    assert judge(outside).state == "out of reach"
    assert judge(replace(outside, target=replace(TARGET, train_ranks=False))).state == "cured"
    assert judge(replace(outside, target=replace(TARGET, train_below=1.0))).state == "cured"


def test_a_baseline_or_a_fit_that_meets_the_target_is_fine():
    fine = run(0.90, 0.88, 0.90)
    assert judge(case(fine, SURE, fine, tried=(run(0.8, 0.8, 0.8),))).state == "fine"
    assert judge(case(fine, SURE, None)).state == "fine"


def test_too_few_samples_are_no_verdict():
    """One val sample, say: not even a train score of 1 is called overfitting."""
    assert judge(case(run(1.0, 1.0), expected(1.0, None, "val", 1), None)).state == "cannot tell"
    assert judge(case(run(0.9, None), expected(None, None, "val", 5), None)).state == "cannot tell"


@pytest.mark.parametrize(("on_test", "comparison"), [(0.80, "better"), (0.69, "alike"), (0.60, "worse")])
def test_better_and_target_are_two_things(on_test, comparison):
    verdict = judge(case(run(0.91, 0.80, on_test), expected(on_test, 0.001)))
    assert verdict.comparison == comparison
    assert verdict.state not in ("cured", "fine")


def test_without_test_the_gain_is_less_what_the_choice_adds():
    lucky = case(run(0.91, 0.73), expected(0.71, 0.001, "val"), choice=Choice(1, 0.02))
    assert judge(replace(lucky, choice=Choice(1, 0.0))).comparison == "better"
    assert judge(lucky).comparison == "alike"


# ------------------------------------------------------------------------------------------ expectations


def spread(labels_NL, right_NL):
    answers = Answers(labels_NL, np.where((labels_NL == YES) == right_NL, 0.9, 0.1))
    return resample(answers, Resampling.of(len(labels_NL)))


def answered(samples, wrong, seed=0):
    rng = np.random.default_rng(seed)
    labels_NL = (rng.random((samples, 4)) < 0.4).astype(np.int8)
    return spread(labels_NL, rng.random(labels_NL.shape) >= wrong)


class TestExpectation:
    def test_test_is_quoted_where_there_is_one(self):
        val, test = answered(200, 0.02), answered(300, 0.1, seed=1)
        found = expectation({"val": val, "test": test}, TARGET, optimism=0.02)
        assert (found.part, found.value, found.samples) == ("test", test.scores.micro_f1, 300)
        assert found.interval == pytest.approx(test.intervals["micro_f1"])

    def test_else_val_less_what_the_choice_adds(self):
        val = answered(200, 0.1)
        found = expectation({"val": val}, TARGET, optimism=0.02)
        assert found.value == pytest.approx(val.scores.micro_f1 - 0.02)
        assert found.interval.low < val.intervals["micro_f1"].low

    def test_the_probability_is_what_the_interval_leaves_below(self):
        found = expectation({"test": answered(300, 0.1)}, TARGET)
        low, high = found.interval
        for asked, probability in ((low, 0.975), (high, 0.025), (0.0, 1.0), (1.0, 0.0)):
            here = expectation({"test": answered(300, 0.1)}, replace(TARGET, val_at_least=asked))
            assert here.probability == pytest.approx(probability, abs=0.01)

    @pytest.mark.parametrize(("samples", "sure"), [(500, True), (20, True), (10, False)])
    def test_where_nothing_is_wrong_the_count_decides(self, samples, sure):
        found = expectation({"test": answered(samples, 0.0)}, TARGET)
        assert found.value == 1
        assert (found.probability >= 0.95) == sure
        assert found.interval.high == 1

    def test_where_nothing_is_right_it_is_the_same_the_other_way_round(self):
        found = expectation({"test": answered(500, 1.0)}, TARGET)
        assert found.value == 0
        assert found.probability < 0.01
        assert 0 < found.interval.high < 0.01

    def test_one_sample_says_nothing(self):
        found = expectation({"test": answered(1, 1.0)}, TARGET)
        assert found.interval is None
        assert found.probability is None


# --------------------------------------------------------------------------------------------- sentences


def passed(reason, name="other", val=0.90, ahead=0.002, means=None, others=0):
    return PassedOver(name, reason, val, "after", moved(ahead), means, others)


def folded(run):
    each = (FoldRun({"train": run.scores["train"], "val": run.scores["val"]}, 3),) * 3
    return replace(run, folds=Folds.over(each))


def with_others(after, expectation, *passed_over, others=(), **values):
    tried = (after, *others)
    return case(after, expectation, tried=tried, choice=Choice(len(tried), 0.012, passed_over), **values)


def augmented(run, strength=1.0):
    training = replace(run.recipe.training, augmentation=("mirror",), augmentation_strength=strength)
    return replace(run, recipe=replace(run.recipe, training=training))


AFTER = run(0.91, 0.88, 0.90)
FINE = run(0.90, 0.88, 0.90)
STRONG = run_of("baseline", 0.99, 0.90, test=0.88)
FREE = replace(TARGET, train_ranks=False)

#: every branch of every sentence
BRANCHES = {
    **STATES,
    "without a baseline": case(run(0.91, 0.88, 0.90), SURE, None),
    "a fit that overfits": case(run(0.99, 0.80, 0.80), NOT, None, gap=moved(0.19)),
    "no test part": case(run(0.91, 0.88), expected(0.868, 0.9, "val"), choice=Choice(1, 0.012)),
    "no test part, no choice": case(run(0.91, 0.88), expected(0.88, 0.9, "val"), None),
    "val less than the choice adds": case(run(0.91, 0.86), expected(0.84, 0.3, "val"), choice=Choice(1, 0.02)),
    "unlikely, yet val has it": case(run(0.91, 0.86, 0.80), expected(0.80, 0.004)),
    "undefined": case(run(0.9, None), expected(None, None, "val", 5), None),
    "no interval": case(run(1.0, 1.0), expected(1.0, None, "val", 1), None),
    "groups": case(run(0.91, 0.86, 0.86), expected(0.86, 0.7, groups=30)),
    "worse": case(run(0.91, 0.86, 0.60), expected(0.60, 0.001)),
    "no interval to compare": replace(STATES["cured"], differences={}),
    "not overfitting, as far as is known": case(run(0.90, 0.84, 0.83), expected(0.83, 0.2)),
    "only the train band": case(run(0.96, 0.90, 0.90), SURE, gap=moved(0.06)),
    "no train band": case(run(1.0, 0.88, 0.90), SURE, target=replace(TARGET, train_below=1.0)),
    "train does not rank": case(run(0.97, 0.88, 0.90), SURE, target=FREE),
    "train unscored": case(run(None, 0.88, 0.90), SURE, target=FREE),
    "near the train band": case(run(0.91, 0.905, 0.90), SURE),
    "stopped": case(run(0.91, 0.88, 0.90, state="stopped"), SURE, None),
    "augmented": case(augmented(AFTER), SURE),
    "augmented strongly": case(augmented(AFTER, 1.5), SURE),
    "nothing finished": case(FINE, SURE, FINE, tried=(run(0.9, 0.9, state="diverged"),), choice=Choice(0, 0.0)),
    "nothing better": case(STRONG, expected(0.88, 0.5), STRONG, tried=(run(0.8, 0.8),), choice=Choice(1, 0.0)),
    "the gain is lost": case(run(0.91, 0.86, 0.67), expected(0.67, 0.001)),
    "there was no gain": case(run(0.91, 0.70, 0.67), expected(0.67, 0.001), before=run_of("b", 0.99, 0.70, test=0.69)),
    "folds": case(folded(run(0.91, 0.88)), expected(0.88, 0.9, "val"), choice=Choice(1, 0.0)),
    "folds averaged": case(
        folded(run(0.91, 0.88)), expected(0.878, 0.9, "val", averaging=0.01), choice=Choice(1, 0.012)
    ),
    "an ensemble by score": case(
        replace(AFTER, recipe=replace(AFTER.recipe, name="ensemble of 2")),
        SURE,
        choice=Choice(1, 0.0, ensemble=("micro_f1", moved(0.03))),
    ),
    "an ensemble by log loss": case(
        replace(AFTER, recipe=replace(AFTER.recipe, name="ensemble of 2")),
        SURE,
        choice=Choice(1, 0.0, ensemble=("log_loss", moved(-0.03))),
    ),
    "outside the train band": with_others(
        AFTER,
        SURE,
        passed("train band", ahead=0.02, others=1),
        others=(run_of("other", 0.97, 0.90), run_of("third", 0.98, 0.89)),
    ),
    "outside the train band, a baseline that meets": replace(
        with_others(FINE, SURE, passed("train band"), others=(run_of("other", 0.97, 0.90),)), before=FINE
    ),
    "below the baseline": case(
        STRONG,
        expected(0.88, 0.5),
        STRONG,
        tried=(run_of("other", 0.91, 0.88),),
        choice=Choice(1, 0.012, (passed("below the baseline", val=0.88),)),
    ),
    "simpler": with_others(AFTER, SURE, passed("simpler"), others=(run_of("other", 0.91, 0.90),)),
    "simpler over seeds": with_others(
        AFTER, SURE, passed("simpler", means=(0.889, 0.882)), others=(run_of("other", 0.91, 0.90),)
    ),
    "misses on seeds": with_others(
        AFTER, SURE, passed("misses on seeds", means=(0.889, 0.882)), others=(run_of("other", 0.91, 0.90),)
    ),
    "lower on seeds": with_others(
        AFTER, SURE, passed("lower on seeds", means=(0.86, 0.87)), others=(run_of("other", 0.91, 0.90),)
    ),
    "meets, but lower on seeds": with_others(
        run(0.95, 0.88, 0.90),
        SURE,
        passed("lower on seeds", val=0.87, means=(0.86, 0.87), others=2),
        others=tuple(run_of(name, 0.91, 0.87) for name in ("other", "third", "fourth")),
    ),
    "a constant baseline is as good": case(run(0.74, 0.72, 0.72, constant=0.75), expected(0.72, 0.001)),
    "it only decides no better": case(
        run(0.74, 0.72, 0.72, constant=0.75, ranks=0.9), expected(0.72, 0.001), intervals={"map": Interval(0.8, 0.95)}
    ),
    "thresholds are fitted already": case(
        replace(run(0.74, 0.72, 0.72, constant=0.75, ranks=0.9), decided={"val": run(0.7, 0.8).scores["val"]}),
        expected(0.72, 0.001),
        intervals={"map": Interval(0.8, 0.95)},
    ),
    "a ranking metric is no decision": case(
        run(0.74, 0.72, 0.72, constant=0.75),
        expected(0.72, 0.001),
        target=replace(TARGET, metric="map"),
        intervals={"map": Interval(0.6, 0.8)},
    ),
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_no_sentence_contradicts_the_record(branch):
    assert contradictions(record_of_case(BRANCHES[branch])) == []


def test_every_sentence_is_driven():
    """A new form of sentence needs a case here, and one that is gone needs no check."""
    driven = set().union(*(forms_of(record_of_case(one)) for one in BRANCHES.values()))
    assert [pattern.pattern for pattern in set(FORMS) - driven - ADDED] == []


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_headline_is_short_and_the_rest_is_whole(branch):
    sentences = judge(BRANCHES[branch]).sentences
    assert len(sentences[0]) < 250
    assert all(one[0].isupper() or one[0].isdigit() or "on val" in one or "on train" in one for one in sentences[1:])
    assert all(one.endswith(".") for one in sentences)


class TestTheChecker:
    """The checker finds sentences that are false."""

    def contradicted(self, case, **changes):
        record = record_of_case(case)
        return contradictions(replace(record, **changes))

    def test_a_state_that_the_figures_do_not_make(self):
        record = record_of_case(STATES["cured"])
        false = replace(record.expected, probability=0.5)
        assert "Cured" in self.contradicted(STATES["cured"], expected=false)[0]
        assert record.target.met

    def test_a_sentence_that_nobody_knows(self):
        record = record_of_case(STATES["cured"])
        false = replace(record.verdict, sentences=(*record.verdict.sentences, "It is the best of all."))
        assert self.contradicted(STATES["cured"], verdict=false) == ["It is the best of all."]

    def test_a_reason_that_is_not_the_real_one(self):
        """`below the baseline` of a recipe that scores above it: false in 15 of 19 verdicts before."""
        false = with_others(
            run(0.95, 0.88, 0.90), SURE, passed("below the baseline", val=0.87), others=(run_of("other", 0.91, 0.87),)
        )
        assert "below the baseline" in self.contradicted(false)[0]
