import numpy as np
import pytest

from making import feature_table
from tagfit.data.dataset import build
from tagfit.data.folds import trainings
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.errors import DataError
from tagfit.records.data import UNKNOWN


def folded(table, folds=4):
    dataset = build(table)
    return lock(dataset, split(dataset, folds=folds))


def test_without_folds_there_is_one_training():
    dataset = build(feature_table())
    data = lock(dataset, split(dataset))
    assert trainings(data) == (data,)


def test_every_sample_is_left_out_once():
    data = folded(feature_table(samples=203))
    left_out = np.concatenate([training.split.rows("test") for training in trainings(data)])
    assert sorted(left_out) == list(range(203))


def test_nobody_is_scored_by_who_has_seen_them():
    for training in trainings(folded(feature_table(samples=203))):
        train, val, test = (set(training.split.rows(part)) for part in ("train", "val", "test"))
        assert len(train) + len(val) + len(test) == 203
        assert len(train | val | test) == 203
        assert 0.1 < len(val) / (len(train) + len(val)) < 0.2


def test_a_persons_test_part_is_nobodys():
    own = np.array([0, 0, 0, 1, 3] * 40, dtype=np.int8)
    for training in trainings(folded(feature_table(samples=200, given_split=own))):
        assert (training.split.parts[own == 3] == -1).all()


def test_a_copy_of_what_is_left_out_is_left_out_as_well():
    table = feature_table(samples=150)
    table.x[75:] = table.x[:75]
    for training in trainings(folded(table)):
        assert (training.split.parts[:75] == training.split.parts[75:]).all()


def test_the_folds_are_part_of_the_lock():
    dataset = build(feature_table(samples=200))
    locks = {lock(dataset, split(dataset, folds=folds)).lock for folds in (2, 4, 5)}
    assert len({lock(dataset, split(dataset)).lock, *locks}) == 4


def test_a_fold_without_a_known_label_is_refused():
    table = feature_table(samples=40)
    table.labels_NL[2:] = UNKNOWN
    with pytest.raises(DataError, match="fold 1 has no known label in the"):
        trainings(folded(table, 2))
