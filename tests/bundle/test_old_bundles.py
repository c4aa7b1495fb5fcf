"""Bundles that earlier versions wrote are read, and give the scores that they gave then."""

import json
from pathlib import Path

import numpy as np
import pytest

from tagfit.bundle.audit import audited
from tagfit.bundle.protocols import PROTOCOL, READABLE
from tagfit.bundle.read import read_bundle
from tagfit.bundle.write import write_bundle
from tagfit.inference.tagger import Tagger
from tagfit.io.typed_json import to_plain
from tagfit.recipes import Training

BUNDLES = sorted(path for path in (Path(__file__).parent / "bundles").iterdir() if path.is_dir())


def protocol(bundle):
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["protocol"]


def test_there_is_one_of_each_protocol():
    assert {protocol(bundle) for bundle in BUNDLES} == set(READABLE)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_written_again_it_is_of_todays_protocol_with_every_field(bundle, tmp_path):
    then = read_bundle(bundle)
    write_bundle(tmp_path / "bundle", then)
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["protocol"] == PROTOCOL
    assert manifest["recipe"] == then.recipe.to_dict()
    assert manifest["recipe"]["training"].keys() == to_plain(Training()).keys()
    assert manifest["preprocessing"]["kind"] in ("images", "features")
    assert audited(tmp_path / "bundle").manifest.scores == audited(bundle).manifest.scores


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_it_gives_the_scores_that_it_gave_then(bundle):
    then = np.load(bundle.with_suffix(".npz"))
    now = Tagger.load(bundle, device="cpu", runtime="torch").predict(then["x"])
    np.testing.assert_allclose(now.scores, then["scores"], atol=1e-6)
    assert (now.decisions == then["decisions"]).all()
