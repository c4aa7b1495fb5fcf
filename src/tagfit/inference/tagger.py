"""The tagger: a bundle that predicts."""

from __future__ import annotations

import logging
import shutil
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from tagfit.bundle.audit import Audited, audited
from tagfit.data.dataset import DEFAULT_SIZE, align_features
from tagfit.data.feature_names import feature_order
from tagfit.data.sources.array_like import names_of_columns, plain_array
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.pixels import pixels as pixels_of_array
from tagfit.errors import DataError, ExportError, did_you_mean
from tagfit.images.decode import MAX_PIXELS, UnreadableImageError, pixels
from tagfit.images.workers import DecodeOutcome, Decoders
from tagfit.inference import onnx_runtime as onnx_networks
from tagfit.inference.explain import Explanation, grad_cam, hidden
from tagfit.inference.paths import image_files
from tagfit.options.shared import ModelOptions
from tagfit.records.data import Array, Dataset
from tagfit.records.form import ImageForm
from tagfit.records.runs import Units

if TYPE_CHECKING:  # they load torch, which another runtime does without
    from tagfit.bundle.record import Bundle
    from tagfit.inference.torch_runtime import TorchNetworks

log = logging.getLogger(__name__)

#: images that are held at once while a stream of paths is predicted
PATHS_AT_ONCE = 128

Runtime = Literal["auto", "torch"]

_NOT_FINITE = "its scores are not finite: its features are far out of the range of those that were trained on"

Inputs = str | Path | Image.Image | Sequence[str | Path] | Sequence[Image.Image] | ArrayLike


@dataclass(frozen=True, eq=False)
class Prediction:
    """The predictions for n samples, in order.

    Attributes:
        scores: (n, L) float32 from 0 to 1, as the network gives them; NaN for a sample with an error.
        probabilities: (n, L) float32, calibrated: of all labels given 0.8, about 80% are right.
        decisions: (n, L) bool, the labels given: by the bundle's rule or, without one, if the score is above 0.5. A
            sample with an error has none.
        label_names: (L,) in the order of the columns.
        errors: the reason for each sample without scores, by its position: an unreadable image, or scores that are
            not finite.
        samples: (n,) the paths of image files; empty for images and arrays in memory.
    """

    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    decisions: NDArray[np.bool_]
    label_names: tuple[str, ...]
    errors: Mapping[int, str] = field(default_factory=dict)
    samples: tuple[str, ...] = ()

    def labels(self, row: int) -> tuple[str, ...]:
        """The names of the labels given to one sample."""
        return tuple(name for name, given in zip(self.label_names, self.decisions[row], strict=True) if given)

    def __len__(self) -> int:
        return len(self.scores)


class Networks(Protocol):
    """Gives scores to arrays."""

    def takes(self, x: Array) -> bool: ...
    def scores(self, x: Array) -> NDArray[np.float32]: ...


