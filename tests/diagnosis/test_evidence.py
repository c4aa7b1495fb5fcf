from dataclasses import replace

import numpy as np
import pytest

from tagfit.decisions.decider import Predictions
from tagfit.diagnosis import evidence as module
from tagfit.diagnosis.evidence import CannotCheck, Evidence
from tagfit.recipes import RECIPES
from tagfit.records.scores import Target


@pytest.fixture
def evidence():
    rng = np.random.default_rng(0)
    labels_NL = (rng.random((60, 3)) < 0.4).astype(np.int8)
    predictions = Predictions(labels_NL, rng.random((60, 3), dtype=np.float32), np.arange(60))
    return Evidence(Target(), RECIPES["dense-baseline"], ("a", "b", "c"), predictions={"val": predictions}, resamples=9)


def test_a_part_is_resampled_once(evidence, monkeypatch):
    first = evidence.spread("val")
    monkeypatch.setattr(module, "resample", None)
    assert evidence.spread("val") is first
    assert replace(evidence, spreads={"val": first}).spread("val") is first


def test_other_evidence_makes_resamples_of_its_own(evidence):
    assert evidence.spread("val").resampling.resamples == 9
    assert replace(evidence, resamples=5).spread("val").resampling.resamples == 5


def test_there_is_no_spread_of_a_part_that_was_not_predicted(evidence):
    with pytest.raises(CannotCheck, match="no test part"):
        evidence.spread("test")
