"""Vision networks that were trained elsewhere: transformers' own classes, from a folder or by their name on the hub.

Nothing but safetensors and JSON is read, and no code comes with them. transformers is loaded where it is needed, since
that takes seconds.

Shapes: B images of S x S pixels, D features, T tokens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tagfit.errors import DataError, demand_extra
from tagfit.io.files import regular_file
from tagfit.models.folding import one_thread
from tagfit.models.image_form import read_form
from tagfit.records.data import Backbone, Dataset

#: the networks that are taken, by transformers' `model_type`: whether, without a pooler, the first token says it all
TAKEN = {
    "beit": True,
    "bit": False,
    "clip_vision_model": True,
    "convnext": False,
    "convnextv2": False,
    "data2vec-vision": True,
    "deit": True,
    "dinov2": True,
    "dinov2_with_registers": True,
    "dinov3_convnext": False,
    "dinov3_vit": True,
    "efficientnet": False,
    "focalnet": False,
    "hiera": False,
    "ijepa": False,
    "levit": False,
    "mobilenet_v1": False,
    "mobilenet_v2": False,
    "poolformer": False,
    "pvt": True,
    "regnet": False,
    "resnet": False,
    "siglip_vision_model": False,
    "swiftformer": False,
    "swin": False,
    "swinv2": False,
    "vit": True,
    "vit_msn": True,
}

#: networks of images and text, of which the half that looks at images is taken
_HALVES = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}

#: what a published file may hold beside the body: heads, the other half, and what only pretraining needs
_HEADS = re.compile(
    r"(classifier|cls_classifier|distillation_classifier|head|fc|pooler|text_model|text_projection|visual_projection"
    r"|decoder|lm_head|mask_token)\.|logit_(scale|bias)$|(.*\.)?(mask_token|position_ids|relative_position_index)$"
)

#: no number in a config is higher, and no list longer; LeViT loops over all pairs of places in an image
MOST, LONGEST = 65536, 256
_MOST_OF = {"levit": 512}

#: fields of a config that say nothing of the network, or that would reach for code or for the hub
_NOT_OF_THE_NETWORK = re.compile(
    r"_.*|auto_map|attn_implementation|quantization_config|id2label|label2id|num_labels|architectures|dtype|torch_dtype"
    r"|transformers_version|return_dict|output_.*|problem_type|name_or_path"
)


class BackboneNetwork(nn.Module):
    """(B, S, S, 3) images in [0, 1] to (B, D) features; BatchNorm keeps to the moments it came with."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, backbone: Backbone) -> None:
        super().__init__()
        self.body, self.backbone = body, backbone
        self._first_token = TAKEN[backbone.config["model_type"]]
        self.register_buffer("mean", torch.tensor(backbone.mean), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std), persistent=False)
        self.train(False)

    def train(self, mode: bool = True) -> BackboneNetwork:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        # pixels that lie colour by colour at each place are what torch calls channels last
        return self.pooled(((images - self.mean) / self.std).permute(0, 3, 1, 2))

    def pooled(self, x: Tensor) -> Tensor:
        """(B, D) features of what the body is given."""
        outputs = self.body(pixel_values=x)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is not None:
            return cast(Tensor, pooled).flatten(1)
        last: Tensor = outputs.last_hidden_state
        if last.ndim == 4:
            return last.mean(dim=(2, 3))
        return last[:, 0] if self._first_token else last.mean(dim=1)


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A backbone and its network, in inference mode on the CPU."""

    backbone: Backbone
    network: BackboneNetwork

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what its features depend on: its tensors as they are, its config and its form."""
        digest = hashlib.sha256(json.dumps(self.backbone.identity() | {"sha256": ""}, sort_keys=True).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def pretrained_of(dataset: Dataset) -> Pretrained | None:
    """The backbone that a dataset's samples were made for, with its network; None where there is none."""
    assert dataset.pretrained is None or isinstance(dataset.pretrained, Pretrained)
    return dataset.pretrained


def load_backbone(source: str | Path) -> Pretrained:
    """The network in a folder or, where there is no such folder, of that name on the hub.

    Args:
        source: a folder with config.json, preprocessor_config.json and model.safetensors; nothing is asked of any
            network then. Or `owner/name` on the hub, with `@revision` where it is not to be the newest.

    Raises:
        MissingExtraError: transformers is not installed.
        DataError: not such a network, files that are missing or damaged, or the hub cannot be reached.
    """
    demand_extra("a pretrained backbone", "pretrained")
    folder, revision = _found(str(source))
    name = str(source).partition("@")[0] if revision else folder.resolve().name
    try:
        taken = read_form(_preprocessor(folder))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{name}: its preprocessing is not known: {error}") from None
    config = _config(folder, name)
    body, config = _loaded_body(folder, config, name)
    sha256 = _hash(sorted(folder.glob("*.safetensors")))
    unsized = Backbone(name, revision, sha256, config, 1, *taken)
    features = _tried(BackboneNetwork(body, unsized), unsized)
    backbone = Backbone(name, revision, sha256, config, features, *taken)
    return Pretrained(backbone, BackboneNetwork(body, backbone))


def build_backbone(backbone: Backbone) -> BackboneNetwork:
    """The network that a backbone describes, its weights drawn at random.

    Raises:
        MissingExtraError: transformers is not installed.
        ValueError: it describes none that is taken.
    """
    demand_extra("a pretrained backbone", "pretrained")
    _check_config(backbone.config)
    try:
        with _quietly():
            cls, config, arguments = _described(backbone.config)
            return BackboneNetwork(cls(config, **arguments), backbone)
    except Exception as error:  # transformers raises nearly anything on what it does not expect
        raise ValueError(f"the backbone cannot be built: {type(error).__name__}: {error}") from error


# ---------------------------------------------------------------------------------------------- its files


def _found(source: str) -> tuple[Path, str]:
    """The folder of a backbone and, of one from the hub, the commit."""
    if Path(source).expanduser().is_dir():
        return Path(source).expanduser(), ""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?", source):
        raise DataError(f"there is no folder {source}, and it is not a name on the hub (owner/name)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    name, _, revision = source.partition("@")
    wanted = [
        "config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "model*.safetensors",
        "model.safetensors.index.json",
    ]
    try:
        with _quietly():
            folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=wanted))
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise DataError(f"there is no folder {source}, and the hub knows no such network") from None
    except (OSError, ValueError, HfHubHTTPError) as error:
        what = str(error).strip().partition("\n")[0]
        raise DataError(
            f"there is no folder {source}, and the hub, where a network of that name may be, cannot be reached: {what}",
            "Give the folder of one that was downloaded; nothing is asked of the hub then.",
        ) from None
    return folder, folder.name


