import json
import os
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import tagfit
from making import as_json, cure, feature_table, image_folder, image_table, locked
from tagfit import api
from tagfit.data.dataset import rows_of
from tagfit.errors import DataError, LockChangedError, OutputError, RecipeError, TrainingDivergedError
from tagfit.estimator import train
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.records.data import NO, UNKNOWN
from tagfit.records.scores import METRICS, Target
from tagfit.search.campaign import FOLLOWING
from tagfit.search.candidates import ladder
from tagfit.search.plan import Plan
from tagfit.training.events import EpochEnded, RunEnded, RunStarted

QUICK = Recipe(name="quick", model=DenseModel(widths=(8,)), training=Training(epochs=3, patience=0))
LEARNT = Recipe(name="learnt", model=DenseModel(widths=(64,)), training=Training(epochs=60, rate=0.01, patience=0))


SHORT = tuple(replace(QUICK, name=f"candidate-{n}", training=Training(epochs=2 * n, rate=0.01)) for n in (1, 3, 6))
short_cure = partial(cure, candidates=SHORT)


def without_times(value):
    if isinstance(value, dict):
        return {name: without_times(held) for name, held in value.items() if name != "seconds"}
    return [without_times(held) for held in value] if isinstance(value, list) else value


def check_scores(scores):
    assert tuple(scores) == METRICS
    assert all(value is None or isinstance(value, float) for value in scores.values())


def check_run(run, parts):
    for block in ("scores", "decided", "constant"):
        assert set(run[block]) == {"train", "val", "test"}
        for part, scores in run[block].items():
            if part in parts:
                check_scores(scores)
            else:
                assert scores is None
    assert {"epoch", "train_loss", "val_loss"} <= set(run["history"][0])
    assert run["seconds"] > 0


