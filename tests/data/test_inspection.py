import json

import numpy as np
import pytest

import tagfit
from making import as_json, feature_table, locked, scenes
from tagfit.data.inspection import look


def inspected(**changes):
    return look(locked(feature_table(**changes)))


def test_counts_add_up():
    inspection = inspected()
    assert inspection.samples == 120 == sum(inspection.parts.values()) == sum(inspection.labels_per_sample.values())
    for label in inspection.labels:
        assert label.yes + label.no + label.unknown == 120
        assert sum(label.yes_by_part.values()) == label.yes


def test_pairs_are_counted_against_chance():
    labels_NL = np.zeros((120, 3), dtype=np.int8)
    labels_NL[:60, 0] = labels_NL[:30, 1] = labels_NL[100:, 2] = 1
    pair = inspected(labels_NL=labels_NL).pairs[0]
    assert (pair.first, pair.second, pair.together, pair.lift) == ("label_0", "label_1", 30, 2.0)


def test_clean_data_raises_no_suspicion():
    labels_NL = (np.random.default_rng(1).random((120, 3)) < 0.5).astype(np.int8)
    labels_NL[labels_NL.sum(axis=1) == 0, 0] = 1
    assert inspected(labels_NL=labels_NL).suspicions == ()


def test_copies_are_found_and_judged():
    x = feature_table().x.copy()
    x[1] = x[0]
    labels_NL = feature_table().labels_NL.copy()
    labels_NL[0], labels_NL[1] = 1, 0
    given_split = np.array([0, 1] * 60, dtype=np.int8)
    inspection = inspected(x=x, labels_NL=labels_NL, given_split=given_split)
    assert inspection.copies == (("row 1", "row 2"),)
    predictions = " ".join(inspection.suspicions)
    assert "carry different labels" in predictions
    assert "in more than one part" in predictions


def test_labels_that_cannot_be_learnt_are_named():
    labels_NL = feature_table().labels_NL.copy()
    labels_NL[:, 1], labels_NL[:, 2] = 0, 1
    predictions = " ".join(inspected(labels_NL=labels_NL).suspicions)
    assert "No sample of train is known to have: label_1" in predictions
    assert "never no: label_2" in predictions


def test_twin_labels_and_constant_features_are_named():
    table = feature_table()
    labels_NL, x = table.labels_NL.copy(), table.x.copy()
    labels_NL[:, 2] = labels_NL[:, 0]
    x[:, 3] = 7
    predictions = " ".join(inspected(labels_NL=labels_NL, x=x).suspicions)
    assert "label_0 and label_2 are always the same" in predictions
    assert "1 of the 8 features have the same value" in predictions


def test_near_copies_and_alike_neighbours_that_a_split_parts_are_named():
    x = np.clip(scenes(60) * 0.4 + 2.0 * np.arange(60)[:, None, None, None], 0, 255).astype(np.uint8)
    x[41] = x[40] + 9
    names = tuple(f"beach{number:02}.jpg" for number in range(60))
    labels_NL = np.ones((60, 1), dtype=np.int8)
    labels_NL[50:] = 0
    given_split = np.array([0, 1] * 30, dtype=np.int8)
    table = feature_table(
        samples=60, x=x, sample_names=names, labels_NL=labels_NL, label_names=("here",), given_split=given_split
    )
    inspection = look(locked(table))
    assert inspection.near_copies == ((("beach40.jpg", "train"), ("beach41.jpg", "val")),)
    assert "1 groups of near-copies lie in more than one part" in " ".join(inspection.suspicions)
    neighbours = inspection.neighbours
    assert (neighbours.by, neighbours.pairs, len(neighbours.across)) == ("file numbers", 59, 59)
    assert neighbours.more_than_chance
    assert neighbours.across[0] == (("beach00.jpg", "train"), ("beach01.jpg", "val"))
    json.dumps(as_json(inspection))


def test_feature_rows_have_neither():
    assert (inspected().near_copies, inspected().neighbours) == ((), None)


@pytest.mark.parametrize(("most", "features", "told"), [(255, 3072, True), (1, 3072, True), (255, 3000, False)])
def test_rows_that_look_like_images_laid_out_flat_are_reported(most, features, told):
    x = np.random.default_rng(0).integers(0, 256, (40, features)) * (most / 255)
    shown = look(tagfit.load(x.astype(np.float32), feature_table(samples=40).labels_NL)).suspicions
    assert any("look like 32 x 32 x 3 images laid out flat" in one for one in shown) == told


def test_features_of_other_kinds_do_not_look_like_images():
    x = np.random.default_rng(0).normal(size=(40, 3072)).astype(np.float32)
    shown = look(tagfit.load(x, feature_table(samples=40).labels_NL)).suspicions
    assert not any("look like" in one for one in shown)
