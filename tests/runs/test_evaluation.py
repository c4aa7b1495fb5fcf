from dataclasses import replace

import numpy as np
import pytest

import tagfit
from making import as_json, feature_table, image_folder, image_table, locked, scenes
from tagfit.data.dataset import build
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.errors import DataError
from tagfit.inference.tagger import Tagger
from tagfit.metrics.scores import score
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.scores import METRICS

QUICK = Recipe(name="quick", model=DenseModel(widths=(8,)), training=Training(epochs=3, patience=0))
LONGER = replace(QUICK, name="longer", training=replace(QUICK.training, epochs=40, rate=0.01))


@pytest.fixture(scope="module")
def table():
    return feature_table(samples=240)


@pytest.fixture(scope="module")
def data(table):
    return locked(replace(table, metadata={"camera": tuple("old" if row % 3 else "new" for row in range(240))}))


@pytest.fixture(scope="module")
def tagger(data):
    return tagfit.fit(data, recipe=QUICK).tagger


@pytest.fixture(scope="module")
def better(data):
    return tagfit.fit(data, recipe=LONGER, decide_for="macro_f1").tagger


@pytest.fixture(scope="module")
def visits():
    few = feature_table(samples=60)
    patient = np.arange(480) % 60
    noise = np.random.default_rng(0).normal(scale=0.01, size=(480, 8)).astype(np.float32)
    x, labels_NL = few.x[patient] + noise, few.labels_NL[patient]
    patients = tuple(f"p{number}" for number in patient)
    return build(feature_table(samples=480, x=x, labels_NL=labels_NL, metadata={"patient": patients}))


