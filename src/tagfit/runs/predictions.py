"""What the runs of a fit or a cure say of each sample, as the run folder keeps it: predictions/.

samples.json         the samples' names by part, and groups of near-copies
labels.safetensors   `val.labels` (n, L) int8 and `val.groups` (n,) int64, and so on by part
before.safetensors   `val.scores` (n, L) float32 and `val.decisions` (n, L) bool, of the baseline; absent of a fit
after.safetensors    the same of what is delivered
thumbnails/          `val-17.webp`: the image in row 17 of val; only of those that a report shows

Shapes: n samples of a part, L labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from tagfit.errors import BundleError
from tagfit.metrics.intervals import Answers
from tagfit.records.data import PARTS, Array, Part

THUMBNAILS = "thumbnails/"

#: of a run folder: the delivered model first
RUNS = ("after", "before")

#: a sample: its part, and its row there
Place = tuple[Part, int]


@dataclass(frozen=True, eq=False)
class SavedPredictions:
    """What was said of each sample of each part.

    Attributes:
        names: the samples of each part. Of folds, train holds a sample as often as networks were trained on it.
        groups: (n,) by part, the same number for samples that belong together.
        runs: `after`, and `before` where there is a baseline, by part: labels, scores and decisions.
        near_copies: groups of images that are nearly the same.
        thumbnails: WebP files of some images.
    """

    names: Mapping[Part, tuple[str, ...]]
    groups: Mapping[Part, NDArray[np.int64]]
    runs: Mapping[str, Mapping[Part, Answers]]
    near_copies: tuple[tuple[Place, ...], ...] = ()
    thumbnails: Mapping[Place, bytes] = field(default_factory=dict)

    def to_files(self) -> dict[str, bytes]:
        """What is in the folder, by name."""
        after = self.runs["after"]
        labels: dict[str, Array] = {f"{part}.labels": saved.labels_NL for part, saved in after.items()}
        labels |= {f"{part}.groups": groups for part, groups in self.groups.items()}
        samples = {"parts": self.names, "near_copies": self.near_copies}
        return {
            "samples.json": json.dumps(samples, ensure_ascii=False).encode("utf-8", "surrogatepass"),
            "labels.safetensors": _packed(labels),
            **{f"{name}.safetensors": _packed(dict(_tensors(saved))) for name, saved in self.runs.items()},
            **{f"{THUMBNAILS}{part}-{row}.webp": content for (part, row), content in self.thumbnails.items()},
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], labels: int) -> SavedPredictions:
        """What `to_files` gave, audited: it may come from a stranger.

        Raises:
            BundleError: a file is missing, or is not what `to_files` writes for so many labels.
        """
        try:
            return cls._read(files, labels)
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
            raise BundleError(f"predictions: expected what a run writes; {type(error).__name__}: {error}") from error

    @classmethod
    def _read(cls, files: Mapping[str, bytes], labels: int) -> SavedPredictions:
        samples = json.loads(files["samples.json"].decode("utf-8", "surrogatepass"))
        known = safetensors.numpy.load(files["labels.safetensors"])
        names: dict[Part, tuple[str, ...]] = {}
        for part, listed in samples["parts"].items():
            if part not in PARTS or not all(isinstance(name, str) for name in listed):
                raise ValueError(f"there are no samples called {listed!r:.40} in {part!r}")
            names[part] = tuple(listed)
        groups = {part: _of_shape(known[f"{part}.groups"], np.int64, (len(names[part]),)) for part in names}
        runs: dict[str, dict[Part, Answers]] = {}
        for run in RUNS:
            if f"{run}.safetensors" in files:
                saved = safetensors.numpy.load(files[f"{run}.safetensors"])
                runs[run] = {part: _answers(known, saved, part, (len(names[part]), labels)) for part in names}
        if "after" not in runs:
            raise ValueError("there is no after.safetensors")
        near = tuple(tuple(_place(one, names) for one in group) for group in samples["near_copies"])
        return cls(names, groups, runs, near, dict(_thumbnails(files, names)))


def _tensors(saved: Mapping[Part, Answers]) -> Iterator[tuple[str, Array]]:
    for part, answers in saved.items():
        assert answers.decisions_NL is not None
        yield f"{part}.scores", answers.probabilities_NL.astype(np.float32)
        yield f"{part}.decisions", answers.decisions_NL


def _packed(tensors: Mapping[str, Array]) -> bytes:
    return safetensors.numpy.save({name: np.ascontiguousarray(one) for name, one in tensors.items()})


def _answers(known: Mapping[str, Array], saved: Mapping[str, Array], part: Part, shape: tuple[int, int]) -> Answers:
    labels_NL = _of_shape(known[f"{part}.labels"], np.int8, shape)
    scores_NL = _of_shape(saved[f"{part}.scores"], np.float32, shape)
    if not (np.abs(labels_NL) <= 1).all() or not ((scores_NL >= 0) & (scores_NL <= 1)).all():
        raise ValueError(f"labels of {part} are -1, 0 or 1, and scores from 0 to 1")
    return Answers(labels_NL, scores_NL, _of_shape(saved[f"{part}.decisions"], np.bool_, shape))


def _of_shape(array: Array, dtype: Any, shape: tuple[int, ...]) -> Array:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"expected {np.dtype(dtype)} of shape {shape}; got {array.dtype} of {array.shape}")
    return array


def _place(listed: Any, names: Mapping[Part, tuple[str, ...]]) -> Place:
    part, row = listed
    if not 0 <= int(row) < len(names[part]):
        raise ValueError(f"{part} has no row {row}")
    return part, int(row)


def _thumbnails(files: Mapping[str, bytes], names: Mapping[Part, tuple[str, ...]]) -> Iterator[tuple[Place, bytes]]:
    for name, content in files.items():
        if name.startswith(THUMBNAILS):
            part, _, row = name.removeprefix(THUMBNAILS).removesuffix(".webp").partition("-")
            if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
                raise ValueError(f"{name} is not a WebP image")
            yield _place((cast(Part, part), row), names), content
