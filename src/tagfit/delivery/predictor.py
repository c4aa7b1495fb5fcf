"""The tagger: a bundle at work."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from tagfit.data.dataset import DEFAULT_SIZE
from tagfit.delivery.bundle import Bundle, read_bundle
from tagfit.errors import DataError
from tagfit.form import Form
from tagfit.models.ensemble import members_of
from tagfit.models.fine_tuned import FineTunedNetwork
from tagfit.pictures.decode import UnreadablePictureError, decode, pixels
from tagfit.records import Dataset, Units
from tagfit.training.device import find_device
from tagfit.training.features import Extractor
from tagfit.training.inference import dead_units, probabilities
from tagfit.training.inputs import NetworkInputs

#: pictures that are held at once while a stream of paths is predicted
PATHS_AT_ONCE = 512

#: a picture's pixels, or why there are none
Outcome = NDArray[np.uint8] | str

Inputs = str | Path | Image.Image | Sequence[str | Path] | Sequence[Image.Image] | ArrayLike


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a tagger makes of n samples, in their order.

    Attributes:
        scores: (n, L) float32, the network's probabilities as they are; NaN where the picture could not be read.
        probabilities: (n, L) float32, the same calibrated: of all cells given 0.8, about 80% are yes.
        decisions: (n, L) bool: the labels given by the bundle's rule or, where it has none, to scores above 0.5;
            none where the picture could not be read.
        label_names: (L,).
        errors: the reason for each unreadable picture, by its position.
    """

    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    decisions: NDArray[np.bool_]
    label_names: tuple[str, ...]
    errors: Mapping[int, str] = field(default_factory=dict)

    def labels(self, row: int) -> tuple[str, ...]:
        """Names of the labels given to one sample."""
        return tuple(name for name, given in zip(self.label_names, self.decisions[row], strict=True) if given)

    def __len__(self) -> int:
        return len(self.scores)


