"""Honest multi-label classification: train, see whether and why it overfits, cure it, hand it over.

The public names load on first use, so that `import tagfit` costs next to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagfit.api import cure as cure
    from tagfit.api import diagnose as diagnose
    from tagfit.api import evaluate as evaluate
    from tagfit.api import fit as fit
    from tagfit.api import inspect as inspect
    from tagfit.api import load as load
    from tagfit.api import predict as predict
    from tagfit.api import suggest as suggest
    from tagfit.errors import TagfitError as TagfitError
    from tagfit.estimator import TagClassifier as TagClassifier
    from tagfit.inference.export.export import export as export
    from tagfit.inference.tagger import Prediction as Prediction
    from tagfit.inference.tagger import Tagger as Tagger
    from tagfit.recipes import Recipe as Recipe
    from tagfit.records.scores import Target as Target

__version__ = "0.2.0"

#: public names and the modules that define them
_PUBLIC = {
    "load": "tagfit.api",
    "inspect": "tagfit.api",
    "fit": "tagfit.api",
    "cure": "tagfit.api",
    "evaluate": "tagfit.api",
    "diagnose": "tagfit.api",
    "predict": "tagfit.api",
    "suggest": "tagfit.api",
    "Tagger": "tagfit.inference.tagger",
    "Prediction": "tagfit.inference.tagger",
    "export": "tagfit.inference.export.export",
    "TagClassifier": "tagfit.estimator",
    "Recipe": "tagfit.recipes",
    "Target": "tagfit.records.scores",
    "TagfitError": "tagfit.errors",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 (names listed once)


#: what the libraries that would report to their makers document to keep them silent; a variable that is set stands
NO_TELEMETRY = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
for _variable, _value in NO_TELEMETRY.items():  # here, as each must stand before its library is imported in any process
    os.environ.setdefault(_variable, _value)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tagfit' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
