from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making import feature_table
from tagfit.data.dataset import build
from tagfit.data.split import iterative_stratification, parse_shares, split
from tagfit.errors import DataError
from tagfit.records import PARTS, UNKNOWN


def shuffled(table, seed=1):
    order = np.random.default_rng(seed).permutation(len(table))
    return order, replace(
        table,
        x=table.x[order],
        labels_NL=table.labels_NL[order],
        sample_names=tuple(table.sample_names[row] for row in order),
    )


def test_seventy_fifteen_fifteen_unless_given():
    counts = split(build(feature_table(samples=200))).counts
    assert counts == {"train": 140, "val": 30, "calibrate": 0, "test": 30}


def test_file_order_does_not_matter_and_the_split_seed_does():
    table = feature_table(samples=200)
    order, other = shuffled(table)
    here, there = split(build(table)).parts, split(build(other)).parts
    assert (here[order] == there).all()
    assert (split(build(table), seed=1).parts != here).any()


def test_every_label_is_spread_by_the_shares():
    rng = np.random.default_rng(0)
    labels_NL = (rng.random((2000, 12)) < np.linspace(0.02, 0.5, 12)).astype(np.int8)
    dealt = iterative_stratification(labels_NL, [0.7, 0.15, 0.15])
    for part, share in enumerate((0.7, 0.15, 0.15)):
        wanted = labels_NL.sum(axis=0) * share
        assert (np.abs(labels_NL[dealt == part].sum(axis=0) - wanted) <= 1 + 0.05 * wanted).all()
        assert abs((dealt == part).sum() - 2000 * share) <= 12


def test_stratification_beats_chance_on_rare_labels():
    rng = np.random.default_rng(0)
    labels_NL = (rng.random((600, 40)) < 0.015).astype(np.int8)
    wanted = labels_NL.sum(axis=0) * 0.15

    def off(dealt):
        return np.abs(labels_NL[dealt == 1].sum(axis=0) - wanted).mean()

    by_chance = [off(rng.choice(2, size=600, p=[0.85, 0.15])) for _ in range(20)]
    assert off(iterative_stratification(labels_NL, [0.85, 0.15])) < 0.5 * np.mean(by_chance)


@given(
    st.integers(1, 60),
    st.integers(1, 6),
    st.floats(0, 1),
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.integers(0, 99),
)
def test_everybody_is_dealt_once_and_part_sizes_hold(samples, labels, density, weights, seed):
    labels_NL = (np.random.default_rng(seed).random((samples, labels)) < density).astype(np.int8)
    shares = np.array(weights) / sum(weights)
    dealt = iterative_stratification(labels_NL, shares.tolist())
    assert ((dealt >= 0) & (dealt < len(shares))).all()
    if density == 0:
        assert (np.abs(np.bincount(dealt, minlength=len(shares)) - samples * shares) <= 1).all()


def test_unknown_cells_do_not_pull():
    labels_NL = np.array([[1, UNKNOWN], [1, UNKNOWN], [0, UNKNOWN], [0, UNKNOWN]], dtype=np.int8)
    without = iterative_stratification(labels_NL[:, :1], [0.5, 0.5])
    assert (iterative_stratification(labels_NL, [0.5, 0.5]) == without).all()


def test_byte_identical_samples_stay_together():
    table = feature_table(samples=150)
    x = table.x.copy()
    x[75:] = x[:75]
    parts = split(build(replace(table, x=x))).parts
    assert (parts[:75] == parts[75:]).all()


def test_copies_that_disagree_do_not_bring_file_order_in():
    table = feature_table(samples=150)
    x = table.x.copy()
    x[75:] = x[:75]
    table = replace(table, x=x)
    order, other = shuffled(table)
    assert (split(build(table)).parts[order] == split(build(other)).parts).all()


def test_copies_across_a_persons_split_are_told():
    x = feature_table().x.copy()
    x[1] = x[0]
    given_split = np.array([0, 1] * 60, dtype=np.int8)
    assert any("byte-identical" in note for note in split(build(feature_table(x=x, given_split=given_split))).notes)


@pytest.mark.parametrize("part", [0, 1])
def test_a_part_without_any_known_label_is_refused(part):
    table = feature_table(given_split=np.array([0, 1] * 60, dtype=np.int8))
    labels_NL = table.labels_NL.copy()
    labels_NL[part::2] = UNKNOWN
    with pytest.raises(DataError, match="no known label"):
        split(build(replace(table, labels_NL=labels_NL)))


def test_a_persons_split_is_kept_to_the_row():
    given_split = np.random.default_rng(0).choice([0, 1, 3], size=120).astype(np.int8)
    dealt = split(build(feature_table(given_split=given_split)))
    assert (dealt.parts == given_split).all()
    assert dealt.notes == ("The split is the data's own.",)


def test_a_missing_val_is_taken_from_train_and_said():
    given_split = np.array([0] * 100 + [3] * 20, dtype=np.int8)
    dealt = split(build(feature_table(given_split=given_split)))
    assert dealt.counts == {"train": 85, "val": 15, "calibrate": 0, "test": 20}
    assert (dealt.parts[100:] == PARTS.index("test")).all()
    assert any("became val" in note for note in dealt.notes)


def test_a_missing_test_is_not_invented_and_said():
    given_split = np.array([0] * 100 + [1] * 20, dtype=np.int8)
    dealt = split(build(feature_table(given_split=given_split)))
    assert dealt.counts["test"] == 0
    assert any("none was invented" in note for note in dealt.notes)


def test_shares_beside_a_persons_split_are_refused():
    dataset = build(feature_table(given_split=np.zeros(120, dtype=np.int8)))
    with pytest.raises(DataError, match="brings its own split"):
        split(dataset, shares={"train": 0.8, "val": 0.2})


def test_too_few_samples_for_a_val_part():
    with pytest.raises(DataError, match="val part is empty"):
        split(build(feature_table(samples=1)))


@pytest.mark.parametrize("text", ["70/15", "a/b", "100", "50/50/50", "", "40/20/20/20", "-10/110"])
def test_shares_that_make_no_sense(text):
    with pytest.raises(DataError):
        split(build(feature_table()), shares=parse_shares(text))


def test_shares_as_people_write_them():
    assert parse_shares("70/15/15") == {"train": 0.7, "val": 0.15, "test": 0.15}
    assert split(build(feature_table(samples=100)), shares=parse_shares("80/20")).counts["test"] == 0
