"""What a recipe is made of, beside the plain network: each ingredient can be left out."""

from __future__ import annotations

from typing import Any

from tagfit.recipes import (
    SINGLE_POSITIVE_LOSSES,
    CnnModel,
    DenseModel,
    FineTunedModel,
    Recipe,
    Training,
    field_names,
)

#: what is left out together with another field, as it suits that one alone
_GOES_WITH = {"schedule": "rate", "augmentation": "augmentation_strength"}

#: what is no ingredient by itself: also how long, how it is computed, what keeps the bands, and which weights of a
#: fine-tuned network are trained at all
_NOT_ONE = frozenset(
    {
        *("epochs", "patience", "autocast", "train_ceiling"),
        *("backbone", "revision", "sha256", "trained", "body_rate"),
        *_GOES_WITH.values(),
    }
)

#: a plain network of either kind, and how Keras trains it unless told otherwise
_PLAIN_MODELS: dict[type[Any], Any] = {
    DenseModel: DenseModel(),
    CnnModel: CnnModel(dropout=0.0, standardise=False, stride=2),
    FineTunedModel: FineTunedModel(dropout=0.0, layer_decay=1.0),
}
_PLAIN_TRAINING = Training()


def ingredients(recipe: Recipe) -> list[tuple[str, Recipe]]:
    """What `recipe` has beside the plain network: its name and value, and the recipe without it.

    A rate stays with its schedule: what suits one is not what suits the other, so that both are left out together. So
    does the strength of augmentation with what it does.
    """
    plain_model = _PLAIN_MODELS[type(recipe.model)]
    found = []
    for section, held, plain in (
        ("model", recipe.model, plain_model),
        ("training", recipe.training, _PLAIN_TRAINING),
    ):
        for name in field_names(held):
            value, neutral = getattr(held, name), getattr(plain, name)
            if name == "loss" and value in SINGLE_POSITIVE_LOSSES:
                neutral = "assume-negative"  # where only yes is known, bce would learn always yes
            if name in _NOT_ONE or value == neutral:
                continue
            changes = {name: neutral}
            if name in _GOES_WITH:
                changes[_GOES_WITH[name]] = getattr(plain, _GOES_WITH[name])
            sections: Any = {section: changes}
            found.append((f"{name} = {_shown(value)}", recipe.changed(name=f"without {name}", **sections)))
    return found


def _shown(value: Any) -> str:
    return (
        "-".join(part if isinstance(part, str) else f"{part:g}" for part in value)
        if isinstance(value, tuple)
        else str(value).lower()
    )