class TestFit:
    def test_the_record_has_what_the_contract_names(self, data, tmp_path):
        result = tagfit.fit(data, recipe=QUICK, output=tmp_path / "run")
        record = json.loads((tmp_path / "run" / "result.json").read_text())
        assert record == as_json(result.record)
        assert (record["schema"], record["tagfit"], record["lock"]) == (2, tagfit.__version__, data.lock)
        assert record["before"] is None
        assert record["tried"] == []
        finding = {"of", "check", "strength", "interval", "seen", "meaning", "todo", "names", "tries", "code"}
        assert [set(one) for one in record["findings"]] == [finding, finding]
        assert {one["check"] for one in record["findings"]} == {"flattery", "untrained"}  # three epochs are too few
        assert set(record["target"]) == {"metric", "train_below", "val_at_least", "train_ranks", "met"}
        check_run(record["after"], {"train", "val", "test"})
        assert record["after"]["recipe"] == QUICK.to_dict()
        assert len(record["after"]["history"]) == 3

    def test_the_same_seed_gives_the_same_record_but_for_times(self, data):
        first, again, other = (as_json(tagfit.fit(data, recipe=LEARNT, seed=seed).record) for seed in (0, 0, 1))
        assert without_times(first) == without_times(again)
        assert without_times(first["after"]) != without_times(other["after"])

    def test_scores_are_of_the_delivered_weights(self, data):
        result = tagfit.fit(data, recipe=LEARNT)
        rows = data.split.rows("train")
        decisions = result.tagger.predict(data.dataset.x[rows]).decisions
        right = (decisions == data.labels("train")).mean()
        assert as_json(result.record)["after"]["scores"]["train"]["label_accuracy"] == pytest.approx(right)

    def test_a_missing_test_part_scores_null(self):
        data = locked(feature_table(given_split=np.array([0, 0, 1] * 40, dtype=np.int8)))
        check_run(as_json(tagfit.fit(data, recipe=QUICK).record)["after"], {"train", "val"})

    def test_unknown_labels_go_all_the_way(self):
        table = feature_table(samples=200)
        labels_NL = np.where(np.random.default_rng(0).random((200, 3)) < 0.3, UNKNOWN, table.labels_NL).astype(np.int8)
        labels_NL[:, 2] = np.minimum(labels_NL[:, 2], NO)
        record = as_json(tagfit.fit(locked(replace(table, labels_NL=labels_NL)), recipe=LEARNT).record)
        assert record["after"]["left_out"]["train"]["map"] == 1
        assert record["after"]["scores"]["train"]["micro_f1"] > 0.9

    @pytest.mark.parametrize("report", [None, "an older one"])
    def test_finished_means_all_of_it(self, data, tmp_path, report):
        """A process that was killed between the record and the report: the next makes what is missing."""
        tagfit.fit(data, recipe=QUICK, output=tmp_path)
        page, left = tmp_path / "report.html", tmp_path / "checkpoints" / "a.safetensors"
        expected = page.read_bytes()
        page.unlink()
        if report is not None:
            page.write_text(report)
            os.utime(page, (0, 0))
        left.parent.mkdir()
        left.write_bytes(b"")
        assert not tagfit.fit(data, recipe=QUICK, output=tmp_path).fresh
        assert page.read_bytes() == expected
        assert not left.parent.exists()

    def test_a_finished_run_is_not_done_again(self, data, tmp_path):
        events = []
        first = tagfit.fit(data, recipe=QUICK, output=tmp_path)
        second = tagfit.fit(data, recipe=QUICK, output=tmp_path, on_event=events.append)
        assert (first.fresh, second.fresh) == (True, False)
        assert as_json(second.record) == as_json(first.record)
        assert events == []
        assert (second.tagger.predict(data.dataset.x).scores == first.tagger.predict(data.dataset.x).scores).all()

    def test_another_seed_there_is_refused(self, data, tmp_path):
        tagfit.fit(data, recipe=QUICK, output=tmp_path)
        with pytest.raises(OutputError, match="seed: 0 then, 1 now"):
            tagfit.fit(data, recipe=QUICK, seed=1, output=tmp_path)

    def test_stopped_it_writes_the_best_so_far_and_may_start_again(self, data, tmp_path):
        stopped = tagfit.fit(data, recipe=QUICK, output=tmp_path, on_event=lambda event: isinstance(event, EpochEnded))
        assert as_json(stopped.record)["state"] == "stopped"
        check_run(as_json(stopped.record)["after"], {"train", "val", "test"})
        again = tagfit.fit(data, recipe=QUICK, output=tmp_path)
        assert (as_json(again.record)["state"], again.fresh) == ("finished", True)

    def test_diverging_is_an_error_and_leaves_no_result(self, data, tmp_path):
        wild = replace(QUICK, training=Training(epochs=30, rate=1e4, patience=0))
        with pytest.raises(TrainingDivergedError):
            tagfit.fit(data, recipe=wild, output=tmp_path)
        assert not (tmp_path / "result.json").exists()

    def test_nothing_is_trained_before_bad_options_are_refused(self, data):
        with pytest.raises(RecipeError, match="device"):
            tagfit.fit(data, device="abacus")
        with pytest.raises(RecipeError, match="no recipe"):
            tagfit.fit(data, recipe="nothing")

    def test_a_table_comes_out_as_text(self, data):
        text = str(tagfit.fit(data, recipe=QUICK))
        assert "micro-F1" in text
        assert max(map(len, text.splitlines())) <= 80


