"""Images, seen by a pretrained backbone, from the folder to the handed-over model."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from PIL import Image

import tagfit
from making import PREPROCESSOR, as_json, image_folder, image_table, tiny_backbone
from tagfit.bundle.files import BACKBONE
from tagfit.bundle.protocols import PROTOCOL
from tagfit.cli.main import main
from tagfit.data.dataset import build
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.errors import BundleError, DataError, MissingExtraError
from tagfit.recipes import RECIPES

RECIPE = replace(RECIPES["dense-regularised"], training=replace(RECIPES["dense-regularised"].training, epochs=3))
MIDDLE = {
    **PREPROCESSOR,
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 36},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of images, a backbone, the data as it sees them, and a run."""
    folder = tmp_path_factory.mktemp("seen")
    photos = image_folder(folder / "photos", samples=60, size=48)
    backbone = tiny_backbone(folder / "tiny", preprocessor=MIDDLE)
    data = tagfit.load(photos, backbone=backbone)
    result = tagfit.fit(data, recipe=RECIPE, output=folder / "run")
    return photos, backbone, data, result


def run_of(made, tmp_path):
    return shutil.copytree(made[3].folder, tmp_path / "run")


def change_manifest(bundle, change):
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_data_are_features_beside_their_images(made):
    _, _, data, _ = made
    dataset = data.dataset
    assert (dataset.kind, dataset.x.shape, dataset.pixels.shape) == ("features", (60, 16), (60, 32, 32, 3))
    assert dataset.images is dataset.pixels
    assert dataset.preprocessing.backbone.name == "tiny"


def test_the_lock_is_the_same_wherever_the_backbone_lies(made, tmp_path):
    photos, backbone, data, _ = made
    elsewhere = shutil.copytree(backbone, tmp_path / "renamed")
    again = tagfit.load(photos, backbone=elsewhere)
    assert again.lock == data.lock
    assert (again.dataset.x == data.dataset.x).all()
    other = tiny_backbone(tmp_path / "other", preprocessor=PREPROCESSOR)
    assert tagfit.load(photos, backbone=other).lock != data.lock != tagfit.load(photos).lock


def test_the_verdict_says_that_knowledge_came_from_outside(made):
    record = as_json(made[3].record)
    assert any("brings knowledge from outside: tiny (sha256" in sentence for sentence in record["verdict"]["sentences"])
    told = record["data"]["preprocessing"]["backbone"]
    assert told["name"] == "tiny"
    assert len(told["sha256"]) == 64


def test_what_is_predicted_is_what_was_trained_on(made, tmp_path):
    photos, _, data, result = made
    shutil.copytree(photos, tmp_path / "elsewhere")
    tagger = tagfit.Tagger.load(result.folder)
    files = [photos / name for name in data.dataset.sample_names]
    expected = tagger.predict(data.dataset.x).scores
    for inputs in (files, [Image.open(file) for file in files], np.array(data.dataset.pixels)):
        np.testing.assert_allclose(tagger.predict(inputs).scores, expected, atol=1e-5)
    np.testing.assert_allclose(result.tagger.predict(files).scores, expected, atol=1e-5)
    evaluated = tagfit.evaluate(result.folder, photos / "labels.csv")
    assert evaluated.samples == 60
    assert evaluated.scores == tagfit.evaluate(tagger, data).scores
    assert tagfit.evaluate(result.folder, data, part="val").samples == data.split.counts["val"]
    compared = tagfit.evaluate(result.folder, photos, compare=result.folder).compare
    assert compared.scores == evaluated.scores


def test_images_of_another_size_are_refused(made):
    tagger = made[3].tagger
    with pytest.raises(DataError, match=r"expected an array of shape \(n, 32, 32, 3\)"):
        tagger.predict(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"expected an array of shape \(n, 16\)"):
        tagger.predict(np.zeros((2, 8), np.float32))
    with pytest.raises(DataError, match="uint8"):
        tagger.predict(np.full((2, 32, 32, 3), 0.5, np.float32))  # of a range that training did not take


