"""The bundle: what is handed over. Data only: nothing in it names code, nothing is unpickled.

MODEL_CARD.md         what a person should know of it before it is used
manifest.json         protocol, recipe, preprocessing, label names, what decides, scores, lock; hashes of the files
model.safetensors     the delivered weights, of all members where it is an ensemble
backbone.safetensors  the weights of the pretrained backbone, where there is one; its config is in the preprocessing
samples.safetensors   SHA-256 of every sample by part, so that rows which were trained on are recognised later
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import tagfit
from tagfit.bundle.audit import PROTOCOL, Audited, audited, gathered, refuse
from tagfit.bundle.files import BACKBONE, MANIFEST, MODEL_CARD, MOST_MANIFEST, SAMPLES, WEIGHTS, Stored, sha256
from tagfit.decisions.decider import Decider
from tagfit.errors import BundleError, OutputError
from tagfit.io.files import write_folder
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.models.backbones import Pretrained, build_backbone
from tagfit.models.ensemble import Ensemble
from tagfit.models.outline import outline
from tagfit.models.registry import build_network
from tagfit.recipes import FineTunedModel, Recipe
from tagfit.records.data import PARTS, Backbone, LockedData, Part, Preprocessing
from tagfit.records.runs import Run

#: what safetensors calls the dtypes that networks have
_DTYPES = {"float32": "F32", "int64": "I64", "bool": "BOOL"}

Named = TypeVar("Named")


@dataclass(frozen=True, eq=False)
class Bundle:
    """What is handed over, in memory.

    Attributes:
        network: in inference mode, on the CPU; an Ensemble where there are several members.
        members: the recipe of each.
        decider: what makes labels of its scores.
        scores: of the delivered weights, by part, as result.json has them; none of a refitted network.
        trained_on: (n, 32) uint8 SHA-256 of the samples, by part.
        pretrained: what makes features of images, where the preprocessing has a backbone.
    """

    recipe: Recipe
    network: nn.Module
    members: tuple[Recipe, ...]
    preprocessing: Preprocessing
    label_names: tuple[str, ...]
    decider: Decider
    constant: ConstantBaseline
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


def write_bundle(path: Path, bundle: Bundle, card: str | None = None) -> None:
    """Write `bundle` to the folder `path`, which appears whole or not at all.

    Args:
        card: what MODEL_CARD.md says.

    Raises:
        OutputError: its manifest would be longer than is read again.
    """
    files = {WEIGHTS: _safetensors(_weights(bundle.network)), SAMPLES: _safetensors(bundle.trained_on)}
    if bundle.pretrained is not None:
        files[BACKBONE] = _safetensors(_weights(bundle.pretrained.network))
    if card is not None:
        files[MODEL_CARD] = card.encode()
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
    if len(files[MANIFEST]) > MOST_MANIFEST:
        raise OutputError(
            f"{path}: expected a manifest of at most {MOST_MANIFEST:,} bytes; got {len(files[MANIFEST]):,}"
        )
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
        BundleError: recipes that cannot be built, tensors that do not fit them, all of them named; changed bytes.
    """
    refuse(found.folder, _shape_faults(found))
    contents = found.contents()
    faults: list[str] = []
    weights = {name: _loaded(contents[name], faults) for name in found.tensors}
    pretrained, networks = None, []
    backbone, count = found.preprocessing.backbone, len(found.members)
    with gathered(faults):
        if backbone is not None:
            pretrained = Pretrained(backbone, build_backbone(backbone))
            load_weights(pretrained.network, weights[BACKBONE])
        for number, member in enumerate(found.members):
            network = _built(found, member, pretrained)
            with gathered(faults):
                load_weights(network, _of_member(weights[WEIGHTS], number, count))
            networks.append(network)
    refuse(found.folder, faults)
    return Bundle(
        recipe=found.recipe,
        network=(networks[0] if count == 1 else Ensemble(networks)).eval(),
        members=found.members,
        preprocessing=found.preprocessing,
        label_names=found.label_names,
        decider=found.decider,
        constant=found.constant_answer,
        scores=found.scores,
        lock=found.lock,
        trained_on=weights[SAMPLES],
        pretrained=pretrained,
    )


