"""The bundle in memory: a network and its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tagfit.bundle.manifest import Description, Origin
from tagfit.decisions.decider import Decider
from tagfit.images.signatures import signatures
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.models.backbones import Pretrained, pretrained_of
from tagfit.recipes import Recipe
from tagfit.records.data import PARTS, LockedData, Part
from tagfit.records.runs import Run


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle(Description):
    """What is handed over.

    Attributes:
        network: in inference mode, on the CPU; an Ensemble if there are several members.
        trained_on: (n, 32) uint8 SHA-256 of the samples, by part.
        signatures: (n, 32) uint8 of their images, as `images.signatures` has them, by part; none of features
            and of old bundles.
        pretrained: what makes features of images, if the preprocessing has a backbone.
    """

    network: nn.Module
    trained_on: Mapping[str, NDArray[np.uint8]]
    signatures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
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
        images, rows = data.dataset.images, {part: data.split.rows(part) for part in PARTS}
        all_signatures = None if images is None else signatures(images)
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
            trained_on={part: data.dataset.hashes[rows[part]] for part in PARTS},
            signatures={} if all_signatures is None else {part: all_signatures[rows[part]] for part in PARTS},
            pretrained=pretrained_of(data.dataset),
        )

    def refitted(self, network: nn.Module) -> Bundle:
        """With a network that was trained on all parts but test, and that no part has scored."""
        return replace(
            self,
            network=network.cpu().eval(),
            members=(self.recipe,),
            scores={},
            origin=None if self.origin is None else Origin(data=self.origin.data, made=self.origin.made),
            trained_on=_all_in_train(self.trained_on),
            signatures=_all_in_train(self.signatures),
        )


def _all_in_train(by_part: Mapping[str, NDArray[np.uint8]]) -> Mapping[str, NDArray[np.uint8]]:
    """Val and calibrate among train."""
    if not by_part:
        return by_part
    parts: tuple[Part, ...] = ("train", "val", "calibrate")
    rows = np.concatenate([by_part[part] for part in parts])
    return {**by_part, "train": rows, "val": rows[:0], "calibrate": rows[:0]}