def test_arrays_of_images_are_brought_to_its_form(tmp_path):
    table = image_table()
    data = tagfit.load(table.x, table.labels_NL, backbone=tiny_backbone(tmp_path / "tiny", preprocessor=MIDDLE))
    assert data.dataset.pixels.shape == (40, 32, 32, 3)
    assert (data.dataset.hashes == build(table).hashes).all()


def test_feature_rows_are_refused(tmp_path, table):
    with pytest.raises(DataError, match="has feature rows"):
        tagfit.load(table.x, table.labels_NL, backbone=tiny_backbone(tmp_path / "tiny"))
    with pytest.raises(DataError, match="a backbone has its own"):
        tagfit.load("postcards:4", backbone=tmp_path / "tiny", size=32)


def test_a_bundle_holds_its_backbone(made, tmp_path):
    run = run_of(made, tmp_path)
    manifest = json.loads((run / "bundle" / "manifest.json").read_text())
    assert manifest["protocol"] == PROTOCOL
    assert str(made[1]) not in json.dumps(manifest)
    held = safetensors.numpy.load_file(run / "bundle" / BACKBONE)
    for name, tensor in made[2].dataset.pretrained.network.state_dict().items():
        assert (held[name] == tensor.numpy()).all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m["preprocessing"]["backbone"]["config"].update(model_type="os.system"), "no vision network"),
        (lambda m: m["preprocessing"]["backbone"]["config"].update(hidden_sizes=[8, 32]), "has shape"),
        (lambda m: m["preprocessing"]["backbone"]["config"].update(depths=[1, 2]), "is missing"),
        (lambda m: m["preprocessing"]["backbone"]["form"].update(size=10**9), "whole number from 1 to 4096"),
        (lambda m: m["preprocessing"]["backbone"].update(std=[0, 1, 1]), r"std\[0\] must be a number above 0"),
        (lambda m: m["preprocessing"]["backbone"].update(features=17), "features, not"),
        (lambda m: m["preprocessing"].pop("backbone") and m["files"].pop(BACKBONE), None),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused(made, tmp_path, change, expected):
    run = run_of(made, tmp_path)
    change_manifest(run / "bundle", change)
    if expected is None:  # heads alone are a bundle of features
        (run / "bundle" / BACKBONE).unlink()
        assert not tagfit.Tagger.load(run).takes_images
        return
    with pytest.raises(BundleError, match=expected):
        tagfit.Tagger.load(run)


def test_without_the_extra_it_says_so(made, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"\[pretrained\]"):
        tagfit.Tagger.load(made[3].folder, runtime="torch")


def test_on_the_command_line(made, tmp_path):
    photos, backbone, data, _ = made

    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)

    shown = run("inspect", photos, "--backbone", backbone)
    assert "60 images of 32x32x3" in shown.output
    assert "brings knowledge from outside: tiny" in " ".join(shown.output.split())
    (tmp_path / "short.toml").write_text(RECIPE.to_toml(), encoding="utf-8")
    done = run("fit", photos, "--backbone", backbone, "--recipe", tmp_path / "short.toml", "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "brings knowledge from outside" in " ".join(done.output.split())
    predicted = run("predict", tmp_path / "run", photos / "images")
    assert predicted.output.count("\n") == 61
    np.save(tmp_path / "x.npy", data.dataset.x)
    assert run("predict", tmp_path / "run", tmp_path / "x.npy").output.count("\n") == 61
    scored = json.loads(run("evaluate", tmp_path / "run", photos, "--json").output)
    assert scored["samples"] == 60
    refused = run("fit", photos, "--backbone", tmp_path / "nowhere")
    assert refused.exit_code == 2
    assert "no folder" in refused.output


def test_the_data_alone_need_no_backbone():
    dataset = build(image_table())
    assert dataset.pixels is None
    assert lock(dataset, split(dataset)).lock  # an older lock stays what it was
