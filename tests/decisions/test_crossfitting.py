import numpy as np
import pytest

from tagfit.decisions.crossfitting import folds


@pytest.mark.parametrize("count", [0, 1, 4, 5, 17, 100])
def test_folds_are_equal_in_size(count):
    sizes = np.bincount(folds(count), minlength=5)
    assert sizes.sum() == count
    assert sizes.max() - sizes.min() <= 1


def test_a_group_lies_in_one_fold():
    groups = np.random.default_rng(0).integers(0, 30, size=200)
    of_row = folds(200, groups, number=4)
    assert all(len(set(of_row[groups == group])) == 1 for group in range(30))
    assert len(set(of_row)) == 4


def test_the_seed_deals_them_another_way():
    assert (folds(50) == folds(50)).all()
    assert (folds(50) != folds(50, seed=1)).any()
