import numpy as np
import pytest

from making import scenes
from tagfit.images.neighbours import Series, runs_of_neighbours

ONE_LABEL = np.ones((80, 1), dtype=np.int8)
NAMES = [f"images/beach{number:02}.jpg" for number in range(80)]


def drifting(count=80):
    """Images whose light changes slowly from one to the next."""
    return np.clip(scenes(count) * 0.4 + 1.8 * np.arange(count)[:, None, None, None], 0, 255).astype(np.uint8)


def test_neighbours_are_of_one_folder_and_stem():
    series = Series.of(["a/x1.jpg", "a/x2.png", "b/x3.jpg", "a/y3.jpg", "a/x9.jpg", "a/none.jpg", "a/x3_small.jpg"])
    assert series.neighbours().tolist() == [[0, 1]]
    assert (series.series >= 0).tolist() == [True, True, True, True, True, False, True]


def test_digits_of_the_ending_and_of_folders_are_not_file_numbers():
    series = Series.of(["2024/a.jp2", "2025/a.jp2", "row 17", "row 18"])
    assert series.neighbours().tolist() == [[2, 3]]


def test_blocks_are_of_ten_numbers_wherever_the_files_begin():
    blocks = Series.of(["x8.jpg", "x9.jpg", "x10.jpg", "x19.jpg", "y9.jpg", "none.jpg"]).blocks()
    assert blocks[0] == blocks[1] != blocks[2] == blocks[3]
    assert blocks[4] not in {blocks[0], blocks[2]}
    assert blocks[5] == -1


def test_capture_times_come_before_file_numbers():
    times = ["2024-05-01T10:00:00", "2024-05-01T10:00:30", "2024-05-01T11:00:00", "", "nonsense"]
    series = Series.of(["x1.jpg", "x9.jpg", "x2.jpg", "x3.jpg", "x4.jpg"], times)
    assert series.by == "capture times"
    assert series.neighbours().tolist() == [[0, 1]]
    blocks = series.blocks()
    assert blocks[0] == blocks[1] != blocks[2]
    assert blocks[3:].tolist() == [-1, -1]


def test_a_long_burst_is_cut_into_blocks_of_ten_the_same_for_any_order():
    names = [f"x{number}.jpg" for number in range(25)]
    blocks = Series.of(names, ["2024-05-01T10:00:00+02:00"] * 25).blocks()
    assert np.bincount(blocks).tolist() == [10, 10, 5]
    turned = Series.of(names[::-1], ["2024-05-01T10:00:00+02:00"] * 25).blocks()
    assert (turned[::-1] == blocks).all()


def test_neighbours_that_are_alike_are_found():
    neighbours = runs_of_neighbours(drifting(), ONE_LABEL, Series.of(NAMES))
    assert neighbours.telling
    assert neighbours.alike > 0.7
    assert neighbours.p_value == pytest.approx(1 / 200)
    assert len(neighbours.pairs) == 79


def test_neighbours_that_are_not_are_not():
    neighbours = runs_of_neighbours(scenes(80), ONE_LABEL, Series.of(NAMES))
    assert not neighbours.telling
    assert neighbours.alike == pytest.approx(0.5, abs=0.1)


def test_files_in_the_order_of_their_labels_are_no_sign():
    """Bright ones first, dark ones last: neighbours are alike because of what they show."""
    x, labels_NL = scenes(80), np.zeros((80, 1), dtype=np.int8)
    x[:40] //= 3
    labels_NL[:40] = 1
    assert not runs_of_neighbours(x, labels_NL, Series.of(NAMES)).telling


def test_too_few_say_nothing():
    assert runs_of_neighbours(scenes(12), ONE_LABEL[:12], Series.of(NAMES[:12])) is None
    assert runs_of_neighbours(scenes(40), ONE_LABEL[:40], Series.of(["x"] * 40)) is None


def test_file_order_does_not_matter():
    order = np.random.default_rng(0).permutation(80)
    here = runs_of_neighbours(drifting(), ONE_LABEL, Series.of(NAMES))
    there = runs_of_neighbours(drifting()[order], ONE_LABEL, Series.of([NAMES[row] for row in order]))
    assert (here.alike, here.p_value) == pytest.approx((there.alike, there.p_value))
    assert {frozenset(order[pair].tolist()) for pair in there.pairs} == {frozenset(p) for p in here.pairs.tolist()}
