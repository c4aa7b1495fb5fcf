"""All that a tagger does with an array, as one torch module: what goes into a file for other runtimes.

Shapes: N samples, L labels, K knots of the longest curve, S label sets.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tagfit.bundle.record import Bundle
from tagfit.decisions.calibration import Calibration
from tagfit.decisions.rules import Rule
from tagfit.metrics.curves import HIGHEST, LOWEST, Curve, IsotonicCurve, SigmoidCurve
from tagfit.metrics.scores import CLIP, THRESHOLD
from tagfit.models.backbones import BackboneNetwork, Pretrained
from tagfit.models.ensemble import Ensemble, members_of
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.models.folding import folded
from tagfit.models.views import views_of
from tagfit.training.inputs import PIXEL_SCALE

#: a little above 1, for what resizing rounds
HIGHEST_FLOAT = 1 + 1e-3


class WholeTagger(nn.Module):
    """Maps (N, H, W, 3) uint8 images or (N, D) float32 features to scores, probabilities and decisions, each (N, L).

    From the logits on it computes in float64, as `scoring` does: runtimes have approximations of their own in float32,
    and a calibration would show how far off they are.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_ready(network) for network in members_of(bundle.network))
        self.several = isinstance(bundle.network, Ensemble)
        self.scale = bundle.preprocessing.scale
        headed = any(not isinstance(network, _FromImages) for network in self.networks)
        self.extractor = _Extracted(bundle.pretrained) if headed and bundle.pretrained is not None else None
        decider = bundle.decider
        calibrated = decider.calibration.method != "none"
        self.calibrate = _Calibrated(decider.calibration, len(bundle.label_names)) if calibrated else None
        self.decide = None if decider.rule is None else _decided(decider.rule)
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = [logits.double() for logits in self._logits(x)]
        joined = Ensemble.joined(torch.stack(logits)) if self.several else logits[0]
        scores = _sigmoid(joined).float()
        probabilities = scores.clone() if self.calibrate is None else self.calibrate(scores)
        return scores, probabilities, scores > THRESHOLD if self.decide is None else self.decide(probabilities)

    def _logits(self, x: Tensor) -> list[Tensor]:
        """(N, L) of each network, which is given what it takes."""
        given = x.float() * self.scale if self.extractor is None else self.extractor(x)
        return [network(x if isinstance(network, _FromImages) else given) for network in self.networks]


class FromFloats(nn.Module):
    """Maps (N, H, W, 3) float32 images from 0 to 1 to what a WholeTagger gives; NaN and no label for others."""

    def __init__(self, whole: WholeTagger) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = x.flatten(1)
        fits = (values.amin(1, keepdim=True) >= 0) & (values.amax(1, keepdim=True) <= HIGHEST_FLOAT)
        scores, probabilities, decisions = self.whole(x * 255)
        return torch.where(fits, scores, math.nan), torch.where(fits, probabilities, math.nan), decisions & fits


def _ready(network: nn.Module) -> nn.Module:
    return _FromImages(network) if isinstance(network, FineTunedNetwork) else network


class _FromImages(nn.Module):
    """A fine-tuned network in one piece, the trained blocks above those that stayed as they came."""

    def __init__(self, network: FineTunedNetwork) -> None:
        super().__init__()
        self.views = network.model.views
        self.body = copy.deepcopy(network.whole if network.parted else network.upper)
        if network.parted:
            self.body.load_state_dict(network.upper.state_dict(), strict=False)
        self.output = network.output

    def forward(self, images: Tensor) -> Tensor:
        views = torch.stack(views_of(images.float() * PIXEL_SCALE, self.views), 1)
        features = self.body(views.flatten(0, 1)).unflatten(0, (-1, self.views)).mean(1)
        return cast(Tensor, self.output(features))


class _Extracted(nn.Module):
    """(N, D) features of uint8 images, evened as by `training.features.evened`."""

    def __init__(self, pretrained: Pretrained) -> None:
        super().__init__()
        size = pretrained.backbone.form.size
        example = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0))
        self.network = cast(BackboneNetwork, folded(pretrained.network, example))

    def forward(self, images: Tensor) -> Tensor:
        features = self.network(images.float() * PIXEL_SCALE)
        roots = features.sign() * features.abs().sqrt()
        lengths = (2 * roots.square().mean(1, keepdim=True)).sqrt()
        return cast(Tensor, roots / lengths.clamp(min=1e-12))


