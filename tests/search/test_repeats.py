import pytest

from tagfit.recipes import RECIPES, CnnModel, DenseModel, Recipe, Training
from tagfit.records.runs import Run
from tagfit.records.scores import METRICS, Scores, Target
from tagfit.search.ingredients import ingredients
from tagfit.search.repeats import Ingredient, Repeats

TARGET = Target("micro_f1", train_below=0.92, val_at_least=0.8)


def repeats(*vals, train=0.9):
    def run(val):
        by_part = {part: Scores(**dict.fromkeys(METRICS, value)) for part, value in (("train", train), ("val", val))}
        return Run(RECIPES["cnn"], "0" * 64, by_part, by_part, (), 1, 100, 1.0)

    return Repeats(RECIPES["cnn"], tuple(map(run, vals)), TARGET)


def test_means_and_deviations_over_seeds():
    three = repeats(0.7, 0.8, 0.9)
    assert three.mean("val") == pytest.approx(0.8)
    assert three.deviation("val") == pytest.approx(0.1)
    assert three.error("val") == pytest.approx(0.1 / 3**0.5)
    assert repeats(0.7).deviation("val") is None


def diverged():
    return Run(RECIPES["cnn"], "0" * 64, {"train": None, "val": None}, state="diverged")


def test_it_meets_the_target_where_most_runs_do():
    assert repeats(0.85, 0.85, 0.7).meets
    assert not repeats(0.85, 0.7, 0.7).meets


def test_what_diverged_is_left_out_of_the_mean():
    mixed = Repeats(RECIPES["cnn"], (*repeats(0.8).runs, diverged()), TARGET)
    assert mixed.mean("val") == pytest.approx(0.8)
    assert Repeats(RECIPES["cnn"], (diverged(),), TARGET).mean("val") is None


def test_an_ingredient_helps_beyond_twice_the_standard_error():
    whole, shown = repeats(0.80, 0.81, 0.79), ""
    assert Ingredient.of("dropout", whole, repeats(0.70, 0.71, 0.69)).record.remark == shown
    assert Ingredient.of("dropout", whole, repeats(0.795, 0.815, 0.785)).record.remark == "not shown to help"
    assert Ingredient.of("dropout", whole, repeats(0.9, 0.9, 0.9)).record.remark == "not shown to help"
    gone = Repeats(RECIPES["cnn"], (diverged(),), TARGET)
    assert Ingredient.of("clip", whole, gone).change is None


def test_noise_of_val_counts_where_seeds_agree():
    """Three seeds that happen to agree do not show that other samples would."""
    brought = Ingredient.of("dropout", repeats(0.80, 0.80, 0.80), repeats(0.78, 0.78, 0.78), error_on_val=0.015)
    assert brought.noise == pytest.approx(0.03)
    assert brought.record.remark == "not shown to help"


class TestIngredients:
    def test_each_is_left_out_alone(self):
        recipe = Recipe(
            name="mine",
            model=DenseModel(widths=(64,), batch_norm=True),
            training=Training(weight_decay=0.1, schedule="one-cycle", rate=5e-3),
        )
        found = dict(ingredients(recipe))
        assert set(found) == {"widths = 64", "batch_norm = true", "schedule = one-cycle", "weight_decay = 0.1"}
        assert found["batch_norm = true"].model == DenseModel(widths=(64,))
        assert found["batch_norm = true"].training == recipe.training
        assert found["schedule = one-cycle"].training == Training(weight_decay=0.1)

    def test_a_plain_network_has_none(self):
        assert ingredients(RECIPES["dense-baseline"]) == []

    def test_augmentation_goes_with_its_strength(self):
        training = Training(augmentation=("mirror", "crop"), augmentation_strength=0.5)
        recipe = Recipe(name="c", model=CnnModel(dropout=0.0, standardise=False), training=training)
        assert [(name, left.training) for name, left in ingredients(recipe)] == [
            ("augmentation = mirror-crop", Training())
        ]

    def test_of_a_cnn_too(self):
        names = [name.split(" ")[0] for name, _ in ingredients(Recipe(name="c", model=CnnModel(views=4)))]
        assert names == ["dropout", "views", "standardise"]

    def test_a_loss_is_one_beside_bce_or_beside_taking_unknown_for_no(self):
        for loss, plain in (("weighted", "bce"), ("entropy", "assume-negative")):
            ((name, without),) = ingredients(Recipe(name="l", training=Training(loss=loss)))
            assert (name, without.training.loss) == (f"loss = {loss}", plain)
