"""The fixed ladder: recipes known to help against overfitting, from the reference cure on.

Only fields of a Recipe differ from rung to rung, so nothing under the lock can.
"""

from __future__ import annotations

from dataclasses import replace

from tagfit.recipes import RECIPES, Recipe


def ladder() -> tuple[Recipe, ...]:
    """The recipes to try, in order; the first is the reference cure."""
    reference = RECIPES["dense-regularised"]
    model, training = reference.model, reference.training
    return (
        reference,
        replace(reference, name="dense-narrower", model=replace(model, widths=(64, 32))),
        replace(reference, name="dense-stronger-dropout", model=replace(model, dropout=(0.6, 0.5))),
        replace(reference, name="dense-weight-decay", training=replace(training, weight_decay=0.1)),
        replace(reference, name="dense-label-smoothing", training=replace(training, label_smoothing=0.1)),
        replace(reference, name="dense-lower-rate", training=replace(training, rate=3e-4)),
    )
