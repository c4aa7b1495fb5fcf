import numpy as np

from tagfit.metrics.intervals import Answers
from tagfit.runs.gallery import GROUPS, IN_GROUP, SUSPECTS, WORST, near_copies, shown, suspects, worst
from tagfit.runs.predictions import SavedPredictions


def predictions(labels_NL, scores_NL, **changes):
    n = len(labels_NL)
    saved = {"val": Answers(labels_NL, scores_NL.astype(np.float32), scores_NL > 0.5)}
    names = {"val": tuple(map(str, range(n))), "train": tuple(map(str, range(n)))}
    return SavedPredictions(names, {"val": np.arange(n)}, {"after": saved}, **changes)


def clean(n=200, seed=0):
    """Labels, and scores that are right about all of them, more or less surely."""
    rng = np.random.default_rng(seed)
    labels_NL = (rng.random((n, 3)) < 0.4).astype(np.int8)
    return labels_NL, np.where(labels_NL == 1, rng.uniform(0.6, 0.99, (n, 3)), rng.uniform(0.01, 0.4, (n, 3)))


def test_planted_errors_are_the_suspects():
    labels_NL, scores_NL = clean()
    cells = [(3, 0), (50, 1), (120, 2), (121, 2)]
    for row, label in cells:
        scores_NL[row, label] = 0.97 if labels_NL[row, label] else 0.02
        labels_NL[row, label] = 1 - labels_NL[row, label]
    found = suspects(predictions(labels_NL, scores_NL))
    assert sorted((one.place[1], one.number) for one in found) == cells
    assert all(one.given == bool(labels_NL[one.place[1], one.number]) for one in found)
    assert {row for _, row in worst(predictions(labels_NL, scores_NL))} == {row for row, _ in cells}


def test_what_is_all_right_shows_nothing():
    assert shown(predictions(*clean())) == []


def test_a_label_that_the_model_ranks_upside_down_is_no_witness():
    labels_NL, scores_NL = clean()
    assert {
        one.number for one in suspects(predictions(labels_NL, np.where([1, 0, 0], 1 - scores_NL, scores_NL)))
    } == set()


def test_no_more_than_a_page_can_hold():
    labels_NL, scores_NL = clean(2000)
    scores_NL[::2] = 1 - scores_NL[::2]
    scores_NL[:, 0] = np.where(labels_NL[:, 0], 0.6, 0.4)
    groups = tuple((("val", 2 * row), ("val", 2 * row + 1)) for row in range(100))
    saved = predictions(labels_NL, scores_NL, near_copies=groups)
    assert (len(worst(saved)), len(near_copies(saved))) == (WORST, GROUPS)
    assert len(suspects(saved)) <= SUSPECTS
    assert len(shown(saved)) <= WORST + SUSPECTS + GROUPS * IN_GROUP <= 64


def test_copies_in_several_parts_come_first_and_one_of_each_part():
    alike = (("val", 0), ("val", 1))
    parted = (("val", 2), ("val", 3), ("val", 4), ("val", 5), ("train", 6))
    found = near_copies(predictions(*clean(), near_copies=(alike, parted)))
    assert found[1] == alike
    assert {part for part, _ in found[0]} == {"train", "val"}
    assert len(found[0]) == IN_GROUP
