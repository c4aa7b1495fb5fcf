"""The fixed ladder: recipes known to help against overfitting, from the reference cure on.

Only fields of a Recipe differ from candidate to candidate, so nothing under the lock can.
"""

from __future__ import annotations

from collections.abc import Sequence

from tagfit.recipes import (
    RARE_LOSSES,
    RECIPES,
    SINGLE_POSITIVE_LOSSES,
    Changes,
    CnnModel,
    FineTunedModel,
    LossName,
    Recipe,
)
from tagfit.records.data import UNKNOWN, YES, Backbone, LockedData, Preprocessing
from tagfit.records.scores import Target

#: what is done in training to images taken from the side, and from above
FROM_THE_SIDE, FROM_ABOVE = ("mirror", "crop", "zoom", "colour"), ("mirror", "flip", "turn", "crop", "zoom", "colour")


#: images below this width or height are too small for a CNN to look closer
SMALLEST = 8

#: a label is rare that fewer of train's known cells have: there the no cells of bce outweigh the yes cells fifty times
RARE = 0.02

#: of candidates that would train all their epochs, where only yes is known
PATIENCE = 8

_NOTHING: Changes = {}


def losses_for(data: LockedData) -> tuple[LossName, ...]:
    """The losses that suit the labels of train, the one that recipes are trained by unless they say otherwise first.

    Where only yes is known, those that make something of unknown cells. Where a label is rare, those for rare ones.
    """
    if data.single_positive:
        return SINGLE_POSITIVE_LOSSES
    labels_NL = data.labels("train")
    yes_L, known_L = (labels_NL == YES).sum(axis=0), (labels_NL != UNKNOWN).sum(axis=0)
    rare = (yes_L > 0) & (yes_L < RARE * known_L)
    return ("bce", *RARE_LOSSES) if rare.any() else ("bce",)


def ladder(
    samples: Preprocessing,
    target: Target,
    *,
    augmentation: bool = False,
    fine_tune: bool = False,
    losses: Sequence[LossName] = ("bce",),
) -> tuple[Recipe, ...]:
    """The recipes to try, in order; the first is the reference cure. Images get CNNs after the dense ones.

    With several losses, all candidates are trained by the first, and one more by the second.

    Args:
        samples: what networks are given.
        target: CNNs stop training below its train band, where that ranks.
        augmentation: whether it is allowed; it takes the place of looking at many views in training.
        fine_tune: whether the backbone that made the features is trained further as well.
        losses: as `losses_for` has them.
    """
    candidates = _rungs(samples, target, augmentation, fine_tune)
    if len(losses) > 1:
        other = _varied("dense-regularised", f"dense-{losses[1]}", training={"loss": losses[1]})
        candidates = (*(_trained_by(candidate, losses[0]) for candidate in candidates), other)
    return candidates


def _trained_by(candidate: Recipe, loss: LossName) -> Recipe:
    """What learns from unknown cells learns in the end that they are no, so that it has to be stopped in time."""
    patience = candidate.training.patience or (PATIENCE if loss in SINGLE_POSITIVE_LOSSES else 0)
    return candidate.changed(training={"loss": loss, "patience": patience})


def _rungs(samples: Preprocessing, target: Target, augmentation: bool, fine_tune: bool) -> tuple[Recipe, ...]:
    if samples.kind == "features":
        frozen = () if samples.backbone is None else (_frozen(target),)
        further = _fine_tuned(samples.backbone, target, augmentation) if fine_tune and samples.backbone else ()
        return (*_dense(), _wide(target), *frozen, *further)
    if min(samples.shape[:2]) < SMALLEST:
        return _dense()
    band = {"train_ceiling": target.train_below if target.train_ranks else 1.0}
    images = (_varied("cnn", "cnn", training=band), *(_augmented(band) if augmentation else _views(band)))
    square = samples.shape[0] == samples.shape[1]
    return (*_dense(), *(images if square else map(_not_turned, images)))


def first_of(candidates: Sequence[Recipe], names: Sequence[str]) -> tuple[Recipe, ...]:
    """The same candidates, those that are named first, as a diagnosis would have it; the others keep their order."""
    place = {name: number for number, name in reversed(list(enumerate(names)))}
    return tuple(sorted(candidates, key=lambda candidate: place.get(candidate.name, len(names))))


