"""Leakage: planted copies, groups and runs are found; a split without them is left in peace."""

from dataclasses import replace

import numpy as np
import pytest

from making import PROVE, feature_table, locked, looked_at, scenes, tell_power
from tagfit.data.dataset import build
from tagfit.data.groups import likeness
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.diagnosis.checks.leakage import leakage
from tagfit.records.data import LabelTable, Likeness, Neighbours, Split


def rows_with_copies(copies, seed=0, samples=300):
    """Rows under their own split, with so many rows of train once more in val."""
    table = feature_table(samples=samples, seed=seed)
    parts = np.repeat([0, 1], [samples - samples // 3, samples // 3]).astype(np.int8)
    x, labels_NL = table.x.copy(), table.labels_NL.copy()
    x[samples - copies :], labels_NL[samples - copies :] = x[:copies], labels_NL[:copies]
    return locked(replace(table, x=x, labels_NL=labels_NL, given_split=parts))


@pytest.mark.parametrize("copies", [1, 5, 50])
def test_copies_on_both_sides_are_counted_and_named(copies):
    (finding,) = leakage(looked_at(rows_with_copies(copies)))
    assert finding.strength == copies / 100
    assert finding.names == tuple(f"row {number}" for number in range(301 - copies, 301))
    assert "byte-identical" in finding.seen


def test_folds_that_part_near_copies_are_found():
    data = locked(feature_table(samples=100))
    folds = (np.arange(100) % 2).astype(np.int8)
    known = Likeness(near_copies=(np.array([0, 1]), np.array([2, 4])))
    parted = replace(data, split=Split(np.zeros(100, dtype=np.int8), likeness=known, folds=folds))
    (finding,) = leakage(looked_at(parted))
    assert finding.names == ("row 1", "row 2")


def test_copies_on_one_side_leak_nothing_but_count_twice():
    data = locked(feature_table(samples=100))
    train = data.split.rows("train")
    known = Likeness(near_copies=(train[:3],))
    (finding,) = leakage(looked_at(replace(data, split=replace(data.split, likeness=known))))
    assert finding.meaning.startswith("These copies leak nothing")
    assert finding.strength < 0.02


def shots(alike, seed=0, places=60, shots=3, name="place{place}_{shot}.png"):
    """Images of places, several of each, that share a tint; labels know nothing of places."""
    rng = np.random.default_rng(seed)
    x = rng.integers(100, 156, size=(places * shots, 4, 4, 3)).astype(np.int64)
    x += np.repeat(rng.normal(0, alike, size=(places, 1, 1, 3)).astype(np.int64), shots, axis=0)
    order = rng.permutation(places)
    table = LabelTable(
        name="shots",
        label_names=("a", "b"),
        labels_NL=rng.integers(0, 2, size=(places * shots, 2), dtype=np.int8),
        sample_names=tuple(name.format(place=order[row // shots] * 7, shot=row % shots) for row in range(len(x))),
        x=np.clip(x, 0, 255).astype(np.uint8),
        metadata={"place": tuple(str(row // shots) for row in range(len(x)))},
    )
    return build(table)


def dealt(dataset, groups, **changes):
    dataset = replace(dataset, **changes)
    return lock(dataset, split(dataset, groups=groups))


@pytest.mark.parametrize(("alike", "least"), [(4, 0.5), (15, 1.0)])
def test_groups_of_a_column_on_both_sides_are_found_and_kept_together_they_are_not(alike, least):
    draws = 40 if PROVE else 4
    hits = []
    for seed in range(draws):
        dataset = shots(alike, seed, name="{place}{shot}.png")
        found = leakage(looked_at(dealt(dataset, "none")))
        hits.append(any("the column 'place'" in f.seen and "--groups place" in f.todo for f in found))
        assert not [f for f in leakage(looked_at(dealt(dataset, "place"))) if "the column" in f.seen]
    tell_power("groups on both sides", "leakage", alike, hits)
    assert np.mean(hits) >= least


def test_the_beginnings_of_file_names_may_be_groups():
    dataset = shots(15)
    data = dealt(dataset, "none", files=(b"",) * len(dataset), metadata={})
    assert any("beginning of a file name" in finding.seen for finding in leakage(looked_at(data)))


def test_images_that_have_nothing_to_do_with_each_other_raise_at_most_one_alarm_in_twenty():
    draws = 100 if PROVE else 20
    alarms = sum(bool(leakage(looked_at(dealt(shots(0, seed), "none")))) for seed in range(draws))
    tell_power("clean", "leakage", 0, [False] * (draws - alarms) + [True] * alarms)
    assert alarms <= draws / 20


def runs(sense, seed=0, samples=300):
    """Images of ten a place: the colours of a place say its labels, or are no more than its own."""
    rng = np.random.default_rng(seed)
    place, other = np.repeat(rng.normal(size=(2, samples // 10, 3)), 10, axis=1)
    labels_NL = ((place if sense else other) > 0).astype(np.int8)
    x = 128 + 40 * place[:, None, None] + rng.normal(0, 5, size=(samples, 8, 8, 3))
    names = tuple(f"tile{number:03}.png" for number in range(samples))
    table = LabelTable("tiles", ("a", "b", "c"), labels_NL, names, x=np.clip(x, 0, 255).astype(np.uint8))
    return build(table)


def test_runs_of_neighbours_are_told_with_what_blocks_would_score():
    dataset = runs(sense=False)
    data = dealt(dataset, "none")
    (told,) = [f for f in leakage(looked_at(data, train=True)) if "neighbouring" in f.seen]
    assert "folds of whole blocks" in told.seen
    assert told.interval.low > 0
    assert "--groups blocks" in told.todo
    (quick,) = [f for f in leakage(looked_at(data)) if "neighbouring" in f.seen]
    assert "folds of whole blocks" not in quick.seen
    assert not [f for f in leakage(looked_at(dealt(dataset, "blocks"))) if "neighbouring" in f.seen]


def test_blocks_that_are_told_by_what_is_seen_lose_nothing():
    (told,) = [f for f in leakage(looked_at(dealt(runs(sense=True), "none"), train=True)) if "neighbouring" in f.seen]
    assert told.strength < 0.1


def test_test_is_not_trained_on():
    data = dealt(runs(sense=False), "none")
    asked = []

    def train(fittings):
        asked.extend(fittings)
        return [np.full((len(fitting.ask), 3), 0.5, dtype=np.float32) for fitting in fittings]

    leakage(replace(looked_at(data), train=train))
    used = np.unique(np.concatenate([np.r_[fitting.rows, fitting.ask] for fitting in asked]))
    np.testing.assert_array_equal(used, np.setdiff1d(np.arange(300), data.split.rows("test")))


def test_near_copies_among_images_are_what_the_split_knows_of():
    x = scenes(12)
    x[11] = np.clip(x[0].astype(np.int64) + 4, 0, 255)
    table = LabelTable("pairs", ("a",), (np.arange(12) % 2)[:, None].astype(np.int8), tuple("abcdefghijkl"), x=x)
    dataset = build(table)
    parts = np.array([0] * 8 + [1] * 4, dtype=np.int8)
    data = lock(dataset, Split(parts, likeness=likeness(dataset)))
    (finding,) = leakage(looked_at(data))
    assert finding.names == ("l",)
    assert isinstance(data.split.likeness.neighbours, Neighbours | None)
