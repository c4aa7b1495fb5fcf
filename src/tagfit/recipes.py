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

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import tomli_w

from tagfit.errors import RecipeError, did_you_mean

Section = TypeVar("Section")


@dataclass(frozen=True, kw_only=True)
class DenseModel:
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

    architecture: ClassVar[str] = "dense"

    widths: tuple[int, ...] = (128, 64)
    batch_norm: bool = False
    dropout: tuple[float, ...] = ()
    standardise: bool = False
    input_noise: float = 0.0
    input_dropout: float = 0.0

    def faults(self) -> list[str]:
        faults = [
            f"model.{name} must be a list of numbers; got {getattr(self, name)!r}"
            for name in ("widths", "dropout")
            if not isinstance(getattr(self, name), tuple)
        ]
        if faults:
            return faults
        if not all(_is_int(width) and 1 <= width <= 65536 for width in self.widths):
            faults.append(f"model.widths must be whole numbers from 1 to 65536; got {list(self.widths)}")
        faults += _not_switches("model", self, "batch_norm", "standardise")
        if not all(_is_number(share) and 0 <= share < 1 for share in self.dropout):
            faults.append(f"model.dropout must be fractions from 0 up to, not including, 1; got {list(self.dropout)}")
        if len(self.dropout) not in {0, 1, len(self.widths)}:
            faults.append(
                f"model.dropout must have one value, or one for each of the {len(self.widths)} hidden layers; "
                f"got {len(self.dropout)}"
            )
        faults += _below_0("model", self, "input_noise")
        return faults + _not_fractions("model", self, "input_dropout")

    def dropout_of(self, layer: int) -> float:
        """The dropout after hidden layer number `layer` (from 0)."""
        if not self.dropout:
            return 0.0
        return self.dropout[layer if len(self.dropout) > 1 else 0]


#: how much a CNN may shrink an image before it looks closer
STRIDES = (2, 4)

#: how many mirrored and turned views of an image a network may look at
VIEWS = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class CnnModel:
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

    architecture: ClassVar[str] = "cnn"

    width: int = 32
    depth: int = 1
    stride: int = 2
    dropout: float = 0.5
    stochastic_depth: float = 0.0
    views: int = 1
    standardise: bool = True

    def faults(self) -> list[str]:
        faults = _not_whole("model", self, width=1, depth=0)
        faults += _not_fractions("model", self, "dropout", "stochastic_depth")
        if not (_is_int(self.stride) and self.stride in STRIDES):
            faults.append(f"model.stride must be 2 or 4; got {self.stride!r}")
        return faults + _not_views(self.views) + _not_switches("model", self, "standardise")


@dataclass(frozen=True, kw_only=True)
class FineTunedModel:
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

    architecture: ClassVar[str] = "fine-tuned"

    backbone: str = ""
    revision: str = ""
    sha256: str = ""
    trained: float = 0.6
    dropout: float = 0.3
    views: int = 1
    body_rate: float = 0.2
    layer_decay: float = 0.9
    unfreezing: float = 0.0

    def faults(self) -> list[str]:
        faults = [
            f"model.{name} must be a text; got {getattr(self, name)!r}"
            for name in ("backbone", "revision", "sha256")
            if not isinstance(getattr(self, name), str)
        ]
        for name in ("trained", "layer_decay"):
            if not (_is_number(getattr(self, name)) and 0 < getattr(self, name) <= 1):
                faults.append(f"model.{name} must be a fraction above 0, at most 1; got {getattr(self, name)!r}")
        faults += _not_fractions("model", self, "dropout", "unfreezing")
        if not (_is_number(self.body_rate) and 0 < self.body_rate < math.inf):
            faults.append(f"model.body_rate must be a number above 0; got {self.body_rate!r}")
        return faults + _not_views(self.views)


def _not_views(views: object) -> list[str]:
    if _is_int(views) and views in VIEWS:
        return []
    return [f"model.views must be one of {', '.join(map(str, VIEWS))}; got {views!r}"]


Model = DenseModel | CnnModel | FineTunedModel

#: every architecture's fields, by the name that a recipe writes; `models.registry` holds their builders
ARCHITECTURES: dict[str, type[Model]] = {kind.architecture: kind for kind in (DenseModel, CnnModel, FineTunedModel)}

