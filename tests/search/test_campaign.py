"""The search, its finalists and ingredients, from cure to the bundle."""

import json

import numpy as np
import pytest

import making
import tagfit
from making import as_json, feature_table
from tagfit.errors import DataError, RecipeError
from tagfit.metrics.scores import score
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.scores import Difference, Target
from tagfit.training.events import EpochEnded, RunEnded

BASELINE = Recipe(name="plain", model=DenseModel(widths=(32,)), training=Training(epochs=30, patience=0))
CANDIDATE = Recipe(name="candidate", model=DenseModel(widths=(16,)), training=Training(epochs=4, patience=0))
LOW = Target("micro_f1", train_below=1.0, val_at_least=0.999, train_ranks=False)


@pytest.fixture(scope="module")
def data():
    table = feature_table(samples=400, features=20, labels=4)
    return tagfit.load(table.x, table.labels_NL)


def cure(data, **options):
    return making.cure(
        data, **{"candidates": (CANDIDATE,), "baseline": BASELINE, "target": LOW, "trials": 10, **options}
    )


def without_times(value):
    if isinstance(value, dict):
        times = ("seconds", "overhead")
        return {name: without_times(held) for name, held in value.items() if name not in times}
    return [without_times(held) for held in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    return cure(data, output=tmp_path_factory.mktemp("search") / "run")


def test_what_meets_the_target_below_the_baseline_ends_no_search(data):
    """It is not delivered, so that there is something left to reach."""
    weak = Recipe(name="weak", model=DenseModel(widths=(4,)), training=Training(epochs=3, patience=0))
    target = Target("micro_f1", 0.999, 0.1)
    record = as_json(cure(data, candidates=(weak,), usual_trials=5, target=target, trials=None).record)
    scores = record["tried"][0]["scores"]
    assert 0.1 <= scores["val"]["micro_f1"] < record["before"]["scores"]["val"]["micro_f1"]
    assert scores["train"]["micro_f1"] < 0.999
    assert len(record["tried"]) > 1


def test_the_budget_counts_the_ladder_too(searched):
    record = as_json(searched.record)
    assert [trial["recipe"]["name"] for trial in record["tried"]][:3] == ["candidate", "search-1-1", "search-1-2"]
    assert len(record["tried"]) == 10
    assert all(trial["lock"] == record["lock"] for trial in record["tried"])
    assert {trial["state"] for trial in record["tried"]} <= {"finished", "pruned", "diverged"}
    assert record["search"]["generations"] == 2
    assert 0 <= record["search"]["overhead"] < 1


def test_finalists_and_ingredients_are_told_with_their_spread(searched):
    record = as_json(searched.record)
    assert 1 <= len(record["finalists"]) <= 3
    for finalist in record["finalists"]:
        assert finalist["seeds"] == 3
        assert finalist["val"]["deviation"] >= 0
    assert record["ingredients"]
    for one in record["ingredients"]:
        assert one["noise"] > 0
        assert one["without"]["seeds"] == 3
    assert "finalists" in str(searched)
    assert "ingredient" in str(searched)


def test_the_same_budget_gives_the_same_record(data, searched):
    assert without_times(as_json(cure(data).record)) == without_times(as_json(searched.record))


def test_killed_it_goes_on_and_trains_nothing_twice(data, searched, tmp_path):
    ended = []

    def die(event):
        ended.append(isinstance(event, RunEnded))
        if sum(ended) >= 6 and isinstance(event, EpochEnded):
            raise SystemExit  # no chance to tidy up

    with pytest.raises(SystemExit):
        cure(data, output=tmp_path, on_event=die)
    assert (tmp_path / "search" / "journal.log").exists()
    kept = len(list((tmp_path / "checkpoints").iterdir()))
    epochs = []
    again = cure(data, output=tmp_path, on_event=lambda event: epochs.append(isinstance(event, EpochEnded)) and None)
    whole = []
    cure(data, on_event=lambda event: whole.append(isinstance(event, EpochEnded)) and None)
    assert kept >= 3
    assert sum(epochs) < sum(whole)
    assert without_times(as_json(again.record)) == without_times(as_json(searched.record))


def test_an_ensemble_is_delivered_only_where_val_prefers_it(data, searched, tmp_path):
    for result in (searched, cure(data, single=True)):
        after = as_json(result.record)["after"]
        if after["members"] is None:
            assert after["recipe"]["name"] in {one["recipe"]["name"] for one in as_json(result.record)["finalists"]}
        else:
            assert after["recipe"]["name"] == f"ensemble of {len(after['members'])}"
    assert as_json(cure(data, single=True).record)["after"]["members"] is None


def test_an_ensemble_comes_back_from_its_bundle(data, tmp_path, monkeypatch):
    """Of networks that are wrong in different ways, the mean is surely better."""
    preferred = ("log_loss", Difference(-0.1, -0.2, -0.05, False))
    monkeypatch.setattr("tagfit.search.finals.ValScores.preference", lambda self, one, other: preferred)
    result = cure(data, output=tmp_path / "run")
    assert len(as_json(result.record)["after"]["members"]) >= 3
    tagger = tagfit.Tagger.load(tmp_path / "run")
    rows = data.split.rows("val")
    expected = as_json(score(data.dataset.labels_NL[rows], tagger.predict(data.dataset.x[rows]).scores))
    assert as_json(result.record)["after"]["scores"]["val"] == pytest.approx(expected, rel=1e-4)
    manifest = json.loads((tmp_path / "run" / "bundle" / "manifest.json").read_text())
    assert manifest["members"] == as_json(result.record)["after"]["members"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be a whole number of at least 1"),
        ({"minutes": 0}, "minutes must be a number above 0"),
    ],
)
def test_a_budget_that_means_nothing(data, options, message):
    with pytest.raises(RecipeError, match=message):
        cure(data, **options)


