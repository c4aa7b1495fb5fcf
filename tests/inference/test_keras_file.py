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

from inference.test_export import CNN, DENSE, FEATURES, FLOATS, IMAGES, THRESHOLDS, pixels, tagger
from making import tiny_backbone
from tagfit.bundle.write import write_bundle
from tagfit.cli.main import main
from tagfit.errors import ExportError, MissingExtraError, OutputError
from tagfit.inference.export import keras_file
from tagfit.inference.export.export import export
from tagfit.inference.tagger import Tagger
from tagfit.io.typed_json import to_plain
from tagfit.models.backbones import load_backbone
from tagfit.models.layers import BatchNorm, Standardise
from tagfit.recipes import CnnModel, DenseModel, Recipe
from tagfit.records.data import Preprocessing

if importlib.util.find_spec("keras") is None:  # whose import needs to be told of its backend
    pytest.skip("needs tagfit[keras]", allow_module_level=True)


def dense(**changes):
    return Recipe(name="d", model=DenseModel(**changes))


def cnn(**changes):
    return Recipe(name="c", model=CnnModel(width=8, **changes))


#: some deviate less than 1e-7, and the squares of some are no float32
ANY_SIZE = Preprocessing("features", (32,))

CASES = {
    "linear": ((dense(widths=()),), FEATURES),
    "everything": ((dense(widths=(9, 5), batch_norm=True, dropout=(0.4, 0.3), standardise=True, input_noise=0.1,
                          input_dropout=0.1),), FEATURES),
    "one feature": ((dense(widths=(3,)),), Preprocessing("features", (1,))),
    "features of any size": ((dense(widths=(6,), standardise=True),), ANY_SIZE),
    "ensemble": ((DENSE, dense(widths=(4,))), FEATURES),
    "dense on images": ((dense(widths=(7,), standardise=True),), IMAGES),
    "cnn": ((cnn(depth=2, dropout=0.0, stochastic_depth=0.2, standardise=False),), IMAGES),
    "cnn of stride 4": ((cnn(stride=4, depth=0),), IMAGES),
    "2 views": ((cnn(views=2),), Preprocessing("images", (23, 17, 3), 1 / 255)),
    "4 views": ((cnn(views=4),), Preprocessing("images", (17, 24, 3), 1 / 255)),
    "8 views": ((CNN,), IMAGES),
    "two kinds": ((CNN, DENSE), IMAGES),
}  # fmt: skip

WRITES = """
import sys
from pathlib import Path
from tagfit.bundle.read import read_bundle
from tagfit.inference.export.keras_layers import model_of
for folder in sys.argv[1:]:
    model_of(read_bundle(Path(folder, "bundle"))).save(f"{folder}/model.keras")
"""

