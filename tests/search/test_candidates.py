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
    candidates = ladder(IMAGES, TARGET, augmentation=True)
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    assert len({(candidate.model, candidate.training) for candidate in candidates}) == len(candidates)


def test_images_get_cnns_after_the_dense_ones():
    candidates = ladder(IMAGES, TARGET)
    dense = ladder(TINY, TARGET)
    assert candidates[: len(dense)] == dense
    assert all(isinstance(candidate.model, DenseModel) for candidate in dense)
    assert all(isinstance(candidate.model, CnnModel) for candidate in candidates[len(dense) :])
    assert len(candidates) > len(dense)


def test_features_and_tiny_images_get_dense_ones_only():
    for samples in (TINY, FEATURES):
        assert all(isinstance(candidate.model, DenseModel) for candidate in ladder(samples, TARGET))


def test_cnns_stop_below_the_train_band_where_it_ranks():
    ceilings = {
        ranks: {
            candidate.training.train_ceiling for candidate in ladder(IMAGES, Target("micro_f1", 0.9, 0.8, ranks))[6:]
        }
        for ranks in (True, False)
    }
    assert ceilings == {True: {0.9}, False: {1.0}}


def test_no_rung_changes_the_data_unless_it_may():
    assert not any(candidate.training.augmentation for candidate in ladder(IMAGES, TARGET))
    assert any(candidate.training.augmentation for candidate in ladder(IMAGES, TARGET, augmentation=True))


@pytest.mark.parametrize("augmentation", [False, True])
def test_images_that_are_not_square_are_not_turned(augmentation):
    for candidate in ladder(Preprocessing("images", (64, 48, 3)), TARGET, augmentation=augmentation):
        assert "turn" not in candidate.training.augmentation
        build_network(candidate, (64, 48, 3), 2)


class TestLosses:
    def test_ordinary_labels_are_trained_by_bce_alone(self, data):
        assert losses_for(data) == ("bce",)
        assert {candidate.training.loss for candidate in ladder(FEATURES, TARGET)} == {"bce"}

    def test_rare_labels_bring_one_rung_more(self):
        table = feature_table(samples=300, given_split=np.array([0, 0, 1] * 100, dtype=np.int8))
        table.labels_NL[:, 1] = 0
        table.labels_NL[:6, 1] = UNKNOWN
        table.labels_NL[6:9, 1] = 1  # two in train, of the 196 cells that are known there
        losses = losses_for(locked(table))
        assert losses == ("bce", *RARE_LOSSES)
        candidates = ladder(FEATURES, TARGET, losses=losses)
        assert candidates[:-1] == ladder(FEATURES, TARGET)
        assert candidates[-1].training.loss == RARE_LOSSES[0]

    def test_where_only_yes_is_known_no_rung_leaves_unknown_cells_out(self):
        for samples in (FEATURES, IMAGES):
            candidates = ladder(samples, TARGET, losses=SINGLE_POSITIVE_LOSSES)
            assert {candidate.training.loss for candidate in candidates} == set(SINGLE_POSITIVE_LOSSES[:2])
            assert all(candidate.training.patience for candidate in candidates)


def test_what_a_diagnosis_names_comes_first_and_nothing_else_moves():
    candidates = ladder(Preprocessing("features", (8,)), Target())
    assert first_of(candidates, []) == candidates
    names = [
        candidate.name for candidate in first_of(candidates, ["cnn", "dense-wide", "dense-lower-rate", "dense-wide"])
    ]
    others = [candidate.name for candidate in candidates if candidate.name not in ("dense-wide", "dense-lower-rate")]
    assert names == ["dense-wide", "dense-lower-rate", *others]
