import pytest
import torch

from tagfit.errors import RecipeError
from tagfit.models.layers import Dropout, Standardise, StochasticDepth
from tagfit.models.registry import build_network
from tagfit.recipes import CnnModel, Recipe


def network(**model):
    return build_network(Recipe(name="small", model=CnnModel(width=4, **model)), (24, 24, 3), 5).eval()


MIRRORED = {
    "left to right": lambda x: x.flip(2),
    "upside down": lambda x: x.flip(1),
    "both": lambda x: x.flip((1, 2)),
    "by a quarter": lambda x: x.transpose(1, 2).flip(1),
    "along the diagonal": lambda x: x.transpose(1, 2),
}


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize(
    ("views", "cannot_tell"),
    [(1, []), (2, ["left to right"]), (4, ["left to right", "upside down", "both"]), (8, list(MIRRORED))],
)
def test_a_network_cannot_tell_its_views_apart(views, cannot_tell, stride):
    tagged, x = network(views=views, stride=stride), torch.rand(3, 24, 24, 3)
    for name, change in MIRRORED.items():
        alike = torch.allclose(tagged(change(x)), tagged(x), atol=1e-5)
        assert alike == (name in cannot_tell), name


def test_width_and_depth_are_knobs():
    sizes = [
        sum(p.numel() for p in network(**model).parameters())
        for model in ({}, {"depth": 0}, {"depth": 2}, {"views": 8})
    ]
    assert sizes[1] < sizes[0] < sizes[2]
    assert sizes[3] == sizes[0]


def test_features_are_refused():
    with pytest.raises(RecipeError, match="rows of 7 features"):
        build_network(Recipe(name="small", model=CnnModel()), (7,), 2)


def test_images_smaller_than_the_stride_are_refused():
    with pytest.raises(RecipeError, match="at least that size"):
        build_network(Recipe(name="small", model=CnnModel(stride=4)), (3, 9, 3), 2)


def test_turned_views_need_square_images():
    with pytest.raises(RecipeError, match="square"):
        build_network(Recipe(name="small", model=CnnModel(views=8)), (8, 9, 3), 2)


def test_standardise_brings_train_to_mean_0_and_deviation_1():
    x = torch.rand(40, 6, 5, 3) * torch.tensor([1.0, 20.0, 0.0]) + torch.tensor([5.0, -3.0, 2.0])
    layer = Standardise(3)
    layer.fit(torch.split(x, 7))
    values = layer(x).reshape(-1, 3)
    torch.testing.assert_close(values.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(values.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("layer", "alike"), [(Dropout(0.3), 1), (StochasticDepth(0.3), 50)])
def test_what_is_dropped_keeps_the_mean(layer, alike):
    layer.generator = torch.Generator().manual_seed(0)
    x = torch.ones(4000, 50)
    dropped = layer(x)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.03)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert (dropped[:, :1] == dropped[:, :alike]).all(), "stochastic depth drops whole samples"
    assert torch.equal(layer.eval()(x), x)


def test_one_view_in_training_is_all_views_in_use():
    several, x = network(views=8), torch.rand(3, 24, 24, 3)
    expected = several(x)
    several.one_view_in_training = True
    assert torch.equal(several(x), expected)
    seen = []
    several.trunk.register_forward_hook(lambda module, inputs, maps: seen.append(len(inputs[0])))
    several.train()(x)
    several.eval()(x)
    assert seen == [3, 24]
