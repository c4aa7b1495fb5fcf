import json

import numpy as np
import pytest

from tagfit.decisions.appraisal import appraise
from tagfit.decisions.calibration import Calibration
from tagfit.decisions.decider import Decider, DecisionObjective, Predictions, fit_decider
from tagfit.decisions.reliability import CalibrationReport
from tagfit.decisions.rules import Objective, Rule
from tagfit.errors import BundleError
from tagfit.io.typed_json import from_plain, to_plain
from tagfit.metrics.curves import SigmoidCurve
from tagfit.metrics.scores import score_decisions


def predictions(count=400, labels=5, seed=0, informed=True):
    """Labels of several frequencies, and scores that know something of them, or nothing."""
    rng = np.random.default_rng(seed)
    logits_NL = rng.normal(scale=2, size=(count, labels)) + np.linspace(-3, 0.5, labels)
    labels_NL = (rng.random((count, labels)) < 1 / (1 + np.exp(-logits_NL))).astype(np.int8)
    scores = 1 / (1 + np.exp(-2 * logits_NL)) if informed else rng.random((count, labels))
    return Predictions(labels_NL, scores.astype(np.float32), np.arange(count))


def fitted(objective, here, **options):
    return fit_decider(here, "val", Objective.parse(objective), seen_NL=here.labels_NL, **options)


def test_without_an_objective_it_decides_above_one_half():
    scores = np.array([[0.2, 0.5, 0.51]], dtype=np.float32)
    assert Decider().decide(scores).tolist() == [[False, False, True]]
    assert (Decider().probabilities(scores) == scores).all()


def test_each_row_is_decided_by_who_has_not_seen_it():
    """On scores that know nothing, what is fitted on the very rows looks better than it is."""
    gains = []
    for seed in range(10):
        here = predictions(count=150, labels=8, seed=seed, informed=False)
        result = fitted("macro_f1", here, seed=seed)
        seen = score_decisions(here.labels_NL, result.decider.decide(here.probabilities_NL), here.probabilities_NL)
        unseen = score_decisions(here.labels_NL, result.decisions_NL, here.probabilities_NL)
        gains.append(seen.macro_f1 - unseen.macro_f1)
    assert np.mean(gains) > 0


def test_groups_are_not_parted_between_folds():
    """Every row stands twice: what is fitted on the copy knows the row."""
    half = predictions(count=60, labels=3, informed=False)
    both = [np.concatenate([array, array]) for array in (half.labels_NL, half.probabilities_NL, half.belongs_to)]
    together = Predictions(*both)
    grouped = fitted("micro_f1", together)
    assert (grouped.decisions_NL[:60] == grouped.decisions_NL[60:]).all()
    assert (grouped.probabilities_NL[:60] == grouped.probabilities_NL[60:]).all()


@pytest.mark.parametrize("objective", ["micro_f1", "subset_accuracy", "recall>=0.9"])
def test_it_comes_back_from_json(objective):
    here = predictions()
    decider = fitted(objective, here).decider
    again = from_plain(json.loads(json.dumps(to_plain(decider))), Decider, surplus=False)
    assert not again.label_faults(5)
    assert (again.decide(here.probabilities_NL) == decider.decide(here.probabilities_NL)).all()
    assert (again.probabilities(here.probabilities_NL) == decider.probabilities(here.probabilities_NL)).all()


@pytest.mark.parametrize(
    "changes",
    [{"objective": 3}, {"fitted_on": ["val"]}, {"rule": {"thresholds": [2]}}, {"calibration": 1}, {"code": "x"}],
)
def test_a_strangers_nonsense_is_refused(changes):
    values = {**to_plain(fitted("micro_f1", predictions()).decider), **changes}
    with pytest.raises(BundleError, match=next(iter(changes))):
        from_plain(values, Decider, surplus=False)


def test_it_says_what_is_made_for_other_labels():
    curves = (SigmoidCurve(1.0), None, None)
    decider = Decider(Calibration("platt", 1.0, curves), Rule.flat(4), "micro_f1", "val")
    assert decider.label_faults(3) == ["decider.rule is for 4 labels; 3 are named"]
    assert decider.label_faults(4) == ["decider.calibration is for 3 labels; 4 are named"]
    assert Decider(Calibration("temperature", 2.0)).label_faults(4) == []


class TestAppraise:
    def test_calibrate_is_fitted_on_where_there_is_one(self):
        parts = {
            "train": predictions(seed=1),
            "val": predictions(seed=2),
            "calibrate": predictions(seed=3),
            "test": predictions(seed=4),
        }
        wish = DecisionObjective(Objective.parse("macro_f1"))
        with_it = appraise(parts, wish, seen_NL=parts["train"].labels_NL)
        without = appraise({name: parts[name] for name in ("train", "val")}, wish, seen_NL=parts["train"].labels_NL)
        assert (with_it.decider.fitted_on, without.decider.fitted_on) == ("calibrate", "val")
        assert set(with_it.decided) == {"train", "val", "test"}
        assert without.decided["test"] is None

    def test_val_is_decided_by_who_was_fitted_elsewhere(self):
        parts = {"train": predictions(seed=1), "val": predictions(seed=2, informed=False)}
        wish = DecisionObjective(Objective.parse("macro_f1"))
        found = appraise(parts, wish, seen_NL=parts["train"].labels_NL)
        crossed = fit_decider(parts["val"], "val", wish.objective, seen_NL=parts["train"].labels_NL)
        expected = score_decisions(parts["val"].labels_NL, crossed.decisions_NL, crossed.probabilities_NL)
        assert found.decided["val"].macro_f1 == pytest.approx(expected.macro_f1)

    def test_without_an_objective_nothing_is_decided_and_calibration_is_told(self):
        parts = {"train": predictions(seed=1), "val": predictions(seed=2)}
        found = appraise(parts, DecisionObjective(), seen_NL=parts["train"].labels_NL)
        assert found.decided == {}
        assert found.decider.rule is None
        assert found.calibration.method != "none"
        assert found.calibration.after.log_loss < found.calibration.before.log_loss
        assert found.intervals["val"]["micro_f1"].low < found.spreads["val"].scores.micro_f1
        assert found.decided_intervals == {}
        text = json.dumps(to_plain([found.calibration, found.intervals, found.decider]), allow_nan=False)
        assert from_plain(json.loads(text)[0], CalibrationReport, surplus=False) == found.calibration
