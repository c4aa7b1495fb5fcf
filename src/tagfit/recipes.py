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
from dataclasses import asdict, dataclass, field, fields
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
    """

    architecture: ClassVar[str] = "dense"

    widths: tuple[int, ...] = (128, 64)
    batch_norm: bool = False
    dropout: tuple[float, ...] = ()

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
        if not isinstance(self.batch_norm, bool):
            faults.append(f"model.batch_norm must be true or false; got {self.batch_norm!r}")
        if not all(_is_number(share) and 0 <= share < 1 for share in self.dropout):
            faults.append(f"model.dropout must be fractions from 0 up to, not including, 1; got {list(self.dropout)}")
        if len(self.dropout) not in {0, 1, len(self.widths)}:
            faults.append(
                f"model.dropout must have one value, or one for each of the {len(self.widths)} hidden layers; "
                f"got {len(self.dropout)}"
            )
        return faults

    def dropout_of(self, layer: int) -> float:
        """The dropout after hidden layer number `layer` (from 0)."""
        if not self.dropout:
            return 0.0
        return self.dropout[layer if len(self.dropout) > 1 else 0]


#: every architecture's fields, by the name that a recipe writes; `models.registry` holds their builders
ARCHITECTURES: dict[str, type[DenseModel]] = {DenseModel.architecture: DenseModel}

#: the losses that a recipe may name; `models.losses` holds their formulas
LOSSES = ("bce",)


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training hyperparameters.

    Attributes:
        epochs: passes over train, at most.
        batch_size: samples a step; the last step of an epoch takes what is left.
        rate: Adam's learning rate.
        loss: a name from LOSSES.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019) of the kernels, not of biases or BatchNorm.
        label_smoothing: yes becomes 1 - s/2 and no becomes s/2.
        patience: epochs without a new best val loss after which training stops; the best weights are
            restored. 0 trains all epochs and delivers the last weights.
    """

    epochs: int = 50
    batch_size: int = 32
    rate: float = 1e-3
    loss: str = "bce"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    patience: int = 5

    def faults(self) -> list[str]:
        faults = [
            f"training.{name} must be a whole number of at least {least}; got {getattr(self, name)!r}"
            for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 0))
            if not (_is_int(getattr(self, name)) and getattr(self, name) >= least)
        ]
        if not (_is_number(self.rate) and 0 < self.rate < math.inf):
            faults.append(f"training.rate must be a number above 0; got {self.rate!r}")
        if not (_is_number(self.weight_decay) and 0 <= self.weight_decay < math.inf):
            faults.append(f"training.weight_decay must be a number of at least 0; got {self.weight_decay!r}")
        if not (_is_number(self.label_smoothing) and 0 <= self.label_smoothing < 1):
            faults.append(
                f"training.label_smoothing must be a fraction from 0 up to, not including, 1; "
                f"got {self.label_smoothing!r}"
            )
        if self.loss not in LOSSES:
            hint = did_you_mean(str(self.loss), LOSSES)
            faults.append(f"training.loss must be one of {', '.join(LOSSES)}; got {self.loss!r}.{hint}")
        return faults


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An architecture and how to train it.

    Raises:
        RecipeError: with every fault of every field.
    """

    name: str
    model: DenseModel = field(default_factory=DenseModel)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        faults = [*self.model.faults(), *self.training.faults()]
        if not isinstance(self.name, str) or not self.name.strip():
            faults.insert(0, f"name must be a text that is not empty; got {self.name!r}")
        if faults:
            raise RecipeError([f"recipe {self.name!r}: {fault}" for fault in faults])

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
        if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
            hint = did_you_mean(str(architecture), ARCHITECTURES)
            faults.append(f"model.architecture must be one of {', '.join(ARCHITECTURES)}; got {architecture!r}.{hint}")
            raise RecipeError(faults)
        model, unknown_model = _filled(ARCHITECTURES[architecture], "model", fields_of_model)
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


#: the recipes that everything starts from, by name
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="dense-baseline", training=Training(epochs=200, patience=0)),
        Recipe(name="dense-regularised", model=DenseModel(batch_norm=True, dropout=(0.4, 0.3))),
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
