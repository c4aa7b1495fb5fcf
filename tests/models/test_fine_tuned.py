import copy

import pytest
import torch

from making import PROVE, tiny_backbone
from tagfit.errors import RecipeError
from tagfit.models.backbones import TAKEN, load_backbone
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.models.registry import build_network
from tagfit.models.views import views_of
from tagfit.recipes import FineTunedModel, Recipe, Training
from tagfit.training.optimiser import KerasAdam

#: networks whose trained blocks need more than what the blocks below them made
WHOLE = {"dinov3_vit", "hiera", "poolformer", "pvt"}

SOME = ("convnext", "dinov2", "dinov3_vit", "efficientnet", "mobilenet_v2", "resnet", "swin", "vit")

LABELS = 3


def images(count=2, size=32):
    return torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(1))


def network_of(folder, kind="resnet", **fields):
    pretrained = load_backbone(tiny_backbone(folder / kind, kind))
    return pretrained, FineTunedNetwork(FineTunedModel(**fields), pretrained.network, LABELS, torch.Generator())


@pytest.mark.parametrize("kind", TAKEN if PROVE else SOME)
def test_before_it_is_trained_it_says_what_the_backbone_and_its_head_say(tmp_path, kind):
    pretrained, network = network_of(tmp_path, kind, trained=0.5, views=2)
    assert network.parted == (kind not in WHOLE)
    network.eval()
    x = images()
    with torch.no_grad():
        features = torch.stack([pretrained.network(view) for view in (x, x.flip(2))]).mean(0)
        logits = network(network.activations(x) if network.parted else x)
        torch.testing.assert_close(logits, network.output(features), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["resnet", "swin"])
def test_only_the_upper_blocks_and_the_output_are_trained(tmp_path, kind):
    pretrained, network = network_of(tmp_path, kind, trained=0.5)
    came = copy.deepcopy(pretrained.network.state_dict())
    network.train()
    adam = KerasAdam(network, Training(rate=0.1), steps=4)
    x = images()
    network(network.activations(x) if network.parted else x).sum().backward()
    adam.step()
    lower = [weight for weight in network.parameters() if not weight.requires_grad]
    assert bool(lower) == (not network.parted)
    assert all(weight.grad is None for weight in lower)
    assert all(torch.equal(came[name], tensor) for name, tensor in pretrained.network.state_dict().items())
    moved = [
        name for name, tensor in network.upper.state_dict().items() if name in came and not came[name].equal(tensor)
    ]
    assert moved
    assert not any("running" in name for name in moved)


def test_rates_fall_from_block_to_block_and_blocks_are_thawed_from_the_top(tmp_path):
    model = {"trained": 1.0, "body_rate": 0.5, "layer_decay": 0.5, "unfreezing": 0.8}
    _, network = network_of(tmp_path, "vit", **model)
    training = Training(rate=0.1, schedule="constant")
    adam = KerasAdam(network, training, steps=10)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    paces = network.paces()
    blocks = list(network.upper.body.layers)
    assert [paces[block.layernorm_before.weight].share for block in blocks] == [
        0.5 * 0.5 ** (len(blocks) - n) for n in range(len(blocks))
    ]
    network.train()
    network(network.activations(images())).sum().backward()
    adam.step()
    moved = {name for name, weight in network.named_parameters() if not torch.equal(before[name], weight)}
    assert "output.weight" in moved
    assert any(name.startswith("upper.body.layernorm") for name in moved)
    assert not any(name.startswith("upper.body.layers") for name in moved)
    for _ in range(9):
        network(network.activations(images())).sum().backward()
        adam.step()
    moved = {name for name, weight in network.named_parameters() if not torch.equal(before[name], weight)}
    assert any(name.startswith("upper.body.layers.0.") for name in moved)


def test_in_training_one_view_is_looked_at(tmp_path):
    _, network = network_of(tmp_path, trained=0.5, views=8, dropout=0.0)
    x = images()
    with torch.no_grad():
        given = network.activations(x)
        assert given.shape[:2] == (2, 8)
        network.train()
        assert torch.allclose(network(given), network(given[:, :1]))
        network.draws_views = True
        network.generator = torch.Generator().manual_seed(0)
        drawn = torch.stack([network(given) for _ in range(8)])
    assert len(drawn.unique(dim=0)) > 1


def test_views_are_all_mirrorings_and_quarter_turns():
    x = images(1, 4)
    views = torch.stack(views_of(x, 8), 1)[0]
    turned = [torch.rot90(side, turns, (0, 1)) for side in (x[0], x[0].flip(1)) for turns in range(4)]
    assert len(views.unique(dim=0)) == 8
    assert all(any(torch.equal(view, other) for other in turned) for view in views)


def test_another_backbone_than_the_recipe_names_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="the recipe is of the backbone that"):
        network_of(tmp_path, backbone="that", sha256="0" * 64)


def test_without_a_backbone_there_is_nothing_to_train_further():
    with pytest.raises(RecipeError, match="come without one"):
        build_network(Recipe(name="fine", model=FineTunedModel()), (4,), LABELS)
