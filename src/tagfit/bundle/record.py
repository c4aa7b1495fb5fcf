"""The bundle in memory: a network, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tagfit.bundle.manifest import Description
from tagfit.decisions.decider import Decider
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.models.backbones import Pretrained, pretrained_of
from tagfit.recipes import Recipe
from tagfit.records.data import PARTS, LockedData, Part
from tagfit.records.runs import Run


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle(Description):
    """What is handed over.

    Attributes:
        network: in inference mode, on the CPU; an Ensemble where there are several members.
        trained_on: (n, 32) uint8 SHA-256 of the samples, by part.
        pretrained: what makes features of images, where the preprocessing has a backbone.
    """

    network: nn.Module
    trained_on: Mapping[str, NDArray[np.uint8]]
    pretrained: Pretrained | None = None

    @classmethod
    def of(
        cls,
        network: nn.Module,
        members: tuple[Recipe, ...],
        run: Run,
        decider: Decider,
        constant: ConstantBaseline,
        data: LockedData,
    ) -> Bundle:
        """The bundle of a run on `data`."""
        return cls(
            recipe=run.recipe,
            network=network.cpu().eval(),
            members=members,
            preprocessing=data.dataset.preprocessing,
            label_names=data.dataset.label_names,
            decider=decider,
            constant_baseline=constant,
            scores={part: run.scores[part] for part in PARTS if part in run.scores},
            lock=data.lock,
            grouped_by=data.split.grouped_by,
            trained_on={part: data.dataset.hashes[data.split.rows(part)] for part in PARTS},
            pretrained=pretrained_of(data.dataset),
        )

    def refitted(self, network: nn.Module) -> Bundle:
        """With a network that was trained on all parts but test, and that no part has scored."""
        parts: tuple[Part, ...] = ("train", "val", "calibrate")
        seen = np.concatenate([self.trained_on[part] for part in parts])
        nothing = seen[:0]
        trained_on = {**self.trained_on, "train": seen, "val": nothing, "calibrate": nothing}
        return replace(self, network=network.cpu().eval(), members=(self.recipe,), scores={}, trained_on=trained_on)