class Tagger:
    """Predicts labels of images or feature rows.

    Attributes:
        label_names: (L,) in the order of the scores.
        preprocessing: how a sample is prepared for the network.
        decider: turns scores into labels: a calibration, and a rule if you asked for one.
        origin: the name of its data, its day and what it scores; None for old bundles.
    """

    def __init__(
        self,
        bundle: Bundle | Audited,
        device: str = "auto",
        networks: Networks | None = None,
        processes: int | None = None,
    ) -> None:
        self._given, self._device, self._processes = bundle, device, processes
        described = bundle.manifest if isinstance(bundle, Audited) else bundle
        self.label_names, self.preprocessing = described.label_names, described.preprocessing
        self.decider, self.origin = described.decider, described.origin
        self._networks = self.in_torch if networks is None else networks

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", runtime: Runtime = "auto", processes: int | None = None
    ) -> Tagger:
        """Read a bundle, or the bundle of a run folder.

        On a CPU, ONNX Runtime computes the scores if it is installed (the extra `export`). It needs no torch, and a
        third of the time or less for a single sample. The first load of a bundle takes some seconds: its ONNX file is
        written, compared with torch and kept in the cache.

        Args:
            path: a bundle or a run folder.
            device: auto, cpu, cuda or mps.
            runtime: auto or torch. `torch` gives exactly the scores of training; ONNX Runtime's differ by at most 1e-5.
            processes: how many processes decode images at most; one for each core by default.

        Raises:
            OptionError: an option cannot be used.
            BundleError: it cannot be read or is not what was handed over.
        """
        chosen = ModelOptions(device=device, runtime=runtime, processes=processes)
        found, auto = audited(Path(path)), chosen.runtime == "auto"
        networks = _in_onnx(found) if auto and onnx_networks.installed() and _on_cpu(chosen.device) else None
        return cls(found if networks else _constructed(found), chosen.device, networks, chosen.processes)

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle with its weights.

        Raises:
            BundleError: it was changed or removed after it was loaded.
        """
        from tagfit.bundle.read import read_bundle

        return read_bundle(self._given.folder) if isinstance(self._given, Audited) else self._given

    @cached_property
    def in_torch(self) -> TorchNetworks:
        """The networks in torch, even if ONNX Runtime computes the scores."""
        from tagfit.inference.torch_runtime import TorchNetworks

        return TorchNetworks(self.bundle, self._device)

    @property
    def form(self) -> ImageForm:
        """The size and colours that image files are converted to; the default if the bundle takes features."""
        return self.preprocessing.form or ImageForm(DEFAULT_SIZE)

    @property
    def takes_images(self) -> bool:
        return self.preprocessing.takes_images

    def predict(self, inputs: Inputs) -> Prediction:
        """Predict images or feature rows.

        Args:
            inputs: one of:

                - a path or a list of paths: image files, folders (all images below them), or patterns such as
                  `photos/**/*.jpg`
                - a PIL image or a list of them; results for large JPEGs differ slightly from those for files, because
                  files are shrunk while they are decoded
                - (n, D) numeric features: an array, a sparse matrix or a frame; if the bundle knows the columns' names,
                  they may come in any order
                - (n, H, W, 3) images of the size that the bundle was trained on, as uint8 or as floats in the range of
                  the training data; a bundle with a backbone takes images of the backbone's size, or its features

        Raises:
            DataError: the bundle does not take these inputs, or no image could be read.
        """
        several: Any = [inputs] if isinstance(inputs, str | Path | Image.Image) else inputs
        if isinstance(several, list | tuple) and not several:
            return self._decided(np.empty((0, len(self.label_names)), dtype=np.float32))
        if _all_of(several, Image.Image):
            return _readable(self._predict_outcomes([self._image_outcome(image) for image in several]))
        if _all_of(several, str | Path):
            self._demand_images()
            files = image_files(several)
            return _readable(replace(_joined(list(self.predict_stream(files)), self.label_names), samples=tuple(files)))
        return self._decided(self._scores(self.prepared(several)))

    def prepared(self, samples: ArrayLike) -> Array:
        """(n, ...) uint8 images or float32 features from an array, a sparse matrix or a frame, with columns in order.

        Raises:
            DataError: the bundle does not take these samples.
        """
        x = plain_array(samples, "the input")
        order = feature_order(names_of_columns(samples), self.preprocessing.feature_names, "the input")
        return self._taken(x if order is None else x[:, order])

    def predict_stream(self, paths: Iterable[str | Path]) -> Iterator[Prediction]:
        """Predict image files in order, `PATHS_AT_ONCE` at a time, while the next are being decoded.

        Images are decoded in separate processes, as for training. An image that crashes its decoder is reported as
        unreadable.

        Raises:
            DataError: the bundle takes features, not images.
        """
        self._demand_images()
        with closing(self._decoders.decoded(map(Path, paths))) as coming:
            outcomes = _in_order(coming)
            while batch := list(islice(outcomes, PATHS_AT_ONCE)):
                yield self._predict_outcomes(batch)

    def predict_array(self, x: Array) -> Prediction:
        """Predict (n, ...) images, as uint8 or in the range of the training data, or numeric features.

        Raises:
            DataError: the shape or range differs from the training data, or values are not finite.
        """
        return self._decided(self._scores(self._taken(x)))

    def _taken(self, x: Array) -> Array:
        """(n, ...) uint8 images or float32 features.

        Raises:
            DataError: as `predict_array`.
        """
        seen = self.preprocessing.backbone is not None and x.ndim == 4
        shape = self.preprocessing.taken if seen else self.preprocessing.shape
        kind = "images" if seen else self.preprocessing.kind
        faults, given = [], x.shape
        if kind == "images" and (x.dtype != np.uint8 or given[1:] != shape):
            x = self._as_pixels(x)
        if x.shape[1:] != shape:
            faults.append(f"expected an array of shape (n, {', '.join(map(str, shape))}); got {given}")
        if kind == "features":
            if x.dtype.kind not in "fiub":
                faults.append(f"expected numeric features; got {x.dtype}")
            else:
                with np.errstate(over="ignore"):
                    x = np.ascontiguousarray(x, dtype=np.float32)
                if not np.isfinite(x).all():
                    faults.append("expected features that are finite in float32; got NaN, infinite or larger values")
        if not (seen or faults) and self._fine_tuned:
            faults.append(
                f"expected images, because the backbone of this bundle was fine-tuned; got {x.shape[1]} features"
            )
        if faults:
            raise DataError(faults, f"This model was trained on {kind} of that shape.")
        return x

    def _as_pixels(self, x: Array) -> Array:
        """(n, H, W, 3) uint8 of images in the range that training took; an array of another shape as it is."""
        if x.dtype.kind not in "biuf":
            raise DataError(f"expected images as an array of numbers; got {x.dtype}")
        if x.ndim not in (3, 4) or 0 in x.shape:
            return x
        faults, most = Faults(), self.preprocessing.pixel_range
        found = pixels_of_array(x, "the input", faults, [], most)
        if found is None:
            faults.add(f"this model was trained on images from 0 to {most}, and on uint8 from 0 to 255")
        faults.check()
        return x if found is None else found

    def predict_dataset(self, dataset: Dataset) -> Prediction:
        """Predict samples that were loaded for this bundle.

        Raises:
            DataError: as `predict_array`, or scores of a sample are not finite.
        """
        if self._fine_tuned and dataset.pixels is not None:
            found = self.predict_array(dataset.pixels)
        else:
            found = self.predict_array(align_features(dataset, self.preprocessing.feature_names).x)
        if found.errors:
            raise DataError([f"{dataset.sample_names[row]}: {why}" for row, why in found.errors.items()])
        return found

    @property
    def _fine_tuned(self) -> bool:
        return self.preprocessing.backbone is not None and self.in_torch.fine_tuned

    def explain(
        self, image: str | Path | Image.Image | NDArray[np.uint8], labels: Sequence[str] | None = None
    ) -> Explanation:
        """Show which parts of an image speak for its labels: by Grad-CAM for a CNN, otherwise by occlusion.

        Args:
            image: one image, as `predict` takes it.
            labels: names of labels. By default, those that `predict` gives, or else the one with the highest score.

        Raises:
            DataError: the image cannot be read, there is no such label, or the bundle takes no images.
        """
        self._demand_images()
        small = self._pixels(image)
        prediction = self.predict_array(small[None])
        if labels is None:
            labels = prediction.labels(0) or (self.label_names[int(prediction.scores[0].argmax())],)
        if unknown := [name for name in labels if name not in self.label_names]:
            faults = [f"there is no label {name!r}{did_you_mean(name, self.label_names)}" for name in unknown]
            raise DataError(faults, f"Labels: {', '.join(self.label_names)}.")
        columns = [self.label_names.index(name) for name in labels]
        cnn = self.in_torch.cnn if self.preprocessing.backbone is None else None
        if cnn is None:
            heat = hidden(small, columns, self._scores)
        else:
            heat = grad_cam(cnn, small * np.float32(self.preprocessing.scale), columns)
        method = "occlusion" if cnn is None else "grad-cam"
        return Explanation(small, tuple(labels), prediction.scores[0, columns], heat, method)

    def _pixels(self, image: str | Path | Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(S, S, 3): one image as the network sees it.

        Raises:
            DataError: it cannot be read.
        """
        if isinstance(image, np.ndarray):
            pixels: NDArray[np.uint8] = self._taken(image[None])[0]
            return pixels
        if isinstance(image, Image.Image):
            outcome = self._image_outcome(image)
        else:
            ((_, outcome),) = self._decoders.decoded([Path(image)])
        if outcome.pixels is None:
            raise DataError(f"{image}: {outcome.reason}")
        return outcome.pixels

    def __reduce__(self) -> tuple[Callable[..., Tagger], tuple[object, ...]]:
        """All that it is made of, so that it needs no file when it is unpickled; no processes, and no session."""
        audited = self._given if isinstance(self._given, Audited) else None
        return _unpickled, (self.bundle, audited, self._device, self._processes)

    def members(self) -> list[Tagger]:
        """Each network of an ensemble by itself; a single one as it is."""
        from tagfit.models.ensemble import members_of

        networks = members_of(self.bundle.network)
        return [self] if len(networks) == 1 else [Tagger(replace(self.bundle, network=one)) for one in networks]

    def dead_units(self, x: Array) -> list[Units]:
        """By layer, the units that output 0 for every sample of `x`, which `predict_array` takes."""
        return self.in_torch.dead_units(x)

    @cached_property
    def _decoders(self) -> Decoders:
        decoders = Decoders(self.form, MAX_PIXELS, self._processes)
        weakref.finalize(self, decoders.close)
        return decoders

    def _image_outcome(self, image: Image.Image) -> DecodeOutcome:
        self._demand_images()
        try:
            return DecodeOutcome(pixels=pixels(image, self.form))
        except UnreadableImageError as reason:
            return DecodeOutcome(reason=str(reason))

    def _predict_outcomes(self, outcomes: Sequence[DecodeOutcome]) -> Prediction:
        errors = {row: outcome.reason for row, outcome in enumerate(outcomes) if outcome.pixels is None}
        readable = [row for row in range(len(outcomes)) if row not in errors]
        images = [outcome.pixels for outcome in outcomes if outcome.pixels is not None]
        scores = np.full((len(outcomes), len(self.label_names)), np.nan, dtype=np.float32)
        if readable:
            scores[readable] = self._scores(np.stack(images))
        return self._decided(scores, errors)

    def _scores(self, x: Array) -> NDArray[np.float32]:
        if not len(x):
            return np.empty((0, len(self.label_names)), dtype=np.float32)
        return (self._networks if self._networks.takes(x) else self.in_torch).scores(x)

    def _decided(self, scores: NDArray[np.float32], errors: Mapping[int, str] | None = None) -> Prediction:
        decider = self.decider
        faults = {int(row): _NOT_FINITE for row in np.flatnonzero(~np.isfinite(scores).all(axis=1))} | dict(
            errors or {}
        )
        scores[list(faults)] = np.nan  # nothing of such a row is worth anything
        return Prediction(scores, decider.probabilities(scores), decider.decide(scores), self.label_names, faults)

    def _demand_images(self) -> None:
        kind, shape = self.preprocessing.kind, self.preprocessing.shape
        if not self.takes_images:
            raise DataError(f"this bundle was trained on {kind} of shape {shape}; got images")
        if self.preprocessing.form is None:
            raise DataError(f"this bundle takes arrays of shape {shape}, not image files")


