"""Everything that tagfit raises on purpose.

    TagfitError                     the root: catch this to catch them all
    ├── InputError (ValueError)     what was given cannot be used; lists every fault at once
    │   ├── DataError               label files, arrays, images
    │   ├── RecipeError             a recipe, a registry name, a training option
    │   ├── OptionError             options: unknown names or unusable values (also a Data-, Recipe- and TypeError)
    │   ├── BundleError             a bundle or a run folder that cannot be read
    │   └── OutputError             the place to write to is taken, locked or not writable
    ├── ExportError                 a bundle cannot be written as a file for other runtimes
    ├── LockChangedError            the data, the split or the preprocessing changed under a cure
    ├── MissingExtraError           what was asked for needs a package that is not installed (also an ImportError)
    └── TrainingDivergedError       the loss became NaN or exploded (also an ArithmeticError)

Only `cli` turns these into exit codes.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


class TagfitError(Exception):
    """The root of all errors that tagfit raises on purpose."""


class InputError(TagfitError, ValueError):
    """What was given cannot be used.

    Args:
        faults: one sentence, or one a fault: what was expected, what came, where.
        todo: what the person can do about it.
    """

    #: how many faults the message spells out; `faults` always holds all of them
    SHOWN = 20

    def __init__(self, faults: str | Iterable[str], todo: str = "") -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        self.todo = todo
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [_sentence(fault) for fault in self.faults[: self.SHOWN]]
        if len(self.faults) > 1:
            lines = [f"{len(self.faults)} faults:", *(f"  - {line}" for line in lines)]
        if len(self.faults) > self.SHOWN:
            lines.append(f"  … and {len(self.faults) - self.SHOWN} more of the kind")
        if self.todo:
            lines.append(self.todo)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[str, ...], str]]:
        return type(self), (self.faults, self.todo)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", "…")) else f"{text}."


class DataError(InputError):
    """A label file, an array or an image cannot be used."""


class RecipeError(InputError):
    """A recipe, a registry name or a training option cannot be used."""


class OptionError(DataError, RecipeError, TypeError):
    """Options that do not exist, do not go together or have unusable values; of data and of training alike."""


class BundleError(InputError):
    """A bundle or a run folder cannot be read."""


class OutputError(InputError):
    """The place to write to is taken, locked or not writable."""


class ExportError(TagfitError):
    """A bundle cannot be written as a file for other runtimes, or that file would answer otherwise."""


class LockChangedError(TagfitError):
    """The data, the split or the preprocessing is not what the run was locked to."""


class MissingExtraError(TagfitError, ImportError):
    """What was asked for needs packages that only come with one of tagfit's extras.

    Attributes:
        what: what was asked for.
        extra: the extra that brings them.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(f"{what} needs packages that are not installed: {install_line(extra)}")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.what, self.extra)


def install_line(extra: str) -> str:
    """The command that installs an extra for the Python that runs: from the checkout if this is one."""
    checkout = Path(__file__).parents[2]
    if not (checkout / "constraints.txt").is_file():
        return f"{sys.executable} -m pip install 'tagfit[{extra}]'"
    return f"{sys.executable} -m pip install -c {checkout / 'constraints.txt'} -e '{checkout}[{extra}]'"


#: what each extra brings, as it is imported
EXTRAS = {
    "diagnosis": ("cleanlab",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "figures": ("resvg_py",),
    "guarantees": ("mapie",),
    "keras": ("keras",),
    "mlflow": ("mlflow",),
    "pandas": ("pandas",),
    "parquet": ("pyarrow",),
    "polars": ("polars",),
    "pretrained": ("transformers",),
    "ray": ("ray",),
    "serve": ("fastapi", "httptools", "prometheus_client", "python_multipart", "uvicorn"),
    "sheets": ("openpyxl",),
    "tensorboard": ("tensorboardX",),
}


def has_extra(extra: str) -> bool:
    """Whether the packages of `extra` are installed; none is imported."""
    return all(find_spec(package) is not None for package in EXTRAS[extra])


def demand_extra(what: str, extra: str) -> None:
    """Check that the packages of `extra`, which `what` needs, are installed.

    Raises:
        MissingExtraError: one is not.
    """
    if not has_extra(extra):
        raise MissingExtraError(what, extra)


class TrainingDivergedError(TagfitError, ArithmeticError):
    """The loss became NaN, infinite or exploded.

    Attributes:
        step: the first training step (from 1) whose loss was unusable.
        epoch: the epoch (from 1) that held it.
        loss: that loss.
    """

    def __init__(self, step: int, epoch: int, loss: float) -> None:
        self.step, self.epoch, self.loss = step, epoch, loss
        super().__init__(
            f"Training diverged at step {step} (epoch {epoch}): the loss was {loss:g}. "
            "Lower the learning rate, or look for extreme values in the features (tagfit inspect DATA)."
        )

    def __reduce__(self) -> tuple[type[TrainingDivergedError], tuple[int, int, float]]:
        return type(self), (self.step, self.epoch, self.loss)


#: what other tools and the literature call things, and what we call them
SYNONYMS: dict[str, tuple[str, ...]] = {
    "accuracy": ("label_accuracy", "subset_accuracy", "keras_accuracy"),
    "ap": ("map", "micro_ap"),
    "batch": ("batch_size",),
    "batchnorm": ("batch_norm",),
    "batch_size": ("recipe", "baseline"),
    "checks": ("diagnose",),
    "early_stopping": ("patience",),
    "epochs": ("recipe", "baseline"),
    "exact_match": ("subset_accuracy",),
    "f1": ("micro_f1", "macro_f1", "sample_f1"),
    "f1_score": ("micro_f1", "macro_f1", "sample_f1"),
    "filters": ("width",),
    "hidden": ("widths",),
    "hidden_layer_sizes": ("widths",),
    "l2": ("weight_decay",),
    "layers": ("widths",),
    "learning_rate": ("rate", "recipe", "baseline"),
    "lr": ("rate", "recipe", "baseline"),
    "max_epochs": ("epochs",),
    "model": ("recipe", "baseline"),
    "n_epochs": ("epochs",),
    "num_epochs": ("epochs",),
    "optimise": ("cure",),
    "out": ("output",),
    "recipe": ("baseline",),
    "baseline": ("recipe",),
    "score": ("evaluate",),
    "search": ("cure",),
    "smoothing": ("label_smoothing",),
    "test": ("evaluate",),
    "train": ("fit", "cure"),
    "tune": ("cure",),
    "units": ("widths",),
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for what we call this, or for the nearest known name; or nothing."""
    names = list(known)
    plain = name.lower().replace("-", "_")
    synonyms = [one for one in SYNONYMS.get(plain, ()) if one in names]
    near = synonyms or difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def nearest_file(path: Path) -> str:
    """` Did you mean 'x'?` for the entry of the same folder with the nearest name; or nothing."""
    try:
        beside = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return ""
    lowered = {name.lower(): name for name in beside}
    near = difflib.get_close_matches(path.name.lower(), lowered, n=1)
    return f" Did you mean {str(path.parent / lowered[near[0]])!r}?" if near else ""
