"""Honest multi-label classification: train, see whether and why it overfits, cure it, hand it over.

The public names load on first use, so that `import tagfit` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagfit.delivery.export import export as export
    from tagfit.delivery.predictor import Prediction as Prediction
    from tagfit.delivery.predictor import Tagger as Tagger
    from tagfit.diagnosis import diagnose as diagnose
    from tagfit.errors import TagfitError as TagfitError
    from tagfit.estimator import TagClassifier as TagClassifier
    from tagfit.evaluation import evaluate as evaluate
    from tagfit.recipes import Recipe as Recipe
    from tagfit.records import Target as Target
    from tagfit.workflow import cure as cure
    from tagfit.workflow import fit as fit
    from tagfit.workflow import inspect as inspect
    from tagfit.workflow import load as load

__version__ = "0.1.0"

#: public names and the modules that define them
_PUBLIC = {
    "load": "tagfit.workflow",
    "inspect": "tagfit.workflow",
    "fit": "tagfit.workflow",
    "cure": "tagfit.workflow",
    "evaluate": "tagfit.evaluation",
    "diagnose": "tagfit.diagnosis",
    "Tagger": "tagfit.delivery.predictor",
    "Prediction": "tagfit.delivery.predictor",
    "export": "tagfit.delivery.export",
    "TagClassifier": "tagfit.estimator",
    "Recipe": "tagfit.recipes",
    "Target": "tagfit.records",
    "TagfitError": "tagfit.errors",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 (names listed once)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tagfit' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
