import json

import numpy as np
import pytest
import safetensors.numpy
import torch

from making import feature_table, locked
from tagfit.delivery.bundle import SAMPLES, WEIGHTS, read_bundle
from tagfit.delivery.predictor import Tagger
from tagfit.errors import BundleError
from tagfit.recipes import Recipe, Training
from tagfit.workflow import fit

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


def change_manifest(bundle, **changes):
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def change_weights(bundle, change):
    """Change tensors and make the manifest agree, as somebody who tampers would."""
    weights = safetensors.numpy.load((bundle / WEIGHTS).read_bytes())
    change(weights)
    content = safetensors.numpy.save(weights)
    (bundle / WEIGHTS).write_bytes(content)
    import hashlib

    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][WEIGHTS] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


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
    assert sorted(file.name for file in bundle.iterdir()) == ["manifest.json", WEIGHTS, SAMPLES]


@pytest.mark.parametrize("name", [WEIGHTS, SAMPLES])
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:50] + b"\0" + b[51:]])
def test_changed_bytes_are_refused(bundle, name, damage):
    content = (bundle / name).read_bytes()
    assert damage(content) != content
    (bundle / name).write_bytes(damage(content))
    with pytest.raises(BundleError, match="not what was handed over"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", [WEIGHTS, SAMPLES])
def test_missing_files_are_refused(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match="No such file"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": 99}, "expected protocol 3; got 99"),
        ({"recipe": {"name": "x", "model": {"architecture": "os.system"}}}, "architecture must be one of"),
        ({"label_names": ["only one"]}, "has shape"),
        ({"label_names": None}, "list of label names"),
        ({"label_names": ["a", "a", "b"]}, "not all different"),
        ({"preprocessing": {"kind": "foo", "shape": [8], "scale": 1}}, "no preprocessing of"),
        ({"preprocessing": {"kind": "features", "shape": [-8], "scale": 1}}, "whole numbers above 0"),
        ({"preprocessing": {}}, "not a usable bundle"),
        ({"files": {}}, "not a usable bundle"),
        ({"constant_answer": {}}, "constant answer"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(bundle, changes, said):
    change_manifest(bundle, **changes)
    with pytest.raises(BundleError, match=said):
        read_bundle(bundle)


def test_tensors_that_do_not_fit_are_all_named(bundle):
    def change(weights):
        first, second, *_ = sorted(weights)
        weights["surplus"] = np.zeros(3, dtype=np.float32)
        weights[first] = weights[first][:-1].copy()
        weights[second] = np.full_like(weights[second], np.nan)
        del weights["layers.output.bias"]

    change_weights(bundle, change)
    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)
    said = str(caught.value)
    assert all(word in said for word in ("surplus", "has shape", "not finite", "layers.output.bias is missing"))
