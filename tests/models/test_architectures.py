"""One contract for every architecture that a recipe can name."""

import pytest
import torch

from making import image_table, locked
from tagfit.errors import RecipeError
from tagfit.io import free_memory
from tagfit.models.registry import build_network, count_weights
from tagfit.recipes import RECIPES, CnnModel, DenseModel, Recipe

SHAPES = {"dense": [(7,), (6, 5, 3)], "cnn": [(16, 16, 3), (4, 4, 3), (37, 20, 3)]}

#: a fine-tuned network takes what its backbone makes of images: see test_fine_tuned
ALONE = {name: recipe for name, recipe in RECIPES.items() if recipe.model.architecture != "fine-tuned"}


@pytest.mark.parametrize("recipe", ALONE.values(), ids=ALONE)
class TestEveryRecipe:
    def shapes(self, recipe):
        return SHAPES[recipe.model.architecture]

    def test_it_maps_samples_to_logits(self, recipe):
        for shape in self.shapes(recipe):
            network = build_network(recipe, shape, 4).eval()
            logits = network(torch.rand(3, *shape))
            assert logits.shape == (3, 4)
            assert torch.isfinite(logits).all()

    def test_the_seed_decides_the_first_weights(self, recipe):
        shape = self.shapes(recipe)[0]
        x = torch.rand(2, *shape)
        one, same, other = (build_network(recipe, shape, 4, seed=seed).eval()(x) for seed in (1, 1, 2))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_building_leaves_the_global_random_state_alone(self, recipe):
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        build_network(recipe, self.shapes(recipe)[0], 4)
        assert torch.equal(torch.rand(2), expected)

    def test_samples_do_not_see_each_other_in_inference(self, recipe):
        shape = self.shapes(recipe)[0]
        network = build_network(recipe, shape, 4).eval()
        x = torch.rand(5, *shape)
        torch.testing.assert_close(network(x)[2:3], network(x[2:3]))

    def test_every_parameter_gets_a_gradient(self, recipe):
        shape = self.shapes(recipe)[0]
        network = build_network(recipe, shape, 4).train()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1)  # the last layers of residual branches start at 0
        network(torch.rand(8, *shape)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    "model",
    [
        DenseModel(widths=(65536, 65536)),
        CnnModel(width=2**31 - 1),
        CnnModel(width=2**31 - 1, depth=0),
        CnnModel(width=512, depth=256),
    ],
)
def test_a_network_that_memory_does_not_hold_is_not_begun(model, monkeypatch):
    monkeypatch.setattr(free_memory, "free_memory", lambda: 1 << 30)
    monkeypatch.setattr(torch, "empty", None)
    recipe = Recipe(name="wide", model=model)
    with pytest.raises(RecipeError, match=r"recipe 'wide': training a network of [\d,]+ weights takes"):
        build_network(recipe, (16, 16, 3), 4)
    with pytest.raises(RecipeError, match="1,073,741,824 are free"):
        count_weights(recipe, locked(image_table()).dataset)


def test_a_network_has_no_more_blocks_than_can_be_built():
    with pytest.raises(RecipeError, match=r"model\.depth must be a whole number from 0 to 256"):
        Recipe(name="deep", model=CnnModel(depth=3000))
