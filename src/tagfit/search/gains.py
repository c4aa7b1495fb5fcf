"""Why it is better: the way from the baseline to what is delivered, change by change, and what each brought on val."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tagfit.recipes import CnnModel, DenseModel, FineTunedModel, Model, Recipe, field_names
from tagfit.records.runs import GainRecord
from tagfit.records.scores import Difference
from tagfit.training.trained import TrainedModel

#: how the score on val of one network differs from another's, paired
Ahead = Callable[[TrainedModel, TrainedModel], Difference | None]


def gains(
    before: TrainedModel, tried: Sequence[TrainedModel], single: TrainedModel, after: TrainedModel, ahead: Ahead
) -> tuple[GainRecord, ...]:
    """What each change brought, from `before` to `after`; nothing where these are the same.

    The way leads over models that were trained anyway, so that it costs nothing: the first of the delivered
    architecture that was tried, then the one that val chose, then the ensemble if one is delivered. What the changes
    bring adds up to the whole.

    Args:
        single: what val chose, or the best member if an ensemble is delivered.
    """
    if after is before:
        return ()
    way = [before, *_between(before, tried, single), single, *([] if after is single else [after])]
    return tuple(_gain(one, other, ahead) for one, other in pairwise(way))


def _between(before: TrainedModel, tried: Sequence[TrainedModel], single: TrainedModel) -> Iterator[TrainedModel]:
    """The first model of the delivered architecture, if it is nearer to the delivered one than the baseline is."""
    goal = single.run.recipe
    alike = (one for one in tried if one.run.state == "finished" and isinstance(one.run.recipe.model, type(goal.model)))
    first = next(alike, None)
    if first is None or first is single:
        return
    if len(changed(first.run.recipe, goal)) < len(changed(before.run.recipe, goal)):
        yield first


def _gain(one: TrainedModel, other: TrainedModel, ahead: Ahead) -> GainRecord:
    networks = len(other.members)
    fields = changed(one.run.recipe, other.run.recipe)
    return GainRecord(
        recipe=other.run.recipe,
        networks=networks,
        changed=fields,
        change=ahead(other, one),
        why=ENSEMBLE if networks > len(one.members) else why(fields, other.run.recipe.model),
    )


# ------------------------------------------------------------------------------------------- changes


def changed(one: Recipe, other: Recipe) -> tuple[str, ...]:
    """The fields that differ, the architecture first; of another architecture, those of its own that differ."""
    fields = ["model.architecture"] if one.model.architecture != other.model.architecture else []
    for section in ("model", "training"):
        held, given = getattr(one, section), getattr(other, section)
        fields += [
            f"{section}.{name}"
            for name in field_names(given)
            if not hasattr(held, name) or getattr(held, name) != getattr(given, name)
        ]
    return tuple(fields)


ENSEMBLE = "Several networks err in different places, so their mean errs less than one of them."

_ARCHITECTURES: dict[type[Model], str] = {
    DenseModel: "A dense network takes every input by itself: on features that is all there is to see.",
    CnnModel: "A CNN looks for the same small shapes everywhere in an image, so it needs fewer images to learn them.",
    FineTunedModel: "A pretrained network has seen far more images than these, and only adapts to them.",
}

#: by field, the ones that matter most first: what a change of it does
_REASONS: dict[str, str] = {
    "training.augmentation": "Images that change a little each time cannot be learnt by heart.",
    "model.views": "Mirrored and turned views are averaged, so the network cannot tell them apart.",
    "model.dropout": "Dropout leaves units out at random, so that the network cannot rely on single ones.",
    "model.input_dropout": "Inputs are left out at random, so that the network cannot rely on single ones.",
    "model.input_noise": "Noise on the inputs keeps the network from learning exact values by heart.",
    "model.stochastic_depth": "Blocks are left out at random, so that the network cannot rely on single ones.",
    "training.weight_decay": "Weight decay keeps weights small, so that the network does not bend to single samples.",
    "training.patience": "Training stops when val's loss no longer falls, before more is learnt by heart.",
    "training.train_ceiling": "Training stops before train is known by heart.",
    "training.label_smoothing": "Smoothed labels ask for less certainty, so that single wrong labels weigh less.",
    "training.averaging": "Weights averaged over the steps are less at the mercy of the last ones.",
    "training.loss": "Another loss gives rare or unknown labels another weight.",
    "model.batch_norm": "BatchNorm keeps activations in one range, so that training is steadier.",
    "model.standardise": "Inputs of one scale let every feature count from the start.",
    "training.schedule": "The rate falls to 0 in the end, so that the last steps are fine ones.",
    "training.rate": "Another learning rate makes steps of another size.",
    "training.epochs": "Another number of epochs leaves less or more time to learn by heart.",
    "training.batch_size": "Another batch size makes steps more or less noisy.",
    "model.widths": "Another number of units holds less or more by heart.",
    "model.width": "Another number of channels holds less or more by heart.",
    "model.depth": "More blocks see larger shapes, fewer are quicker to train.",
    "model.stride": "Larger steps make training quicker and see smaller things less.",
    "training.clip": "Clipped gradients keep single batches from throwing the weights off.",
}


def why(fields: Sequence[str], model: Model) -> str:
    """One sentence on the change that matters most among these."""
    if "model.architecture" in fields:
        return _ARCHITECTURES[type(model)]
    return next((reason for name, reason in _REASONS.items() if name in fields), "")
