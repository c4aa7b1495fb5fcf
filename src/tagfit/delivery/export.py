"""A bundle as one file for other runtimes, written when it was held against the tagger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from tagfit.delivery.onnx_file import OUTPUTS, demand_onnx, onnx_of
from tagfit.delivery.predictor import Tagger
from tagfit.delivery.run_folder import write_new
from tagfit.errors import OutputError


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


def export(bundle: Tagger | str | Path, output: str | Path, *, examples: ArrayLike | None = None) -> Exported:
    """Write `bundle` to `output` as an ONNX file, which appears whole or not at all.

    It takes `pictures`, (N, H, W, 3) uint8, or `features`, (N, D) float32, of any N, and gives `scores`,
    `probabilities` and `decisions`. It is run in ONNX Runtime beside torch before it is written.

    Args:
        bundle: a tagger, or a folder that `Tagger.load` reads.
        examples: samples to compare on, as `Tagger.predict` takes arrays; random ones are taken as well.

    Raises:
        MissingExtraError: onnx or ONNX Runtime is not installed.
        OutputError: there is such a file already, or it cannot be written.
        ExportError: the network cannot be written as ONNX, or the file would give other scores.
    """
    demand_onnx()
    file = Path(output)
    if file.exists():
        raise OutputError(f"{file} exists already", "Choose another file; nothing was overwritten.")
    tagger = bundle if isinstance(bundle, Tagger) else Tagger.load(bundle, runtime="torch")
    made = onnx_of(tagger.bundle, examples)
    write_new(file, made.content)
    return Exported(str(file), "onnx", made.input, OUTPUTS, len(made.content), made.samples, made.max_difference)
