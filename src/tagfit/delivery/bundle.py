"""The bundle: what is handed over. Data only: nothing in it names code, nothing is unpickled.

manifest.json         protocol, recipe, preprocessing, label names, what decides, scores, lock; hashes of the files
model.safetensors     the delivered weights, of all members where it is an ensemble
backbone.safetensors  the weights of the pretrained backbone, where there is one; its config is in the preprocessing
samples.safetensors   SHA-256 of every sample by part, so that rows which were trained on are recognised later
"""

from __future__ import annotations

import hashlib
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
from tagfit.delivery.run_folder import find_bundle, read_json, write_folder
from tagfit.errors import BundleError
from tagfit.models.ensemble import Ensemble
from tagfit.models.pretrained import Pretrained, build_backbone
from tagfit.models.registry import build_network
from tagfit.recipes import Recipe
from tagfit.records import PARTS, Backbone, LockedData, Part, Preprocessing, Run
from tagfit.scoring.constant import ConstantAnswer
from tagfit.scoring.deciding import Decider

#: 1 has neither `members` nor `decider`: one network, and yes above 0.5; 1 and 2 have no backbone
PROTOCOL = 3
READABLE = (1, 2, 3)

MOST_MEMBERS = 100

WEIGHTS, BACKBONE, SAMPLES = "model.safetensors", "backbone.safetensors", "samples.safetensors"


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
        "files": {name: {"size": len(content), "sha256": _sha256(content)} for name, content in files.items()},
    }
    files["manifest.json"] = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False).encode()
    write_folder(path, files)


def read_bundle(path: Path) -> Bundle:
    """Read, check, then construct the bundle at `path` (a bundle or a run folder).

    Raises:
        BundleError: missing or changed files, an unknown protocol, tensors that do not fit the recipe.
    """
    folder = find_bundle(path)
    manifest = _read_manifest(folder / "manifest.json")
    try:
        preprocessing = Preprocessing.from_dict(manifest["preprocessing"])
        names = (WEIGHTS, SAMPLES) if preprocessing.backbone is None else (WEIGHTS, SAMPLES, BACKBONE)
        contents = {name: _checked_file(folder, name, manifest["files"][name]) for name in names}
        recipe = Recipe.from_dict(manifest["recipe"])
        label_names = _checked_names(manifest["label_names"])
        members = _checked_members(manifest["members"])
        pretrained = _pretrained(preprocessing.backbone, contents.get(BACKBONE))
        shape, labels = preprocessing.shape, len(label_names)
        networks = [build_network(member, shape, labels, pretrained=pretrained) for member in members]
        network = networks[0] if len(networks) == 1 else Ensemble(networks)
        load_weights(network, safetensors.numpy.load(contents[WEIGHTS]))
        return Bundle(
            recipe=recipe,
            network=network.eval(),
            members=members,
            preprocessing=preprocessing,
            label_names=label_names,
            decider=Decider.from_dict(manifest["decider"], labels=len(label_names)),
            constant=ConstantAnswer.from_dict(manifest["constant_answer"]),
            scores=manifest["scores"],
            lock=manifest["lock"],
            trained_on=safetensors.numpy.load(contents[SAMPLES]),
            pretrained=pretrained,
        )
    except BundleError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, safetensors.SafetensorError) as error:
        raise BundleError(f"{folder}: not a usable bundle: {type(error).__name__}: {error}") from error


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


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json(path)
    protocol = manifest.get("protocol")
    if protocol not in READABLE:
        raise BundleError(
            f"{path}: expected protocol {PROTOCOL}; got {protocol!r}", "A newer tagfit may read it: upgrade tagfit."
        )
    if protocol > 1:
        return manifest
    return {**manifest, "members": [manifest.get("recipe")], "decider": Decider().to_dict()}


def _checked_members(members: Any) -> tuple[Recipe, ...]:
    if not (isinstance(members, list) and 1 <= len(members) <= MOST_MEMBERS):
        raise BundleError(f"expected a list of 1 to {MOST_MEMBERS} recipes of members; got {str(members)[:60]}")
    return tuple(map(Recipe.from_dict, members))


def _checked_file(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    """The bytes of one file, which are the bytes that were hashed."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{folder / name}: {error.strerror}") from error
    if len(content) != entry["size"] or _sha256(content) != entry["sha256"]:
        raise BundleError(f"{folder / name}: its content is not what was handed over (size or SHA-256 differ)")
    return content


def _checked_names(names: Any) -> tuple[str, ...]:
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise BundleError(f"expected a list of label names; got {names!r}")
    if len(set(names)) < len(names):
        raise BundleError("the label names are not all different")
    return tuple(names)


def _weights(network: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}


def _safetensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
