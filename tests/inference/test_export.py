import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import tagfit
from making import PROVE, TINY, tiny_backbone
from tagfit.bundle.record import Bundle
from tagfit.bundle.write import write_bundle
from tagfit.cli.main import main
from tagfit.decisions.calibration import Calibration
from tagfit.decisions.decider import Decider
from tagfit.decisions.rules import Rule
from tagfit.errors import DataError, ExportError, MissingExtraError, OutputError
from tagfit.inference.export import made_file
from tagfit.inference.export import onnx_file as exporting
from tagfit.inference.export.export import export
from tagfit.inference.export.whole import WholeTagger
from tagfit.inference.tagger import Tagger
from tagfit.io.typed_json import to_plain
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.curves import IsotonicCurve, SigmoidCurve
from tagfit.models.backbones import load_backbone
from tagfit.models.ensemble import Ensemble
from tagfit.models.registry import build_network
from tagfit.recipes import CnnModel, DenseModel, FineTunedModel, Recipe
from tagfit.records.data import NO, Preprocessing

onnxruntime = pytest.importorskip("onnxruntime")

FEATURES = Preprocessing("features", (20,))
IMAGES = Preprocessing("images", (16, 16, 3), 1 / 255)
DENSE = Recipe(name="d", model=DenseModel(widths=(8,), batch_norm=True, standardise=True, dropout=(0.2,)))
CNN = Recipe(name="c", model=CnnModel(width=8, depth=1, views=8))
FINE_TUNED = Recipe(name="f", model=FineTunedModel(trained=0.5, views=2))

CURVES = (SigmoidCurve(0.7, 0.1), IsotonicCurve((0.1, 0.4, 0.45, 0.7), (0.05, 0.05, 0.3, 0.9)), None)
THRESHOLDS = Decider(Calibration("isotonic", 1.5, CURVES), Rule((0.3, 0.05, 0.5), True, 2))
SETS = Rule((0.5,) * 3, label_sets=((), (0,), (0, 1), (2,)), set_weights=(0.0, 0.1, 0.2, 0.3))
LIKELIEST = Decider(Calibration("temperature", 2.0), SETS)


def tagger(*recipes, samples=FEATURES, pretrained=None, decider=THRESHOLDS):
    """With networks as they are before any training, but for the last layers, which are made to say more."""
    if pretrained is not None:
        samples = Preprocessing("features", (pretrained.backbone.features,), 1.0, pretrained.backbone)
    networks = [build_network(r, samples.shape, 3, seed=n, pretrained=pretrained) for n, r in enumerate(recipes)]
    network = networks[0] if len(networks) == 1 else Ensemble(networks)
    constant = ConstantBaseline.choose(np.full((1, 3), NO, np.int8))
    names = ("sea", "größer", "c")
    return Tagger(
        Bundle(
            recipe=recipes[0],
            members=recipes,
            preprocessing=samples,
            label_names=names,
            decider=decider,
            constant_baseline=constant,
            scores={},
            lock="0" * 64,
            network=network.eval(),
            trained_on={},
            pretrained=pretrained,
        ),
        device="cpu",
    )


def run(file, x):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def check(file, tagger, x):
    for count in (1, 5):
        expected = tagger.predict_array(x[:count])
        scores, probabilities, decisions = run(file, x[:count])
        np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(probabilities, expected.probabilities, atol=1e-4)
        np.testing.assert_array_equal(decisions, expected.decisions)
        assert (scores.dtype, probabilities.dtype, decisions.dtype) == (np.float32, np.float32, np.bool_)


def pixels(side):
    return np.random.default_rng(1).integers(0, 256, size=(5, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("recipes", "decider"),
    [((DENSE,), Decider()), ((DENSE,), THRESHOLDS), ((DENSE, DENSE), LIKELIEST)],
    ids=["plain", "thresholds", "ensemble-sets"],
)
def test_features(tmp_path, recipes, decider):
    ours = tagger(*recipes, decider=decider)
    found = export(ours, tmp_path / "model.onnx")
    assert found.input == {"name": "features", "dtype": "float32", "shape": ["N", 20]}
    assert found.max_difference <= made_file.EXACT
    check(found.file, ours, np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32))


@pytest.mark.parametrize("recipes", [(CNN,), (CNN, DENSE)], ids=["cnn", "ensemble"])
def test_images(tmp_path, recipes):
    ours = tagger(*recipes, samples=IMAGES)
    found = export(ours, tmp_path / "model.onnx", examples=pixels(16))
    assert found.input == {"name": "images", "dtype": "uint8", "shape": ["N", 16, 16, 3]}
    assert found.samples == sum(made_file.BATCHES) + 5
    check(found.file, ours, pixels(16))


@pytest.mark.parametrize("kind", TINY if PROVE else ["resnet"])
@pytest.mark.parametrize(
    "recipes", [(DENSE,), (FINE_TUNED,), (FINE_TUNED, DENSE)] if PROVE else [(DENSE,), (FINE_TUNED, DENSE)]
)
def test_backbones(tmp_path, kind, recipes):
    ours = tagger(*recipes, pretrained=load_backbone(tiny_backbone(tmp_path / kind, kind)))
    for network in ours.bundle.network.modules():  # the trained blocks are not what the backbone came with
        if hasattr(network, "upper"):
            with torch.no_grad():
                for weight in network.upper.parameters():
                    weight.add_(0.05 * torch.sign(weight))
    ours = Tagger(ours.bundle, device="cpu")
    check(export(ours, tmp_path / "model.onnx").file, ours, pixels(32))