def _unpickled(bundle: Bundle, found: Audited | None, device: str, processes: int | None) -> Tagger:
    """Run by ONNX Runtime if the first one was and what this runs is in the cache; else by torch."""
    networks = onnx_networks.kept(found) if found is not None and onnx_networks.installed() else None
    return Tagger(bundle, device, networks, processes)


def _readable(prediction: Prediction) -> Prediction:
    """Raises DataError: not one image could be read."""
    if len(prediction.errors) == len(prediction):
        names = prediction.samples or [f"image {row}" for row in range(1, len(prediction) + 1)]
        raise DataError([f"{names[row]}: {reason}" for row, reason in sorted(prediction.errors.items())])
    return prediction


def _constructed(found: Audited) -> Bundle:
    from tagfit.bundle.read import constructed

    return constructed(found)


def _on_cpu(device: str) -> bool:
    """Whether that is the CPU; torch is asked only if there may be something else."""
    other = sys.platform == "darwin" or shutil.which("nvidia-smi") or shutil.which("rocm-smi")
    if device != "auto" or not other:
        return device in ("auto", "cpu")
    from tagfit.training.device import find_device

    return find_device(device).type == "cpu"


def _in_onnx(found: Audited) -> Networks | None:
    """What ONNX Runtime runs for a bundle, made now if it was not before; None if it cannot be made."""
    try:
        if (known := onnx_networks.kept(found)) is not None:
            found.contents()  # raises where they have changed
            return known
        from tagfit.inference.export.onnx_file import onnx_of

        content = onnx_of(_constructed(found)).content
        networks = onnx_networks.OnnxNetworks(content, found.manifest.preprocessing)
    except (ImportError, ExportError) as error:
        log.warning("torch predicts, because ONNX Runtime cannot be used: %s", error)
        return None
    onnx_networks.keep(found, content)
    return networks


def _in_order(coming: Iterable[tuple[int, DecodeOutcome]]) -> Iterator[DecodeOutcome]:
    """What comes with its number, from number 0 on."""
    waiting: dict[int, DecodeOutcome] = {}
    following = 0
    for number, outcome in coming:
        waiting[number] = outcome
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _all_of(inputs: object, kind: Any) -> bool:
    return isinstance(inputs, list | tuple) and bool(inputs) and all(isinstance(item, kind) for item in inputs)


def _joined(parts: Sequence[Prediction], label_names: tuple[str, ...]) -> Prediction:
    starts = np.cumsum([0, *(len(part) for part in parts)])
    return Prediction(
        scores=np.concatenate([part.scores for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        decisions=np.concatenate([part.decisions for part in parts]),
        label_names=label_names,
        errors={
            int(start) + row: why
            for start, part in zip(starts, parts, strict=False)
            for row, why in part.errors.items()
        },
    )