@pytest.fixture(scope="module")
def run(visits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "by-patient"
    return tagfit.fit(lock(visits, split(visits, groups="patient")), recipe=QUICK, output=folder)


class TestGroupsOfTheRun:
    """A run by patients is evaluated by patients: their samples are alike, so that there are fewer than it seems."""

    def test_they_are_in_the_record_and_the_bundle(self, run):
        assert run.record.data.grouped_by == "patient"
        assert Tagger.load(run.folder).bundle.grouped_by == "patient"

    def test_where_the_column_is_there_intervals_are_by_it(self, run, visits):
        by_patient = tagfit.evaluate(run.tagger, visits)
        alone = tagfit.evaluate(run.tagger, replace(visits, metadata={}))
        assert width(by_patient) > 1.5 * width(alone)
        missing = "The run kept samples of the same 'patient' together, but this data does not tell which"
        assert any(missing in note for note in alone.notes)
        assert not any("The run kept" in note for note in by_patient.notes)

    def test_split_data_that_was_grouped_otherwise_is_grouped_by_it_too(self, run, visits):
        assert width(tagfit.evaluate(run.tagger, lock(visits, split(visits)))) == width(
            tagfit.evaluate(run.tagger, visits)
        )

    def test_a_question_about_groups_is_in_the_verdict(self, visits):
        record = tagfit.fit(lock(visits, split(visits)), recipe=QUICK).record
        assert any("values of 'patient' that recur" in text for text in record.verdict.sentences)


def width(evaluation):
    low, high = evaluation.intervals.scores["micro_f1"]
    return high - low


class TestEvaluate:
    def test_rows_that_were_trained_on_are_said(self, data, tagger):
        notes = tagfit.evaluate(tagger, data.dataset).notes
        assert any(f"trained on {len(data.split.rows('train'))} of these 240" in note for note in notes)
        other = feature_table(seed=5)
        assert tagfit.evaluate(tagger, tagfit.load(other.x, other.labels_NL).dataset).samples == 120

    def test_images_that_were_saved_again_are_said(self, tmp_path):
        """Their bytes are others, and yet the model was trained on them."""
        x, labels_NL = scenes(80), np.random.default_rng(0).integers(0, 2, size=(80, 2), dtype=np.int8)
        data = locked(image_table(samples=80, x=x, labels_NL=labels_NL))
        tagfit.fit(data, recipe=QUICK, output=tmp_path / "run")
        again = np.clip(x.astype(int) + 3, 0, 255).astype(np.uint8)

        def told(images):
            notes = tagfit.evaluate(tmp_path / "run", build(image_table(samples=80, x=images))).notes
            return [note for note in notes if "trained on" in note]

        (note,) = told(again)
        assert f"near-copies of {data.split.counts['train']} of these 80 images" in note
        assert told(scenes(80, seed=9)) == []
        assert "near-copies" not in told(x)[0]

    def test_it_takes_what_load_returns(self, data):
        result = tagfit.fit(data, recipe=QUICK)
        evaluation = tagfit.evaluate(result.tagger, data, part="test")
        assert as_json(evaluation.scores) == pytest.approx(as_json(result.record)["after"]["scores"]["test"])
        assert tagfit.evaluate(result.tagger, data).samples == 240

    def test_labels_that_the_data_lacks_are_said(self, data, tagger):
        dataset = replace(data.dataset, label_names=("label_0", "label_1", "labell_2"))
        assert any(
            "does not mention 1 of the model's labels, no: label_2" in n for n in tagfit.evaluate(tagger, dataset).notes
        )

    def test_labels_it_does_not_know_are_said(self, data):
        tagger = tagfit.fit(data, recipe=QUICK).tagger
        dataset = replace(data.dataset, label_names=("label_0", "label_1", "zebra"))
        assert any("zebra" in note for note in tagfit.evaluate(tagger, dataset).notes)

    def test_a_bundle_and_a_folder_by_path(self, tmp_path):
        folder = image_folder(tmp_path / "data")
        tagfit.fit(tagfit.load(folder, size=16), recipe=QUICK, output=tmp_path / "run")
        evaluation = tagfit.evaluate(tmp_path / "run", folder)
        assert evaluation.samples == 40
        record = as_json(evaluation)
        assert tuple(record["scores"]) == tuple(record["constant"]) == METRICS

    def test_every_score_has_its_interval(self, data, tagger):
        record = as_json(tagfit.evaluate(tagger, data, part="test"))
        for kind in ("scores", "decided"):
            assert tuple(record["intervals"][kind]) == METRICS
            for metric, ends in record["intervals"][kind].items():
                assert ends is None or ends[0] <= record[kind][metric] <= ends[1] or metric == "ece"

    def test_what_the_rule_decides_is_told_apart(self, data, better):
        test = data.split.rows("test")
        evaluation = tagfit.evaluate(better, data, part="test")
        prediction = better.predict(data.dataset.x[test])
        labels_NL = data.dataset.labels_NL[test]
        assert evaluation.scores == score(labels_NL, prediction.scores)
        right = (prediction.decisions == labels_NL).mean()
        assert evaluation.decided.label_accuracy == pytest.approx(right)
        assert "decided: for macro_f1, fitted on val" in str(evaluation)

    def test_without_a_rule_both_are_the_same(self, data, tagger):
        evaluation = tagfit.evaluate(tagger, data, part="test")
        assert evaluation.decided == evaluation.scores


class TestSlices:
    def test_each_value_of_a_column_is_scored_by_itself(self, data, tagger):
        evaluation = tagfit.evaluate(tagger, data, by="camera")
        slices = evaluation.by.slices
        assert [(one.value, one.samples) for one in slices] == [("old", 160), ("new", 80)]
        rows = np.arange(240) % 3 == 0
        alone = score(data.dataset.labels_NL[rows], tagger.predict(data.dataset.x[rows]).scores)
        assert as_json(slices[1].scores) == pytest.approx(as_json(alone))
        assert "camera" in str(evaluation)

    def test_a_column_that_is_not_there(self, data, tagger):
        with pytest.raises(DataError, match=r"no column 'camra' in rows.*\(camera\)\. Did you mean 'camera'"):
            tagfit.evaluate(tagger, data, by="camra")

    def test_a_column_of_too_many_values(self, table, tagger):
        names = locked(replace(table, metadata={"file": table.sample_names}))
        with pytest.raises(DataError, match="has 240 values: expected at most 100"):
            tagfit.evaluate(tagger, names, by="file")


class TestCompare:
    def test_differences_are_paired_and_of_both_kinds(self, data, tagger, better):
        compared = tagfit.evaluate(better, data, part="test", compare=tagger).compare
        ours, theirs = (tagfit.evaluate(model, data, part="test").scores for model in (better, tagger))
        change = compared.differences.scores["micro_f1"]
        assert change.value == pytest.approx(ours.micro_f1 - theirs.micro_f1)
        assert change.value in change.interval
        assert as_json(compared.scores) == pytest.approx(as_json(theirs))
        assert set(compared.differences.decided) == set(METRICS)

    def test_a_model_beside_itself_differs_in_nothing(self, data, tagger):
        changes = tagfit.evaluate(tagger, data, compare=tagger).compare.differences.scores
        assert all(change is None or (change.value == 0 and change.within_noise) for change in changes.values())

    def test_only_labels_that_both_know_are_compared(self, data, tagger):
        dataset = data.dataset
        fewer = tagfit.load(dataset.x, dataset.labels_NL[:, 1:], label_names=dataset.label_names[1:])
        other = tagfit.fit(fewer, recipe=QUICK).tagger
        compared = tagfit.evaluate(tagger, data, compare=other).compare
        assert compared.labels == ("label_1", "label_2")
        assert any("The other model was trained on" in note for note in compared.notes)

    def test_other_samples_are_refused(self, data, tagger):
        other = feature_table(samples=240, seed=3)
        with pytest.raises(DataError, match="same samples in the same order"):
            tagfit.evaluate(tagger, data, compare=tagger, compare_data=tagfit.load(other.x, other.labels_NL))