@pytest.mark.parametrize(
    "rule",
    [
        Rule((0.5,) * 3),
        Rule((0.9,) * 3, at_least_one=True),
        Rule((0.0,) * 3, at_most=1),
        Rule((0.1,) * 3, True, 2),
        SETS,
    ],
)
def test_what_decides_says_the_same_of_the_same_scores_at_ties_and_at_the_ends(rule):
    decider = Decider(Calibration("isotonic", 1.5, CURVES), rule)
    grid = np.array([0, 1e-30, 1e-7, 0.05, 0.1, 0.25, 0.4, 0.45, 0.5, 0.7, 0.9, 1 - 2**-24, 1], np.float32)
    scores = np.stack(np.meshgrid(grid, grid, grid), -1).reshape(-1, 3)
    whole = WholeTagger(tagger(DENSE, decider=decider).bundle)
    probabilities = whole.calibrate(torch.from_numpy(scores))
    np.testing.assert_allclose(probabilities, decider.probabilities(scores), atol=1e-7)
    np.testing.assert_array_equal(whole.decide(probabilities), rule.decide(probabilities.numpy()))


def test_ties_in_onnx_runtime(tmp_path):
    """Networks that say the same of all labels, so that only their order decides."""
    for rule in (Rule((0.0,) * 3, at_most=2), Rule((1.0,) * 3, at_least_one=True)):
        ours = tagger(DENSE, decider=Decider(rule=rule))
        for weight in ours.bundle.network.layers.output.parameters():
            torch.nn.init.zeros_(weight)
        ours = Tagger(ours.bundle, device="cpu")
        file = tmp_path / f"{rule.at_least_one}.onnx"
        export(ours, file)
        check(file, ours, np.ones((5, 20), np.float32))


def test_the_file_says_what_it_is(tmp_path):
    ours = tagger(DENSE)
    export(ours, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    predictions = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert predictions["label_names"] == ["sea", "größer", "c"]
    assert predictions["tagfit"] == tagfit.__version__
    assert predictions["lock"] == "0" * 64
    assert predictions["preprocessing"] == to_plain(FEATURES)
    assert predictions["decider"] == to_plain(THRESHOLDS)
    assert [output.name for output in session.get_outputs()] == list(exporting.OUTPUTS)
    assert b".py" not in (tmp_path / "model.onnx").read_bytes()  # nor where on this machine it was made


FLOATS = replace(IMAGES, pixel_range=1)


def test_images_from_0_to_1(tmp_path):
    ours = tagger(CNN, samples=FLOATS)
    x = pixels(16)
    found = export(ours, tmp_path / "model.onnx", examples=x / 255)
    assert found.input["dtype"] == "float32"
    expected, floats = ours.predict_array(x), (x / 255).astype(np.float32)
    scores, probabilities, decisions = run(found.file, floats)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(probabilities, expected.probabilities, atol=1e-4)
    np.testing.assert_array_equal(decisions, expected.decisions)
    floats[1] *= 255
    floats[2] *= -1
    floats[3, 0, 0, 0] = np.nan
    scores, probabilities, decisions = run(found.file, floats)
    assert np.isnan(scores[1:4]).all()
    assert np.isnan(probabilities[1:4]).all()
    assert not decisions[1:4].any()
    np.testing.assert_allclose(scores[[0, 4]], expected.scores[[0, 4]], atol=1e-5)
    with pytest.raises(Exception, match="Unexpected input data type"):
        run(found.file, x)


def test_names_of_features_are_in_the_file(tmp_path):
    names = tuple(f"f{number}" for number in range(20))
    ours = tagger(DENSE, samples=replace(FEATURES, feature_names=names))
    frame = pytest.importorskip("pandas").DataFrame(np.eye(20), columns=names)
    export(ours, tmp_path / "model.onnx", examples=frame[sorted(names)])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["feature_names"]) == list(names)
    with pytest.raises(DataError, match="lacks 1 of the 20 features"):
        export(ours, tmp_path / "other.onnx", examples=frame[list(names[1:])])


@pytest.mark.parametrize(
    ("name", "to"), [("plain.h5", None), ("plain", None), ("m.onnx", "keras"), ("m.tflite", "onnx")]
)
def test_endings_that_are_not_known_are_refused(tmp_path, name, to):
    with pytest.raises(OutputError, match="expected a name that ends with"):
        export(tagger(DENSE), tmp_path / name, to=to)
    assert not list(tmp_path.iterdir())


def test_a_file_that_would_give_other_scores_is_not_written(tmp_path, monkeypatch):
    ours, other = tagger(DENSE), tagger(DENSE)
    other.bundle.network.layers.output.bias.data.add_(0.01)
    monkeypatch.setattr(exporting, "WholeTagger", lambda bundle: WholeTagger(other.bundle))
    with pytest.raises(ExportError, match="nothing was written"):
        export(ours, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_other_labels_of_the_same_scores_are_noticed(tmp_path, monkeypatch):
    ours = tagger(DENSE)
    monkeypatch.setattr(Decider, "decide", lambda self, scores: scores > 2)
    with pytest.raises(ExportError, match="other labels"):
        export(ours, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        export(tagger(DENSE), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"mine"


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[export\]'"):
        export(tagger(DENSE), tmp_path / "model.onnx")


def test_the_command(tmp_path, monkeypatch):
    ours = tagger(DENSE)
    write_bundle(tmp_path / "run" / "bundle", ours.bundle)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["export", "run", "--to", "onnx"])
    assert done.exit_code == 0, done.output
    assert "run.onnx" in done.stdout
    again = CliRunner().invoke(main, ["export", "run/bundle", "-o", "other.onnx", "--json"])
    record = json.loads(again.stdout)
    assert record["bytes"] == (tmp_path / "other.onnx").stat().st_size
    check("other.onnx", ours, np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32))
    assert CliRunner().invoke(main, ["export", "run", "--to", "onnx"]).exit_code == 2
