"""Recipes: architecture + training hyperparameters, which is all that a cure may change.

A recipe is a frozen record, readable and writable as TOML:

    name = "dense-regularised"

    [model]
    architecture = "dense"
    widths = [128, 64]
    batch_norm = true
    dropout = [0.4, 0.3]

    [training]
    epochs = 50
    patience = 5
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec
import tomli_w
from msgspec import Meta

from tagfit.errors import BundleError, RecipeError, did_you_mean, nearest_file
from tagfit.io.faults import field_faults
from tagfit.io.files import regular_file
from tagfit.io.ranges import Count, CountOrNone, NotNegative, Positive, Share, SomeShare
from tagfit.io.scalars import plain
from tagfit.io.typed_json import from_plain, to_plain

#: bytes of a recipe file; ours have 500
MOST_TOML = 8_192

#: fields of a model or a training that differ, by name
Changes = Mapping[str, Any]

_SAME: Changes = {}
#: residual blocks a stage: nobody has trained nearly as many
Depth = Annotated[int, Meta(ge=0, le=256, description="a whole number from 0 to 256")]
Width = Annotated[int, Meta(ge=1, le=65536, description="a whole number from 1 to 65536")]


class _Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="architecture"):
    """Structs, where all else is a dataclass: of these alone msgspec reads a union."""

    architecture: ClassVar[str]


class DenseModel(_Model, frozen=True, kw_only=True, tag="dense"):
    """Fully connected layers with relu; layer defaults as in Keras 3 (see `models.dense`).

    Attributes:
        widths: units of each hidden layer, first to last; none at all is a linear model.
        batch_norm: BatchNorm after each hidden activation.
        dropout: share of units dropped after each hidden layer; one value a layer, or one for all, or none.
        standardise: a first layer that brings every feature, or every colour of images, to mean 0 and deviation 1
            on train.
        input_noise: standard deviation of the Gaussian noise that is added to every input in training, after
            `standardise`; pixels that are not standardised lie in [0, 1].
        input_dropout: share of the inputs dropped in training, after `input_noise`.
    """

    architecture = "dense"

    widths: tuple[Width, ...] = (128, 64)
    batch_norm: bool = False
    dropout: tuple[Share, ...] = ()
    standardise: bool = False
    input_noise: NotNegative = 0.0
    input_dropout: Share = 0.0

    def dropout_of(self, layer: int) -> float:
        """The dropout after hidden layer number `layer` (from 0)."""
        if not self.dropout:
            return 0.0
        return self.dropout[layer if len(self.dropout) > 1 else 0]


#: how many mirrored and turned views of an image a network may look at
Views = Literal[1, 2, 4, 8]


class CnnModel(_Model, frozen=True, kw_only=True, tag="cnn"):
    """A small residual network for small images and few of them (see `models.cnn`).

    Attributes:
        width: channels of the first stage; the second has twice, the third four times as many.
        depth: residual blocks a stage.
        stride: 2 or 4: how many times narrower and lower the first convolutions make the image. 4 is about thrice
            as fast; 2 sees smaller things.
        dropout: share of the pooled features dropped before the output.
        stochastic_depth: chance that the last residual block is left out for a sample in training; earlier blocks
            less, in proportion (Huang et al. 2016).
        views: 1 looks at the image as it is; 2 also at its mirror image; 4 at all mirrorings left-right and
            upside-down; 8 at these turned by a quarter as well (square images only). Their features are averaged
            inside the network, in training and in use alike, so that it cannot tell them apart.
        standardise: a first layer that brings every colour to mean 0 and deviation 1 on train.
    """

    architecture = "cnn"

    width: Count = 32
    depth: Depth = 1
    stride: Literal[2, 4] = 2
    dropout: Share = 0.5
    stochastic_depth: Share = 0.0
    views: Views = 1
    standardise: bool = True


class FineTunedModel(_Model, frozen=True, kw_only=True, tag="fine-tuned"):
    """A pretrained backbone whose upper blocks are trained on, and a linear output (see `models.fine_tuned`).

    Attributes:
        backbone, revision, sha256: which one: its name, the hub's commit if it came from there, and of its weights;
            where they are empty, it is the one that the data was made ready for.
        trained: the share of its blocks, from the top, that are trained. What lies below stays as it came.
        dropout: share of the pooled features dropped before the output.
        views: as in CnnModel, but in training one of them is looked at: the image as it is or, where augmentation
            draws views, any.
        body_rate: the share of the training's rate that the uppermost of the body gets.
        layer_decay: each trained block gets this share of the rate of the one above it.
        unfreezing: the share of all steps over which the trained blocks are thawed, one after the other from the top.
    """

    architecture = "fine-tuned"

    backbone: str = ""
    revision: str = ""
    sha256: str = ""
    trained: SomeShare = 0.6
    dropout: Share = 0.3
    views: Views = 1
    body_rate: Positive = 0.2
    layer_decay: SomeShare = 0.9
    unfreezing: Share = 0.0


Model = DenseModel | CnnModel | FineTunedModel

#: every architecture's fields, by the name that a recipe writes; `models.registry` holds their builders
ARCHITECTURES: dict[str, type[Model]] = {kind.architecture: kind for kind in (DenseModel, CnnModel, FineTunedModel)}

#: the losses that a recipe may name; `models.losses` holds their formulas. All but bce shift probabilities
LossName = Literal[
    "bce",
    "weighted",
    "focal",
    "asymmetric",
    "distribution-balanced",
    "weak-negative",
    "entropy",
    "assume-negative",
]
LOSSES: tuple[LossName, ...] = get_args(LossName)

#: losses for rare labels, and those for data whose unknown labels have to count, because only yes is known
RARE_LOSSES, SINGLE_POSITIVE_LOSSES = LOSSES[1:5], LOSSES[5:]

#: the schedules of the learning rate that a recipe may name; `training.optimiser` holds their formulas
ScheduleName = Literal["constant", "cosine", "one-cycle"]
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)

#: what augmentation may do to an image in training; `training.augmentation` holds how
AugmentationName = Literal["mirror", "flip", "turn", "crop", "zoom", "colour", "mixup", "cutmix"]
AUGMENTATIONS: tuple[AugmentationName, ...] = get_args(AugmentationName)

#: the changes that draw one of the views that a network may look at
VIEWS_DRAWN = frozenset({"mirror", "flip", "turn"})

#: augmentation stronger than this leaves little of an image
STRONGEST = 2.0
Strength = Annotated[float, Meta(ge=0, le=STRONGEST, description=f"a number from 0 to {STRONGEST:g}")]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training hyperparameters.

    Attributes:
        epochs: passes over train, at most.
        batch_size: samples a step; the last step of an epoch takes what is left.
        rate: Adam's learning rate, or the highest of its course.
        schedule: the course of the rate over all steps: constant; cosine, from `rate` down to 0; one-cycle, up to
            `rate` in the first quarter and down to 0 in the rest (Smith & Topin 2019).
        loss: a name from LOSSES.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019) of the kernels, not of biases or BatchNorm.
        label_smoothing: yes becomes 1 - s/2 and no becomes s/2.
        clip: a step's gradients are scaled down to this norm where theirs is larger; 0 leaves them.
        averaging: weights are averaged over the steps, each average keeping this share of the one before (EMA); it is
            the averaged network that is scored and delivered. 0 takes the weights as they are.
        autocast: multiply in bfloat16 in training, where the hardware is made for it; weights, sums and all scores
            stay float32.
        patience: epochs without a new best val loss after which training stops; the best weights are
            restored. 0 trains all epochs and delivers the last weights.
        train_ceiling: training ends before the epoch whose weights would reach this score on train, by the metric of
            the target; 1 lets it learn train by heart.
        augmentation: what is done at random to every image in training, names from AUGMENTATIONS. It changes the
            data, so a cure uses it only where it was allowed to.
        augmentation_strength: how far that goes: 1 as far as `training.augmentation` has it, 0.5 half as far, and 0
            does nothing. Images are mirrored and turned or not, at any strength above 0.
    """

    epochs: Count = 50
    batch_size: Count = 32
    rate: Positive = 1e-3
    schedule: ScheduleName = "constant"
    loss: LossName = "bce"
    weight_decay: NotNegative = 0.0
    label_smoothing: Share = 0.0
    clip: NotNegative = 0.0
    averaging: Share = 0.0
    autocast: bool = False
    patience: CountOrNone = 5
    train_ceiling: SomeShare = 1.0
    augmentation: tuple[AugmentationName, ...] = ()
    augmentation_strength: Strength = 1.0

    @property
    def draws_a_view(self) -> bool:
        """Whether a network of several views looks at one of them in training, drawn at random."""
        return self.augmentation_strength > 0 and not VIEWS_DRAWN.isdisjoint(self.augmentation)


