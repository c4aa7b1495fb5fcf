import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from making import feature_table, scenes
from tagfit.api import load
from tagfit.data.dataset import CAPTURE_TIME, build
from tagfit.data.split import parse_shares, split
from tagfit.data.stratification import iterative_stratification
from tagfit.errors import DataError
from tagfit.records.data import PARTS, UNKNOWN


def shuffled(table, seed=1):
    order = np.random.default_rng(seed).permutation(len(table))
    return order, replace(
        table,
        x=table.x[order],
        labels_NL=table.labels_NL[order],
        sample_names=tuple(table.sample_names[row] for row in order),
        metadata={name: tuple(cells[row] for row in order) for name, cells in table.metadata.items()},
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


class TestCalibrate:
    def test_it_is_carved_out_of_train(self):
        parts = split(build(feature_table(samples=400)), calibrate=True)
        assert parts.counts == {"train": 238, "val": 60, "calibrate": 42, "test": 60}

    def test_calibrate_has_its_share_of_labels_that_one_sample_has(self):
        """Stratification gives train all of them."""
        alone_NL = np.eye(400, dtype=np.int8)[:, :200]
        parts = split(build(feature_table(samples=400, labels=200, labels_NL=alone_NL)), calibrate=True)
        assert 15 <= alone_NL[parts.rows("calibrate")].sum() <= 27

    def test_calibrate_holds_whole_groups(self):
        groups = [str(row // 5) for row in range(400)]
        parts = split(build(feature_table(samples=400)), calibrate=True, groups=groups)
        assert (parts.parts.reshape(-1, 5) == parts.parts.reshape(-1, 5)[:, :1]).all()
        assert 35 <= parts.counts["calibrate"] <= 50

    def test_of_a_persons_split_it_is_train_that_gives(self):
        own = np.array([0, 0, 0, 1, 3] * 40, dtype=np.int8)
        dealt = split(build(feature_table(samples=200, given_split=own)), calibrate=True)
        assert dealt.counts == {"train": 102, "val": 40, "calibrate": 18, "test": 40}
        assert (dealt.parts[own == 1] == 1).all()
        assert any("15% of train, 18 samples, became calibrate" in note for note in dealt.notes)

    def test_a_persons_own_is_kept(self):
        own = np.array([0, 0, 1, 2, 3] * 40, dtype=np.int8)
        assert (split(build(feature_table(samples=200, given_split=own)), calibrate=True).parts == own).all()

    def test_shares_may_name_it(self):
        shares = parse_shares("50/20/20/10")
        dealt = split(build(feature_table(samples=200)), shares=shares, calibrate=True)
        assert list(dealt.counts.values()) == pytest.approx([100, 40, 40, 20], abs=2)


class TestFolds:
    def test_everybody_is_in_one_and_they_are_equal(self):
        dealt = split(build(feature_table(samples=203)), folds=5)
        assert sorted(np.bincount(dealt.folds)) == [40, 40, 41, 41, 41]
        assert dealt.counts == {"train": 203, "val": 0, "calibrate": 0, "test": 0}

    def test_a_persons_test_part_stays_apart(self):
        own = np.array([0, 0, 0, 1, 3] * 40, dtype=np.int8)
        dealt = split(build(feature_table(samples=200, given_split=own)), folds=4)
        assert (dealt.folds[own == 3] == -1).all()
        assert (np.bincount(dealt.folds[own != 3]) == 40).all()

    def test_a_group_lies_in_one(self):
        table = feature_table(samples=150)
        x = table.x.copy()
        x[75:] = x[:75]
        dealt = split(build(replace(table, x=x)), folds=3)
        assert (dealt.folds[:75] == dealt.folds[75:]).all()

    def test_file_order_does_not_matter(self):
        table = feature_table(samples=200)
        order, other = shuffled(table)
        assert (split(build(table), folds=5).folds[order] == split(build(other), folds=5).folds).all()

    @pytest.mark.parametrize(
        ("folds", "shares", "message"),
        [
            (1, None, "from 2 to 20; got 1"),
            (21, None, "got 21"),
            (5, {"train": 0.8, "val": 0.2}, "you cannot give shares"),
        ],
    )
    def test_what_makes_no_sense(self, folds, shares, message):
        with pytest.raises(DataError, match=message):
            split(build(feature_table()), folds=folds, shares=shares)

    def test_fewer_samples_than_folds(self):
        with pytest.raises(DataError, match="6 groups, which cannot fill 7 folds"):
            split(build(feature_table(samples=6)), folds=7)


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
    assert any("no test part" in note for note in dealt.notes)


def test_shares_beside_a_persons_split_are_refused():
    dataset = build(feature_table(given_split=np.zeros(120, dtype=np.int8)))
    with pytest.raises(DataError, match="has its own split"):
        split(dataset, shares={"train": 0.8, "val": 0.2})


def test_too_few_samples_for_a_val_part():
    with pytest.raises(DataError, match="val part is empty"):
        split(build(feature_table(samples=1)))


@pytest.mark.parametrize("text", ["70/15", "a/b", "100", "50/50/50", "", "40/20/20/10/10", "40/20/20/30", "-10/110"])
def test_shares_that_make_no_sense(text):
    with pytest.raises(DataError):
        split(build(feature_table()), shares=parse_shares(text))


def test_shares_as_people_write_them():
    assert parse_shares("70/15/15") == {"train": 0.7, "val": 0.15, "test": 0.15}
    assert split(build(feature_table(samples=100)), shares=parse_shares("80/20")).counts["test"] == 0


@given(
    st.lists(st.integers(1, 12), min_size=3, max_size=40),
    st.integers(1, 5),
    st.floats(0, 1),
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_no_group_is_divided_and_shares_hold_within_a_group(sizes, labels, density, weights, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    labels_NL = (rng.random((len(groups), labels)) < density).astype(np.int8)
    shares = np.array(weights) / sum(weights)
    dealt = iterative_stratification(labels_NL, shares.tolist(), groups)
    counts = np.bincount(dealt, minlength=len(shares))
    assert all(len(set(dealt[groups == group])) == 1 for group in range(len(sizes)))
    assert (counts > 0).all() or max(sizes) == 1
    if density == 0 and len(sizes) > 3 * len(shares):
        assert (np.abs(counts - len(groups) * shares) <= max(sizes)).all()


@pytest.mark.parametrize("size", [2, 5, 10])
def test_groups_do_not_cost_the_spread_of_labels_or_the_shares(size):
    rng = np.random.default_rng(0)
    labels_NL = (rng.random((2000, 8)) < np.linspace(0.05, 0.5, 8)).astype(np.int8)
    dealt = iterative_stratification(labels_NL, [0.7, 0.15, 0.15], np.arange(2000) // size)
    for part, share in enumerate((0.7, 0.15, 0.15)):
        wanted = labels_NL.sum(axis=0) * share
        assert (np.abs(labels_NL[dealt == part].sum(axis=0) - wanted) <= size + 0.1 * wanted).all()
        assert abs((dealt == part).sum() - 2000 * share) <= 20


def camera_table(cells, samples=120, **changes):
    return feature_table(samples=samples, metadata={"camera": tuple(cells)}, **changes)


@given(st.integers(0, 999))
@settings(max_examples=15)
def test_groups_of_a_column_are_kept_whatever_the_order_of_the_file(seed):
    cells = [str(number) for number in np.random.default_rng(seed).integers(0, 25, size=120)]
    table = camera_table(cells)
    order, other = shuffled(table, seed)
    here, there = (split(build(one), groups="camera").parts for one in (table, other))
    assert (here[order] == there).all()
    assert all(len({int(part) for part, cell in zip(here, cells, strict=True) if cell == one}) == 1 for one in cells)


@pytest.mark.parametrize("kind", [list, np.array, "Series", "categorical"])
def test_groups_as_an_array(kind):
    table = feature_table(samples=60)
    values = np.random.default_rng(0).integers(0, 20, 60)
    if isinstance(kind, str):
        pd = pytest.importorskip("pandas")
        given = pd.Series(values, dtype="category" if kind == "categorical" else "Int64")
    else:
        given = kind(values)
    found = load(table.x, table.labels_NL, groups=given)
    assert all(len(set(found.split.parts[values == value])) <= 1 for value in range(20))
    assert f"The {len(set(values))} groups that you gave were kept together." in found.split.notes
    in_texts = load(table.x, table.labels_NL, groups=[f"g{value:02}" for value in values])
    assert (in_texts.split.groups == found.split.groups).all()


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (range(59), "groups has 59 values for 60 samples"),
        (np.zeros((60, 2)), "groups must be a text, or one value a sample"),
        ([1] * 60, "groups has the same value for all 60 samples"),
        ([None, float("nan")] * 30, "groups is empty in all 60 samples"),
        ({1: 2}, "one value a sample"),
        (7, "one value a sample"),
    ],
)
def test_groups_that_group_nothing(groups, expected):
    table = feature_table(samples=60)
    with pytest.raises(DataError, match=expected):
        load(table.x, table.labels_NL, groups=groups)


def visits(samples=120, visits_each=4):
    patients = tuple(f"p{row // visits_each}" for row in range(samples))
    return build(feature_table(samples=samples, metadata={"patient": patients, "age": ("40",) * samples}))


def test_a_column_that_may_group_is_asked_about():
    """Before anything is trained; the column 'age' has one value, so it is none of those."""
    (question,) = split(visits()).questions
    assert "values of 'patient' that recur lie in more than one part" in question
    assert "--groups patient keeps them together" in question
    assert question in split(visits()).notes
    folded = split(visits(), folds=3)
    assert len(folded.questions) == 1


@pytest.mark.parametrize("groups", ["patient", "auto", "none"])
def test_who_says_how_to_group_is_not_asked(groups):
    dealt = split(visits(), groups=groups)
    assert (dealt.questions, dealt.grouped_by) == ((), groups)


def test_values_that_nearly_all_samples_share_are_no_groups():
    assert split(visits(visits_each=40)).questions == ()
    assert split(visits(visits_each=1)).questions == ()


def test_data_of_a_file_whose_groups_are_in_memory(tmp_path):
    table = feature_table(samples=60)
    np.savez(tmp_path / "rows.npz", X=table.x, y=table.labels_NL)
    assert load(tmp_path / "rows.npz", groups=[number // 2 for number in range(60)]).source is None
    assert load(tmp_path / "rows.npz").source is not None


def test_rows_of_one_each_are_dealt_as_if_there_were_no_groups():
    table = camera_table(map(str, range(120)))
    assert (split(build(table), groups="camera").parts == split(build(table), groups="none").parts).all()


def test_a_sample_without_a_value_is_a_group_of_its_own_and_said():
    dealt = split(build(camera_table(["a", "b", "c", "d"] * 20 + [""] * 40)), groups="camera")
    assert dealt.notes[0] == (
        "The 4 groups of the column 'camera' were kept together. 40 samples without a value there are groups of "
        "their own."
    )
    assert len(set(dealt.parts[80:])) == 3


def test_groups_larger_than_a_share_are_dealt_and_what_came_of_it_is_said():
    dealt = split(build(camera_table(["a"] * 40 + ["b"] * 40 + ["c"] * 40)), groups="camera")
    assert dealt.counts == {"train": 40, "val": 40, "calibrate": 0, "test": 40}
    assert "The groups are too large for train/val/test 70%/15%/15%: the shares are 33%/33%/33%." in dealt.notes


@pytest.mark.parametrize(
    ("cells", "by", "expected"),
    [
        (["a"] * 120, "camera", "has the same value for all 120 samples"),
        ([""] * 120, "camera", "is empty in all 120"),
        (["a", "b"] * 60, "camera", "2 groups, which cannot fill the 3 parts"),
        (["a", "b"] * 60, "camara", "Did you mean 'camera'"),
        (["a", "b"] * 60, "blocks", "these are feature rows"),
    ],
)
def test_groups_that_make_no_sense(cells, by, expected):
    with pytest.raises(DataError, match=expected):
        split(build(camera_table(cells)), groups=by)


def test_a_column_of_data_that_has_none():
    with pytest.raises(DataError, match="has no further column"):
        split(build(feature_table()), groups="camera")


def test_under_a_persons_split_shares_are_refused():
    dataset = build(feature_table(given_split=np.array([0, 0, 1] * 40, dtype=np.int8)))
    with pytest.raises(DataError) as caught:
        split(dataset, shares={"train": 0.8, "val": 0.2}, groups="auto")
    assert len(caught.value.faults) == 1
    assert "--split" in caught.value.todo


@pytest.mark.parametrize(("size", "said"), [(40, "none is parted"), (30, "2 of them lie in more than one part")])
def test_under_a_persons_split_groups_move_nothing_but_are_what_intervals_go_by(size, said):
    given_split = np.repeat(np.array([0, 1, 3], dtype=np.int8), 40)
    cells = [str(number // size) for number in range(120)]
    dealt = split(build(camera_table(cells, given_split=given_split)), groups="camera")
    assert (dealt.parts == given_split).all()
    assert len(np.unique(dealt.groups)) == 120 // size
    assert any("intervals go by them" in note and said in note for note in dealt.notes)


def test_a_val_part_taken_from_train_keeps_groups_together():
    given_split = np.array([0] * 100 + [3] * 20, dtype=np.int8)
    cells = [str(number // 5) for number in range(120)]
    parts = split(build(camera_table(cells, given_split=given_split)), groups="camera").parts
    assert (parts[100:] == PARTS.index("test")).all()
    assert (parts == PARTS.index("val")).sum() == 15
    assert all(len(set(parts[row : row + 5])) == 1 for row in range(0, 100, 5))


class TestImages:
    """Two of the 60 images in five are an image and its darker copy."""

    def table(self, **changes):
        x = scenes(60)
        x[1:24:2] = x[0:24:2] * 0.9
        names = tuple(f"shot{number}.jpg" for number in range(60))
        return feature_table(samples=60, x=x, sample_names=names, **changes)

    def test_near_copies_are_kept_together_and_counted(self):
        dealt = split(build(self.table()))
        assert (dealt.parts[0:24:2] == dealt.parts[1:24:2]).all()
        assert dealt.notes == ("24 near-copies in 12 groups were kept together.",)

    def test_none_keeps_only_identical_ones_and_says_what_that_does(self):
        dealt = split(build(self.table()), groups="none")
        assert (dealt.parts[0:24:2] != dealt.parts[1:24:2]).any()
        assert any("are near-copies of one in it" in note for note in dealt.notes)

    def test_blocks_keep_ten_numbers_together(self):
        parts = split(build(self.table()), groups="blocks").parts
        assert all(len(set(parts[row : row + 10])) == 1 for row in range(0, 60, 10))

    def test_blocks_need_something_to_go_by(self):
        table = self.table(metadata={})
        table = replace(table, sample_names=tuple("ab" * (row + 1) for row in range(60)))
        with pytest.raises(DataError, match="no block can be made"):
            split(build(table), groups="blocks")

    def test_near_copies_across_a_persons_split_are_told(self):
        notes = split(build(self.table(given_split=np.array([0, 1] * 30, dtype=np.int8)))).notes
        assert notes[-1] == "12 samples outside train are near-copies of one in it, so their scores are too high."

    def test_neighbours_that_are_alike_are_told_where_they_are_parted(self):
        x = scenes(60)
        x = np.clip(x * 0.5 + 2.0 * np.arange(60)[:, None, None, None], 0, 255).astype(np.uint8)
        labels_NL = np.ones((60, 1), dtype=np.int8)
        labels_NL[50:] = 0
        table = replace(self.table(), x=x, labels_NL=labels_NL, label_names=("here",))
        dealt = split(build(table))
        assert any("neighbouring file numbers are more alike than chance" in note for note in dealt.notes)
        assert not any("more alike" in note for note in split(build(table), groups="blocks").notes)

    def test_where_a_block_ends_it_says_how_many_samples_are_beside_train(self):
        """One drift over all numbers: each block that is parted from the next has a neighbour in train."""
        x = np.clip(scenes(60) * 0.5 + 2.0 * np.arange(60)[:, None, None, None], 0, 255).astype(np.uint8)
        table = replace(self.table(), x=x, labels_NL=np.ones((60, 1), dtype=np.int8), label_names=("here",))
        dealt = split(build(table), groups="blocks")
        train = dealt.parts == 0
        beside = [row for row in np.flatnonzero(~train) if train[max(row - 1, 0) : row + 2].any()]
        near = [row for row in np.flatnonzero(~train) if train[max(row - 2, 0) : row + 3].any()]
        (note,) = [note for note in dealt.notes if "Blocks end where a burst may go on" in note]
        share = int(re.search(r"(\d+)%", note)[1]) / 100
        assert len(beside) / (~train).sum() - 0.01 <= share <= len(near) / (~train).sum() + 0.01

    @pytest.mark.parametrize("by", ["auto", "blocks"])
    def test_file_order_does_not_matter(self, by):
        table = self.table()
        order, other = shuffled(table)
        here, there = (split(build(one), groups=by) for one in (table, other))
        assert (here.parts[order] == there.parts).all()
        assert here.notes == there.notes

    def test_capture_times_say_what_a_block_is_where_there_are_any(self):
        times = tuple(f"2024-05-01T{row % 6:02}:00:{row // 6:02}" for row in range(60))
        dealt = split(build(self.table(metadata={CAPTURE_TIME: times})), groups="blocks")
        assert "6 blocks of up to 10 neighbouring capture times were kept together." in dealt.notes


def test_no_part_is_empty_where_every_label_is_rare():
    labels_NL = np.repeat(np.eye(6, dtype=np.int8), 2, axis=0)
    assert set(iterative_stratification(labels_NL, [0.7, 0.15, 0.15])) == {0, 1, 2}