class Tagger:
    """Gives labels to pictures or feature rows.

    Attributes:
        label_names: (L,).
        preprocessing: what a sample goes through before the network.
    """

    def __init__(self, bundle: Bundle, device: str = "auto") -> None:
        self.bundle = bundle
        self.label_names = bundle.label_names
        self.preprocessing = bundle.preprocessing
        self._device = find_device(device)
        self._network = copy.deepcopy(bundle.network).to(self._device)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Tagger:
        """Read a bundle, or the bundle of a run folder.

        Raises:
            BundleError: it cannot be read or is not what was handed over.
        """
        return cls(read_bundle(Path(path)), device)

    @property
    def form(self) -> Form:
        """What picture files are brought to; the default where the bundle takes feature rows alone."""
        if self.preprocessing.backbone is not None:
            return self.preprocessing.backbone.form
        return Form(self.preprocessing.shape[0] if self.preprocessing.kind == "pictures" else DEFAULT_SIZE)

    @property
    def takes_pictures(self) -> bool:
        return self.preprocessing.kind == "pictures" or self.preprocessing.backbone is not None

    @property
    def reading(self) -> dict[str, Any]:
        """What reading data is told, so that samples come as this bundle takes them."""
        pretrained = self.bundle.pretrained
        return {"size": self.form.size} if pretrained is None else {"backbone": pretrained}

    @cached_property
    def _extractor(self) -> Extractor | None:
        pretrained = self.bundle.pretrained
        return None if pretrained is None else Extractor(pretrained, self._device)

    def predict(self, inputs: Inputs) -> Prediction:
        """Scores and decisions for pictures or feature rows.

        Args:
            inputs: one path or a list of paths; one PIL image or a list; an array: (n, D) numeric features, or
                (n, H, W, 3) uint8 pictures of the size that the bundle was trained on. A bundle with a backbone takes
                both: pictures of the backbone's size, and features that it has made.

        Raises:
            DataError: not what this bundle takes.
        """
        several: Any = [inputs] if isinstance(inputs, str | Path | Image.Image) else inputs
        if isinstance(several, list | tuple) and not several:
            return self._decided(np.empty((0, len(self.label_names)), dtype=np.float32))
        if _all_of(several, Image.Image):
            return self._predict_outcomes([self._image_pixels(image) for image in several])
        if _all_of(several, str | Path):
            return _joined(list(self.predict_stream(several)), self.label_names)
        return self.predict_array(np.asarray(several))

    def predict_stream(self, paths: Iterable[str | Path]) -> Iterator[Prediction]:
        """Predictions for picture files, in order, `PATHS_AT_ONCE` at a time; the next are decoded meanwhile.

        Raises:
            DataError: the bundle takes features, not pictures.
        """
        self._demand_pictures()
        batches = _batches(paths)
        pool = ThreadPoolExecutor(max_workers=cpu_count())
        try:
            with _no_warnings():
                outcomes = _outcomes(_decoding(pool, next(batches, ()), self.form))
            while outcomes:
                with _no_warnings():
                    coming = _decoding(pool, next(batches, ()), self.form)
                    prediction = self._predict_outcomes(outcomes)
                    outcomes = _outcomes(coming)
                yield prediction
        finally:
            pool.shutdown(cancel_futures=True)

    def predict_array(self, x: NDArray[Any]) -> Prediction:
        """Scores and decisions of (n, ...) uint8 pictures or numeric features.

        Raises:
            DataError: another shape or dtype than the bundle was trained on, or values that are not finite.
        """
        seen = self.preprocessing.backbone is not None and x.ndim == 4
        shape = (self.form.size, self.form.size, 3) if seen else self.preprocessing.shape
        kind = "pictures" if seen else self.preprocessing.kind
        faults = []
        if x.shape[1:] != shape:
            faults.append(f"expected an array of shape (n, {', '.join(map(str, shape))}); got {x.shape}")
        if kind == "pictures" and x.dtype != np.uint8:
            faults.append(f"expected uint8 pictures with values from 0 to 255; got {x.dtype}")
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
                f"expected pictures, as the backbone of this bundle was trained further; got {x.shape[1]} features"
            )
        if faults:
            raise DataError(faults, f"This model was trained on {kind} of that shape.")
        return self._decided(self._scores(x))

    def predict_dataset(self, dataset: Dataset) -> Prediction:
        """Scores and decisions of samples that were read as this bundle takes them.

        Raises:
            DataError: as `predict_array`.
        """
        return self.predict_array(dataset.pixels if self._fine_tuned and dataset.pixels is not None else dataset.x)

    @property
    def _fine_tuned(self) -> bool:
        """Whether some network looks at the pictures that the others are given features of."""
        return any(isinstance(network, FineTunedNetwork) for network in members_of(self._network))

    def members(self) -> list[Tagger]:
        """Each network of an ensemble by itself; a single one as it is."""
        networks = members_of(self.bundle.network)
        return [self] if len(networks) == 1 else [Tagger(replace(self.bundle, network=one)) for one in networks]

    def dead_units(self, x: NDArray[Any]) -> list[Units]:
        """The units that answer 0 to every sample of `x`, as `predict_array` takes them, by layer."""
        return dead_units(self._network, self._inputs(x), np.arange(len(x)))

    def _image_pixels(self, image: Image.Image) -> Outcome:
        self._demand_pictures()
        try:
            return pixels(image, self.form)
        except UnreadablePictureError as reason:
            return str(reason)

    def _predict_outcomes(self, outcomes: Sequence[Outcome]) -> Prediction:
        errors = {row: outcome for row, outcome in enumerate(outcomes) if isinstance(outcome, str)}
        readable = [row for row in range(len(outcomes)) if row not in errors]
        pictures = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        scores = np.full((len(outcomes), len(self.label_names)), np.nan, dtype=np.float32)
        if readable:
            scores[readable] = self._scores(np.stack(pictures))
        return self._decided(scores, errors)

    def _scores(self, x: NDArray[Any]) -> NDArray[np.float32]:
        if not len(x):
            return np.empty((0, len(self.label_names)), dtype=np.float32)
        return probabilities(self._network, self._inputs(x), np.arange(len(x)))

    def _inputs(self, x: NDArray[Any]) -> NetworkInputs:
        """What each network is given of samples, or of the pictures that a backbone looks at."""
        if x.ndim < 4 or self._extractor is None:
            return NetworkInputs(x, self.preprocessing.scale, self._device)
        networks = members_of(self._network)
        features = any(not isinstance(network, FineTunedNetwork) for network in networks)
        return NetworkInputs(self._extractor.features(x) if features else None, 1.0, self._device, pixels=x)

    def _decided(self, scores: NDArray[np.float32], errors: Mapping[int, str] | None = None) -> Prediction:
        decider = self.bundle.decider
        return Prediction(scores, decider.probabilities(scores), decider.decide(scores), self.label_names, errors or {})

    def _demand_pictures(self) -> None:
        kind, shape = self.preprocessing.kind, self.preprocessing.shape
        if not self.takes_pictures:
            raise DataError(f"this bundle was trained on {kind} of shape {shape}; got pictures")
        if kind == "pictures" and shape != (self.form.size, self.form.size, 3):
            raise DataError(f"this bundle takes arrays of shape {shape}, not picture files")


def _batches(paths: Iterable[str | Path]) -> Iterator[tuple[str | Path, ...]]:
    waiting = iter(paths)
    while batch := tuple(islice(waiting, PATHS_AT_ONCE)):
        yield batch


def _decoding(pool: ThreadPoolExecutor, files: Sequence[str | Path], form: Form) -> list[Future[Outcome]]:
    return [pool.submit(_decoded, Path(file), form) for file in files]


def _outcomes(coming: Sequence[Future[Outcome]]) -> list[Outcome]:
    return [decoded.result() for decoded in coming]


def _decoded(file: Path, form: Form) -> Outcome:
    """The pixels of a file, as they were at training, or why there are none."""
    try:
        return decode(file.read_bytes(), form)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except ValueError as error:  # a NUL in a path
        return f"cannot be read: {error}"
    except UnreadablePictureError as reason:
        return str(reason)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Pillow warns of odd metadata, in the threads that decode; pixels or a reason are all that counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
