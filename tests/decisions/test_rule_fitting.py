"""Fitted rules on rows they were not fitted on: better than the flat 0.5, or like it."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from making import PROVE
from tagfit.decisions.rule_fitting import FEWEST_ROWS, RuleFitter, SeenSets, fit_rule
from tagfit.decisions.rules import METRIC_OBJECTIVES, Objective, Rule
from tagfit.decisions.threshold_search import FitRows
from tagfit.errors import DataError
from tagfit.metrics.scores import decision_means
from tagfit.records.data import UNKNOWN


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class World:
    """Rows whose labels are drawn by probabilities, of which a network says something.

    Args:
        rare: two thirds of the labels are yes in 2-5% of the rows.
        one: each row has exactly one label.
        biased: the network is too sure, and says more of some labels than of others.
    """

    def __init__(self, seed, rare=False, one=False, biased=False, L=9):
        self.rng = np.random.default_rng(seed)
        often = self.rng.uniform(0.15, 0.5, L)
        often[: 2 * L // 3] = self.rng.uniform(0.02, 0.05, 2 * L // 3) if rare else often[: 2 * L // 3]
        self.base_L = 1.6 * np.log(often / (1 - often))
        self.skill_L = self.rng.uniform(1.2, 2.8, L)
        self.mixing = 0.5 * self.rng.normal(size=(3, L))
        self.bias_L, self.sureness = (0.5 * self.rng.normal(size=L), 1.5) if biased else (np.zeros(L), 1.0)
        self.one = one

    def draw(self, N):
        """(N, L) labels and float32 probabilities."""
        L = len(self.base_L)
        z = self.rng.normal(size=(N, L)) * self.skill_L + self.rng.normal(size=(N, 3)) @ self.mixing + self.base_L
        if not self.one:
            labels = self.rng.random((N, L)) < sigmoid(z)
            return labels.astype(np.int8), sigmoid(self.sureness * z + self.bias_L).astype(np.float32)
        shares = np.exp(z - z.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        labels = np.eye(L, dtype=np.int8)[(shares.cumsum(axis=1) > self.rng.random((N, 1))).argmax(axis=1)]
        shares = np.clip(shares, 1e-6, 1 - 1e-6)
        return labels, sigmoid(self.sureness * np.log(shares / (1 - shares)) + self.bias_L).astype(np.float32)


def scored(metric, labels, decisions):
    return decision_means(labels, decisions)[metric].value


def gains(metric, seeds, N, **kind):
    """What a rule fitted on N rows gains over 0.5 on 4,000 others, for each seed."""
    found = []
    for seed in seeds:
        world = World(seed, biased=bool(seed % 2), **kind)
        (seen, _), (labels, p), (unseen, unseen_p) = world.draw(3 * N), world.draw(N), world.draw(4000)
        rule = fit_rule(Objective(metric), labels, p, seen_NL=seen)
        found.append(scored(metric, unseen, rule.decide(unseen_p)) - scored(metric, unseen, unseen_p > 0.5))
    return np.array(found)


class TestUnseenRows:
    @pytest.mark.parametrize("metric", METRIC_OBJECTIVES)
    @pytest.mark.parametrize("kind", [{"rare": True}, {"one": True}, {}], ids=["rare", "one", "plain"])
    def test_never_below_the_flat_rule_beyond_noise(self, metric, kind):
        for N in (40, 120, 600) if PROVE else (120,):
            gained = gains(metric, range(60 if PROVE else 4), N, **kind)
            assert gained.mean() > -0.001 - 2 * gained.std() / len(gained) ** 0.5, N
            assert gained.min() > -0.06, N

    def test_better_where_labels_are_rare(self):
        gained = gains("macro_f1", range(40 if PROVE else 4), 400, rare=True)
        assert gained.mean() > 0.05
        assert gained.min() > 0

    def test_one_label_a_row_is_found_out(self):
        for metric in ("subset_accuracy", "sample_f1"):
            gained = gains(metric, range(40 if PROVE else 3), 200, one=True)
            assert gained.mean() > 0.05
            assert gained.min() > 0.02


class TestChoice:
    def test_where_nothing_is_to_be_gained_it_stays_flat(self):
        labels = (np.random.default_rng(0).random((400, 4)) < 0.5).astype(np.int8)
        p = np.where(labels == 1, 0.9, 0.1)
        for metric in METRIC_OBJECTIVES:
            assert fit_rule(Objective(metric), labels, p, seen_NL=labels) == Rule.flat(4)

    def test_label_sets_decide_where_labels_come_in_sets(self):
        rng = np.random.default_rng(1)
        sets = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0]], dtype=np.int8)
        labels = sets[rng.integers(0, 3, 900)]
        p = sigmoid(rng.normal(size=labels.shape) * 2 + 2 * (2 * labels - 1))
        rule = fit_rule(Objective("subset_accuracy"), labels[:300], p[:300], seen_NL=sets)
        assert {tuple(np.flatnonzero(row)) for row in sets} == set(rule.label_sets)
        right = [scored("subset_accuracy", labels[300:], r.decide(p[300:])) for r in (Rule.flat(6), rule)]
        assert right[1] > right[0] + 0.3

    def test_label_sets_of_the_rows_themselves_do_not_flatter(self):
        """Each row has a set of its own: those of other rows are of no use."""
        rng = np.random.default_rng(2)
        labels = (rng.random((200, 14)) < 0.5).astype(np.int8)
        p = sigmoid(rng.normal(size=labels.shape) + 2.5 * (2 * labels - 1))
        assert not fit_rule(Objective("subset_accuracy"), labels, p, seen_NL=None).label_sets

    def test_groups_are_dealt_and_judged_together(self):
        """Twenty copies of ten rows are ten rows, of which one is wrong at 0.5."""
        labels, p = np.array([[1, 0]] * 10, dtype=np.int8), np.array([[0.9, 0.1]] * 9 + [[0.4, 0.1]])
        rows = np.repeat(np.arange(10), 20)
        alone = fit_rule(Objective("sample_f1"), labels[rows], p[rows], seen_NL=labels)
        together = fit_rule(Objective("sample_f1"), labels[rows], p[rows], seen_NL=labels, groups=rows)
        assert alone.thresholds[0] < 0.4
        assert together == Rule.flat(2)

    def test_the_same_rows_give_the_same_rule(self):
        world = World(4, rare=True, biased=True)
        labels, p = world.draw(300)
        for text in ("macro_f1", "recall>=0.8"):
            rules = [fit_rule(Objective.parse(text), labels, p, seen_NL=labels, seed=5) for _ in range(2)]
            assert rules[0] == rules[1]

    def test_a_label_without_a_yes_gets_the_common_threshold(self):
        labels, p = World(5, rare=True).draw(300)
        labels[:, 0] = 0
        rule = RuleFitter("own", 10.0).fit("macro_f1", FitRows(labels, p.astype(float)), None)
        common = RuleFitter("common").fit("macro_f1", FitRows(labels, p.astype(float)), None)
        assert rule.thresholds[0] == pytest.approx(common.thresholds[0])
        assert len(set(rule.thresholds)) > 2


class TestInput:
    def test_rows_that_say_nothing_change_nothing(self):
        labels, p = World(6, rare=True, biased=True).draw(200)
        expected = fit_rule(Objective("macro_f1"), labels, p, seen_NL=labels)
        unknown, unread = np.full((50, 9), UNKNOWN, dtype=np.int8), np.full((50, 9), np.nan, dtype=np.float32)
        more_labels = np.concatenate([unknown, labels, labels[:50]])
        more_p = np.concatenate([p[:50], p, unread])
        assert expected != Rule.flat(9)
        assert fit_rule(Objective("macro_f1"), more_labels, more_p, seen_NL=labels) == expected

    def test_unknown_is_not_read_as_no(self):
        """Of a label that is marked in every other row only, 0.3 is right nine times of ten."""
        rng = np.random.default_rng(7)
        p = rng.choice([0.05, 0.3], size=(600, 1))
        labels = np.where(p > 0.1, rng.random((600, 1)) < 0.9, 0).astype(np.int8)
        labels[np.flatnonzero(labels[:, 0] == 0)[::2]] = UNKNOWN
        labels[::2][p[::2, 0] > 0.1] = UNKNOWN
        rule = fit_rule(Objective("micro_f1"), labels, p, seen_NL=labels)
        assert 0.05 <= rule.thresholds[0] < 0.3

    @pytest.mark.parametrize("text", ["macro_f1", "subset_accuracy", "recall>=0.9"])
    def test_too_little_to_fit_on_stays_flat_and_says_so(self, text):
        labels, p = World(8).draw(200)
        objective = Objective.parse(text)
        few = fit_rule(objective, labels[: FEWEST_ROWS - 1], p[: FEWEST_ROWS - 1], seen_NL=labels)
        assert few == replace(Rule.flat(9), note=few.note)
        assert "only 29 rows" in few.note
        none = fit_rule(objective, np.zeros_like(labels), p, seen_NL=labels)
        assert "no row to fit on has a label" in none.note
        one = fit_rule(objective, labels, p, seen_NL=labels, groups=np.arange(200) % 4)
        assert "only 4 groups" in one.note
        empty = fit_rule(objective, labels[:0], p[:0], seen_NL=labels)
        assert "only 0 rows" in empty.note

    def test_all_faults_are_said_at_once(self):
        labels, p = World(9).draw(40)
        with pytest.raises(DataError) as refusal:
            fit_rule(Objective("macro_f1"), labels, p[:, :3], seen_NL=labels[:, :4], groups=np.zeros(3, dtype=int))
        assert len(refusal.value.faults) == 3
        with pytest.raises(DataError, match="from 0 to 1"):
            fit_rule(Objective("macro_f1"), labels, p + 1, seen_NL=labels)

    def test_sets_with_unknown_labels_were_not_seen(self):
        seen = SeenSets.of(np.array([[1, 0], [1, 0], [1, UNKNOWN], [1, 1]], dtype=np.int8))
        assert seen.sets == ((0,), (0, 1))
        assert seen.share == pytest.approx([2 / 3, 1 / 3])
        assert SeenSets.of(np.array([[1, UNKNOWN]], dtype=np.int8)).sets == ()


GAIN = Path(__file__).parents[2] / "benchmarks" / "rules_gain.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("rules_gain", GAIN)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "rules_gain", module)
        spec.loader.exec_module(module)
        yield module


def gained(benchmark, metric, networks, rarest=None):
    return benchmark.gain(metric, networks, [benchmark.fitted(metric, network) for network in networks], rarest)


class TestRealData:
    def test_subset_accuracy_of_scenes(self, shared, benchmark):
        found = gained(benchmark, "subset_accuracy", benchmark.scene(shared, deals=4 if PROVE else 1))
        assert found["gain"] >= 0.015
        assert found["low"] > 0

    @pytest.mark.skipif(not PROVE, reason="trains five CNNs; make prove")
    def test_macro_f1_of_land_use(self, shared, benchmark):
        networks = benchmark.ucm(shared)
        assert gained(benchmark, "macro_f1", networks)["high"] >= 0
        assert gained(benchmark, "macro_f1", networks, benchmark.RAREST)["gain"] > 0

    @pytest.mark.skipif(not PROVE, reason="trains three CNNs; make prove")
    def test_macro_f1_of_postcards_with_rare_labels(self, benchmark):
        found = gained(benchmark, "macro_f1", benchmark.postcards())
        assert found["gain"] >= 0.05
        assert found["low"] > 0
