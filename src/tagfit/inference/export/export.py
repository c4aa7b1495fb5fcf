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
    """A file that was written, and how it compares with the tagger.

    Attributes:
        input: name, dtype and shape of what it takes, N for any number of samples.
        samples: how many it was run on.
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
    """Write `bundle` to `output` as a file for other runtimes, which appears whole or not at all.

    It takes `features`, (N, D) float32 in the order of its `feature_names`, or `images`, (N, H, W, 3), of any N. Images
    go from 0 to 255, in an ONNX file as uint8; after a training on an array of floats from 0 to 1, they are float32
    from 0 to 1. Images of another range are refused: by their type, or with NaN as their scores.

    An ONNX file gives `scores`, `probabilities` and `decisions`, a Keras file (dense networks and CNNs) `scores`.
    Before it is written, it is run in ONNX Runtime or in Keras beside torch.

    Args:
        bundle: a tagger, or a folder that `Tagger.load` reads.
        output: a file whose name ends with `.onnx` or `.keras`.
        to: `onnx` or `keras`; unless given, what the name ends with.
        examples: samples to compare on, as `Tagger.predict` takes arrays; random ones are taken as well.

    Raises:
        OptionError: there is no such format.
        MissingExtraError: what writes or runs the file is not installed.
        OutputError: there is such a file already, its name is of no format or of the other, or it cannot be written.
        ExportError: the network cannot be written so, or the file would give other scores.
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
