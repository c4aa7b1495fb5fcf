"""Files for Keras: loaded by a Python that has never heard of tagfit, they give the same scores."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from delivery.test_export import CNN, DENSE, FEATURES, PICTURES, THRESHOLDS, tagger
from making import tiny_backbone
from tagfit.cli import main
from tagfit.delivery import keras_file
from tagfit.delivery.bundle import write_bundle
from tagfit.delivery.export import export
from tagfit.delivery.predictor import Tagger
from tagfit.errors import ExportError, MissingExtraError, OutputError
from tagfit.models.layers import BatchNorm, Standardise
from tagfit.models.pretrained import load_backbone
from tagfit.recipes import CnnModel, DenseModel, Recipe
from tagfit.records import Preprocessing

if importlib.util.find_spec("keras") is None:  # whose import needs to be told of its backend
    pytest.skip("needs tagfit[keras]", allow_module_level=True)


def dense(**changes):
    return Recipe(name="d", model=DenseModel(**changes))


def cnn(**changes):
    return Recipe(name="c", model=CnnModel(width=8, **changes))


CASES = {
    "linear": ((dense(widths=()),), FEATURES),
    "everything": ((dense(widths=(9, 5), batch_norm=True, dropout=(0.4, 0.3), standardise=True, input_noise=0.1,
                          input_dropout=0.1),), FEATURES),
    "one feature": ((dense(widths=(3,)),), Preprocessing("features", (1,))),
    "ensemble": ((DENSE, dense(widths=(4,))), FEATURES),
    "dense on pictures": ((dense(widths=(7,), standardise=True),), PICTURES),
    "cnn": ((cnn(depth=2, dropout=0.0, stochastic_depth=0.2, standardise=False),), PICTURES),
    "cnn of stride 4": ((cnn(stride=4, depth=0),), PICTURES),
    "2 views": ((cnn(views=2),), Preprocessing("pictures", (23, 17, 3), 1 / 255)),
    "4 views": ((cnn(views=4),), Preprocessing("pictures", (17, 24, 3), 1 / 255)),
    "8 views": ((CNN,), PICTURES),
    "two kinds": ((CNN, DENSE), PICTURES),
}  # fmt: skip

ELSEWHERE = """
import sys, json, os
import numpy as np
import keras
for number in range(int(sys.argv[1])):
    network = keras.models.load_model(f"{number}.keras")
    np.save(f"found{number}.npy", network.predict(np.load(f"given{number}.npy"), verbose=0))
assert "tagfit" not in sys.modules
"""


def trained(recipes, samples):
    """As after a training: no weight and no moment is what it was drawn as."""
    ours = tagger(*recipes, samples=samples)
    generator = torch.Generator().manual_seed(0)

    def drawn(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for layer in ours.bundle.network.modules():
            if isinstance(layer, BatchNorm):
                drawn(layer.weight, 0.5, 1.5)
                drawn(layer.bias, -0.3, 0.3)
                drawn(layer.running_mean, -0.3, 0.3)
                drawn(layer.running_var, 0.5, 2)
            elif isinstance(layer, Standardise):
                drawn(layer.mean, -1, 1)
                drawn(layer.deviation, 0.2, 3)
            elif isinstance(layer, torch.nn.Linear):
                drawn(layer.bias, -1, 1)
    return Tagger(ours.bundle, device="cpu")


def test_a_python_without_tagfit_gets_the_same_scores(tmp_path):
    rng, expected = np.random.default_rng(1), []
    for number, (recipes, samples) in enumerate(CASES.values()):
        ours = trained(recipes, samples)
        made = export(ours, tmp_path / f"{number}.keras", to="keras")
        assert made.max_difference <= 1e-5
        assert made.outputs == ("scores",)
        pictures = samples.kind == "pictures"
        x = (
            rng.integers(0, 256, (6, *samples.shape)).astype(np.uint8)
            if pictures
            else rng.normal(size=(6, *samples.shape))
        )
        np.save(tmp_path / f"given{number}.npy", x if pictures else x.astype(np.float32))
        expected.append(ours.predict_array(x).scores)
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", ELSEWHERE, str(len(CASES))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for number, name in enumerate(CASES):
        assert expected[number].std() > 1e-3, name
        np.testing.assert_allclose(np.load(tmp_path / f"found{number}.npy"), expected[number], atol=1e-5, err_msg=name)


def test_the_file_says_what_the_scores_mean(tmp_path):
    export(tagger(DENSE), tmp_path / "model.keras", to="keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        told = json.loads(archive.read(keras_file.TOLD))
    assert told["label_names"] == ["sea", "größer", "c"]
    assert told["decider"] == json.loads(json.dumps(THRESHOLDS.to_dict()))


def test_a_file_that_would_give_other_scores_is_not_written(tmp_path, monkeypatch):
    whole = keras_file._Layers.linear
    monkeypatch.setattr(
        keras_file._Layers, "linear", lambda self, layer, x, kind=None: whole(self, layer, 1.01 * x, kind)
    )
    with pytest.raises(ExportError, match="nothing was written"):
        export(trained((DENSE,), FEATURES), tmp_path / "model.keras", to="keras")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"\.keras"):
        export(tagger(DENSE), tmp_path / "model.h5", to="keras")
    pretrained = load_backbone(tiny_backbone(tmp_path / "tiny"))
    with pytest.raises(ExportError, match="onnx"):
        export(tagger(DENSE, pretrained=pretrained), tmp_path / "model.keras", to="keras")
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tagfit\[keras\]'"):
        export(tagger(DENSE), tmp_path / "model.keras", to="keras")


def test_the_command_leaves_the_home_and_the_environment_as_they_are(tmp_path, monkeypatch):
    write_bundle(tmp_path / "run" / "bundle", tagger(DENSE).bundle)
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    done = CliRunner().invoke(main, ["export", "run", "--to", "keras"])
    assert done.exit_code == 0, done.output
    assert "in Keras" in done.stdout
    assert (tmp_path / "run.keras").is_file()
    assert dict(os.environ) == before
