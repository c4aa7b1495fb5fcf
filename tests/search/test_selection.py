"""Which run val chooses, by which claims others lose, and how much the choice flatters."""

from dataclasses import replace

import numpy as np
import pytest

from cases import run_of
from tagfit.metrics.intervals import Resampling, Spread
from tagfit.records.scores import METRICS, Scores, Target
from tagfit.search.selection import Contest, meets

TARGET = Target("micro_f1", train_below=0.92, val_at_least=0.85)
BASELINE = run_of("baseline", 0.99, 0.70)


def chosen(*tried, baseline=BASELINE, target=TARGET):
    return Contest.of(baseline, tried, target).winner.recipe.name


def test_meeting_the_target_goes_before_a_higher_val_score():
    assert chosen(run_of("high", 0.97, 0.90), run_of("meets", 0.91, 0.86)) == "meets"


def test_otherwise_val_decides():
    assert chosen(run_of("low", 0.80, 0.72), run_of("high", 0.90, 0.75)) == "high"


def test_it_never_falls_below_the_baseline():
    assert chosen(run_of("small gap", 0.69, 0.69)) == "baseline"
    assert chosen(run_of("same", 0.70, 0.70)) == "baseline"
    assert chosen() == "baseline"
    assert chosen(run_of("meets", 0.90, 0.86), baseline=run_of("baseline", 0.99, 0.87)) == "baseline"


def test_the_same_val_score_serves_where_only_it_meets_the_target():
    assert chosen(run_of("meets", 0.90, 0.86), baseline=run_of("baseline", 0.99, 0.86)) == "meets"


def test_a_baseline_that_meets_the_target_yields_only_to_one_that_does_too():
    fine = run_of("baseline", 0.90, 0.86)
    assert chosen(run_of("higher", 0.95, 0.89), baseline=fine) == "baseline"
    assert chosen(run_of("better", 0.91, 0.87), baseline=fine) == "better"


def test_fewer_parameters_win_a_tie():
    assert chosen(run_of("large", 0.8, 0.75, parameters=200), run_of("small", 0.8, 0.75, parameters=50)) == "small"


@pytest.mark.parametrize("state", ["stopped", "diverged", "pruned"])
def test_runs_that_did_not_finish_are_passed_over(state):
    assert chosen(run_of("cut short", 0.8, 0.9, state=state)) == "baseline"


def test_an_undefined_score_beats_nothing():
    assert chosen(run_of("undefined", 0.8, None)) == "baseline"


def test_where_the_train_band_does_not_rank_val_alone_chooses():
    free = replace(TARGET, train_ranks=False)
    assert chosen(run_of("high", 0.97, 0.90), run_of("meets", 0.91, 0.86), target=free) == "high"
    assert meets(run_of("high", 0.97, 0.90), free)


def test_a_train_band_of_one_asks_nothing():
    open_band = replace(TARGET, train_below=1.0)
    assert chosen(run_of("by heart", 1.0, 0.90), run_of("meets", 0.91, 0.86), target=open_band) == "by heart"


class TestClaims:
    """Who else had a claim to be delivered, and why it is not."""

    def claims(self, chosen_name, *tried, baseline=BASELINE, errors=None):
        contest = Contest.of(baseline, tried, TARGET, None if errors is None else spreads(errors))
        by_name = {run.recipe.name: run for run in contest.runs}
        assert contest.winner is by_name[chosen_name]
        return {run.recipe.name: reason for run, reason in contest.claims(contest.winner)}

    def test_a_higher_score_outside_the_train_band(self):
        assert self.claims("meets", run_of("high", 0.97, 0.90), run_of("meets", 0.91, 0.86)) == {"high": "train band"}

    def test_what_meets_the_target_below_the_baseline(self):
        strong = run_of("baseline", 0.99, 0.90)
        assert self.claims("baseline", run_of("within", 0.91, 0.88), baseline=strong) == {
            "within": "below the baseline"
        }

    def test_a_larger_one_that_is_ahead_by_less_than_its_standard_error(self):
        large, small = run_of("large", 0.9, 0.76, parameters=200), run_of("small", 0.9, 0.75)
        assert self.claims("small", large, small, errors=0.02) == {"large": "simpler"}
        assert self.claims("large", large, small, errors=0.002) == {}


def spreads(error, seed=0):
    """Scores that resamples of val scatter about by so much, each run's on its own."""
    rng = np.random.default_rng(seed)
    resampling = Resampling.of(400)

    def spread_of(run):
        scores = run.scores["val"]
        values = scores.micro_f1 + rng.normal(scale=error, size=resampling.resamples)
        return Spread(scores, {"micro_f1": values}, resampling)

    return spread_of


class TestOptimism:
    """Against runs whose true score is known: what val's luck adds to the one that is chosen."""

    def simulated(self, spread_of_truths, runs=20, error=0.02, repeats=200):
        """The mean of how much val flatters the chosen run, and of what is taken off for it."""
        flattered, taken_off = [], []
        rng = np.random.default_rng(1)
        for repeat in range(repeats):
            truths = 0.7 + rng.normal(scale=spread_of_truths, size=runs)
            vals = truths + rng.normal(scale=error, size=runs)
            tried = [run_of(str(number), 0.99, float(val)) for number, val in enumerate(vals)]
            contest = Contest.of(run_of("baseline", 0.99, 0.1), tried, TARGET, spreads(error, repeat))
            flattered.append(contest.winner.score("val", "micro_f1") - truths[int(contest.winner.recipe.name)])
            taken_off.append(contest.optimism)
        return np.mean(flattered), np.mean(taken_off)

    @pytest.mark.parametrize("spread_of_truths", [0.0, 0.01, 0.02, 0.1])
    def test_it_is_what_luck_adds(self, spread_of_truths):
        flattered, taken_off = self.simulated(spread_of_truths)
        assert taken_off == pytest.approx(flattered, abs=0.005)

    def test_a_single_candidate_far_ahead_owes_nothing_to_luck(self):
        contest = Contest.of(BASELINE, [run_of("ahead", 0.9, 0.9)], TARGET, spreads(0.01))
        assert contest.optimism < 0.001

    def test_without_resamples_nothing_is_taken_off(self):
        assert Contest.of(BASELINE, [run_of("ahead", 0.9, 0.9)], TARGET).optimism == 0

    def test_undefined_scores_and_resamples_are_left_out(self):
        undefined = run_of("undefined", 0.9, None)
        scored = spreads(0.01)

        def spread_of(run):
            spread = scored(run if run is not undefined else BASELINE)
            if run is undefined:
                return replace(
                    spread, scores=Scores(**dict.fromkeys(METRICS)), values={"micro_f1": np.full(1000, np.nan)}
                )
            spread.values["micro_f1"][:10] = np.nan
            return spread

        contest = Contest.of(BASELINE, [undefined, run_of("ahead", 0.9, 0.75)], TARGET, spread_of)
        assert contest.winner.recipe.name == "ahead"
        assert np.isfinite(contest.optimism)