def _json(file: Path) -> dict[str, Any]:
    try:
        with regular_file(file, 1 << 24) as stream:
            content = json.loads(stream.read())
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "A backbone has config.json and model.safetensors.") from None
    except ValueError as error:
        raise DataError(f"{file}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{file}: expected a JSON object")
    return content


def _preprocessor(folder: Path) -> Mapping[str, Any]:
    """What images it takes; networks of images and text may say so within another file."""
    both = folder / "processor_config.json"
    if both.exists() and not (folder / "preprocessor_config.json").exists():
        return dict(_json(both)["image_processor"])
    return _json(folder / "preprocessor_config.json")


def _config(folder: Path, name: str) -> dict[str, Any]:
    """What config.json says of the half that looks at images."""
    written = _json(folder / "config.json")
    model_type = str(written.get("model_type"))
    if model_type in _HALVES:
        written = {**written.get("vision_config", {}), "model_type": _HALVES[model_type]}
    if str(written.get("model_type")) not in TAKEN:
        raise DataError(
            f"{name}: expected a vision network of transformers ({', '.join(TAKEN)}); its model_type is {model_type!r}"
        )
    return {field: value for field, value in sorted(written.items()) if not _NOT_OF_THE_NETWORK.fullmatch(field)}


def _hash(files: list[Path]) -> str:
    """SHA-256 of a file; of several, of their hashes."""
    hashes = []
    for file in files:
        with file.open("rb") as content:
            hashes.append(hashlib.file_digest(content, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


# ---------------------------------------------------------------------------------------------- its network


def _described(config: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """transformers' class, its config, and what else that class is to be told."""
    from transformers import MODEL_MAPPING, AutoConfig

    values = {name: value for name, value in config.items() if not _NOT_OF_THE_NETWORK.fullmatch(name)}
    model_type = values.pop("model_type", None)
    if model_type not in TAKEN:
        raise ValueError(f"there is no vision network {model_type!r}: expected one of {', '.join(TAKEN)}")
    arguments = {"add_pooling_layer": values.pop("add_pooling_layer")} if "add_pooling_layer" in values else {}
    theirs = AutoConfig.for_model(model_type, **values)
    return MODEL_MAPPING[type(theirs)], theirs, arguments


def _check_config(config: Mapping[str, Any]) -> None:
    """Numbers beyond any real network would be followed for hours, or fill the memory, before a shape is wrong.

    Raises:
        ValueError: a number that is too high, a list that is too long, or a field that no backbone is described by.
    """
    strange = [name for name in config if _NOT_OF_THE_NETWORK.fullmatch(name)]
    if strange:
        raise ValueError(f"{strange[0]!r:.60} is nothing that a network is built from")
    most = _MOST_OF.get(str(config.get("model_type")), MOST)
    level: list[tuple[str, Any]] = list(config.items())
    while level:
        for name, value in level:
            if isinstance(value, int | float) and not abs(value) <= (most if name == "image_size" else MOST):
                raise ValueError(f"{name!r:.60} of the backbone may be {most:,} at most; got {value!r:.60}")
            if isinstance(value, list | dict) and len(value) > LONGEST:
                raise ValueError(f"{name!r:.60} of the backbone may have {LONGEST} values; got {len(value):,}")
        nested = [(name, value) for name, value in level if isinstance(value, list | dict)]
        level = [
            (name, inner) for name, value in nested for inner in (value.values() if isinstance(value, dict) else value)
        ]


def _loaded_body(folder: Path, config: dict[str, Any], name: str) -> tuple[nn.Module, dict[str, Any]]:
    """The body with its weights, and its config; without a pooler where the file has none."""
    body, missing, surplus = _read(folder, config, name)
    if missing and all(key.startswith("pooler.") for key in missing):
        config = {**config, "add_pooling_layer": False}
        body, missing, surplus = _read(folder, config, name)
    faults = [f"{name}: its weights lack {key}" for key in missing if not key.endswith("num_batches_tracked")]
    faults += [f"{name}: {key} is no part of the network" for key in surplus if not _HEADS.match(key)]
    faults += [
        f"{name}: {key} has values that are not finite"
        for key, tensor in body.state_dict().items()
        if not bool(torch.isfinite(tensor).all())
    ]
    if faults:
        raise DataError(faults, "transformers would fill what is missing at random.")
    return body, config


def _read(folder: Path, config: dict[str, Any], name: str) -> tuple[nn.Module, list[str], list[str]]:
    """What transformers loads, the names that the file lacks, and those that it has beside."""
    if not list(folder.glob("*.safetensors")):
        raise DataError(f"{name}: expected model.safetensors; there is none", "No other kind of weights is read.")
    try:
        with _quietly():
            cls, theirs, arguments = _described(config)
            body, told = cls.from_pretrained(
                folder,
                config=theirs,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **arguments,
            )
    except Exception as error:  # transformers raises nearly anything on what it does not expect
        raise DataError(f"{name}: cannot be loaded: {type(error).__name__}: {error}") from error
    faults = [str(key) for key in told["mismatched_keys"]] + list(told["error_msgs"])
    if faults:
        raise DataError([f"{name}: does not fit its config: {fault}" for fault in faults])
    return body.eval(), sorted(told["missing_keys"]), sorted(told["unexpected_keys"])


def _tried(network: BackboneNetwork, backbone: Backbone) -> int:
    """How many features it makes of an image of its form."""
    size = backbone.form.size
    try:
        with torch.inference_mode(), one_thread():
            features = network(torch.zeros(1, size, size, 3))
    except Exception as error:  # as above
        raise DataError(
            f"{backbone.name}: does not take images of {size}x{size}, its own form: {type(error).__name__}: {error}"
        ) from error
    if features.ndim != 2:
        raise DataError(
            f"{backbone.name}: expected one row of features an image; got the shape {tuple(features.shape)}"
        )
    return int(features.shape[1])


@contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' bars and messages; what it was set to comes back."""
    from huggingface_hub import utils
    from transformers.utils import logging

    theirs: Any = logging  # they are not typed
    hub: Any = utils
    level, bars, hub_bars = (
        theirs.get_verbosity(),
        theirs.is_progress_bar_enabled(),
        not hub.are_progress_bars_disabled(),
    )
    theirs.set_verbosity(theirs.CRITICAL)
    theirs.disable_progress_bar()
    hub.disable_progress_bars()
    try:
        # weights are drawn before others take their place: torch's own generator stays as it is
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()
        if hub_bars:
            hub.enable_progress_bars()
