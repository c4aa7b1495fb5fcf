from dataclasses import replace

import numpy as np
import pytest

from making import feature_table, locked
from tagfit.data.lock import fingerprint, hash_rows, verify
from tagfit.errors import LockChangedError
from tagfit.records.data import Split

GOLDEN = "2d697587711085c2fcc3540d26f241d0b3659f73f017902d55b6d1b691352080"


def test_file_order_and_names_do_not_matter():
    table = feature_table()
    order = np.random.default_rng(0).permutation(len(table))
    other = replace(
        table,
        name="elsewhere",
        x=table.x[order],
        labels_NL=table.labels_NL[order],
        sample_names=tuple(f"other {row}" for row in order),
    )
    assert locked(other).lock == locked(table).lock


def test_a_changed_sample_label_part_name_or_preprocessing_changes_it():
    data = locked(feature_table())
    dataset, split = data.dataset, data.split
    hashes, labels, parts = dataset.hashes.copy(), dataset.labels_NL.copy(), split.parts.copy()
    hashes[3, 0] ^= 1
    labels[5, 1] = -1
    parts[7] = (parts[7] + 1) % 4
    changed = [
        fingerprint(replace(dataset, hashes=hashes), split),
        fingerprint(replace(dataset, labels_NL=labels), split),
        fingerprint(dataset, Split(parts)),
        fingerprint(replace(dataset, label_names=("a", "b", "c")), split),
        fingerprint(replace(dataset, preprocessing=replace(dataset.preprocessing, scale=2.0)), split),
    ]
    assert len({data.lock, *changed}) == 6


def test_a_sample_changed_in_memory_is_found():
    data = locked(feature_table())
    verify(data)
    data.dataset.x[0, 0] += 1
    with pytest.raises(LockChangedError, match="samples changed in memory"):
        verify(data)


def test_a_label_changed_in_memory_is_found():
    data = locked(feature_table())
    data.dataset.labels_NL[0, 0] ^= 1
    with pytest.raises(LockChangedError, match="labels, the split or the preprocessing changed"):
        verify(data)


def test_byte_order_in_memory_does_not_matter():
    x = np.arange(6, dtype="<f4").reshape(2, 3)
    assert (hash_rows(x) == hash_rows(x.astype(">f4"))).all()
    assert (hash_rows(x)[0] != hash_rows(x)[1]).any()


def test_a_memory_map_is_hashed_like_an_array(tmp_path):
    table = feature_table()
    table.x.tofile(tmp_path / "x")
    mapped = replace(table, x=np.memmap(tmp_path / "x", np.float32, "r", shape=table.x.shape))
    assert (locked(mapped).lock, locked(mapped).content) == (locked(table).lock, locked(table).content)
    verify(locked(mapped))


def test_the_layout_of_a_lock_stays_what_it_is():
    """A lock written by an earlier version must be found again: a change of layout bumps the number in its head."""
    x = (np.arange(60, dtype=np.float32) / 8).reshape(30, 2)
    labels_NL = np.stack([np.arange(30) % 2, np.arange(30) % 3 == 0], axis=1).astype(np.int8)
    given_split = (np.arange(30) % 4).astype(np.int8)
    table = feature_table(samples=30, x=x, labels_NL=labels_NL, label_names=("odd", "third"), given_split=given_split)
    assert locked(table).lock == GOLDEN
