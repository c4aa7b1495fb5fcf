"""A bundle as one file for other runtimes, written when it was held against the tagger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from tagfit.errors import OptionError, OutputError
from tagfit.inference.export.keras_file import keras_of
from tagfit.inference.export.onnx_file import onnx_of
from tagfit.inference.tagger import Tagger
from tagfit.io.files import write_new

Format = Literal["onnx", "keras"]

#: the format is what the file's name ends with
_ENDINGS: Mapping[str, Format] = {".onnx": "onnx", ".keras": "keras"}


@dataclass(frozen=True)
class Exported:
    """An exported file, and how it compares with the tagger.

    Attributes:
        file: its path.
        format: onnx or keras.
        input: name, dtype and shape of its input, with N for any number of samples.
        outputs: the names of its outputs.
        bytes: its size.
        samples: how many samples it was compared on.
        max_difference: the largest difference of a raw score.
    """

    file: str
    format: str
    input: dict[str, Any]
    outputs: tuple[str, ...]
    bytes: int
    samples: int
    max_difference: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def export(
    bundle: Tagger | str | Path, output: str | Path, *, to: Format | None = None, examples: ArrayLike | None = None
) -> Exported:
    """Write a bundle as one file for other runtimes.

    Before the file is written, its scores are compared with torch's, in ONNX Runtime or in Keras.

    An ONNX file gives `scores`, `probabilities` and `decisions`. A Keras file (dense networks and CNNs) gives `scores`.

    The file takes `features`, (N, D) float32 in the order of its `feature_names`, or `images`, (N, H, W, 3), for any N.
    Images are uint8 in an ONNX file, from 0 to 255. If the model was trained on an array of floats from 0 to 1, they
    are float32 from 0 to 1. Images in another range are refused by their type, or get NaN as scores.

    Args:
        bundle: a tagger, or a folder that `Tagger.load` reads.
        output: a new file whose name ends with `.onnx` or `.keras`.
        to: `onnx` or `keras`; by default, the ending of the name.
        examples: arrays of samples to compare on, in addition to random ones.

    Raises:
        OptionError: there is no such format.
        MissingExtraError: the package that writes or runs the file is not installed.
        OutputError: the file exists already, its name does not fit the format, or it cannot be written.
        ExportError: the network cannot be written in this format, or the file would give other scores.
    """
    if to not in (None, *_ENDINGS.values()):
        raise OptionError(f"to must be one of {', '.join(_ENDINGS.values())}; got {to!r}")
    file = Path(output)
    if file.exists():
        raise OutputError(f"{file} exists already", "Choose another file; nothing was overwritten.")
    named: Format | None = _ENDINGS.get(file.suffix)
    to = to or named
    if to is None or named != to:
        expected = ".onnx or .keras" if to is None else f".{to}"
        raise OutputError(f"{file}: expected a name that ends with {expected}; got {file.suffix or 'no ending'!r}")
    tagger = bundle if isinstance(bundle, Tagger) else Tagger.load(bundle, runtime="torch")
    samples = None if examples is None else tagger.prepared(examples)
    made = keras_of(tagger.bundle, samples) if to == "keras" else onnx_of(tagger.bundle, samples, as_trained=True)
    write_new(file, made.content)
    taken = tagger.preprocessing
    described = {
        "name": taken.input_name,
        "dtype": "uint8" if taken.takes_images and taken.pixel_range == 255 and to == "onnx" else "float32",
        "shape": ["N", *taken.taken],
    }
    return Exported(str(file), to, described, made.outputs, len(made.content), made.samples, made.max_difference)
