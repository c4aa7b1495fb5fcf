"""All that a tagger does with an array, as the content of an ONNX file, held against torch before anyone gets it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import numpy as np
import torch

import tagfit
from tagfit.bundle.record import Bundle
from tagfit.errors import ExportError, demand_extra
from tagfit.inference.export.made_file import MadeFile, difference, given, samples_of, told_of
from tagfit.inference.export.whole import FromFloats, WholeTagger
from tagfit.inference.onnx_runtime import session_of
from tagfit.inference.torch_runtime import TorchNetworks
from tagfit.records.data import Array

#: of ONNX's operators; ONNX Runtime knows it from 1.14 on
OPSET = 18

#: calibrated probabilities of equal scores may differ by what float32 rounds off
_ROUNDED = 1e-6

OUTPUTS = ("scores", "probabilities", "decisions")


def onnx_of(bundle: Bundle, examples: Array | None = None, *, as_trained: bool = False) -> MadeFile:
    """`bundle` as an ONNX file, which was run in ONNX Runtime beside torch.

    Args:
        examples: samples to compare on, images as uint8; random ones are taken as well.
        as_trained: take images as training took them, from 0 to 1 if it was so; else uint8.

    Raises:
        MissingExtraError: onnx or ONNX Runtime is not installed.
        ExportError: the network cannot be written as ONNX, or the file would give other scores.
    """
    demand_extra("an ONNX file", "export")
    samples = samples_of(bundle, examples)
    files = [given(bundle, x) if as_trained else x for x in samples]
    content = _onnx(bundle, files[1])
    return MadeFile(content, OUTPUTS, sum(map(len, samples)), max(_compared(bundle, content, samples, files)))


def _onnx(bundle: Bundle, example: Array) -> bytes:
    """The file's content.

    Raises:
        ExportError: torch's exporter does not know what to make of the network.
    """
    import onnx

    from_floats = bundle.preprocessing.takes_images and example.dtype != np.uint8
    whole = FromFloats(WholeTagger(bundle)) if from_floats else WholeTagger(bundle)
    try:
        with _quietly(), torch.no_grad():
            program = torch.onnx.export(
                whole,
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
    told = {name: json.dumps(value, ensure_ascii=False, allow_nan=False) for name, value in told_of(bundle).items()}
    onnx.helper.set_model_props(model, told)
    content: bytes = model.SerializeToString()
    return content


def _compared(bundle: Bundle, content: bytes, samples: list[Array], files: list[Array]) -> Iterator[float]:
    """The largest difference of a raw score, of each batch of samples, given to the file as in `files`.

    Raises:
        ExportError: it is too large, or other labels are made of the same scores.
    """
    session, networks, decider = session_of(content), TorchNetworks(bundle, "cpu"), bundle.decider
    for x, taken in zip(samples, files, strict=True):
        try:
            scores, probabilities, decisions = session.run(list(OUTPUTS), {bundle.preprocessing.input_name: taken})
        except Exception as error:  # pybind's own kinds, which derive from nothing else
            raise ExportError(f"ONNX Runtime cannot run the file on {len(x)} samples: {error}") from error
        worst = difference(scores, networks.scores(x), "ONNX")
        moved = float(np.abs(probabilities - decider.probabilities(scores)).max(initial=0))
        if moved > _ROUNDED or not np.array_equal(decisions, decider.decide(scores)):
            raise ExportError("the ONNX file would give other labels for the same scores; nothing was written")
        yield worst


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
