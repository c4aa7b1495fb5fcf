"""A scikit-learn estimator for arrays.

Shapes: N samples, D features, L labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from tagfit.api import load, recipe_of
from tagfit.data.sources.array_like import is_masked, names_of_columns, plain_array
from tagfit.data.split import CARVED
from tagfit.decisions.decider import fit_decider
from tagfit.errors import DataError, InputError
from tagfit.inference.tagger import Prediction, Tagger
from tagfit.options.runs import TrainOptions
from tagfit.options.shared import DEFAULT_RECIPE
from tagfit.recipes import Recipe
from tagfit.records.data import Array, LockedData
from tagfit.records.scores import Target
from tagfit.runs.delivery import bundle_of
from tagfit.runs.session import Session
from tagfit.training.device import find_device
from tagfit.training.trained import TrainedModel


class TagClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier that trains a recipe. It works in Pipeline, cross_val_score and GridSearchCV.

    15% of the samples become val, for early stopping.

    Args:
        recipe: a name, a TOML file or a Recipe.
        random_state: seeds the initial weights, the order of samples, dropout and the choice of val.
        device: auto, cpu, cuda or mps.

    Attributes:
        classes_: (2,) the classes of a 1-D target, or (L,) the column numbers of a multi-label target.
        tagger_: the trained model, which you can export or use without scikit-learn. It is calibrated on first use.
        history_: one row for each epoch, as in a Run.
    """

    def __init__(
        self,
        recipe: str | Recipe = DEFAULT_RECIPE,
        *,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
    ) -> None:
        self.recipe = recipe
        self.random_state = random_state
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, **unsupported: object) -> Self:
        """Train on features and labels.

        Args:
            X: (N, D) features, dense or sparse. The columns of a frame become the names of features.
            y: (N,) two classes, or (N, L) indicators of 0 and 1. The columns of a frame become the names of labels.

        Raises:
            ValueError: shapes or targets do not fit, as in scikit-learn's own estimators.
            TypeError: there are further arguments, such as `sample_weight`.
        """
        _refuse(unsupported)
        _demand_known(X, y)
        label_names = names_of_columns(y)
        x, targets = validate_data(
            self, X, y, multi_output=True, dtype=np.float32, y_numeric=False, accept_sparse=["csr", "csc"]
        )
        labels_NL = self._encoded(plain_array(targets, "y"))
        names = {"label_names": label_names or self._class_name(y), "feature_names": self._feature_names}
        arrays = {"X": plain_array(x, "X"), "y": labels_NL, **{name: value for name, value in names.items() if value}}
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with _without_commands():
            data = load(arrays, split={"train": 1 - CARVED, "val": CARVED}, split_seed=seed)
            trained, self._uncalibrated = train(data, self.recipe, seed, self.device)
        self._on_val, self._seed = trained.predictions["val"], seed
        self._calibrated: Tagger | None = None
        self.history_ = list(trained.run.history)
        return self

    @property
    def tagger_(self) -> Tagger:
        check_is_fitted(self)
        if self._calibrated is None:
            decider = fit_decider(self._on_val, "val", None, seen_NL=None, seed=self._seed).decider
            self._calibrated = Tagger(replace(self._uncalibrated.bundle, decider=decider), self.device)
        return self._calibrated

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Scores from 0 to 1: (N, 2) of two classes, or (N, L) of the labels."""
        scores = self._predict(X).scores
        return np.hstack([1 - scores, scores]) if self._is_binary else scores

    def predict(self, X: ArrayLike) -> Array:
        """The predicted (N,) classes, or (N, L) indicators of 0 and 1."""
        decisions = self._predict(X).decisions
        classes: Array = self.classes_
        return classes[decisions[:, 0].astype(int)] if self._is_binary else decisions.astype(int)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.input_tags.sparse = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _predict(self, X: ArrayLike) -> Prediction:
        check_is_fitted(self)
        _demand_known(X)
        x = validate_data(self, X, reset=False, dtype=np.float32, accept_sparse=["csr", "csc"])
        return self._uncalibrated.predict_array(plain_array(x, "X"))

    @property
    def _feature_names(self) -> list[str]:
        """Those of a frame whose columns are all called by text, as scikit-learn takes them."""
        return [str(name).strip() for name in getattr(self, "feature_names_in_", ())]

    def _class_name(self, y: object) -> list[str]:
        """What yes is called where there are two classes: the second, or the Series; nothing where neither is text."""
        if not self._is_binary:
            return []
        name = self.classes_[1] if isinstance(self.classes_[1], str) else getattr(y, "name", None)
        return [str(name)] if isinstance(name, str) else []

    def _encoded(self, targets: Array) -> NDArray[np.int8]:
        """(N, L) int8 labels; remembers the classes."""
        check_classification_targets(targets)
        kind = type_of_target(targets, input_name="y")
        self._is_binary = targets.ndim == 1 or targets.shape[1] == 1
        if not self._is_binary:
            self.classes_ = np.arange(targets.shape[1])
            return _indicator(targets)
        self.classes_, numbers = np.unique(column_or_1d(targets, warn=True), return_inverse=True)
        if kind != "binary":
            raise DataError(
                f"Only binary classification is supported. The type of the target is {kind}; "
                "expected two classes, or an (N, L) indicator matrix of 0 and 1"
            )
        if len(self.classes_) < 2:
            raise DataError("expected two classes in y; got one class")
        return numbers.astype(np.int8)[:, None]


def _indicator(targets: Array) -> NDArray[np.int8]:
    """(N, L) int8 of an indicator matrix; its values are looked at before they are narrowed."""
    values = np.unique(targets)
    if np.isin(values, (0, 1)).all():
        return targets.astype(np.int8)
    held = ", ".join(map(str, values[:5].tolist())) + (", ..." if len(values) > 5 else "")
    todo = "Write yes as 1 and no as 0: (y > 0).astype(int)."
    if len(values) > 2:
        todo = "If -1 means an unknown label, use tagfit.fit(tagfit.load(X, y))."
    raise DataError(f"expected an (N, L) indicator matrix y of 0 and 1; got the values {held}", todo)


def _demand_known(*arrays: object) -> None:
    if any(map(is_masked, arrays)):
        raise DataError(
            "masked values are unknown, and TagClassifier takes known values only",
            "Fill in missing features. If labels are unknown, use tagfit.fit(tagfit.load(X, y)).",
        )


def _refuse(unsupported: Mapping[str, object]) -> None:
    if "sample_weight" in unsupported:
        raise TypeError(
            "TagClassifier.fit takes no sample_weight: samples count alike. To weight rare labels, choose a recipe "
            "with a weighted loss: Recipe(..., training=Training(loss='weighted'))."
        )
    if unsupported:
        raise TypeError(f"TagClassifier.fit got an unexpected argument {next(iter(unsupported))!r}")


@contextmanager
def _without_commands() -> Iterator[None]:
    """Errors speak of Python: what to do on a command line is left out."""
    try:
        yield
    except InputError as error:
        if "--" not in error.todo:
            raise
        raise type(error)(error.faults) from error


def train(data: LockedData, recipe: str | Recipe, seed: int, device: str) -> tuple[TrainedModel, Tagger]:
    """Train one recipe and nothing more: nothing is calibrated, and no interval is computed.

    Raises:
        RecipeError: before anything is trained.
        TrainingDivergedError: the loss became NaN or exploded.
    """
    chosen = recipe_of(TrainOptions(recipe=recipe))
    session = Session(data, Target(), seed, find_device(device), lambda event: None)
    trained = session.run(session.job(chosen))
    return trained, Tagger(bundle_of(session, trained), session.device.type)
