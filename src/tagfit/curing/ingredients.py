"""What a recipe is made of, beside the plain network: each ingredient can be left out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from tagfit.recipes import SINGLE_POSITIVE_LOSSES, CnnModel, DenseModel, Recipe, Training

#: what is no ingredient: how long, how it is computed, and what keeps the bands
_NOT_ONE = frozenset({"epochs", "patience", "autocast", "train_ceiling"})

#: a plain network of either kind, and how Keras trains it unless told otherwise
_PLAIN_MODELS: dict[type[Any], Any] = {
    DenseModel: DenseModel(),
    CnnModel: CnnModel(dropout=0.0, standardise=False, stride=2),
}
_PLAIN_TRAINING = Training()


def ingredients(recipe: Recipe) -> list[tuple[str, Recipe]]:
    """What `recipe` has beside the plain network: its name and value, and the recipe without it.

    A rate stays with its schedule: what suits one is not what suits the other, so that both are left out together.
    """
    plain_model = _PLAIN_MODELS[type(recipe.model)]
    found = []
    for section, held, plain in (
        ("model", recipe.model, plain_model),
        ("training", recipe.training, _PLAIN_TRAINING),
    ):
        for one in fields(held):
            value, neutral = getattr(held, one.name), getattr(plain, one.name)
            if one.name == "loss" and value in SINGLE_POSITIVE_LOSSES:
                neutral = "assume-negative"  # where only yes is known, bce would learn always yes
            if one.name in _NOT_ONE or one.name == "rate" or value == neutral:
                continue
            changes = {one.name: neutral}
            if one.name == "schedule":
                changes["rate"] = _PLAIN_TRAINING.rate
            name = f"{one.name} = {_shown(value)}"
            left: Any = {section: replace(held, **changes)}
            found.append((name, replace(recipe, name=f"without {one.name}", **left)))
    return found


def _shown(value: Any) -> str:
    return "-".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value).lower()
