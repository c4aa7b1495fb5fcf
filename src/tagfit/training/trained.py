"""A recipe that was trained and scored: the network, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from tagfit.decisions.appraisal import Appraisal
from tagfit.decisions.decider import Predictions
from tagfit.metrics.averaging import SecondPredictions
from tagfit.recipes import Recipe
from tagfit.records.data import Part
from tagfit.records.runs import Finding, Run


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A run and its network, which is of no use where the run diverged or failed.

    Attributes:
        members: the recipe of each network of an ensemble; of a single one, its own.
        predictions: by part; where there are folds, each fold's network predicts those samples that it has not seen.
        second: of folds, what a second network says of samples of val that it has not learnt from; else None.
        appraisal: what these are worth; None until the run is chosen.
        findings: what is wrong with it, as far as it shows by itself; none until the run is chosen.
    """

    run: Run
    network: nn.Module
    members: tuple[Recipe, ...] = ()
    predictions: Mapping[Part, Predictions] = field(default_factory=dict)
    second: SecondPredictions | None = None
    appraisal: Appraisal | None = None
    findings: tuple[Finding, ...] = ()
