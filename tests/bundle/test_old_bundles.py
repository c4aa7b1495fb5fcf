"""Bundles that earlier versions wrote are read, and give the scores that they gave then."""

import json
from pathlib import Path

import numpy as np
import pytest

from tagfit.bundle.protocols import READABLE
from tagfit.inference.tagger import Tagger

BUNDLES = sorted(path for path in (Path(__file__).parent / "bundles").iterdir() if path.is_dir())


def protocol(bundle):
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["protocol"]


def test_there_is_one_of_each_protocol():
    assert {protocol(bundle) for bundle in BUNDLES} == set(READABLE)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_it_gives_the_scores_that_it_gave_then(bundle):
    then = np.load(bundle.with_suffix(".npz"))
    now = Tagger.load(bundle, device="cpu", runtime="torch").predict(then["x"])
    np.testing.assert_allclose(now.scores, then["scores"], atol=1e-6)
    assert (now.decisions == then["decisions"]).all()