#: losses for rare labels, and those for data whose unknown cells have to count, because only yes is known
RARE_LOSSES = ("weighted", "focal", "asymmetric", "distribution-balanced")
SINGLE_POSITIVE_LOSSES = ("weak-negative", "entropy", "assume-negative")

#: the losses that a recipe may name; `models.losses` holds their formulas. All but bce shift probabilities
LOSSES = ("bce", *RARE_LOSSES, *SINGLE_POSITIVE_LOSSES)

#: the courses of the learning rate that a recipe may name; `training.schedule` holds their formulas
SCHEDULES = ("constant", "cosine", "one-cycle")

#: what augmentation may do to an image in training; `training.augmentation` holds how
AUGMENTATIONS = ("mirror", "flip", "turn", "crop", "zoom", "colour", "mixup", "cutmix")

#: the changes that draw one of the views that a network may look at
VIEWS_DRAWN = frozenset({"mirror", "flip", "turn"})

#: augmentation stronger than this leaves little of an image
STRONGEST = 2.0


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

    epochs: int = 50
    batch_size: int = 32
    rate: float = 1e-3
    schedule: str = "constant"
    loss: str = "bce"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    clip: float = 0.0
    averaging: float = 0.0
    autocast: bool = False
    patience: int = 5
    train_ceiling: float = 1.0
    augmentation: tuple[str, ...] = ()
    augmentation_strength: float = 1.0

    @property
    def draws_a_view(self) -> bool:
        """Whether a network of several views looks at one of them in training, drawn at random."""
        return self.augmentation_strength > 0 and not VIEWS_DRAWN.isdisjoint(self.augmentation)

    def faults(self) -> list[str]:
        faults = _not_whole("training", self, epochs=1, batch_size=1, patience=0)
        if not (_is_number(self.rate) and 0 < self.rate < math.inf):
            faults.append(f"training.rate must be a number above 0; got {self.rate!r}")
        faults += _below_0("training", self, "weight_decay", "clip")
        faults += _not_fractions("training", self, "label_smoothing", "averaging")
        if not (_is_number(self.train_ceiling) and 0 < self.train_ceiling <= 1):
            faults.append(f"training.train_ceiling must be a score above 0 and at most 1; got {self.train_ceiling!r}")
        if not (_is_number(self.augmentation_strength) and 0 <= self.augmentation_strength <= STRONGEST):
            faults.append(
                f"training.augmentation_strength must be a number from 0 to {STRONGEST:g}; "
                f"got {self.augmentation_strength!r}"
            )
        faults += _not_switches("training", self, "autocast")
        faults += _not_among("training.loss", self.loss, LOSSES)
        faults += _not_among("training.schedule", self.schedule, SCHEDULES)
        if not isinstance(self.augmentation, tuple):
            return [*faults, f"training.augmentation must be a list of names; got {self.augmentation!r}"]
        for name in self.augmentation:
            faults += _not_among("training.augmentation", name, AUGMENTATIONS)
        return faults


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An architecture and how to train it.

    Raises:
        RecipeError: with every fault of every field.
    """

    name: str
    model: Model = field(default_factory=DenseModel)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        faults = [*self.model.faults(), *self.training.faults()]
        if isinstance(self.model, FineTunedModel) and set(self.training.augmentation) - VIEWS_DRAWN:
            faults.append(
                "training.augmentation of a fine-tuned network may only draw views "
                f"({', '.join(sorted(VIEWS_DRAWN))}); got {', '.join(map(str, self.training.augmentation))}"
            )
        if not isinstance(self.name, str) or not self.name.strip():
            faults.insert(0, f"name must be a text that is not empty; got {self.name!r}")
        if faults:
            raise RecipeError([f"recipe {self.name!r}: {fault}" for fault in faults])

    @property
    def shifts(self) -> bool:
        """Whether its loss makes scores that are no probabilities, so that 0.5 means nothing yet."""
        return self.training.loss != "bce"

    def with_loss(self, loss: str) -> Recipe:
        """With this loss in place of one that leaves unknown cells out, as its name then says."""
        if self.training.loss in SINGLE_POSITIVE_LOSSES:
            return self
        return replace(self, name=f"{loss}: {self.name}", training=replace(self.training, loss=loss))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fields resolved, ready for JSON or TOML."""
        model = {"architecture": self.model.architecture, **_plain(asdict(self.model))}
        return {"name": self.name, "model": model, "training": _plain(asdict(self.training))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_dict`; fields left out take their defaults.

        Raises:
            RecipeError: unknown or unusable fields, all of them named.
        """
        faults = _unknown("recipe", values, ("name", "model", "training"))
        sections = {name: values.get(name, {}) for name in ("model", "training")}
        for name, section in sections.items():
            if not isinstance(section, Mapping):
                faults.append(f"recipe: [{name}] must be a table; got {section!r}")
                sections[name] = {}
        fields_of_model = dict(sections["model"])
        architecture = fields_of_model.pop("architecture", "dense")
        strange = _not_among("model.architecture", architecture, tuple(ARCHITECTURES))
        if strange:
            raise RecipeError([*faults, *strange])
        kind: type[Any] = ARCHITECTURES[architecture]
        model, unknown_model = _filled(kind, "model", fields_of_model)
        training, unknown_training = _filled(Training, "training", sections["training"])
        faults += [*unknown_model, *unknown_training]
        if faults:
            raise RecipeError([*faults, *model.faults(), *training.faults()])
        return cls(name=values.get("name", "unnamed"), model=model, training=training)

    def to_toml(self) -> str:
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, path: Path) -> Recipe:
        """Read a recipe file; a recipe without a name takes the file's.

        Raises:
            RecipeError: no such file, not TOML, or faults in it.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecipeError(f"{path}: no such recipe file") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"{path}: expected a TOML recipe; {error}") from error
        try:
            return cls.from_dict({"name": path.stem, **values})
        except RecipeError as error:
            raise RecipeError([f"{path}: {fault}" for fault in error.faults]) from None


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _not_whole(section: str, record: object, **least: int) -> list[str]:
    return [
        f"{section}.{name} must be a whole number of at least {limit}; got {getattr(record, name)!r}"
        for name, limit in least.items()
        if not (_is_int(getattr(record, name)) and limit <= getattr(record, name) < 2**31)
    ]


def _below_0(section: str, record: object, *names: str) -> list[str]:
    return [
        f"{section}.{name} must be a number of at least 0; got {getattr(record, name)!r}"
        for name in names
        if not (_is_number(getattr(record, name)) and getattr(record, name) >= 0)
    ]


def _not_fractions(section: str, record: object, *names: str) -> list[str]:
    return [
        f"{section}.{name} must be a fraction from 0 up to, not including, 1; got {getattr(record, name)!r}"
        for name in names
        if not (_is_number(getattr(record, name)) and 0 <= getattr(record, name) < 1)
    ]


def _not_switches(section: str, record: object, *names: str) -> list[str]:
    return [
        f"{section}.{name} must be true or false; got {getattr(record, name)!r}"
        for name in names
        if not isinstance(getattr(record, name), bool)
    ]


def _not_among(field_name: str, value: object, known: tuple[str, ...]) -> list[str]:
    if value in known:
        return []
    hint = did_you_mean(str(value), known)
    return [f"{field_name} must be one of {', '.join(known)}; got {value!r}.{hint}"]


def _unknown(section: str, values: Mapping[str, Any], known: list[str] | tuple[str, ...]) -> list[str]:
    return [
        f"{section}: there is no field {name!r}; known: {', '.join(known)}.{did_you_mean(str(name), known)}"
        for name in values
        if name not in known
    ]


def _filled(kind: type[Section], section: str, values: Mapping[str, Any]) -> tuple[Section, list[str]]:
    """The record with what `values` hold of its fields, and a fault for whatever it does not have."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    known = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in names
    }
    return kind(**known), _unknown(section, values, names)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


#: what `fit` trains and what `cure` starts from, unless told otherwise; and what `fit` trains of a backbone
DEFAULT_RECIPE, DEFAULT_BASELINE, FINE_TUNED = "dense-regularised", "dense-baseline", "fine-tuned"

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
