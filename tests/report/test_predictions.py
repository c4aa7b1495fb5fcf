"""What a run folder keeps of each sample is what the scores are made of; and what a stranger's holds is audited."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tagfit
from making import feature_table, locked
from tagfit.errors import BundleError
from tagfit.metrics.scores import score, score_decisions
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.report.labels import label_scores
from tagfit.runs.folder import read_predictions
from tagfit.runs.predictions import SavedPredictions
from tagfit.runs.record import read_record

QUICK = Recipe(name="quick", model=DenseModel(widths=(16,)), training=Training(epochs=6, patience=0))


@pytest.fixture(scope="module")
def saved(cured):
    return SavedPredictions.from_files(read_predictions(cured), 2)


def test_scores_of_the_record_follow_from_them(cured, saved):
    record = read_record(cured)
    for name, run in (("before", record.before), ("after", record.after)):
        for part in ("train", "val", "test"):
            answers = saved.runs[name][part]
            assert score(answers.labels_NL, answers.probabilities_NL) == run.scores[part]


def test_labels_agree_with_the_means_of_the_record(cured, saved):
    scores = read_record(cured).after.scores["val"]
    rows = label_scores(saved.runs["after"]["val"], saved.groups["val"])
    assert np.mean([row.f1 for row in rows]) == pytest.approx(scores.macro_f1)
    assert np.mean([row.average_precision for row in rows]) == pytest.approx(scores.map)


def test_names_are_those_of_the_samples(cured, saved):
    assert {part: len(names) for part, names in saved.names.items()} == {
        part: count for part, count in read_record(cured).data.parts.items() if count
    }
    assert len(set(sum(saved.names.values(), ()))) == 90


def test_near_copies_are_told_and_what_is_shown_has_a_thumbnail(saved):
    named = [{saved.names[part][row] for part, row in group} for group in saved.near_copies]
    assert named == [{"row 1", "row 2"}, {"row 31", "row 32"}, {"row 61", "row 62"}]
    assert saved.thumbnails.keys() >= {place for group in saved.near_copies for place in group}
    for content in saved.thumbnails.values():
        assert Image.open(io.BytesIO(content)).size == (64, 64)


def test_decisions_are_what_the_rule_makes_of_them(tmp_path):
    data = locked(feature_table(samples=300))
    tagfit.fit(data, recipe=QUICK, decide_for="macro_f1", output=tmp_path / "run")
    saved = SavedPredictions.from_files(read_predictions(tmp_path / "run"), 3)
    record, answers = read_record(tmp_path / "run"), saved.runs["after"]
    assert "before" not in saved.runs
    assert record.after.decider.rule
    for part in ("train", "val", "test"):
        found = score_decisions(answers[part].labels_NL, answers[part].decisions_NL, answers[part].probabilities_NL)
        assert found.macro_f1 == pytest.approx(record.after.decided[part].macro_f1)


def test_of_folds_each_sample_is_said_by_who_has_not_seen_it(tmp_path):
    table = feature_table(samples=150)
    data = tagfit.load(table.x, table.labels_NL, folds=3)
    tagfit.fit(data, recipe=QUICK, output=tmp_path / "run")
    saved = SavedPredictions.from_files(read_predictions(tmp_path / "run"), 3)
    names, answers = saved.names["val"], saved.runs["after"]["val"]
    assert sorted(names) == sorted(data.dataset.sample_names)
    label_of = dict(zip(data.dataset.sample_names, data.dataset.labels_NL.tolist(), strict=True))
    assert [label_of[name] for name in names] == answers.labels_NL.tolist()
    expected = read_record(tmp_path / "run").after.scores["val"]
    assert score(answers.labels_NL, answers.probabilities_NL) == expected


def damaged(saved, how):
    files = saved.to_files()
    samples = json.loads(files["samples.json"])
    answers = saved.runs["after"]["val"]
    if how == "no samples":
        del files["samples.json"]
    elif how == "no model":
        del files["after.safetensors"]
    elif how == "not tensors":
        files["labels.safetensors"] = b"\x80\x04pickle"
    elif how == "fewer names":
        samples["parts"]["val"].pop()
        files["samples.json"] = json.dumps(samples).encode()
    elif how == "a part of its own":
        samples["parts"]["elsewhere"] = []
        files["samples.json"] = json.dumps(samples).encode()
    elif how == "near-copies beyond the end":
        samples["near_copies"] = [[["val", 10_000]]]
        files["samples.json"] = json.dumps(samples).encode()
    elif how == "not a number":
        broken = replace(answers, probabilities_NL=answers.probabilities_NL * np.nan)
        files |= replace(saved, runs={"after": {**saved.runs["after"], "val": broken}}).to_files()
    elif how == "no image":
        files["thumbnails/val-0.webp"] = b"<svg onload=alert(1)>"
    elif how == "deep JSON":
        files["samples.json"] = b"[" * 100_000
    return files


HOW = (
    "no samples",
    "no model",
    "not tensors",
    "fewer names",
    "a part of its own",
    "near-copies beyond the end",
    "not a number",
    "no image",
    "deep JSON",
)


@pytest.mark.parametrize("how", HOW)
def test_what_no_run_writes_is_refused(saved, how):
    with pytest.raises(BundleError, match="predictions"):
        SavedPredictions.from_files(damaged(saved, how), 2)


def test_other_labels_are_refused(saved):
    with pytest.raises(BundleError, match="expected"):
        SavedPredictions.from_files(saved.to_files(), 3)