LOADS = """
import sys
import keras
import numpy as np
for folder in sys.argv[1:]:
    network = keras.models.load_model(f"{folder}/model.keras")
    np.save(f"{folder}/found.npy", network.predict(np.load(f"{folder}/given.npy"), verbose=0))
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
                if samples is ANY_SIZE:
                    layer.mean.zero_()
                    layer.deviation.copy_(torch.logspace(-12, 20, 32))
            elif isinstance(layer, torch.nn.Linear):
                drawn(layer.bias, -1, 1)
    return Tagger(ours.bundle, device="cpu")


def run(code, folder, *arguments):
    environment = os.environ | {
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def given(samples):
    rng = np.random.default_rng(1)
    if samples.kind == "images":
        return rng.integers(0, 256, (6, *samples.shape), dtype=np.uint8)
    spread = np.logspace(-12, 20, 32) if samples is ANY_SIZE else 1
    return (rng.normal(size=(6, *samples.shape)) * spread).astype(np.float32)


def drawing(folder):
    """What draws at random in training, in order, wherever in the network."""
    with zipfile.ZipFile(folder / "model.keras") as archive:
        waiting, found = [json.loads(archive.read("config.json"))], []
    while waiting:
        layer = waiting.pop(0)
        if layer["class_name"] in {"Dropout", "GaussianNoise"}:
            found.append((layer["class_name"], layer["config"].get("rate", layer["config"].get("stddev"))))
        waiting += layer["config"].get("layers", [])
    return found


def test_a_python_without_tagfit_gets_the_same_scores(tmp_path):
    expected = {}
    for name, (recipes, samples) in CASES.items():
        ours, x = trained(recipes, samples), given(samples)
        write_bundle(tmp_path / name / "bundle", ours.bundle)
        np.save(tmp_path / name / "given.npy", x)
        expected[name] = ours.predict_array(x).scores
    run(WRITES, tmp_path, *CASES)
    run(LOADS, tmp_path, *CASES)
    for name, scores in expected.items():
        assert scores.std() > 1e-3, name
        np.testing.assert_allclose(np.load(tmp_path / name / "found.npy"), scores, atol=1e-5, err_msg=name)
    assert drawing(tmp_path / "everything") == [
        ("GaussianNoise", 0.1),
        ("Dropout", 0.1),
        ("Dropout", 0.4),
        ("Dropout", 0.3),
    ]
    assert drawing(tmp_path / "cnn") == [("Dropout", pytest.approx(0.2 * block / 6)) for block in range(1, 7)]


def test_images_of_another_range_have_no_scores(tmp_path):
    """Keras takes any number as it comes: a file of bytes once read images from 0 to 1 as black."""
    x, names = pixels(16), ("bytes", "floats")
    partly = x / 255
    partly[:, 0] = np.nan
    kinds = (x, x / 255, x / 127.5 - 1, partly, (x > 128) * 1.0)
    for name, samples in zip(names, (IMAGES, FLOATS), strict=True):
        (tmp_path / name).mkdir()
        export(tagger(CNN, DENSE, samples=samples), tmp_path / name / "model.keras", examples=x)
        np.save(tmp_path / name / "given.npy", np.concatenate(kinds))
    run(LOADS, tmp_path, *names)
    ours = tagger(CNN, DENSE, samples=IMAGES)
    expected = ours.predict_array(x).scores
    for name, fitting in zip(names, (0, 1), strict=True):
        found = np.load(tmp_path / name / "found.npy").reshape(5, 5, 3)
        np.testing.assert_allclose(found[fitting], expected, atol=1e-5)
        assert np.isnan(found[[1 - fitting, 2, 3]]).all()
        assert not np.isnan(found[4]).any()


def test_a_file_that_would_give_other_scores_is_not_written(tmp_path, monkeypatch):
    other = trained((DENSE,), FEATURES)

    def written(bundle, samples):
        return b"", [other.predict_array(x).scores for x in samples]

    monkeypatch.setattr(keras_file, "_written", written)
    with pytest.raises(ExportError, match="nothing was written"):
        export(tagger(DENSE), tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"\.keras"):
        export(tagger(DENSE), tmp_path / "model.h5", to="keras")
    with pytest.raises(OutputError, match=r"\.keras"):
        export(tagger(DENSE), tmp_path / "model.keras", to="onnx")
    pretrained = load_backbone(tiny_backbone(tmp_path / "tiny"))
    with pytest.raises(ExportError, match="onnx"):
        export(tagger(DENSE, pretrained=pretrained), tmp_path / "model.keras", to="keras")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[keras\]'"):
        export(tagger(DENSE), tmp_path / "model.keras", to="keras")


def test_a_keras_that_does_not_start(tmp_path, monkeypatch):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "keras.py").write_text("raise ImportError('no such thing')")
    monkeypatch.syspath_prepend(tmp_path / "broken")
    with pytest.raises(ExportError, match="no such thing"):
        export(tagger(DENSE), tmp_path / "model.keras", to="keras")
    assert not (tmp_path / "model.keras").exists()


def test_the_command_leaves_what_is_the_users_as_it_is(tmp_path, monkeypatch):
    """Their Keras above all, which knows one backend a process."""
    write_bundle(tmp_path / "run" / "bundle", tagger(DENSE).bundle)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "none-such")
    environment = dict(os.environ)
    done = CliRunner().invoke(main, ["export", "run", "--to", "keras"])
    assert done.exit_code == 0, done.output
    assert "in Keras" in done.stdout
    assert dict(os.environ) == environment
    assert "keras" not in sys.modules
    assert {file.name for file in tmp_path.iterdir()} == {"run", "run.keras"}
    with zipfile.ZipFile("run.keras") as archive:
        told = json.loads(archive.read(keras_file.TOLD))
    assert told["label_names"] == ["sea", "größer", "c"]
    assert told["decider"] == json.loads(json.dumps(to_plain(THRESHOLDS)))
