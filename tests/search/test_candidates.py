import numpy as np
import pytest

from making import feature_table, locked
from tagfit.models.registry import build_network
from tagfit.recipes import RARE_LOSSES, RECIPES, SINGLE_POSITIVE_LOSSES, CnnModel, DenseModel
from tagfit.records.data import UNKNOWN, Preprocessing
from tagfit.records.scores import Target
from tagfit.search.candidates import first_of, ladder, losses_for

TARGET = Target(train_below=0.9)
FEATURES, IMAGES = Preprocessing("features", (9,)), Preprocessing("images", (64, 64, 3))
TINY = Preprocessing("images", (5, 64, 3))


@pytest.mark.parametrize("samples", [FEATURES, IMAGES, TINY])
def test_the_ladder_starts_at_the_reference_cure(samples):
    assert ladder(samples, TARGET)[0] == RECIPES["dense-regularised"]


def test_every_rung_is_another_recipe():
    rungs = ladder(IMAGES, TARGET, augmentation=True)
    assert len({rung.name for rung in rungs}) == len(rungs)
    assert len({(rung.model, rung.training) for rung in rungs}) == len(rungs)


def test_images_get_cnns_after_the_dense_ones():
    rungs = ladder(IMAGES, TARGET)
    dense = ladder(TINY, TARGET)
    assert rungs[: len(dense)] == dense
    assert all(isinstance(rung.model, DenseModel) for rung in dense)
    assert all(isinstance(rung.model, CnnModel) for rung in rungs[len(dense) :])
    assert len(rungs) > len(dense)


def test_features_and_tiny_images_get_dense_ones_only():
    for samples in (TINY, FEATURES):
        assert all(isinstance(rung.model, DenseModel) for rung in ladder(samples, TARGET))


def test_cnns_stop_below_the_train_band_where_it_ranks():
    ceilings = {
        ranks: {rung.training.train_ceiling for rung in ladder(IMAGES, Target("micro_f1", 0.9, 0.8, ranks))[6:]}
        for ranks in (True, False)
    }
    assert ceilings == {True: {0.9}, False: {1.0}}


def test_no_rung_changes_the_data_unless_it_may():
    assert not any(rung.training.augmentation for rung in ladder(IMAGES, TARGET))
    assert any(rung.training.augmentation for rung in ladder(IMAGES, TARGET, augmentation=True))


@pytest.mark.parametrize("augmentation", [False, True])
def test_images_that_are_not_square_are_not_turned(augmentation):
    for rung in ladder(Preprocessing("images", (64, 48, 3)), TARGET, augmentation=augmentation):
        assert "turn" not in rung.training.augmentation
        build_network(rung, (64, 48, 3), 2)


class TestLosses:
    def test_ordinary_labels_are_trained_by_bce_alone(self, data):
        assert losses_for(data) == ("bce",)
        assert {rung.training.loss for rung in ladder(FEATURES, TARGET)} == {"bce"}

    def test_rare_labels_bring_one_rung_more(self):
        table = feature_table(samples=300, given_split=np.array([0, 0, 1] * 100, dtype=np.int8))
        table.labels_NL[:, 1] = 0
        table.labels_NL[:6, 1] = UNKNOWN
        table.labels_NL[6:9, 1] = 1  # two in train, of the 196 cells that are known there
        losses = losses_for(locked(table))
        assert losses == ("bce", *RARE_LOSSES)
        rungs = ladder(FEATURES, TARGET, losses=losses)
        assert rungs[:-1] == ladder(FEATURES, TARGET)
        assert rungs[-1].training.loss == RARE_LOSSES[0]

    def test_where_only_yes_is_known_no_rung_leaves_unknown_cells_out(self):
        for samples in (FEATURES, IMAGES):
            rungs = ladder(samples, TARGET, losses=SINGLE_POSITIVE_LOSSES)
            assert {rung.training.loss for rung in rungs} == set(SINGLE_POSITIVE_LOSSES[:2])
            assert all(rung.training.patience for rung in rungs)


def test_what_a_diagnosis_names_comes_first_and_nothing_else_moves():
    rungs = ladder(Preprocessing("features", (8,)), Target())
    assert first_of(rungs, []) == rungs
    names = [rung.name for rung in first_of(rungs, ["cnn", "dense-wide", "dense-lower-rate", "dense-wide"])]
    others = [rung.name for rung in rungs if rung.name not in ("dense-wide", "dense-lower-rate")]
    assert names == ["dense-wide", "dense-lower-rate", *others]