def _with_plain_numbers(record: object) -> object:
    """A model or a training with Python's own numbers for NumPy's; what is neither as it is."""
    if not isinstance(record, _Model | Training):
        return record
    held = msgspec.structs.asdict(record) if isinstance(record, _Model) else vars(record)
    own = {name: tuple(map(plain, one)) if isinstance(one, tuple) else plain(one) for name, one in held.items()}
    changed: dict[str, Any] = {name: one for name, one in own.items() if repr(one) != repr(held[name])}
    if isinstance(record, _Model):
        return msgspec.structs.replace(record, **changed) if changed else record
    return replace(record, **changed) if changed else record


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An architecture and how to train it.

    Raises:
        RecipeError: with every fault of every field.
    """

    name: Annotated[str, Meta(pattern=r"\S", description="a text that is not empty")]
    model: Model = field(default_factory=DenseModel)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        for name in ("model", "training"):
            object.__setattr__(self, name, _with_plain_numbers(getattr(self, name)))
        faults = field_faults(self) or [*field_faults(self.model, "model"), *field_faults(self.training, "training")]
        if faults := faults or self._disagreements():
            raise RecipeError([f"recipe {self.name!r:.60}: {fault}" for fault in faults])

    def _disagreements(self) -> list[str]:
        """What is wrong between fields that are right by themselves."""
        model, drawn = self.model, set(self.training.augmentation)
        if isinstance(model, DenseModel) and len(model.dropout) not in {0, 1, len(model.widths)}:
            return [
                f"model.dropout must have one value, or one for each of the {len(model.widths)} hidden layers; "
                f"got {len(model.dropout)}"
            ]
        if isinstance(model, FineTunedModel) and drawn - VIEWS_DRAWN:
            return [
                "training.augmentation of a fine-tuned network may only draw views "
                f"({', '.join(sorted(VIEWS_DRAWN))}); got {', '.join(sorted(drawn))}"
            ]
        return []

    @property
    def shifts(self) -> bool:
        """Whether its loss makes scores that are no probabilities, so that 0.5 means nothing yet."""
        return self.training.loss != "bce"

    def with_loss(self, loss: LossName) -> Recipe:
        """With this loss in place of one that leaves unknown cells out, as its name then says."""
        if self.training.loss in SINGLE_POSITIVE_LOSSES:
            return self
        return replace(self, name=f"{loss}: {self.name}", training=replace(self.training, loss=loss))

    def changed(self, *, name: str | None = None, model: Changes = _SAME, training: Changes = _SAME) -> Recipe:
        """With other fields of its model and of its training.

        Raises:
            RecipeError: values that no recipe may have.
        """
        return Recipe(
            name=self.name if name is None else name,
            model=msgspec.structs.replace(self.model, **model),
            training=replace(self.training, **training),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fields resolved, ready for JSON or TOML."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Recipe:
        """The inverse of `to_dict`; fields left out take their defaults.

        Raises:
            RecipeError: unknown or unusable fields, all of them named.
        """
        values = {"name": "unnamed", **values}
        model = values.get("model", {})
        if isinstance(model, Mapping):
            values["model"] = {"architecture": DenseModel.architecture, **model}
        try:
            return from_plain(values, cls, surplus=False)
        except BundleError as error:
            raise RecipeError(error.faults) from None

    def to_toml(self) -> str:
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, path: Path) -> Recipe:
        """Read a recipe file; a recipe without a name takes the file's.

        Raises:
            RecipeError: no such file, not TOML, or faults in it.
        """
        try:
            with regular_file(path, MOST_TOML) as file:
                content = file.read(MOST_TOML)
            values = tomllib.loads(content.decode("utf-8"))
        except FileNotFoundError:
            raise RecipeError(f"{path}: no such recipe file.{nearest_file(path)}") from None
        except (OSError, ValueError, RecursionError) as error:  # whole numbers may have 4,300 digits
            raise RecipeError(f"{path}: expected a TOML recipe; {error}") from error
        try:
            return cls.from_dict({"name": path.stem, **values})
        except RecipeError as error:
            raise RecipeError([f"{path}: {fault}" for fault in error.faults]) from None


def field_names(section: Model | Training) -> tuple[str, ...]:
    """What may be changed of a model or a training, in the order of its fields."""
    return tuple(name for name in to_plain(section) if name != "architecture")


#: the recipes that everything starts from, by name
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="dense-baseline", training=Training(epochs=200, patience=0)),
        Recipe(name="dense-regularised", model=DenseModel(batch_norm=True, dropout=(0.4, 0.3))),
        Recipe(
            name="cnn",
            model=CnnModel(),
            training=Training(
                epochs=28,
                rate=4e-3,
                schedule="one-cycle",
                weight_decay=0.2,
                label_smoothing=0.1,
                averaging=0.99,
                autocast=True,
                patience=0,
            ),
        ),
        Recipe(
            name="fine-tuned",
            model=FineTunedModel(),
            training=Training(epochs=12, rate=5e-3, schedule="one-cycle", weight_decay=0.05, patience=0),
        ),
    )
}


def find_recipe(name_or_file: str | Path | Recipe) -> Recipe:
    """A recipe as given, by its registry name, or from a TOML file.

    Raises:
        RecipeError: neither a known name nor a readable recipe file.
    """
    if isinstance(name_or_file, Recipe):
        return name_or_file
    if str(name_or_file) in RECIPES:
        return RECIPES[str(name_or_file)]
    path = Path(name_or_file)
    if path.suffix == ".toml" or path.exists():
        return Recipe.from_toml(path)
    hint = did_you_mean(str(name_or_file), RECIPES)
    raise RecipeError(
        f"no recipe is called {str(name_or_file)!r}: expected {', '.join(RECIPES)} or a .toml file.{hint}"
    )
