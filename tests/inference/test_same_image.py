"""From the same file the same scores: in training, in torch, in ONNX Runtime, in an exported file, over HTTP."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from images.test_corpus import CRASHING, ODD, encoded
from making import decode, tiny_backbone
from serving import running
from tagfit.api import fit, load
from tagfit.cli.main import main
from tagfit.errors import BundleError
from tagfit.images import workers as decoder
from tagfit.inference.export.export import export
from tagfit.inference.onnx_runtime import OnnxNetworks
from tagfit.inference.tagger import Tagger
from tagfit.io.cache import cache_folder
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training

onnxruntime = pytest.importorskip("onnxruntime")

SHORT = Training(epochs=3, rate=3e-3, patience=0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Odd images of every kind, and a huge one; some twice, so that there are enough for every part."""
    folder = tmp_path_factory.mktemp("odd")
    noise = Image.effect_noise((4000, 3000), 80).convert("RGB")
    files = {f"{name}.bin": content for name, (content, *_) in ODD.items()}
    files["huge.jpg"] = encoded(noise, "JPEG")
    lines = ["image,labels"]
    for number, (name, content) in enumerate(files.items()):
        (folder / name).write_bytes(content)
        lines.append(f"{name},{('a', 'b', 'a;b', 'none')[number % 4]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module", params=["dense", "cnn", "frozen"])
def trained(request, photos, tmp_path_factory):
    run = tmp_path_factory.mktemp(request.param)
    model = CnnModel(width=8, depth=1, views=8) if request.param == "cnn" else DenseModel(widths=(8,), batch_norm=True)
    if request.param == "frozen":
        pytest.importorskip("transformers")
        data = load(photos, backbone=tiny_backbone(run / "tiny"))
    else:
        data = load(photos, size=32)
    return data.dataset, fit(data, recipe=Recipe(name="short", model=model, training=SHORT), output=run / "run")


def test_everywhere(photos, trained, tmp_path):
    dataset, result = trained
    files = [photos / name for name in dataset.sample_names]
    assert len(files) > 40
    expected = result.tagger.predict_dataset(dataset).scores
    assert expected.std(axis=0).min() > 1e-3  # they tell something apart

    quick, torch = Tagger.load(result.folder), Tagger.load(result.folder, runtime="torch")
    assert isinstance(quick._networks, OnnxNetworks)
    export(torch, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    images = np.stack([decode(file.read_bytes(), torch.form) for file in files])
    saved = CliRunner().invoke(
        main, ["predict", str(result.folder), *map(str, files), "-o", str(tmp_path / "rows.csv")]
    )
    assert saved.exit_code == 0, saved.output
    with (tmp_path / "rows.csv").open(newline="") as lines:
        rows = [[float(row[name]) for name in dataset.label_names] for row in csv.DictReader(lines)]

    found = {
        "torch": torch.predict(files).scores,
        "ONNX Runtime": quick.predict(files).scores,
        "an exported file": session.run(["scores"], {"images": images})[0],
        "the command": np.array(rows),
    }
    for way, scores in found.items():
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5, err_msg=way)


def test_over_http(photos, trained):
    pytest.importorskip("fastapi")
    dataset, result = trained
    files = [photos / name for name in dataset.sample_names]
    with running(Tagger.load(result.folder)) as client:
        sent = [client.predict(file.read_bytes()) for file in files]
    assert {answer.status for answer in sent} == {200}
    scores = np.array([list(answer.json["predictions"][0]["scores"].values()) for answer in sent])
    np.testing.assert_allclose(scores, result.tagger.predict_dataset(dataset).scores, rtol=0, atol=1e-5)


def test_a_bundle_without_torch(photos, trained):
    """What was made for ONNX Runtime once needs no torch, and gives the same."""
    _, result = trained
    file = str(photos / "bmp.bin")
    expected = Tagger.load(result.folder).predict(file).scores
    code = (
        "import json, sys, tagfit\n"
        "scores = tagfit.Tagger.load(sys.argv[1]).predict(sys.argv[2]).scores\n"
        "print(json.dumps([scores.tolist(), 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code, result.folder, file], capture_output=True, check=True)
    scores, torch_too = json.loads(done.stdout)
    assert not torch_too
    np.testing.assert_array_equal(np.array(scores, np.float32), expected)


def test_what_is_kept_is_used_only_where_it_is_whole(photos, trained):
    _, result = trained
    file = str(photos / "bmp.bin")
    expected = Tagger.load(result.folder).predict(file).scores
    for kept in cache_folder().glob("tagfit-onnx-*"):
        kept.write_bytes(kept.read_bytes()[:-9])
    np.testing.assert_array_equal(Tagger.load(result.folder).predict(file).scores, expected)


def test_where_onnx_runtime_does_not_load_torch_predicts(photos, trained, monkeypatch, caplog):
    _, result = trained
    file = str(photos / "bmp.bin")
    expected = Tagger.load(result.folder, runtime="torch").predict(file).scores

    def broken(*_):
        raise ImportError("DLL load failed")

    monkeypatch.setattr("tagfit.inference.onnx_runtime.session_of", broken)
    np.testing.assert_array_equal(Tagger.load(result.folder).predict(file).scores, expected)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("tagfit")]  # not what torch logs
    assert said == ["torch predicts, because ONNX Runtime cannot be used: DLL load failed"]


def test_what_is_kept_does_not_stand_in_for_a_bundle_that_was_changed(trained, tmp_path):
    _, result = trained
    shutil.copytree(result.folder / "bundle", tmp_path / "bundle")
    Tagger.load(tmp_path)
    weights = tmp_path / "bundle" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="has changed since it was written"):
        Tagger.load(tmp_path)


def test_an_image_that_crashes_the_decoder_is_unreadable(photos, trained, tmp_path, monkeypatch):
    _, result = trained
    tagger = Tagger.load(result.folder)
    (tmp_path / "crash.jpg").write_bytes(b"crashSIGSEGV")
    monkeypatch.setattr(decoder, "worker_command", lambda: (sys.executable, "-c", CRASHING))
    prediction = tagger.predict([photos / "bmp.bin", tmp_path / "crash.jpg", photos / "gif.bin", "no\0file"])
    assert list(prediction.errors) == [1, 3]
    assert prediction.errors[1].startswith("the decoder crashed: signal")
    assert "null byte" in prediction.errors[3]
