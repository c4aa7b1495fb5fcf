"""Folds, decisions and guarantees, from load to the bundle."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tagfit
from making import as_json, cure, feature_table, locked
from tagfit.errors import DataError
from tagfit.io.typed_json import to_plain
from tagfit.metrics.scores import score
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import UNKNOWN
from tagfit.training.events import EpochEnded

QUICK = Recipe(name="quick", model=DenseModel(widths=(16,)), training=Training(epochs=20, rate=0.01, patience=3))
FOCAL = replace(QUICK, training=replace(QUICK.training, loss="focal", patience=0))


@pytest.fixture(scope="module")
def rows():
    return feature_table(samples=300)


def loaded(table, **options):
    return tagfit.load(table.x, table.labels_NL, label_names=table.label_names, **options)


@pytest.fixture(scope="module")
def parted(rows):
    return loaded(rows, split={"train": 0.4, "val": 0.3, "test": 0.3})


@pytest.fixture(scope="module")
def fitted(parted):
    return tagfit.fit(parted, recipe=FOCAL)


@pytest.fixture(scope="module")
def folded(rows):
    return loaded(rows, folds=3)


@pytest.fixture(scope="module")
def ensemble(folded, tmp_path_factory):
    return tagfit.fit(folded, recipe=QUICK, output=tmp_path_factory.mktemp("folds") / "run")


class TestFolds:
    def test_val_is_every_sample_by_a_network_that_has_not_seen_it(self, folded, ensemble):
        members = ensemble.tagger.bundle.network.members
        probabilities = np.empty(folded.dataset.labels_NL.shape, dtype=np.float32)
        for fold, member in enumerate(members):
            alone = replace(ensemble.tagger.bundle, network=member)
            held_out = folded.split.folds == fold
            probabilities[held_out] = tagfit.Tagger(alone).predict(folded.dataset.x[held_out]).scores
        expected = as_json(score(folded.dataset.labels_NL, probabilities))
        assert as_json(ensemble.record)["after"]["scores"]["val"] == pytest.approx(expected, rel=1e-5)
        assert as_json(ensemble.record)["after"]["scores"]["test"] is None

    def test_means_and_deviations_are_there(self, ensemble):
        folds = as_json(ensemble.record)["after"]["folds"]
        assert len(folds["each"]) == 3
        values = [fold["scores"]["val"]["micro_f1"] for fold in folds["each"]]
        assert folds["mean"]["val"]["micro_f1"] == pytest.approx(np.mean(values))
        assert folds["deviation"]["val"]["micro_f1"] == pytest.approx(np.std(values, ddof=1))
        assert {row["fold"] for row in as_json(ensemble.record)["after"]["history"]} == {1, 2, 3}

    def test_the_ensemble_is_what_is_delivered(self, folded, ensemble):
        loaded_again = tagfit.Tagger.load(ensemble.folder)
        x = folded.dataset.x[:20]
        each = [
            tagfit.Tagger(replace(loaded_again.bundle, network=member)).predict(x).scores
            for member in loaded_again.bundle.network.members
        ]
        assert len(each) == 3
        np.testing.assert_allclose(loaded_again.predict(x).scores, np.mean(each, axis=0), atol=1e-6)
        assert "ensemble" in str(ensemble)

    def test_all_who_are_in_a_fold_were_trained_on(self, folded, ensemble):
        notes = tagfit.evaluate(ensemble.tagger, folded).notes
        assert any("trained on 300 of these 300" in note for note in notes)

    def test_a_cure_compares_recipes_on_the_same_folds(self, folded):
        short = replace(QUICK, training=replace(QUICK.training, epochs=2))
        record = as_json(cure(folded, (replace(QUICK, name="other"),), baseline=short).record)
        assert record["after"]["recipe"]["name"] == "other"
        assert len(record["before"]["folds"]["each"]) == len(record["after"]["folds"]["each"]) == 3
        assert record["data"]["folds"] == 3

    def test_stopped_in_the_second_it_goes_on_there(self, folded, ensemble, tmp_path):
        def stop(event):
            return isinstance(event, EpochEnded) and event.row["epoch"] == 2

        stopped = tagfit.fit(folded, recipe=QUICK, output=tmp_path, on_event=stop)
        assert as_json(stopped.record)["state"] == "stopped"
        assert len(as_json(stopped.record)["after"]["folds"]["each"]) == 1
        again = tagfit.fit(folded, recipe=QUICK, output=tmp_path)
        assert as_json(again.record)["after"]["scores"] == as_json(ensemble.record)["after"]["scores"]

    def test_a_persons_test_part_scores_the_ensemble(self, rows):
        arrays = {"X_train": rows.x[:150], "X_val": rows.x[150:240], "X_test": rows.x[240:]}
        labels = {"y_train": rows.labels_NL[:150], "y_val": rows.labels_NL[150:240], "y_test": rows.labels_NL[240:]}
        data = tagfit.load({**arrays, **labels}, folds=3)
        result = tagfit.fit(data, recipe=QUICK)
        scores = result.tagger.predict(rows.x[240:]).scores
        expected = as_json(score(rows.labels_NL[240:], scores))
        assert as_json(result.record)["after"]["scores"]["test"] == pytest.approx(expected, rel=1e-5)


class TestDecideFor:
    def test_what_is_decided_stands_beside_the_scores(self, rows):
        plain = as_json(tagfit.fit(loaded(rows), recipe=QUICK).record)["after"]
        ruled = as_json(tagfit.fit(loaded(rows), recipe=QUICK, decide_for="macro_f1").record)["after"]
        assert ruled["scores"] == plain["scores"]
        assert plain["decided"] == plain["scores"]
        assert plain["decider"]["rule"] is None
        assert (ruled["decider"]["objective"], ruled["decider"]["fitted_on"]) == ("macro_f1", "val")

    def test_the_bundle_decides_as_the_record_says(self, rows, tmp_path):
        data = loaded(rows, split="50/15/20/15")
        result = tagfit.fit(data, recipe=QUICK, decide_for="recall>=0.95", output=tmp_path / "run")
        assert as_json(result.record)["after"]["decider"]["fitted_on"] == "calibrate"
        test = data.split.rows("test")
        prediction = tagfit.Tagger.load(tmp_path / "run").predict(data.dataset.x[test])
        right = (prediction.decisions == data.labels("test")).mean()
        assert as_json(result.record)["after"]["decided"]["test"]["label_accuracy"] == pytest.approx(right)

    def test_what_is_fitted_on_val_is_scored_there_by_others(self, rows):
        """A rule that knows each row's answer would be right on all of them."""
        shuffled = np.random.default_rng(0).permutation(rows.labels_NL)
        result = tagfit.fit(loaded(replace(rows, labels_NL=shuffled)), recipe=QUICK, decide_for="subset_accuracy")
        decided = as_json(result.record)["after"]["decided"]["val"]["subset_accuracy"]
        assert decided < 0.4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"decide_for": "micro_f2"}, "micro_f2.*micro_f1"),
            ({"decide_for": "recall>=2"}, "recall"),
            ({"guarantee": "recal=0.9"}, "recal"),
            ({"decide_for": "micro_f1", "guarantee": "recall=0.9"}, "only one can decide"),
        ],
    )
    def test_what_means_nothing_is_refused(self, rows, options, message):
        with pytest.raises(DataError, match=message):
            tagfit.fit(loaded(rows), recipe=QUICK, **options)


