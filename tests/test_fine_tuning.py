"""A backbone trained further, from the folder to the handed-over model."""

from dataclasses import replace

import numpy as np
import pytest

import tagfit
from making import as_json, image_folder, tiny_backbone
from tagfit.api import diagnose
from tagfit.bundle.write import write_bundle
from tagfit.errors import DataError, RecipeError
from tagfit.models.ensemble import Ensemble
from tagfit.recipes import RECIPES, FineTunedModel, Recipe, Training

RECIPE = Recipe(name="few", model=FineTunedModel(trained=0.5, views=2), training=Training(epochs=3, patience=0))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("further")
    photos = image_folder(folder / "photos", samples=60, size=48)
    data = tagfit.load(photos, backbone=tiny_backbone(folder / "tiny"))
    return photos, data, tagfit.fit(data, recipe=RECIPE, output=folder / "run")


def test_what_is_predicted_is_what_was_scored(made):
    photos, data, result = made
    tagger = tagfit.Tagger.load(result.folder)
    files = [photos / name for name in data.dataset.sample_names]
    scores = result.tagger.predict(files).scores
    np.testing.assert_allclose(tagger.predict(files).scores, scores, atol=1e-5)
    np.testing.assert_allclose(tagger.predict(np.array(data.dataset.pixels)).scores, scores, atol=1e-5)
    assert as_json(tagfit.evaluate(tagger, data, part="val").scores) == pytest.approx(
        as_json(result.record)["after"]["scores"]["val"], abs=1e-5
    )
    with pytest.raises(DataError, match="expected images"):
        tagger.predict(data.dataset.x)


def test_its_run_can_be_diagnosed(made):
    result = made[2]
    diagnosis = diagnose(result.folder, quick=True)
    assert "shortcuts" in diagnosis.checked
    reasons = {one.check: one.why for one in diagnosis.cannot}
    assert set(reasons) <= {"gap", "flattery", "memorisation", "more_data", "label_errors", "shift"}
    assert not [why for why in reasons.values() if "could not be loaded" in why]
    here = [{**as_json(finding), "of": "after"} for finding in diagnosis.findings]
    assert all(finding in here for finding in as_json(result.record)["findings"])


def test_the_recipe_names_the_backbone(made):
    _, data, result = made
    named = as_json(result.record)["after"]["recipe"]["model"]
    assert (named["backbone"], named["sha256"]) == ("tiny", data.dataset.preprocessing.backbone.sha256)


def test_the_same_seed_gives_the_same_network(made):
    _, data, result = made
    again = tagfit.fit(data, recipe=RECIPE)
    assert as_json(again.record)["after"]["scores"] == as_json(result.record)["after"]["scores"]
    assert (
        as_json(tagfit.fit(data, recipe=RECIPE, seed=1).record)["after"]["scores"]
        != as_json(result.record)["after"]["scores"]
    )


def test_a_cure_tries_it_after_the_dense_rungs_and_may_deliver_all_together(made, monkeypatch):
    _, data, _ = made
    short = replace(RECIPES["fine-tuned"], training=RECIPE.training)
    monkeypatch.setitem(RECIPES, "fine-tuned", short)
    baseline = replace(RECIPES["dense-baseline"], training=Training(epochs=2, patience=0))
    result = tagfit.cure(data, baseline=baseline, fine_tune=True, allow=["augmentation"], seed=1)
    names = [tried["recipe"]["name"] for tried in as_json(result.record)["tried"]]
    assert names[-2:] == ["fine-tuned", "fine-tuned-turned"]
    assert names[0] == "dense-regularised"


def test_networks_of_features_and_of_images_answer_together(made, tmp_path):
    photos, data, result = made
    dense = tagfit.fit(data, recipe=replace(RECIPES["dense-regularised"], training=RECIPE.training))
    bundle = replace(
        result.tagger.bundle,
        network=Ensemble([result.tagger.bundle.network, dense.tagger.bundle.network]),
        members=(*result.tagger.bundle.members, *dense.tagger.bundle.members),
    )
    files = [photos / name for name in data.dataset.sample_names]
    write_bundle(tmp_path / "both", bundle)
    scores = tagfit.Tagger.load(tmp_path / "both").predict(files).scores
    expected = (result.tagger.predict(files).scores + dense.tagger.predict(files).scores) / 2
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_without_a_backbone_it_is_refused(tmp_path):
    data = tagfit.load("postcards:40")
    for start in (tagfit.fit, tagfit.cure):
        with pytest.raises(DataError, match="none was given"):
            start(data, fine_tune=True)
    with pytest.raises(RecipeError, match="come without one"):
        tagfit.fit(data, recipe=RECIPE)


def test_augmentation_below_the_trained_blocks_is_refused():
    with pytest.raises(RecipeError, match="may only draw views"):
        replace(RECIPE, training=replace(RECIPE.training, augmentation=("crop",)))
