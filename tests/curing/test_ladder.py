import pytest

from tagfit.curing.ladder import ladder
from tagfit.recipes import RECIPES, CnnModel, DenseModel
from tagfit.records import Preprocessing, Target

TARGET = Target(train_below=0.9)
FEATURES, PICTURES = Preprocessing("features", (9,)), Preprocessing("pictures", (64, 64, 3))
TINY = Preprocessing("pictures", (5, 64, 3))


@pytest.mark.parametrize("samples", [FEATURES, PICTURES, TINY])
def test_the_ladder_starts_at_the_reference_cure(samples):
    assert ladder(samples, TARGET)[0] == RECIPES["dense-regularised"]


def test_every_rung_is_another_recipe():
    rungs = ladder(PICTURES, TARGET, augmentation=True)
    assert len({rung.name for rung in rungs}) == len(rungs)
    assert len({(rung.model, rung.training) for rung in rungs}) == len(rungs)


def test_pictures_get_cnns_after_the_dense_ones():
    rungs = ladder(PICTURES, TARGET)
    dense = ladder(TINY, TARGET)
    assert rungs[: len(dense)] == dense
    assert all(isinstance(rung.model, DenseModel) for rung in dense)
    assert all(isinstance(rung.model, CnnModel) for rung in rungs[len(dense) :])
    assert len(rungs) > len(dense)


def test_features_and_tiny_pictures_get_dense_ones_only():
    for samples in (TINY, FEATURES):
        assert all(isinstance(rung.model, DenseModel) for rung in ladder(samples, TARGET))


def test_cnns_stop_below_the_train_band_where_it_ranks():
    ceilings = {
        ranks: {rung.training.train_ceiling for rung in ladder(PICTURES, Target("micro_f1", 0.9, 0.8, ranks))[6:]}
        for ranks in (True, False)
    }
    assert ceilings == {True: {0.9}, False: {1.0}}


def test_no_rung_changes_the_data_unless_it_may():
    assert not any(rung.training.augmentation for rung in ladder(PICTURES, TARGET))
    assert any(rung.training.augmentation for rung in ladder(PICTURES, TARGET, augmentation=True))
