"""A bundle is read, checked, then constructed. Nothing in it names code, nothing is unpickled."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import safetensors.numpy
from torch import nn

from tagfit.bundle.audit import Audited, audited, gathered, refuse
from tagfit.bundle.files import BACKBONE, SAMPLES, SIGNATURES, WEIGHTS
from tagfit.bundle.manifest import Manifest
from tagfit.bundle.record import Bundle
from tagfit.bundle.weights import load_weights, of_member, prefix, unfit, unfit_output
from tagfit.models.backbones import Pretrained, build_backbone
from tagfit.models.ensemble import Ensemble
from tagfit.models.registry import build_network
from tagfit.recipes import FineTunedModel, Recipe
from tagfit.records.data import PARTS, Array


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
    contents, manifest, faults = found.contents(), found.manifest, list[str]()
    weights = {name: _loaded(contents[name], faults) for name in found.tensors}
    pretrained, networks = None, []
    backbone, count = manifest.preprocessing.backbone, len(manifest.members)
    with gathered(faults):
        if backbone is not None:
            pretrained = Pretrained(backbone, build_backbone(backbone))
            load_weights(pretrained.network, weights[BACKBONE])
        for number, member in enumerate(manifest.members):
            network = _built(manifest, member, pretrained)
            with gathered(faults):
                load_weights(network, of_member(weights[WEIGHTS], number, count))
            networks.append(network)
    refuse(found.folder, faults)
    network = (networks[0] if count == 1 else Ensemble(networks)).eval()
    samples = weights[SAMPLES]
    return Bundle(
        **manifest.described,
        network=network,
        trained_on={name: rows for name, rows in samples.items() if name in PARTS},
        signatures={name.removesuffix(SIGNATURES): rows for name, rows in samples.items() if name not in PARTS},
        pretrained=pretrained,
    )


def _built(manifest: Manifest, member: Recipe, pretrained: Pretrained | None = None) -> nn.Module:
    return build_network(member, manifest.preprocessing.shape, len(manifest.label_names), pretrained=pretrained)


def _shape_faults(found: Audited) -> list[str]:
    """What does not fit in the headers of the files, before anything of their size takes memory."""
    manifest, faults = found.manifest, list[str]()
    backbone, stored, count = manifest.preprocessing.backbone, found.tensors[WEIGHTS], len(manifest.members)
    if backbone is not None:
        with gathered(faults):
            faults += unfit(partial(build_backbone, backbone), found.tensors[BACKBONE])
    for number, member in enumerate(manifest.members):
        own = of_member(stored, number, count)
        with gathered(faults):
            if isinstance(member.model, FineTunedModel):
                faults += unfit_output(own, len(manifest.label_names), backbone)
            else:
                faults += unfit(partial(_built, manifest, member), own)
    if count > 1:
        prefixes = tuple(map(prefix, range(count)))
        faults += [f"the tensor {name!r:.80} belongs to no member" for name in stored if not name.startswith(prefixes)]
    return faults


def _loaded(content: bytes, faults: list[str]) -> dict[str, Array]:
    try:
        return safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        faults.append(f"not a usable bundle: {error}")
        return {}
