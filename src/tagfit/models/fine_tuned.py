"""A backbone whose upper blocks are trained on: the lower ones stay as they came, so they need to run only once.

What an image has become where the trained blocks begin is its *activation*. A training takes stored activations for
its samples (`training.activations`), and so costs what the upper blocks cost. Where a backbone cannot be parted there,
its lower blocks run every time.

Shapes: B images of S x S pixels, V views, D features, L labels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from tagfit.errors import RecipeError
from tagfit.models.backbones import BackboneNetwork
from tagfit.models.layers import Drawing, Dropout, linear
from tagfit.models.views import views_of
from tagfit.recipes import FineTunedModel

#: how far features may move, as a share of their largest, where the lower blocks are parted from the upper ones
EXACT = 1e-5


Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Pace:
    """How fast a weight is moved.

    Attributes:
        share: of the recipe's rate.
        begins: the share of all steps after which it is moved at all.
    """

    share: float = 1.0
    begins: float = 0.0


class FineTunedNetwork(Drawing):
    """Maps activations (B, V, ...), one of each view of an image, to (B, L) logits.

    In use the views' features are averaged. In training one view is looked at: the first, or one drawn at random where
    augmentation allows (`draws_views`). The body stays in inference mode throughout: BatchNorm keeps the moments it
    came with, and nothing in it is dropped at random.

    Attributes:
        parted: whether it takes activations; otherwise it takes images (B, S, S, 3) in [0, 1] itself.
        first: the number of the lowest block that is trained.

    Raises:
        RecipeError: the recipe is of another backbone.
    """

    def __init__(
        self, model: FineTunedModel, backbone: BackboneNetwork, labels: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        _check(model, backbone)
        self.model = model
        self.draws_views = False
        self._whole = _Shared(backbone)
        count = len(_blocks(backbone.body))
        first = count - math.ceil(model.trained * count)
        upper = _upper(backbone, first)
        self.parted = upper is not None
        self.upper = _frozen_below(copy.deepcopy(backbone), first) if upper is None else upper
        self.upper.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.first, self._count = first, count
        self.dropout = Dropout(model.dropout)
        self.output = linear(backbone.backbone.features, labels, generator)
        self.train(self.training)

    @property
    def whole(self) -> BackboneNetwork:
        """The backbone as it came."""
        return self._whole.module

    def train(self, mode: bool = True) -> FineTunedNetwork:
        super().train(mode)
        self.upper.train(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        if not self.parted:
            x = torch.stack(views_of(x, self.model.views), 1)
        count = x.shape[1]
        if self.training:
            x = self._one_of(x)[:, None]
        features = self._features(x.flatten(0, 1))
        features = features.float().view(len(x), -1, features.shape[-1]).mean(1) if count > 1 else features.float()
        logits: Tensor = self.output(self.dropout(features))
        return logits

    def _features(self, x: Tensor) -> Tensor:
        if not self.parted:
            return cast(Tensor, self.upper(x))
        # half as long as with one colour, or channel, after the other
        return self.upper.pooled(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x)

    def activations(self, images: Tensor) -> Tensor:
        """(B, V, ...) of (B, S, S, 3) images in [0, 1]: what the lower blocks make of every view."""
        views = torch.stack(views_of(images, self.model.views), 1)
        reached = _below(self.whole, self.first, views.flatten(0, 1))
        return reached.view(len(images), self.model.views, *reached.shape[1:])

    def paces(self) -> Mapping[nn.Parameter, Pace]:
        """How fast each weight of the body is moved: the slower and the later, the lower it lies.

        Rates fall from block to block (Howard & Ruder 2018), and blocks are thawed from the top.
        """
        found: dict[nn.Parameter, Pace] = {}
        for number, weights in enumerate(self._levels()):
            share = self.model.body_rate * self.model.layer_decay**number
            begins = self.model.unfreezing * number / max(1, self._count - self.first)
            found |= dict.fromkeys(weights, Pace(share, begins))
        return found

    def _levels(self) -> list[list[nn.Parameter]]:
        """Weights by level: what lies above all blocks, then the trained blocks from the top down."""
        blocks = list(_blocks(self.upper.body))[self.first :]
        inside = [list(block.parameters()) for block in reversed(blocks)]
        known = {id(weight) for weights in inside for weight in weights}
        above = [weight for weight in self.upper.parameters() if weight.requires_grad and id(weight) not in known]
        return [above, *inside]

    def _one_of(self, x: Tensor) -> Tensor:
        """(B, ...) one view of each."""
        if not self.draws_views or x.shape[1] == 1:
            return x[:, 0]
        drawn = torch.randint(x.shape[1], (len(x),), generator=self.generator, device=x.device)
        return x[torch.arange(len(x), device=x.device), drawn]


class _Shared(Generic[Module]):
    """A network that is no part of those that refer to it, and that copies of these keep sharing."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def __deepcopy__(self, memo: object) -> _Shared[Module]:
        return self