class TestGuarantee:
    def test_it_is_given_on_a_part_that_nothing_else_touched(self, rows, tmp_path):
        data = loaded(feature_table(samples=900), calibrate=True)
        result = tagfit.fit(data, recipe=QUICK, guarantee="recall=0.8", output=tmp_path / "run")
        decider = as_json(result.record)["after"]["decider"]
        assert decider["fitted_on"] == "val"
        assert as_json(result.record)["after"]["refusal"] is None
        assert decider["guaranteed"]["threshold"] < 1
        again = tagfit.Tagger.load(tmp_path / "run")
        assert to_plain(again.decider) == json.loads(json.dumps(decider))
        observed = tagfit.evaluate(again, data, part="test").guarantee
        assert 0.7 < observed.achieved <= 1

    def test_the_network_is_the_same_with_another_guarantee(self):
        data = loaded(feature_table(samples=600), calibrate=True)
        first, second = (
            as_json(tagfit.fit(data, recipe=QUICK, guarantee=wish).record)["after"]
            for wish in ("recall=0.7", "recall=0.9")
        )
        assert first["scores"] == second["scores"]
        assert first["history"][0]["train_loss"] == second["history"][0]["train_loss"]

    def test_without_a_calibrate_part_it_is_refused(self, rows):
        with pytest.raises(DataError, match="needs a calibrate part"):
            tagfit.fit(loaded(rows), recipe=QUICK, guarantee="recall=0.9")

    def test_unknown_cells_are_refused_before_anything_is_trained(self, rows):
        labels_NL = rows.labels_NL.copy()
        labels_NL[:, 0] = UNKNOWN
        with pytest.raises(DataError, match="unknown"):
            tagfit.fit(
                loaded(replace(rows, labels_NL=labels_NL), calibrate=True),
                recipe=QUICK,
                guarantee="recall=0.9",
                on_event=lambda event: pytest.fail("trained"),
            )

    def test_one_that_no_threshold_keeps_is_said_and_the_model_delivered(self):
        shuffled = np.random.default_rng(0).permutation(feature_table(samples=1200).labels_NL)
        data = loaded(replace(feature_table(samples=1200), labels_NL=shuffled), calibrate=True)
        result = tagfit.fit(data, recipe=QUICK, guarantee="precision=0.95")
        assert as_json(result.record)["after"]["decider"]["rule"] is None
        refusal = as_json(result.record)["after"]["refusal"]
        assert "cannot be promised" in refusal
        assert any(refusal in sentence for sentence in as_json(result.record)["verdict"]["sentences"])


