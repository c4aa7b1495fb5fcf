"""A bundle as one file for other runtimes: all that a tagger does with an array, held against the tagger first."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import tagfit
from tagfit.delivery.predictor import Tagger
from tagfit.delivery.run_folder import write_new
from tagfit.delivery.whole import WholeTagger
from tagfit.errors import ExportError, MissingExtraError, OutputError
from tagfit.models.layers import Standardise

#: how far raw scores may lie from the tagger's
EXACT = 1e-5

#: of ONNX's operators; ONNX Runtime knows it from 1.14 on
OPSET = 18

#: calibrated probabilities of equal scores may differ by what float32 rounds off
_ROUNDED = 1e-6

#: batches that the file is checked on
_BATCHES = (1, 2, 13)

OUTPUTS = ("scores", "probabilities", "decisions")


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
    `probabilities` and `decisions`. It is run in ONNX Runtime beside the tagger before it is written.

    Args:
        bundle: a tagger, or a folder that `Tagger.load` reads.
        examples: samples to compare on, as `Tagger.predict` takes arrays; random ones are taken as well.

    Raises:
        MissingExtraError: onnx or ONNX Runtime is not installed.
        OutputError: there is such a file already, or it cannot be written.
        ExportError: the network cannot be written as ONNX, or the file would give other scores.
    """
    _demand_onnx()
    file = Path(output)
    if file.exists():
        raise OutputError(f"{file} exists already", "Choose another file; nothing was overwritten.")
    tagger = bundle if isinstance(bundle, Tagger) else Tagger.load(bundle, device="cpu")
    samples = _samples(tagger)
    content = _onnx(tagger, samples[1])
    if examples is not None:
        samples.append(np.asarray(examples, dtype=samples[0].dtype))
    worst = max(_compared(tagger, content, samples))
    write_new(file, content)
    described = {"name": _input_name(tagger), "dtype": str(samples[0].dtype), "shape": ["N", *samples[0].shape[1:]]}
    return Exported(str(file), "onnx", described, OUTPUTS, len(content), sum(map(len, samples)), worst)


def _demand_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("an ONNX file", "export") from None


def _input_name(tagger: Tagger) -> str:
    return "pictures" if tagger.takes_pictures else "features"


def _samples(tagger: Tagger) -> list[NDArray[Any]]:
    """Random samples, in batches: pictures from plain to noisy, features spread as those that it was trained on."""
    rng = np.random.default_rng(0)
    shape = tagger.preprocessing.shape if tagger.preprocessing.backbone is None else (tagger.form.size,) * 2 + (3,)
    if tagger.takes_pictures:
        return [_pictures(rng, count, shape) for count in _BATCHES]
    spread = [layer for layer in tagger.bundle.network.modules() if isinstance(layer, Standardise)]
    mean, deviation = (spread[0].mean.numpy(), spread[0].deviation.numpy()) if spread else (0.0, 1.0)
    return [(rng.normal(size=(count, *shape)) * deviation + mean).astype(np.float32) for count in _BATCHES]


def _pictures(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    noise = rng.normal(size=(count, *shape)) * np.linspace(60, 5, count)[:, None, None, None]
    colours = rng.uniform(0, 255, size=(count, 1, 1, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def _onnx(tagger: Tagger, example: NDArray[Any]) -> bytes:
    """The file's content.

    Raises:
        ExportError: torch's exporter does not know what to make of the network.
    """
    import onnx

    name = _input_name(tagger)
    try:
        with _quietly(), torch.no_grad():
            program = torch.onnx.export(
                WholeTagger(tagger.bundle),
                (torch.from_numpy(example),),
                input_names=[name],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim("N")},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter and transformers' networks raise nearly anything
        why = str(error).strip().partition("\n")[0]
        raise ExportError(f"this network cannot be written as ONNX: {type(error).__name__}: {why}") from error
    assert program is not None
    model = program.model_proto
    model.producer_name, model.producer_version = "tagfit", tagfit.__version__
    for node in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        node.ClearField("metadata_props")  # which lines of which files it came of
        node.ClearField("doc_string")
    onnx.helper.set_model_props(model, _metadata(tagger))
    content: bytes = model.SerializeToString()
    return content


def _metadata(tagger: Tagger) -> dict[str, str]:
    """What the file says of itself; each value is JSON."""
    bundle = tagger.bundle
    said = {
        "tagfit": tagfit.__version__,
        "label_names": list(bundle.label_names),
        "preprocessing": bundle.preprocessing.to_dict(),
        "form": tagger.form.to_dict() if tagger.takes_pictures else None,
        "decider": bundle.decider.to_dict(),
        "recipe": bundle.recipe.to_dict(),
        "lock": bundle.lock,
    }
    return {name: json.dumps(value, ensure_ascii=False, allow_nan=False) for name, value in said.items()}


def _compared(tagger: Tagger, content: bytes, samples: list[NDArray[Any]]) -> Iterator[float]:
    """The largest difference of a raw score, of each batch of samples.

    Raises:
        ExportError: it is too large, or other labels are made of the same scores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    decider = tagger.bundle.decider
    for x in samples:
        try:
            scores, probabilities, decisions = session.run(list(OUTPUTS), {_input_name(tagger): x})
        except Exception as error:  # pybind's own kinds, which derive from nothing else
            raise ExportError(f"ONNX Runtime does not take the file for {len(x)} samples: {error}") from error
        difference = float(np.abs(scores - tagger.predict_array(x).scores).max(initial=0))
        if not difference <= EXACT:
            raise ExportError(
                f"the ONNX file would give scores that differ by up to {difference:.2g} from the bundle's, "
                f"of {EXACT:g} allowed; nothing was written"
            )
        moved = float(np.abs(probabilities - decider.probabilities(scores)).max(initial=0))
        if moved > _ROUNDED or not np.array_equal(decisions, decider.decide(scores)):
            raise ExportError("the ONNX file would make other labels of the same scores; nothing was written")
        yield difference


@contextmanager
def _quietly() -> Iterator[None]:
    """torch's exporter tells what it does; what matters is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