def _built(found: Audited, member: Recipe, pretrained: Pretrained | None = None) -> nn.Module:
    return build_network(member, found.preprocessing.shape, len(found.label_names), pretrained=pretrained)


def _shape_faults(found: Audited) -> list[str]:
    """What does not fit in the headers of the files, before anything of their size takes memory."""
    faults: list[str] = []
    backbone, stored = found.preprocessing.backbone, found.tensors[WEIGHTS]
    if backbone is not None:
        with gathered(faults):
            faults += _unfit(partial(build_backbone, backbone), found.tensors[BACKBONE])
    for number, member in enumerate(found.members):
        mine = _of_member(stored, number, len(found.members))
        with gathered(faults):
            if isinstance(member.model, FineTunedModel):
                faults += _unfit_output(mine, len(found.label_names), backbone)
            else:
                faults += _unfit(partial(_built, found, member), mine)
    if len(found.members) > 1:
        prefixes = tuple(_prefix(number) for number in range(len(found.members)))
        faults += [f"the tensor {name!r:.80} is of no member" for name in stored if not name.startswith(prefixes)]
    return faults


def _unfit(build: Callable[[], nn.Module], stored: Mapping[str, Stored]) -> list[str]:
    """How the tensors of a file differ from those of what `build` makes."""
    expected = outline(build, len(stored), sum(math.prod(one.shape) for one in stored.values()))
    return _differences(expected, {name: (one.shape, one.dtype) for name, one in stored.items()})


def _differences(expected: Mapping[str, Tensor], given: Mapping[str, tuple[tuple[int, ...], str]]) -> list[str]:
    faults = [f"the tensor {name} is missing" for name in expected if name not in given]
    faults += [f"the tensor {name!r:.80} is not part of the network" for name in given if name not in expected]
    for name in expected.keys() & given.keys():
        shape, dtype = given[name]
        if shape != tuple(expected[name].shape):
            faults.append(f"the tensor {name} has shape {shape}, expected {tuple(expected[name].shape)}")
        if dtype != _dtype(expected[name]):
            faults.append(f"the tensor {name} is of {dtype}, expected {_dtype(expected[name])}")
    return faults


def _dtype(tensor: Tensor | NDArray[Any]) -> str:
    return _DTYPES.get(str(tensor.dtype).removeprefix("torch."), str(tensor.dtype))


def _unfit_output(stored: Mapping[str, Stored], labels: int, backbone: Backbone | None) -> list[str]:
    """Of a backbone trained further, which has no more tensors than the backbone beside it, and this one."""
    shape = (labels, 0 if backbone is None else backbone.features)
    if "output.weight" in stored and stored["output.weight"].shape == shape:
        return []
    return [f"the tensor output.weight of a fine-tuned network is missing, or has another shape than {shape}"]


def _of_member(tensors: Mapping[str, Named], number: int, count: int) -> dict[str, Named]:
    """Those of one network, by its own names."""
    prefix = "" if count == 1 else _prefix(number)
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}


def _prefix(number: int) -> str:
    """Of what an Ensemble calls the tensors of a member."""
    return f"members.{number}."


def _loaded(content: bytes, faults: list[str]) -> dict[str, NDArray[Any]]:
    try:
        return safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        faults.append(f"not a usable bundle: {error}")
        return {}


def load_weights(network: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """Put `weights` into `network`.

    Raises:
        BundleError: missing, surplus, wrongly shaped or non-finite tensors, all of them named.
    """
    given = {name: (array.shape, _dtype(array)) for name, array in weights.items()}
    faults = _differences(network.state_dict(), given)
    faults += [
        f"the tensor {name} has values that are not finite"
        for name, array in weights.items()
        if not np.isfinite(array).all()
    ]
    if faults:
        raise BundleError(faults)
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})


def _weights(network: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}


def _safetensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})