class TestShiftedProbabilities:
    """A loss that shifts them, and the line that sets them right."""

    def test_what_is_delivered_is_levelled(self, parted, fitted):
        after = as_json(fitted.record)["after"]
        assert after["recalibration"] is not None
        for part in ("train", "test"):
            predicted = fitted.tagger.predict(parted.dataset.x[parted.split.rows(part)])
            expected = as_json(score(parted.labels(part), predicted.scores))
            assert after["scores"][part] == pytest.approx(expected, rel=1e-5)
        assert "trained by focal are recalibrated" in " ".join(str(fitted).split())

    def test_val_is_scored_by_lines_that_have_not_seen_it(self, parted, fitted):
        predicted = fitted.tagger.predict(parted.dataset.x[parted.split.rows("val")])
        by_its_own_line = score(parted.labels("val"), predicted.scores)
        of_record = as_json(fitted.record)["after"]["scores"]["val"]
        assert of_record["log_loss"] > by_its_own_line.log_loss
        assert of_record["log_loss"] == pytest.approx(by_its_own_line.log_loss, rel=0.1)

    def test_early_stopping_looks_at_what_is_levelled(self, fitted):
        """Focal loss itself is a small fraction of log-loss, and train loss shows it."""
        last = as_json(fitted.record)["after"]["history"][-1]
        assert last["train_loss"] < 0.5 * last["val_loss"]

    def test_bce_is_left_as_it_is(self, parted):
        assert as_json(tagfit.fit(parted, recipe=QUICK).record)["after"]["recalibration"] is None

    def test_folds_and_a_refit_are_levelled_too(self, folded):
        record = as_json(tagfit.cure(folded, baseline=FOCAL, trials=1, refit=True).record)
        assert len(record["before"]["recalibration"]) == 2
        assert record["before"]["scores"]["val"]["ece"] < 0.15


class TestOnlyYesIsKnown:
    @pytest.fixture
    def yeses(self):
        own = np.array([0, 0, 0, 1, 3] * 80, dtype=np.int8)
        table = feature_table(samples=400, labels=5, given_split=own)
        labels_NL, rng = table.labels_NL.copy(), np.random.default_rng(0)
        for row in np.flatnonzero(own == 0):
            yes = np.flatnonzero(labels_NL[row] == 1)
            labels_NL[row] = UNKNOWN
            labels_NL[row, rng.choice(yes if len(yes) else 5)] = 1
        return locked(replace(table, labels_NL=labels_NL))

    def test_a_fit_does_not_learn_always_yes(self, yeses):
        record = as_json(tagfit.fit(yeses, recipe=QUICK).record)
        assert record["after"]["recipe"]["name"] == "weak-negative: quick"
        assert record["after"]["scores"]["train"] is None
        val, constant = (record["after"][what]["val"] for what in ("scores", "constant"))
        assert val["map"] > constant["map"] + 0.2
        assert val["micro_f1"] > constant["micro_f1"]

    def test_a_cure_begins_at_assume_negative_and_lets_val_alone_choose(self, yeses):
        record = as_json(tagfit.cure(yeses, baseline=QUICK, trials=2, single=True).record)
        assert record["before"]["recipe"]["training"]["loss"] == "assume-negative"
        assert {trial["recipe"]["training"]["loss"] for trial in record["tried"]} == {"weak-negative"}
        assert record["target"]["train_ranks"] is False
        assert (
            "Of train only yes is known, so that it cannot be scored: val alone chose."
            in record["verdict"]["sentences"]
        )

    def test_it_is_refused_before_anything_is_trained(self, yeses):
        labels_NL = yeses.dataset.labels_NL.copy()
        labels_NL[yeses.split.rows("val")[0], 0] = UNKNOWN
        spoilt = tagfit.load(
            {f"{what}_{part}": values[yeses.split.rows(part)]
             for part in ("train", "val") for what, values in (("X", yeses.dataset.x), ("y", labels_NL))},
            minus_one="unknown",
        )  # fmt: skip
        events = []
        for run in (tagfit.fit, tagfit.cure):
            with pytest.raises(DataError, match="val must be labelled fully; 1 of its 400 cells"):
                run(spoilt, on_event=events.append)
        assert not events
