"""All that a tagger does with an array, as the content of an ONNX file, held against torch before anyone gets it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import tagfit
from tagfit.delivery.bundle import Bundle
from tagfit.delivery.onnx_networks import session_of
from tagfit.delivery.torch_networks import TorchNetworks
from tagfit.delivery.whole import WholeTagger
from tagfit.errors import ExportError, MissingExtraError
from tagfit.models.layers import Standardise

#: how far raw scores may lie from torch's
EXACT = 1e-5

#: of ONNX's operators; ONNX Runtime knows it from 1.14 on
OPSET = 18

#: calibrated probabilities of equal scores may differ by what float32 rounds off
_ROUNDED = 1e-6

#: batches that the file is checked on
_BATCHES = (1, 2, 13)

OUTPUTS = ("scores", "probabilities", "decisions")


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """The content of a file, and how it compares.

    Attributes:
        input: name, dtype and shape of what it takes, N for any number of samples.
        samples: how many it was run on.
        max_difference: the largest difference of a raw score.
    """

    content: bytes
    input: dict[str, Any]
    samples: int
    max_difference: float


def onnx_of(bundle: Bundle, examples: ArrayLike | None = None) -> OnnxFile:
    """`bundle` as an ONNX file, which was run in ONNX Runtime beside torch.

    Args:
        examples: samples to compare on; random ones are taken as well.

    Raises:
        MissingExtraError: onnx or ONNX Runtime is not installed.
        ExportError: the network cannot be written as ONNX, or the file would give other scores.
    """
    demand_onnx()
    samples = samples_of(bundle)
    content = _onnx(bundle, samples[1])
    if examples is not None:
        samples.append(np.asarray(examples, dtype=samples[0].dtype))
    worst = max(_compared(bundle, content, samples))
    described = {
        "name": bundle.preprocessing.input_name,
        "dtype": str(samples[0].dtype),
        "shape": ["N", *samples[0].shape[1:]],
    }
    return OnnxFile(content, described, sum(map(len, samples)), worst)


def demand_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("an ONNX file", "export") from None


def samples_of(bundle: Bundle) -> list[NDArray[Any]]:
    """Random samples, in batches: pictures from plain to noisy, features spread as those that it was trained on."""
    rng = np.random.default_rng(0)
    shape = bundle.preprocessing.taken
    if bundle.preprocessing.takes_pictures:
        return [_pictures(rng, count, shape) for count in _BATCHES]
    spread = [layer for layer in bundle.network.modules() if isinstance(layer, Standardise)]
    mean, deviation = (spread[0].mean.numpy(), spread[0].deviation.numpy()) if spread else (0.0, 1.0)
    return [(rng.normal(size=(count, *shape)) * deviation + mean).astype(np.float32) for count in _BATCHES]


def _pictures(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    noise = rng.normal(size=(count, *shape)) * np.linspace(60, 5, count)[:, None, None, None]
    colours = rng.uniform(0, 255, size=(count, 1, 1, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def _onnx(bundle: Bundle, example: NDArray[Any]) -> bytes:
    """The file's content.

    Raises:
        ExportError: torch's exporter does not know what to make of the network.
    """
    import onnx

    try:
        with _quietly(), torch.no_grad():
            program = torch.onnx.export(
                WholeTagger(bundle),
                (torch.from_numpy(example),),
                input_names=[bundle.preprocessing.input_name],
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
    onnx.helper.set_model_props(model, _metadata(bundle))
    content: bytes = model.SerializeToString()
    return content


def _metadata(bundle: Bundle) -> dict[str, str]:
    """What the file says of itself; each value is JSON."""
    said = {
        "tagfit": tagfit.__version__,
        "label_names": list(bundle.label_names),
        "preprocessing": bundle.preprocessing.to_dict(),
        "form": None if bundle.preprocessing.form is None else bundle.preprocessing.form.to_dict(),
        "decider": bundle.decider.to_dict(),
        "recipe": bundle.recipe.to_dict(),
        "lock": bundle.lock,
    }
    return {name: json.dumps(value, ensure_ascii=False, allow_nan=False) for name, value in said.items()}


def _compared(bundle: Bundle, content: bytes, samples: list[NDArray[Any]]) -> Iterator[float]:
    """The largest difference of a raw score, of each batch of samples.

    Raises:
        ExportError: it is too large, or other labels are made of the same scores.
    """
    session, networks, decider = session_of(content), TorchNetworks(bundle, "cpu"), bundle.decider
    for x in samples:
        try:
            scores, probabilities, decisions = session.run(list(OUTPUTS), {bundle.preprocessing.input_name: x})
        except Exception as error:  # pybind's own kinds, which derive from nothing else
            raise ExportError(f"ONNX Runtime does not take the file for {len(x)} samples: {error}") from error
        difference = float(np.abs(scores - networks.scores(x)).max(initial=0))
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
