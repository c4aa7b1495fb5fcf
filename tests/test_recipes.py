import os
import pickle
import time

import pytest

from tagfit.errors import RecipeError
from tagfit.models.losses import LOSSES as LOSS_FORMULAS
from tagfit.models.registry import BUILDERS
from tagfit.recipes import ARCHITECTURES, LOSSES, RECIPES, DenseModel, FineTunedModel, Recipe, Training, find_recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_comes_back_from_toml_as_it_was(recipe, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.from_toml(file) == recipe
    assert find_recipe(recipe.name) is recipe


def test_what_a_file_leaves_out_takes_the_default_and_the_files_name(tmp_path):
    file = tmp_path / "wide.toml"
    file.write_text("[model]\nwidths = [512]\n", encoding="utf-8")
    expected = Recipe(name="wide", model=DenseModel(widths=(512,)), training=Training())
    assert find_recipe(str(file)) == expected
    assert find_recipe(str(file)).to_dict() == expected.to_dict()


def test_the_recipes_of_the_story():
    baseline, cure = RECIPES["dense-baseline"], RECIPES["dense-regularised"]
    assert baseline.model == DenseModel(widths=(128, 64))
    assert (baseline.training.epochs, baseline.training.patience, baseline.training.rate) == (200, 0, 1e-3)
    assert cure.model == DenseModel(widths=(128, 64), batch_norm=True, dropout=(0.4, 0.3))
    assert (cure.training.epochs, cure.training.patience, cure.training.batch_size) == (50, 5, 32)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": " "}, "name must be"),
        ({"modle": {}}, "Did you mean 'model'?"),
        ({"model": 3}, "model must be an object (in TOML: a table); got 3"),
        ({"model": {"architecture": "dens"}}, "Did you mean 'dense'?"),
        ({"model": {"width": [3]}}, "Did you mean 'widths'?"),
        ({"model": {"widths": 128}}, "model.widths must be a list"),
        ({"model": {"widths": [0]}}, "widths[0] must be a whole number from 1 to 65536"),
        ({"model": {"widths": [8.5]}}, "widths[0] must be a whole number from 1 to 65536"),
        ({"model": {"batch_norm": 1}}, "true or false"),
        ({"model": {"dropout": [1.0]}}, "dropout[0] must be a fraction from 0"),
        ({"model": {"dropout": [0.1, 0.2, 0.3]}}, "one for each of the 2"),
        ({"model": {"input_dropout": 1.0}}, "input_dropout must be a fraction from 0"),
        ({"model": {"input_noise": -0.1}}, "input_noise must be a number of at least 0"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"training": {"epochs": True}}, "training.epochs"),
        ({"training": {"batch_size": "32"}}, "training.batch_size"),
        ({"training": {"patience": -1}}, "training.patience"),
        ({"training": {"rate": 0}}, "training.rate"),
        ({"training": {"rate": float("nan")}}, "training.rate"),
        ({"training": {"weight_decay": -0.1}}, "training.weight_decay"),
        ({"training": {"label_smoothing": 1.0}}, "training.label_smoothing"),
        ({"training": {"augmentation_strength": 2.5}}, "augmentation_strength must be a number from 0 to 2"),
        ({"training": {"loss": "bec"}}, "Did you mean 'bce'?"),
        ({"training": {"augmentation": ["mirorr"]}}, "augmentation[0] must be one of mirror"),
        ({"training": {"rate": float("inf")}}, "training.rate must be a number above 0; got inf"),
        ({"model": {"architecture": "cnn", "views": 3}}, "model.views must be one of 1, 2, 4, 8; got 3"),
        ({"model": {"architecture": "cnn", "stride": True}}, "model.stride must be one of 2, 4; got True"),
    ],
)
def test_what_cannot_be_used_is_named(values, expected):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "x", **values})
    assert expected in str(caught.value)


def test_all_faults_come_at_once():
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "x", "model": {"widths": [0]}, "training": {"epochs": 0, "rate": -1}})
    assert len(caught.value.faults) == 3


def test_unknown_fields_and_bad_values_come_together():
    values = {"optimizer": {}, "model": {"width": [8], "batch_norm": "yes"}, "training": {"epoch": 3, "rate": -1}}
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "x", **values})
    assert len(caught.value.faults) == 5


def test_fields_that_were_given_in_python_are_checked_too():
    model, training = DenseModel(widths=[8], dropout=("a",)), Training(epochs=0.5, loss="bec")
    with pytest.raises(RecipeError) as caught:
        Recipe(name="x", model=model, training=training)
    assert [fault.split(" must")[0] for fault in caught.value.faults] == [
        "recipe 'x': model.widths",
        "recipe 'x': model.dropout[0]",
        "recipe 'x': training.epochs",
        "recipe 'x': training.loss",
    ]


def test_a_recipe_with_other_fields():
    recipe = RECIPES["dense-regularised"].changed(name="mine", model={"widths": (8,), "dropout": ()})
    assert recipe == Recipe(name="mine", model=DenseModel(widths=(8,), batch_norm=True), training=Training())
    assert hash(recipe) != hash(RECIPES["dense-regularised"])
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    with pytest.raises(RecipeError, match=r"model.widths\[0\] must be a whole number"):
        recipe.changed(model={"widths": (0,)})


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(RecipeError, match="Did you mean 'dense-baseline'"):
        find_recipe("dense-basline")


@pytest.mark.parametrize("content", ["name = ", "\xff\xfe", f"seed = {'9' * 5000}"])
def test_a_file_that_is_not_toml(content, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(RecipeError, match="expected a TOML recipe"):
        find_recipe(file)


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"key_{number} = 1\n" for number in range(50_000)),
        f"x = {'[' * 8000}{']' * 8000}",
        f"x = {'{a=' * 4000}1{'}' * 4000}",
        f"{'.'.join('a' * 8000)} = 1",
        "".join(f"a{number}=1\n" for number in range(2000)),
        "[[a]]\n" * 2500,
    ],
    ids=["50,000 keys", "nested lists", "nested tables", "a long key", "2,000 keys", "many tables"],
)
def test_a_file_that_would_take_long_is_refused_quickly(content, tmp_path):
    file = tmp_path / "evil.toml"
    file.write_text(content, encoding="utf-8")
    began = time.perf_counter()
    with pytest.raises(RecipeError):
        find_recipe(file)
    assert time.perf_counter() - began < 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(RecipeError, match="not a file"):
        find_recipe(tmp_path / "pipe.toml")


def test_a_missing_file():
    with pytest.raises(RecipeError, match="no such recipe file"):
        find_recipe("nowhere.toml")


def test_every_name_a_recipe_may_write_has_its_code():
    assert {*BUILDERS, FineTunedModel.architecture} == ARCHITECTURES.keys()
    assert tuple(LOSS_FORMULAS) == LOSSES
