"""What a perfectly calibrated model reads, of as few samples."""

import numpy as np
import pytest

from tagfit.decisions.reliability import perfect_ece
from tagfit.metrics.scores import score_one
from tagfit.records.data import UNKNOWN


def calibrated(samples, seed, labels=4):
    rng = np.random.default_rng(seed)
    p_NL = rng.beta(0.5, 0.5, size=(samples, labels))
    return (rng.random(p_NL.shape) < p_NL).astype(np.int8), p_NL


@pytest.mark.parametrize("samples", [20, 100, 1000])
def test_it_is_what_a_calibrated_model_reads_on_average(samples):
    models = [calibrated(samples, seed) for seed in range(60)]
    reads = np.mean([score_one("ece", *model) for model in models])
    assert reads > 0
    assert perfect_ece(*models[0]) == pytest.approx(reads, rel=0.15)


def test_unknown_cells_are_left_out():
    labels_NL, p_NL = calibrated(100, 0)
    assert perfect_ece(np.full_like(labels_NL, UNKNOWN), p_NL) is None
    hidden_NL = labels_NL.copy()
    hidden_NL[20:] = UNKNOWN
    assert perfect_ece(hidden_NL, p_NL) == perfect_ece(labels_NL[:20], p_NL[:20])
