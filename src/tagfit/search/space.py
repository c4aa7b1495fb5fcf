"""Which recipes a search may propose: fields of a Recipe and the values they may take, and nothing else.

The data, the split and the preprocessing are no fields of a Recipe, so that no search over them can be written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tagfit.errors import RecipeError
from tagfit.recipes import Changes, CnnModel, LossName, Recipe, Training, field_names
from tagfit.records.data import Preprocessing
from tagfit.records.scores import Target
from tagfit.search.candidates import FROM_ABOVE, FROM_THE_SIDE, SMALLEST

#: the parts of a recipe that fields are of
SECTIONS = ("model", "training")


@dataclass(frozen=True)
class OneOf:
    """One of several values."""

    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, in steps, or on a logarithmic scale where there is no step."""

    low: float
    high: float
    step: float | None = None

    def __contains__(self, value: float) -> bool:
        return bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Space:
    """Recipes that differ from `base` in the named fields of its model and of its training.

    Raises:
        RecipeError: a dimension that is no field of a recipe, or values that no recipe may have; all at once.
    """

    base: Recipe
    model: Mapping[str, OneOf | Range]
    training: Mapping[str, OneOf | Range]

    def __post_init__(self) -> None:
        faults = []
        for section in SECTIONS:
            known = field_names(getattr(self.base, section))
            faults += [
                f"{section}.{name} is no field of a recipe, so it cannot be searched"
                for name in getattr(self, section)
                if name not in known
            ]
        if faults:
            raise RecipeError(faults)
        for name, dimension in self.dimensions.items():
            ends = dimension.values if isinstance(dimension, OneOf) else (dimension.low, dimension.high)
            for value in ends:
                self.recipe("probe", {name: value})

    @property
    def dimensions(self) -> dict[str, OneOf | Range]:
        """All of them, by names such as `model.widths`."""
        return {f"{section}.{name}": one for section in SECTIONS for name, one in getattr(self, section).items()}

    def recipe(self, name: str, values: Changes) -> Recipe:
        """The base with these fields, by names such as `model.widths`."""
        parts: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
        for dotted, value in values.items():
            section, _, inner = dotted.partition(".")
            parts[section][inner] = value
        return self.base.changed(name=name, **parts)

    def values_of(self, recipe: Recipe) -> dict[str, object] | None:
        """The fields that make `recipe` of the base; None where it lies outside of this space."""
        if type(recipe.model) is not type(self.base.model):
            return None
        values = {}
        for dotted, dimension in self.dimensions.items():
            section, _, inner = dotted.partition(".")
            values[dotted] = getattr(getattr(recipe, section), inner)
            if values[dotted] not in dimension:
                return None
        return values if self.recipe(recipe.name, values) == recipe else None


def space(
    samples: Preprocessing, target: Target, *, augmentation: bool = False, losses: Sequence[LossName] = ("bce",)
) -> Space:
    """What a cure searches: dense networks for features and tiny images, CNNs for images.

    Args:
        target: networks stop training below its train band, where that ranks.
        augmentation: whether it is allowed.
        losses: a dimension where there are several.
    """
    found = _space(samples, target, augmentation)
    if len(losses) == 1:
        return found
    return replace(found, training={**found.training, "loss": OneOf(tuple(losses))})


def _space(samples: Preprocessing, target: Target, augmentation: bool) -> Space:
    ceiling = target.train_below if target.train_ranks and target.train_below > 0 else 1.0
    if samples.kind == "features" or min(samples.shape[:2]) < SMALLEST:
        return dense_space(ceiling, most_dropped=0.4 if samples.backbone is None else 0.7)
    return cnn_space(ceiling, square=samples.shape[0] == samples.shape[1], augmentation=augmentation)


def dense_space(ceiling: float = 1.0, *, most_dropped: float = 0.4) -> Space:
    """Dense networks of one to three layers: size, every kind of regularisation, rate and its course.

    `most_dropped` is the largest share of inputs: many features of a backbone say much the same.
    """
    return Space(
        base=Recipe(name="dense-search", training=Training(train_ceiling=ceiling, patience=0)),
        model={
            "widths": OneOf(((64, 32), (128, 64), (256, 128), (512, 256), (256,), (512,), (256, 128, 64))),
            "batch_norm": OneOf((False, True)),
            "standardise": OneOf((False, True)),
            "dropout": OneOf(((), (0.2,), (0.3,), (0.4,), (0.5,), (0.6,), (0.7,))),
            "input_dropout": Range(0.0, most_dropped, 0.1),
            "input_noise": Range(0.0, 0.4, 0.1),
        },
        training={
            "epochs": OneOf((20, 40, 60)),
            "batch_size": OneOf((16, 32, 64, 128)),
            "rate": Range(3e-4, 1e-2),
            "schedule": OneOf(("one-cycle", "cosine", "constant")),
            "weight_decay": OneOf((0.0, 0.01, 0.02, 0.05, 0.1, 0.3)),
            "label_smoothing": OneOf((0.0, 0.05, 0.1)),
            "averaging": OneOf((0.0, 0.98)),
            "patience": OneOf((0, 8)),
        },
    )


def cnn_space(ceiling: float = 1.0, *, square: bool = True, augmentation: bool = False) -> Space:
    """Small CNNs: width, views, regularisation, rate and length; the course of the rate is one-cycle.

    The stride is 4: at 2, one wide network that looks at eight views takes as long as a whole generation. Where
    augmentation is allowed, what it does and how far it goes, and trainings as long as it then takes.
    """
    fixed = Training(
        schedule="one-cycle", patience=0, autocast=True, train_ceiling=ceiling, epochs=25, rate=4e-3, averaging=0.99
    )
    return Space(
        base=Recipe(name="cnn-search", model=CnnModel(stride=4), training=fixed),
        model={
            "width": OneOf((16, 24, 32, 40)),
            "dropout": Range(0.0, 0.6, 0.1),
            "stochastic_depth": OneOf((0.0, 0.1, 0.2)),
            "views": OneOf((1, 2, 4, 8) if square else (1, 2, 4)),
        },
        training={
            "epochs": OneOf((15, 20, 25, 30, 40, 50)),
            "batch_size": OneOf((16, 32, 64)),
            "rate": Range(1e-3, 1e-2),
            "weight_decay": OneOf((0.0, 0.05, 0.1, 0.2, 0.3, 0.5)),
            "label_smoothing": OneOf((0.0, 0.05, 0.1, 0.2)),
            "averaging": OneOf((0.0, 0.98, 0.99, 0.995)),
            **(_augmented(square) if augmentation else {}),
        },
    )


def _augmented(square: bool) -> dict[str, OneOf | Range]:
    """Images as from the side, as from above, or as they are."""
    from_above = tuple(name for name in FROM_ABOVE if square or name != "turn")
    return {
        "epochs": OneOf((25, 40, 60, 90)),
        "averaging": OneOf((0.0, 0.99, 0.995, 0.998)),
        "augmentation": OneOf(((), FROM_THE_SIDE, from_above)),
        "augmentation_strength": Range(0.25, 1.5, 0.25),
    }
