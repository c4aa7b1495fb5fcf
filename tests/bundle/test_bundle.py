import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from bundle.attacks import tensors
from making import PROVE, feature_table, locked
from tagfit.api import fit
from tagfit.bundle.files import MANIFEST, MODEL_CARD, SAMPLES, WEIGHTS
from tagfit.bundle.read import read_bundle
from tagfit.errors import BundleError
from tagfit.inference.tagger import Tagger
from tagfit.recipes import Recipe, Training

RECIPE = Recipe(name="short", training=Training(epochs=2))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    data = locked(feature_table())
    return data, fit(data, recipe=RECIPE, output=tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def bundle(finished, tmp_path):
    """A copy that a test may damage."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in (finished[1].folder / "bundle").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_it_comes_back_as_it_was(finished, bundle):
    data, result = finished
    back, held = read_bundle(bundle), result.tagger.bundle
    assert back.recipe == held.recipe == RECIPE
    assert back.label_names == data.dataset.label_names
    assert back.lock == data.lock
    assert back.preprocessing == data.dataset.preprocessing
    for name, tensor in held.network.state_dict().items():
        assert torch.equal(back.network.state_dict()[name], tensor)
    x = data.dataset.x
    assert (Tagger(back).predict(x).scores == result.tagger.predict(x).scores).all()


def test_it_knows_what_it_was_trained_on(finished, bundle):
    data, _ = finished
    expected = data.dataset.hashes[data.split.rows("train")]
    assert (read_bundle(bundle).trained_on["train"] == expected).all()


def test_it_holds_data_only(bundle):
    assert sorted(file.name for file in bundle.iterdir()) == [MODEL_CARD, MANIFEST, WEIGHTS, SAMPLES]


def test_tensors_that_do_not_fit_are_all_named(bundle):
    def change(weights):
        first, second, *_ = sorted(weights)
        weights["surplus"] = np.zeros(3, dtype=np.float32)
        weights[first] = weights[first][:-1].copy()
        weights[second] = weights[second].astype(np.float64)
        del weights["layers.output.bias"]

    tensors(change)(bundle)
    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)
    predictions = str(caught.value)
    assert all(word in predictions for word in ("surplus", "has shape", "is of F64", "layers.output.bias is missing"))


KILLED = """
import os, random, signal, sys, time, warnings
from dataclasses import replace
from pathlib import Path
from tagfit.bundle.read import read_bundle
from tagfit.bundle.write import write_bundle

warnings.simplefilter("ignore")  # forking is what this is about
target, times = Path(sys.argv[2]), int(sys.argv[3])
bundles = [replace(read_bundle(Path(sys.argv[1])), lock=digit * 64) for digit in "01"]
began = time.monotonic()
write_bundle(target, bundles[0], "a card")
longest = max(0.02, 4 * (time.monotonic() - began))  # two bundles, on a machine that is busy as well
draw = random.Random(0)
for _ in range(times):
    child = os.fork()
    if not child:
        while True:
            for bundle in bundles:
                write_bundle(target, bundle, "a card")
    time.sleep(draw.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(read_bundle(target).lock[0])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_writer_that_is_killed_leaves_the_old_bundle_or_the_new_one(bundle, tmp_path):
    times = 2000 if PROVE else 60
    command = [sys.executable, "-c", KILLED, bundle, tmp_path / "run" / "bundle", str(times)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = done.stdout.split()
    assert (len(read), set(read)) == (times, {"0", "1"})
