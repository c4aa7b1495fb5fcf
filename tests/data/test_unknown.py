from dataclasses import replace

import numpy as np
import pytest

from making import feature_table, locked
from tagfit.data.dataset import build
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.data.unknown import cell_counts, check_single_positive
from tagfit.errors import DataError
from tagfit.records.data import NO, UNKNOWN, YES

OWN = np.array([0, 0, 0, 1, 3] * 24, dtype=np.int8)


def hidden(part=0, label=None):
    """Every second cell of a part unknown, or all of one label."""
    table = feature_table(given_split=OWN)
    labels_NL = table.labels_NL.copy()
    rows = np.flatnonzero(part == OWN)
    labels_NL[rows[::2] if label is None else rows, slice(None) if label is None else label] = UNKNOWN
    return locked(replace(table, labels_NL=labels_NL))


def only_yes(**parts):
    """One yes a sample of train, all else unknown; `parts` say what else is unknown: a part and its labels."""
    table = feature_table(given_split=OWN)
    labels_NL = table.labels_NL.copy()
    labels_NL[OWN == 0] = UNKNOWN
    labels_NL[np.flatnonzero(OWN == 0), np.arange((OWN == 0).sum()) % 3] = YES
    for number in parts.values():
        labels_NL[np.ix_(number == OWN, [1])] = UNKNOWN
    return replace(table, labels_NL=labels_NL)


def test_unknown_cells_are_counted_by_part_and_label():
    data = hidden()
    assert cell_counts(data.dataset, data.split.parts, UNKNOWN) == {
        "train": [36, 36, 36],
        "val": [0, 0, 0],
        "test": [0, 0, 0],
    }
    (note,) = [note for note in data.split.notes if "unknown" in note]
    assert note.startswith("Of train, 108 of 216 label cells are unknown (50%), from 36 (label_0) to 36")


def test_nothing_is_said_where_all_is_known():
    data = locked(feature_table(given_split=OWN))
    assert not [note for note in data.split.notes if "known" in note]
    assert not data.single_positive


def test_a_label_that_is_unknown_in_all_of_val_is_named():
    assert any(
        note.startswith("Labels that are unknown in all of val: label_1.")
        for note in hidden(part=1, label=1).split.notes
    )


class TestOnlyYes:
    def test_it_is_found_and_said(self):
        data = locked(only_yes())
        assert data.single_positive
        assert any("In train only yes is known (1.0 labels a sample)" in note for note in data.split.notes)
        check_single_positive(data)

    def test_one_known_no_is_enough_to_make_it_ordinary(self):
        table = only_yes()
        table.labels_NL[0] = NO
        assert not locked(table).single_positive

    def test_val_has_to_be_labelled_fully(self):
        with pytest.raises(DataError, match="24 of its 72 cells are unknown") as caught:
            check_single_positive(locked(only_yes(val=1)))
        assert "split column" in caught.value.todo

    def test_all_faults_come_together(self):
        table = only_yes(val=1)
        table.labels_NL[OWN == 3] = YES
        with pytest.raises(DataError) as caught:
            check_single_positive(locked(table))
        assert [fault.split()[9] for fault in caught.value.faults] == ["val", "test"]

    def test_a_val_part_dealt_from_it_is_refused(self):
        table, train = only_yes(), OWN == 0
        names = tuple(map(str, range(train.sum())))
        alone = replace(table, given_split=None, labels_NL=table.labels_NL[train], x=table.x[train], sample_names=names)
        with pytest.raises(DataError, match="val must be labelled fully"):
            check_single_positive(locked(alone))

    def test_folds_are_refused(self):
        dataset = build(replace(only_yes(), given_split=np.where(OWN == 1, 0, OWN).astype(np.int8)))
        labels_NL = dataset.labels_NL.copy()
        labels_NL[OWN == 1] = np.where(labels_NL[OWN == 1] == YES, YES, UNKNOWN)
        dataset = replace(dataset, labels_NL=labels_NL)
        with pytest.raises(DataError, match="its folds cannot be scored"):
            check_single_positive(lock(dataset, split(dataset, folds=3)))