class TestCure:
    def test_the_record_has_what_the_contract_names(self, data, tmp_path):
        record = as_json(short_cure(data, baseline=LEARNT, output=tmp_path).record)
        assert json.loads((tmp_path / "result.json").read_text()) == record
        check_run(record["before"], {"train", "val", "test"})
        check_run(record["after"], {"train", "val", "test"})
        assert [trial["recipe"]["name"] for trial in record["tried"]] == ["candidate-1", "candidate-3", "candidate-6"]
        for trial in record["tried"]:
            assert set(trial) >= {"recipe", "scores", "lock", "seconds", "state"}
            assert set(trial["scores"]) == {"train", "val"}
            assert trial["lock"] == data.lock

    def test_it_never_falls_below_the_baseline(self, data):
        record = as_json(short_cure(data, baseline=LEARNT).record)
        before, after = (record[name]["scores"]["val"]["micro_f1"] for name in ("before", "after"))
        assert after >= before

    def test_a_target_that_is_met(self, data):
        record = as_json(short_cure(data, baseline=QUICK, target=Target("label_accuracy", 1.0, 0.3)).record)
        assert record["target"]["met"]
        assert len(record["tried"]) == 3, "dense candidates are trained at the same time"
        assert record["verdict"]["state"] in {"cured", "fine"}

    def test_a_target_that_is_not_met(self, data):
        record = as_json(short_cure(data, baseline=QUICK, target=Target("subset_accuracy", 1e-3, 1.0)).record)
        assert not record["target"]["met"]
        assert record["verdict"]["state"] not in {"cured", "fine"}

    def test_where_nothing_beats_the_baseline_it_is_delivered(self, data):
        record = as_json(cure(data, (replace(QUICK, training=Training(epochs=1, rate=1e-9)),), baseline=LEARNT).record)
        assert record["after"] == record["before"]
        assert "the baseline is what is delivered" in " ".join(record["verdict"]["sentences"])

    def test_a_recipe_that_diverges_is_noted_and_passed_over(self, data):
        wild = replace(QUICK, name="wild", training=Training(epochs=30, rate=1e4, patience=0))
        record = as_json(cure(data, (wild, LEARNT), baseline=QUICK).record)
        assert [trial["state"] for trial in record["tried"]] == ["diverged", "finished"]
        assert record["tried"][0]["scores"] == {"train": None, "val": None}
        assert record["after"]["recipe"]["name"] == "learnt"

    def test_every_run_is_announced(self, data):
        events = []
        short_cure(data, baseline=QUICK, on_event=events.append)
        started = [event.recipe for event in events if isinstance(event, RunStarted)]
        assert started == ["quick", "3 networks"]
        ended = sorted((event.number, event.of) for event in events if isinstance(event, RunEnded))
        assert ended == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert sum(isinstance(event, EpochEnded) for event in events) >= 4

    def test_stopped_it_chooses_among_what_is_finished(self, data, tmp_path):
        ended = []

        def stop_on_the_ladder(event):
            ended.append(isinstance(event, RunEnded))
            return sum(ended) >= 1 and isinstance(event, EpochEnded)

        record = as_json(short_cure(data, baseline=QUICK, output=tmp_path, on_event=stop_on_the_ladder).record)
        assert record["state"] == "stopped"
        assert [trial["state"] for trial in record["tried"]] == ["stopped"]
        assert record["after"]["recipe"]["name"] in {"quick", "candidate-1"}

    def test_killed_it_goes_on_and_comes_to_the_same(self, data, tmp_path):
        whole = as_json(short_cure(data, baseline=LEARNT, output=tmp_path / "whole").record)
        seen = []

        def die_in_the_second_rung(event):
            seen.append(event)
            if sum(isinstance(event, RunEnded) for event in seen) >= 2 and isinstance(event, EpochEnded):
                raise SystemExit  # no listener's True, no chance to tidy up

        with pytest.raises(SystemExit):
            short_cure(data, baseline=LEARNT, output=tmp_path / "run", on_event=die_in_the_second_rung)
        seen.clear()
        record = as_json(short_cure(data, baseline=LEARNT, output=tmp_path / "run", on_event=seen.append).record)
        assert without_times(record) == without_times(whole)
        trained_in = [event.recipe for event in seen if isinstance(event, RunStarted)]
        epochs = [event for event in seen if isinstance(event, EpochEnded)]
        assert trained_in == ["learnt", "3 networks"]
        assert len(epochs) < 20, "what was finished is not trained again"
        assert not (tmp_path / "run" / "checkpoints").exists()

    def test_a_stopped_run_goes_on(self, data, tmp_path):
        def stop(event):
            return isinstance(event, EpochEnded) and event.row["epoch"] == 2

        stopped = as_json(tagfit.fit(data, recipe=LEARNT, output=tmp_path / "run", on_event=stop).record)
        assert stopped["state"] == "stopped"
        record = as_json(tagfit.fit(data, recipe=LEARNT, output=tmp_path / "run").record)
        assert without_times(record) == without_times(as_json(tagfit.fit(data, recipe=LEARNT).record))

    def test_a_disk_without_room_is_an_error_before_training(self, data, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(OutputError, match="free space"):
            short_cure(data, baseline=LEARNT, output=tmp_path / "run", on_event=lambda event: pytest.fail("trained"))

    def test_augmentation_has_to_be_allowed(self, data):
        changing = replace(QUICK, training=Training(augmentation=("mirror",)))
        for job in (
            lambda **o: tagfit.fit(data, recipe=changing, **o),
            lambda **o: tagfit.cure(data, baseline=changing, **o),
        ):
            with pytest.raises(RecipeError, match="--allow augmentation"):
                job()
            with pytest.raises(RecipeError, match="among augmentation"):
                job(allow=["anything"])

    def test_data_that_changes_under_it_ends_it(self, data):
        def meddle(event):
            if isinstance(event, RunEnded):
                data.dataset.x[0, 0] += 1

        with pytest.raises(LockChangedError):
            short_cure(data, baseline=QUICK, on_event=meddle)

    def test_data_that_changes_during_the_last_run_ends_it_too(self, data):
        def meddle(event):
            if isinstance(event, RunEnded) and event.recipe == "candidate-6":
                data.dataset.labels_NL[:] = 1

        with pytest.raises(LockChangedError):
            short_cure(data, baseline=QUICK, on_event=meddle)

    def test_a_stop_after_everything_is_done_changes_nothing(self, data):
        assert (
            as_json(tagfit.fit(data, recipe=QUICK, on_event=lambda event: isinstance(event, RunEnded)).record)["state"]
            == "finished"
        )

    def test_the_bundle_is_the_model_after(self, data, tmp_path):
        result = short_cure(data, baseline=QUICK, output=tmp_path)
        loaded = tagfit.Tagger.load(tmp_path)
        assert loaded.bundle.recipe.to_dict() == as_json(result.record)["after"]["recipe"]
        evaluation = tagfit.evaluate(loaded, rows_of(data.dataset, data.split.rows("test")))
        assert as_json(evaluation.scores) == pytest.approx(as_json(result.record)["after"]["scores"]["test"])


class TestLoad:
    def test_fit_takes_what_load_takes(self, tmp_path):
        folder = image_folder(tmp_path)
        assert as_json(tagfit.fit(folder, recipe=QUICK).record)["lock"] == tagfit.load(folder).lock

    def test_it_says_what_it_is_in_a_line(self, data):
        assert repr(data) == f"<<rows: 120 features of 8, 3 labels>: train 84, val 18, test 18; lock {data.lock[:12]}>"
        assert repr(tagfit.fit(data, recipe=QUICK)).startswith("<fit on rows: ")

    def test_arrays_frames_and_folders(self, tmp_path):
        table = feature_table()
        by_array = tagfit.load(table.x, table.labels_NL, label_names=table.label_names)
        pandas = pytest.importorskip("pandas")
        labels = pandas.DataFrame(table.labels_NL, columns=list(table.label_names))
        by_frame = tagfit.load(pandas.DataFrame(table.x), labels)
        by_mapping = tagfit.load({"X": table.x, "y": table.labels_NL, "label_names": list(table.label_names)})
        assert by_array.lock == by_frame.lock == by_mapping.lock
        images = tagfit.load(image_folder(tmp_path), size=16)
        assert images.dataset.x.shape == (40, 16, 16, 3)

    def test_a_persons_array_is_never_changed(self):
        table = feature_table()
        x, y = table.x.copy(), table.labels_NL.copy()
        tagfit.fit(tagfit.load(x, y), recipe=QUICK)
        assert (x == table.x).all()
        assert (y == table.labels_NL).all()
        assert x.flags.writeable

    def test_postcards(self):
        data = tagfit.load("postcards:60")
        assert data.dataset.x.shape == (60, 64, 64, 3)
        assert data.lock == tagfit.load("postcards:60").lock

    @pytest.mark.parametrize(
        "data",
        [
            "postcards:",
            "postcards:many",
            "postcards:0",
            "postcards:-5",
            f"postcards:{10**14}",
            "postcards:" + "9" * 5000,
        ],
    )
    def test_postcards_without_a_number(self, data):
        with pytest.raises(DataError, match="postcards:COUNT"):
            tagfit.load(data)

    def test_a_size_that_an_array_does_not_take_is_refused_not_ignored(self):
        assert tagfit.load("postcards:20", size=64).lock == tagfit.load("postcards:20").lock
        with pytest.raises(DataError, match="size of 16 was given, but the images of postcards come as an array"):
            tagfit.load("postcards:20", size=16)

    def test_the_size_is_part_of_the_lock(self, tmp_path):
        folder = image_folder(tmp_path)
        assert tagfit.load(folder, size=16).lock != tagfit.load(folder, size=8).lock


def test_an_estimate_is_made_of_timed_steps(data):
    estimate = api.estimate(data)
    assert 0 < estimate.fit_seconds < estimate.cure_seconds
    assert estimate.memory_bytes > data.dataset.x.nbytes
    assert estimate.whole_fit_seconds - estimate.fit_seconds == pytest.approx(estimate.scoring_seconds)


def test_what_scoring_takes_is_estimated_and_refused_where_it_does_not_fit(monkeypatch):
    few, many = (api.estimate(locked(feature_table(samples=60, labels=labels))) for labels in (3, 300))
    assert many.scoring_seconds > 10 * few.scoring_seconds
    assert many.memory_bytes > few.memory_bytes + 100 * 40 * 297  # train is 40 samples and a few
    monkeypatch.setattr("tagfit.io.free_memory.free_memory", lambda: 100_000)
    with pytest.raises(
        DataError, match=r"scoring 300 labels of 4\d samples takes .* bytes of memory; 100,000 are free"
    ):
        tagfit.fit(locked(feature_table(samples=60, labels=300)))


def test_an_estimate_reckons_with_what_will_train_and_with_the_search(data, monkeypatch):
    timed = []
    for name in ("longest_compiled", "longest_training"):
        monkeypatch.setattr(f"tagfit.training.trainer.{name}", lambda *rows, name=name: timed.append(name) or 1.0)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    candidates = len(ladder(data.dataset.preprocessing, Target()))
    estimate = api.estimate(data, plan=Plan(trials=20))
    assert set(timed) == {"longest_compiled"}
    assert estimate.fit_seconds == 1.0
    assert estimate.cure_seconds == 1 + candidates / 2 + (20 - candidates + FOLLOWING) / 2
    timed.clear()
    images = locked(image_table(samples=20, side=72))
    assert api.estimate(images).cure_seconds == 1 + len(ladder(images.dataset.preprocessing, Target()))
    assert set(timed) == {"longest_training"}


@pytest.mark.parametrize("widths", [(8,), (8, 4)])
def test_the_baselines_curve_shows_train_as_well_and_changes_nothing_else(data, widths):
    recipe = Recipe(name="short", model=DenseModel(widths=widths), training=Training(epochs=50, patience=0))
    shown = as_json(tagfit.fit(data, recipe=recipe).record)["after"]
    plain = train(data, recipe, 0, "cpu")[0].run
    curve = {row["epoch"]: row["train_micro_f1"] for row in shown["history"] if "train_micro_f1" in row}
    assert list(curve) == [3 * number for number in range(1, 17)]
    assert shown["scores"]["train"]["micro_f1"] == plain.scores["train"].micro_f1
    assert [row["val_loss"] for row in shown["history"]] == [row["val_loss"] for row in plain.history]
