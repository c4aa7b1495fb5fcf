"""diagnose: data, and runs."""

import re

import numpy as np
import pytest

from making import as_json, feature_table, image_table
from tagfit import api
from tagfit.api import diagnose
from tagfit.diagnosis.evidence import cheapest_features
from tagfit.errors import BundleError, DataError
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import Preprocessing
from tagfit.runs.record import read_record

QUICK = Recipe(name="quick", model=DenseModel(widths=(8,)), training=Training(epochs=3, patience=0, rate=1e-4))
BY_HEART = Recipe(name="by heart", model=DenseModel(widths=(64,)), training=Training(epochs=80, patience=0, rate=0.01))


def reasons(diagnosis):
    return {one.check: one.why for one in diagnosis.cannot}


@pytest.fixture
def arrays(tmp_path):
    table = feature_table(samples=300, features=40)
    np.savez(tmp_path / "rows.npz", X=table.x, y=table.labels_NL, label_names=np.array(table.label_names))
    return tmp_path / "rows.npz"


def test_data_are_diagnosed_by_a_model_that_is_trained_on_them(arrays):
    told = []
    diagnosis = diagnose(arrays, recipe=QUICK, quick=True, say=told.append)
    assert "quick on the samples as they are" in diagnosis.subject
    assert not told
    assert all("--quick" in one.why for one in diagnosis.cannot if one.check in ("memorisation", "more_data"))


def test_a_baseline_that_nobody_asked_about_is_not_accused(arrays):
    """Trained for 200 epochs it overfits, of course: that says nothing of the data."""
    unasked, asked = (diagnose(arrays, quick=True, **options) for options in ({}, {"recipe": "dense-baseline"}))
    assert {finding.of for finding in unasked.findings} <= {"data"}
    assert not {"gap", "schedule", "flattery", "memorisation"} & {*unasked.checked, *reasons(unasked)}
    assert "gap" in {finding.check for finding in asked.findings if finding.of == "model"}


def test_checks_that_train_say_so_beforehand_and_name_what_they_train(arrays):
    told = []
    diagnosis = diagnose(arrays, recipe=BY_HEART, say=told.append)
    assert re.match(r"\d+ quick trainings of by heart on the features", told[0])
    (memorised,) = [finding for finding in diagnosis.findings if finding.check == "memorisation"]
    assert memorised.seen.startswith("by heart on the features")


def test_a_run_is_looked_at_again_with_its_own_data(arrays, tmp_path):
    recorded = as_json(api.fit(arrays, recipe=BY_HEART, output=tmp_path / "run").record)["findings"]
    again = diagnose(tmp_path / "run", quick=True)
    assert recorded
    assert [{**as_json(finding), "of": "after"} for finding in again.findings] == recorded
    assert not [one for one in again.cannot if "could not be loaded" in one.why]


def test_a_run_whose_data_changed_says_so(arrays, tmp_path):
    api.fit(arrays, recipe=QUICK, output=tmp_path / "run")
    table = feature_table(samples=300, features=40, seed=1)
    np.savez(arrays, X=table.x, y=table.labels_NL, label_names=np.array(table.label_names))
    assert "has changed since the run" in reasons(diagnose(tmp_path / "run"))["gap"]
    arrays.unlink()
    assert "could not be loaded" in reasons(diagnose(tmp_path / "run"))["gap"]


def test_a_run_from_memory_says_that_its_data_is_not_to_be_had(data, tmp_path):
    api.fit(data, recipe=QUICK, output=tmp_path / "run")
    assert "does not record where its data came from" in reasons(diagnose(tmp_path / "run"))["gap"]


def test_a_run_of_folds_is_scored_by_the_networks_that_have_not_seen_a_sample(arrays, tmp_path):
    data = api.load(arrays, folds=3)
    result = api.fit(data, recipe=QUICK, output=tmp_path / "run")
    again = diagnose(tmp_path / "run", quick=True)
    assert [as_json(f)["seen"] for f in again.findings if f.check == "gap"] == [
        one["seen"] for one in as_json(result.record)["findings"] if one["check"] == "gap"
    ]


def test_the_cheapest_features_of_images_are_the_means_of_cells():
    x = image_table(side=17).x
    features = cheapest_features(x, Preprocessing("images", (17, 17, 3), 1 / 255))
    assert features.x_ND.shape == (40, 192)
    assert features.name == "8 x 8 pixels"
    np.testing.assert_allclose(features.x_ND[3, :3], x[3, :2, :2].mean((0, 1)) / 255, rtol=1e-5)


def test_what_is_neither_data_nor_run_is_an_error(tmp_path):
    with pytest.raises(DataError):
        diagnose(tmp_path / "nothing")


def test_a_run_that_is_still_in_training_is_called_that(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    for read in (diagnose, read_record):
        with pytest.raises(BundleError, match="no result yet"):
            read(tmp_path)


def test_a_cure_records_what_is_wrong_with_the_baseline_and_tries_what_answers_it_first(arrays):
    wild = Recipe(name="wild", model=DenseModel(widths=(8,)), training=Training(epochs=30, patience=0, rate=3.0))
    result = api.cure(arrays, baseline=wild, trials=2)
    before = [finding for finding in as_json(result.record)["findings"] if finding["of"] == "before"]
    named = [name for finding in before for name in finding["tries"] if name != "cnn"]  # features get none
    tried = [trial["recipe"]["name"] for trial in as_json(result.record)["tried"]]
    assert tried[0] == named[0]
    assert "found in the baseline" in str(result)


def test_folds_and_a_refitted_network(arrays, tmp_path):
    data = api.load(arrays, folds=3)
    checked = diagnose(data, recipe=BY_HEART).checked
    assert {"gap", "memorisation", "more_data"} <= set(checked)
    api.cure(arrays, baseline=QUICK, trials=1, refit=True, output=tmp_path / "refit")
    assert "retrained on val" in reasons(diagnose(tmp_path / "refit", quick=True))["gap"]
