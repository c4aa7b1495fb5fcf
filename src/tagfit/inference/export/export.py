"""A bundle as one file for other runtimes, written when it was held against the tagger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from tagfit.errors import OutputError
from tagfit.inference.export.keras_file import keras_of
from tagfit.inference.export.onnx_file import onnx_of
from tagfit.inference.tagger import Tagger
from tagfit.io.files import write_new

Format = Literal["onnx", "keras"]

#: what makes the content of each; the format is what the file's name ends with
_MAKERS = {"onnx": onnx_of, "keras": keras_of}


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

    It takes `images`, (N, H, W, 3) uint8, or `features`, (N, D) float32, of any N. An ONNX file gives `scores`,
    `probabilities` and `decisions`, a Keras file (dense networks and CNNs) `scores`. Before it is written, it is run in
    ONNX Runtime or in Keras beside torch.

    Args:
        bundle: a tagger, or a folder that `Tagger.load` reads.
        to: `onnx` or `keras`; unless given, `keras` where the file's name ends with `.keras`, as those of Keras do.
        examples: samples to compare on, as `Tagger.predict` takes arrays; random ones are taken as well.

    Raises:
        MissingExtraError: what writes or runs the file is not installed.
        OutputError: there is such a file already, its name is of the other format, or it cannot be written.
        ExportError: the network cannot be written so, or the file would give other scores.
    """
    file = Path(output)
    if file.exists():
        raise OutputError(f"{file} exists already", "Choose another file; nothing was overwritten.")
    named_for_keras = file.suffix == ".keras"
    to = to or ("keras" if named_for_keras else "onnx")
    if named_for_keras != (to == "keras"):
        raise OutputError(
            f"{file}: the names of Keras's files, and of no others, end with .keras", "Choose another name."
        )
    tagger = bundle if isinstance(bundle, Tagger) else Tagger.load(bundle, runtime="torch")
    made = _MAKERS[to](tagger.bundle, examples)
    write_new(file, made.content)
    taken = tagger.preprocessing
    described = {
        "name": taken.input_name,
        "dtype": "uint8" if taken.takes_images else "float32",
        "shape": ["N", *taken.taken],
    }
    return Exported(str(file), to, described, made.outputs, len(made.content), made.samples, made.max_difference)