def test_minutes_end_it(data):
    record = as_json(cure(data, trials=None, minutes=0.02).record)
    assert record["state"] == "finished"
    assert len(record["tried"]) < 200


def test_folds_are_searched_as_well():
    table = feature_table(samples=150, features=10)
    data = tagfit.load(table.x, table.labels_NL, folds=3)
    record = as_json(cure(data, trials=4).record)
    assert len(record["tried"]) == 4
    assert record["after"]["scores"]["val"]["micro_f1"] > record["after"]["constant"]["val"]["micro_f1"]
    assert np.isfinite(record["finalists"][0]["val"]["mean"])


class TestRefit:
    @pytest.mark.parametrize("options", [{}, {"folds": 3}])
    def test_what_is_handed_over_has_seen_all_but_test(self, options, tmp_path):
        table = feature_table(samples=200, features=12)
        loaded = tagfit.load(table.x, table.labels_NL, **options)
        plain = as_json(cure(loaded, trials=1, single=True).record)
        result = cure(loaded, trials=1, refit=True, output=tmp_path / "run")
        assert as_json(result.record)["after"]["scores"] == plain["after"]["scores"]
        tagger = tagfit.Tagger.load(tmp_path / "run")
        assert tagger.bundle.scores == {}
        assert len(tagger.bundle.trained_on["train"]) == 200 - loaded.split.counts["test"]
        assert as_json(result.record)["refit"]["samples"] == 200 - loaded.split.counts["test"]
        assert "no split scores that network" in as_json(result.record)["verdict"]["sentences"][-1]
        single = tagfit.evaluate(tagger, loaded).scores.micro_f1
        assert single > as_json(result.record)["after"]["constant"]["train"]["micro_f1"]

    def test_not_with_a_guarantee(self, data):
        with pytest.raises(DataError, match="trained again"):
            cure(data, refit=True, guarantee="recall=0.9")