def without(candidates: Sequence[Recipe], others: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """The candidates that are none of the others, whatever these are called."""
    known = [{**other.to_dict(), "name": None} for other in others]
    return tuple(candidate for candidate in candidates if {**candidate.to_dict(), "name": None} not in known)


def _dense() -> tuple[Recipe, ...]:
    return (
        RECIPES["dense-regularised"],
        _varied("dense-regularised", "dense-narrower", model={"widths": (64, 32)}),
        _varied("dense-regularised", "dense-stronger-dropout", model={"dropout": (0.6, 0.5)}),
        _varied("dense-regularised", "dense-weight-decay", training={"weight_decay": 0.1}),
        _varied("dense-regularised", "dense-label-smoothing", training={"label_smoothing": 0.1}),
        _varied("dense-regularised", "dense-lower-rate", training={"rate": 3e-4}),
    )


def _wide(target: Target) -> Recipe:
    """Much regularised rather than small, and trained along one cycle of the rate."""
    return _long(
        "dense-wide",
        target,
        model={"widths": (512, 256), "standardise": True, "input_dropout": 0.2},
        training={"rate": 3e-3},
    )


def _frozen(target: Target) -> Recipe:
    """For what a backbone has made: features as they are, as their sizes tell, of which half are dropped.

    More are where the train band ranks, so that what it has learnt when it gets there holds elsewhere too.
    """
    dropped = 0.7 if target.train_ranks else 0.5
    return _long(
        "dense-frozen",
        target,
        model={"widths": (512,), "dropout": (dropped,), "input_dropout": dropped},
        training={"rate": 2e-3},
    )


def _long(name: str, target: Target, *, model: Changes, training: Changes) -> Recipe:
    return _varied(
        "dense-regularised",
        name,
        model={"batch_norm": False, "dropout": (0.5,), **model},
        training={
            "epochs": 40,
            "batch_size": 64,
            "schedule": "one-cycle",
            "weight_decay": 0.05,
            "patience": 0,
            "train_ceiling": target.train_below if target.train_ranks else 1.0,
            **training,
        },
    )


def _fine_tuned(backbone: Backbone, target: Target, augmentation: bool) -> tuple[Recipe, ...]:
    """Looking at the image and its mirror image, then at all its views."""
    band = {"train_ceiling": target.train_below if target.train_ranks else 1.0}
    kinds = (("fine-tuned", 2, 12, ("mirror",)), ("fine-tuned-turned", 8, 20, ("mirror", "flip", "turn")))
    return tuple(
        pinned(
            _varied(
                "fine-tuned",
                name,
                model={"views": views},
                training={**band, "epochs": epochs, "augmentation": drawn if augmentation else ()},
            ),
            backbone,
        )
        for name, views, epochs, drawn in kinds
    )


def pinned(recipe: Recipe, backbone: Backbone | None) -> Recipe:
    """A fine-tuned recipe that names the backbone it trains, where it names none yet; others as they are."""
    model = recipe.model
    if backbone is None or not isinstance(model, FineTunedModel) or model.sha256:
        return recipe
    return recipe.changed(model={"backbone": backbone.name, "revision": backbone.revision, "sha256": backbone.sha256})


def _views(band: Changes) -> tuple[Recipe, ...]:
    """The image with its mirror image, then all its views for longer; both on smaller maps."""
    small_batches = {**band, "batch_size": 16, "rate": 3e-3}
    lightly = {"epochs": 25, "rate": 4e-3, "weight_decay": 0.05}
    longer = {"epochs": 50, "weight_decay": 0.3, "averaging": 0.995}
    return (
        _varied(
            "cnn",
            "cnn-mirrored",
            model={"stride": 4, "views": 2, "dropout": 0.2},
            training={**small_batches, **lightly},
        ),
        _varied(
            "cnn", "cnn-turned", model={"stride": 4, "width": 24, "views": 8}, training={**small_batches, **longer}
        ),
    )


def _augmented(band: Changes) -> tuple[Recipe, ...]:
    """Images changed at random, for long: as from the side, then as from above."""
    kinds = (("cnn-augmented", 2, 90, FROM_THE_SIDE), ("cnn-turned-augmented", 8, 300, FROM_ABOVE))
    lightly = {**band, "weight_decay": 0.1, "averaging": 0.998}
    return tuple(
        _varied(
            "cnn",
            name,
            model={"stride": 4, "width": 40, "views": views, "dropout": 0.3},
            training={**lightly, "epochs": epochs, "augmentation": changes},
        )
        for name, views, epochs, changes in kinds
    )


def _not_turned(recipe: Recipe) -> Recipe:
    """For images that are not square."""
    changes = tuple(name for name in recipe.training.augmentation if name != "turn")
    views = {"views": min(recipe.model.views, 4)} if isinstance(recipe.model, CnnModel) else {}
    return recipe.changed(model=views, training={"augmentation": changes})


def _varied(base: str, name: str, *, model: Changes = _NOTHING, training: Changes = _NOTHING) -> Recipe:
    """The recipe `base` under another name, with other fields."""
    return RECIPES[base].changed(name=name, model=model, training=training)
