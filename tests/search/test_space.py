import pytest

from tagfit.errors import RecipeError
from tagfit.recipes import RECIPES, CnnModel, DenseModel
from tagfit.records.data import Preprocessing
from tagfit.records.scores import Target
from tagfit.search.candidates import ladder
from tagfit.search.space import OneOf, Range, Space, cnn_space, dense_space, space

FEATURES, IMAGES = Preprocessing("features", (9,)), Preprocessing("images", (64, 64, 3))
BASE = RECIPES["dense-regularised"]


def test_a_search_over_anything_else_than_a_recipe_cannot_be_written():
    with pytest.raises(RecipeError) as caught:
        Space(BASE, model={"split": OneOf((1, 2))}, training={"labels": Range(0, 1), "rate": Range(1e-4, 1e-2)})
    assert [fault.split()[0] for fault in caught.value.faults] == ["model.split", "training.labels"]


def test_values_that_no_recipe_may_have_cannot_be_written():
    with pytest.raises(RecipeError, match="rate"):
        Space(BASE, model={}, training={"rate": Range(-1, 1)})


@pytest.mark.parametrize(("samples", "model"), [(FEATURES, DenseModel), (IMAGES, CnnModel)])
def test_features_are_searched_with_dense_networks_and_images_with_cnns(samples, model):
    found = space(samples, Target())
    assert isinstance(found.base.model, model)
    assert found.base.training.train_ceiling == Target().train_below
    assert space(samples, Target(train_ranks=False)).base.training.train_ceiling == 1.0


@pytest.mark.parametrize("found", [dense_space(0.9), cnn_space(0.9), cnn_space(0.9, augmentation=True)])
def test_what_a_recipe_was_made_of_is_found_again(found):
    values = {name: one.values[-1] if isinstance(one, OneOf) else one.high for name, one in found.dimensions.items()}
    assert found.values_of(found.recipe("mine", values)) == values


def test_a_recipe_outside_is_not_of_the_space():
    assert dense_space().values_of(RECIPES["cnn"]) is None
    assert dense_space().values_of(RECIPES["dense-baseline"]) is None  # 200 epochs


def test_the_best_known_recipes_seed_it():
    assert any(space(FEATURES, Target()).values_of(candidate) for candidate in ladder(FEATURES, Target()))
    assert any(space(IMAGES, Target()).values_of(candidate) for candidate in ladder(IMAGES, Target()))


def test_augmentation_is_searched_only_where_it_is_allowed():
    strict, allowed = (space(IMAGES, Target(), augmentation=allowed).dimensions for allowed in (False, True))
    assert not {name for name in strict if "augmentation" in name}
    assert {name for name in allowed if "augmentation" in name} == set(allowed) - set(strict)
    assert () in allowed["training.augmentation"].values
    oblong = space(Preprocessing("images", (32, 64, 3)), Target(), augmentation=True).dimensions
    assert not any("turn" in names for names in oblong["training.augmentation"].values)
    assert space(FEATURES, Target(), augmentation=True) == space(FEATURES, Target())


def test_an_augmented_rung_seeds_it():
    target = Target(train_ranks=False)
    candidates = ladder(IMAGES, target, augmentation=True)
    assert any(space(IMAGES, target, augmentation=True).values_of(candidate) for candidate in candidates)


def test_turned_views_are_for_square_images():
    views = space(Preprocessing("images", (32, 64, 3)), Target()).dimensions["model.views"]
    assert views.values == (1, 2, 4)


def test_several_losses_are_a_dimension():
    assert "training.loss" not in space(FEATURES, Target()).dimensions
    found = space(FEATURES, Target(), losses=("weak-negative", "entropy"))
    assert found.dimensions["training.loss"].values == ("weak-negative", "entropy")