class _Passed(nn.Module):
    """In place of a module that ran already: hands on what it is given; asked for anything else, it is that module.

    Args:
        made: what that module made of an example. Where it is a tuple, what is handed on takes the first place in it,
            and sizes, which are the same for all images, keep theirs.
    """

    def __init__(self, instead_of: nn.Module, made: Any) -> None:
        super().__init__()
        self._instead_of = _Shared(instead_of)
        rest = made[1:] if isinstance(made, tuple) else None
        self._rest = rest and tuple(None if isinstance(one, Tensor) else one for one in rest)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._instead_of.module, name)

    def forward(self, x: Tensor, *others: Any, **options: Any) -> Any:
        return x if self._rest is None else (x, *self._rest)


class _Reached(Exception):  # noqa: N818 (nothing went wrong)
    """The first trained block was reached."""

    def __init__(self, activations: Tensor) -> None:
        self.activations = activations


def _check(model: FineTunedModel, network: BackboneNetwork) -> None:
    backbone = network.backbone
    if model.sha256 and model.sha256 != backbone.sha256:
        raise RecipeError(
            f"the recipe is of the backbone {model.backbone} (sha256 {model.sha256[:12]}); "
            f"these images were made ready for {backbone}",
            "Give that backbone, or take its name, revision and sha256 out of the recipe.",
        )


def _blocks(body: nn.Module) -> nn.ModuleList:
    """The body's blocks, lowest first: the list of modules that holds most of its weights."""
    lists = [module for module in body.modules() if isinstance(module, nn.ModuleList) and len(module)]
    if not lists:
        raise RecipeError("this backbone is not a sequence of blocks, so its upper blocks cannot be trained separately")
    return max(lists, key=lambda one: sum(weight.numel() for weight in one.parameters()))


def _below(network: BackboneNetwork, first: int, images: Tensor) -> Tensor:
    """What (B, S, S, 3) images have become where block number `first` begins."""

    def stop(block: nn.Module, given: tuple[Any, ...]) -> None:
        raise _Reached(given[0])

    hook = _blocks(network.body)[first].register_forward_pre_hook(stop)
    try:
        network(images)
    except _Reached as reached:
        return reached.activations
    finally:
        hook.remove()
    raise RuntimeError("the trained blocks were not reached")


def _upper(network: BackboneNetwork, first: int) -> BackboneNetwork | None:
    """The network without what runs before block `first`; None where it is not the same function of activations."""
    size = network.backbone.form.size
    example = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            expected, activations = network(example), _below(network, first, example)
            upper = _without(network, _run_before(network, first, example))
            moved = (upper.pooled(activations) - expected).abs().max()
            same = bool(moved <= EXACT * expected.abs().max())
    except Exception:  # transformers' networks raise nearly anything on what they do not expect
        return None
    return upper if same else None


def _run_before(network: BackboneNetwork, first: int, images: Tensor) -> dict[str, Any]:
    """What the body's outermost modules made that are over before block `first` begins, by their names."""
    over: dict[str, Any] = {}
    names = {module: name for name, module in network.body.named_modules()}
    hooks = [
        module.register_forward_hook(lambda module, given, made: over.update({names[module]: made}))
        for module in network.body.modules()
    ]
    try:
        _below(network, first, images)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: made for name, made in over.items() if not any(name.startswith(f"{other}.") for other in over)}


def _without(network: BackboneNetwork, over: Mapping[str, Any]) -> BackboneNetwork:
    upper = copy.deepcopy(network)
    for name, made in over.items():
        parent, _, last = name.rpartition(".")
        setattr(upper.body.get_submodule(parent), last, _Passed(network.body.get_submodule(name), made))
    return upper


def _frozen_below(network: BackboneNetwork, first: int) -> BackboneNetwork:
    """With only block `first` and what lies above it trained."""
    blocks = _blocks(network.body)
    trained = {id(weight) for block in list(blocks)[first:] for weight in block.parameters()}
    for weight in network.parameters():
        weight.requires_grad_(id(weight) in trained)
    return network
