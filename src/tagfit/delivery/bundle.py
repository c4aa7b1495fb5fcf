"""The bundle: what is handed over. Data only: nothing in it names code, nothing is unpickled.

manifest.json         protocol, recipe, preprocessing, label names, what decides, scores, lock; hashes of the files
model.safetensors     the delivered weights, of all members where it is an ensemble
backbone.safetensors  the weights of the pretrained backbone, where there is one; its config is in the preprocessing
samples.safetensors   SHA-256 of every sample by part, so that rows which were trained on are recognised later
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import nn

import tagfit
from tagfit.delivery.audit import BACKBONE, MANIFEST, PROTOCOL, SAMPLES, WEIGHTS, Audited, audited, sha256, usable
from tagfit.delivery.run_folder import write_folder
from tagfit.errors import BundleError
from tagfit.models.ensemble import Ensemble
from tagfit.models.pretrained import Pretrained, build_backbone
from tagfit.models.registry import build_network
from tagfit.recipes import Recipe
from tagfit.records import PARTS, Backbone, LockedData, Part, Preprocessing, Run
from tagfit.scoring.constant import ConstantAnswer
from tagfit.scoring.deciding import Decider

MOST_MEMBERS = 100


@dataclass(frozen=True, eq=False)
class Bundle:
    """What is handed over, in memory.

    Attributes:
        network: in inference mode, on the CPU; an Ensemble where there are several members.
        members: the recipe of each.
        decider: what makes labels of its scores.
        scores: of the delivered weights, by part, as result.json has them; none of a refitted network.
        trained_on: (n, 32) uint8 SHA-256 of the samples, by part.
        pretrained: what makes features of pictures, where the preprocessing has a backbone.
    """

    recipe: Recipe
    network: nn.Module
    members: tuple[Recipe, ...]
    preprocessing: Preprocessing
    label_names: tuple[str, ...]
    decider: Decider
    constant: ConstantAnswer
    scores: Mapping[str, Any]
    lock: str
    trained_on: Mapping[str, NDArray[np.uint8]]
    pretrained: Pretrained | None = None

    @classmethod
    def of(
        cls,
        network: nn.Module,
        members: tuple[Recipe, ...],
        run: Run,
        decider: Decider,
        constant: ConstantAnswer,
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
            constant=constant,
            scores=run.to_dict()["scores"],
            lock=data.lock,
            trained_on={part: data.dataset.hashes[data.split.rows(part)] for part in PARTS},
            pretrained=data.dataset.pretrained,
        )

    def refitted(self, network: nn.Module) -> Bundle:
        """With a network that was trained on all parts but test, and that no part has scored."""
        parts: tuple[Part, ...] = ("train", "val", "calibrate")
        seen = np.concatenate([self.trained_on[part] for part in parts])
        nothing = seen[:0]
        trained_on = {**self.trained_on, "train": seen, "val": nothing, "calibrate": nothing}
        return replace(self, network=network.cpu().eval(), members=(self.recipe,), scores={}, trained_on=trained_on)


def write_bundle(path: Path, bundle: Bundle) -> None:
    """Write `bundle` to the folder `path`, which appears whole or not at all."""
    files = {WEIGHTS: _safetensors(_weights(bundle.network)), SAMPLES: _safetensors(bundle.trained_on)}
    if bundle.pretrained is not None:
        files[BACKBONE] = _safetensors(_weights(bundle.pretrained.network))
    manifest = {
        "protocol": PROTOCOL,
        "tagfit": tagfit.__version__,
        "recipe": bundle.recipe.to_dict(),
        "members": [recipe.to_dict() for recipe in bundle.members],
        "preprocessing": bundle.preprocessing.to_dict(),
        "label_names": list(bundle.label_names),
        "decider": bundle.decider.to_dict(),
        "constant_answer": bundle.constant.to_dict(),
        "scores": bundle.scores,
        "lock": bundle.lock,
        "files": {name: {"size": len(content), "sha256": sha256(content)} for name, content in files.items()},
    }
    files[MANIFEST] = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False).encode()
    write_folder(path, files)


def read_bundle(path: Path) -> Bundle:
    """Read, check, then construct the bundle at `path` (a bundle or a run folder).

    Raises:
        BundleError: missing or changed files, an unknown protocol, tensors that do not fit the recipe.
    """
    return constructed(audited(path))


def constructed(found: Audited) -> Bundle:
    """The bundle that `found` describes.

    Raises:
        BundleError: recipes that cannot be built, tensors that do not fit them.
    """
    manifest, preprocessing, labels = found.manifest, found.preprocessing, len(found.label_names)
    try:
        with usable(found.folder):
            members = _checked_members(manifest["members"])
            pretrained = _pretrained(preprocessing.backbone, found.contents.get(BACKBONE))
            networks = [build_network(member, preprocessing.shape, labels, pretrained=pretrained) for member in members]
            network = networks[0] if len(networks) == 1 else Ensemble(networks)
            load_weights(network, safetensors.numpy.load(found.contents[WEIGHTS]))
            return Bundle(
                recipe=Recipe.from_dict(manifest["recipe"]),
                network=network.eval(),
                members=members,
                preprocessing=preprocessing,
                label_names=found.label_names,
                decider=found.decider,
                constant=ConstantAnswer.from_dict(manifest["constant_answer"]),
                scores=manifest["scores"],
                lock=manifest["lock"],
                trained_on=safetensors.numpy.load(found.contents[SAMPLES]),
                pretrained=pretrained,
            )
    except safetensors.SafetensorError as error:
        raise BundleError(f"{found.folder}: not a usable bundle: {error}") from error


def _pretrained(backbone: Backbone | None, content: bytes | None) -> Pretrained | None:
    """The backbone with its weights, of which none takes memory before all were looked at."""
    if backbone is None or content is None:
        return None
    weights = safetensors.numpy.load(content)
    with torch.device("meta"):
        check_weights(build_backbone(backbone), weights)
    network = build_backbone(backbone)
    load_weights(network, weights)
    return Pretrained(backbone, network)


def load_weights(network: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """Put `weights` into `network`.

    Raises:
        BundleError: as `check_weights`.
    """
    check_weights(network, weights)
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})


def check_weights(network: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """Compare `weights` with what `network` has.

    Raises:
        BundleError: missing, surplus, wrongly shaped or non-finite tensors, all of them named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    faults = [f"the tensor {name} is missing" for name in expected if name not in weights]
    faults += [f"the tensor {name} is not part of the network" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        if weights[name].shape != expected[name]:
            faults.append(f"the tensor {name} has shape {weights[name].shape}, expected {expected[name]}")
        elif not np.isfinite(weights[name]).all():
            faults.append(f"the tensor {name} has values that are not finite")
    if faults:
        raise BundleError(faults)


def _checked_members(members: Any) -> tuple[Recipe, ...]:
    if not (isinstance(members, list) and 1 <= len(members) <= MOST_MEMBERS):
        raise BundleError(f"expected a list of 1 to {MOST_MEMBERS} recipes of members; got {str(members)[:60]}")
    return tuple(map(Recipe.from_dict, members))


def _weights(network: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}


def _safetensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})