class _Calibrated(nn.Module):
    """`Calibration.apply`: each label by its own curve, or by the one that all share."""

    slope: Tensor
    shift: Tensor

    def __init__(self, calibration: Calibration, labels: int) -> None:
        super().__init__()
        shared = SigmoidCurve(1 / calibration.temperature)
        curves = [shared if curve is None else curve for curve in calibration.by_label or (None,) * labels]
        sigmoids = [curve if isinstance(curve, SigmoidCurve) else shared for curve in curves]
        self.register_buffer("slope", torch.tensor([curve.slope for curve in sigmoids], dtype=torch.float64))
        self.register_buffer("shift", torch.tensor([curve.shift for curve in sigmoids], dtype=torch.float64))
        self.isotonic = _Isotonic(curves) if any(isinstance(curve, IsotonicCurve) for curve in curves) else None

    def forward(self, scores: Tensor) -> Tensor:
        clipped = scores.double().clamp(LOWEST, HIGHEST)
        sigmoids = _sigmoid(self.slope * (clipped.log() - (1 - clipped).log()) + self.shift)
        return (sigmoids if self.isotonic is None else self.isotonic(clipped, sigmoids)).float()


class _Isotonic(nn.Module):
    """`IsotonicCurve.apply` for the labels that have one: straight from knot to knot, as `numpy.interp`."""

    at: Tensor
    values: Tensor
    slopes: Tensor
    is_isotonic: Tensor
    first: Tensor

    def __init__(self, curves: Sequence[Curve]) -> None:
        super().__init__()
        longest = max(len(curve.at) for curve in curves if isinstance(curve, IsotonicCurve))
        at = torch.full((len(curves), longest + 1), math.inf, dtype=torch.float64)
        at[:, 0] = -1.0  # below every score: level before the first knot
        values, slopes = torch.zeros_like(at), torch.zeros_like(at)
        for label, curve in enumerate(curves):
            if isinstance(curve, IsotonicCurve):
                knots, heights = (torch.tensor(one, dtype=torch.float64) for one in (curve.at, curve.values))
                at[label, 1 : len(knots) + 1] = knots
                values[label, 0], values[label, 1 : len(knots) + 1] = heights[0], heights
                slopes[label, 1 : len(knots)] = heights.diff() / knots.diff()
        self.register_buffer("at", at)
        self.register_buffer("values", values.flatten())
        self.register_buffer("slopes", slopes.flatten())
        self.register_buffer("is_isotonic", torch.tensor([isinstance(curve, IsotonicCurve) for curve in curves]))
        self.register_buffer("first", torch.arange(len(curves)) * (longest + 1))

    def forward(self, clipped: Tensor, sigmoids: Tensor) -> Tensor:
        knot = self.first + (clipped[:, :, None] >= self.at).sum(2) - 1
        isotonic = self.slopes[knot] * (clipped - self.at.flatten()[knot]) + self.values[knot]
        return torch.where(self.is_isotonic, isotonic, sigmoids)


def _decided(rule: Rule) -> nn.Module:
    return _LikeliestSet(rule) if rule.label_sets else _Thresholds(rule)


class _Thresholds(nn.Module):
    """`Rule.decide` without label sets. Of equal probabilities the first counts, by ONNX's TopK and ArgMax."""

    thresholds: Tensor
    numbers: Tensor

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.at_least_one, self.at_most = rule.at_least_one, rule.at_most
        self.register_buffer("thresholds", torch.tensor(rule.thresholds, dtype=torch.float64))
        self.register_buffer("numbers", torch.arange(len(rule.thresholds)))

    def forward(self, p: Tensor) -> Tensor:
        given = p.double() > self.thresholds
        if self.at_most is not None:
            highest = torch.where(given, p, -1.0).topk(self.at_most, dim=1).indices
            given = given & (torch.zeros_like(p).scatter(1, highest, 1.0) > 0)
        if self.at_least_one:
            given = given | (~given.any(1, keepdim=True) & (self.numbers == p.argmax(1, keepdim=True)))
        return given


class _LikeliestSet(nn.Module):
    """`Rule.decide` by label sets."""

    sets: Tensor
    weights: Tensor

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        sets = torch.zeros(len(rule.label_sets), len(rule.thresholds), dtype=torch.float64)
        for row, labels in zip(sets, rule.label_sets, strict=True):
            row[list(labels)] = 1
        self.register_buffer("sets", sets)
        self.register_buffer("weights", torch.tensor(rule.set_weights, dtype=torch.float64))

    def forward(self, p: Tensor) -> Tensor:
        clipped = p.double().clamp(CLIP, 1 - CLIP)
        likelihood = (clipped / (1 - clipped)).log() @ self.sets.T + self.weights
        return self.sets[likelihood.argmax(1)] > 0


def _sigmoid(logits: Tensor) -> Tensor:
    """In plain operations, which runtimes do not approximate."""
    return 1 / (1 + (-logits).clamp(max=700).exp())
