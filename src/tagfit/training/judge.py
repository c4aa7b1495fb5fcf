"""What an epoch is judged by.

Shapes: N samples, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.decisions.recalibration import STRAIGHT, fit_recalibration, recalibrated
from tagfit.metrics.scores import score_one
from tagfit.recipes import Training
from tagfit.records.data import Part


@dataclass(frozen=True)
class Judge:
    """A score of the probabilities (N, L) of train or val, and its name.

    Attributes:
        val_loss: what early stopping looks at, of the probabilities of val; None: the recipe's loss.
        train_every: so many epochs lie between two scores of train, for a curve of it; 0: only a ceiling asks for them.
    """

    metric: str
    score: Callable[[Part, NDArray[np.float32]], float | None]
    val_loss: Callable[[NDArray[np.float32]], float] | None = None
    train_every: int = 0

    def sees_train(self, training: Training, epoch: int) -> bool:
        """Whether train is scored at the end of this epoch."""
        return training.train_ceiling < 1 or (self.train_every > 0 and epoch % self.train_every == 0)


def judge_of(metric: str, labels: Mapping[Part, NDArray[np.int8]], *, shifted: bool, train_every: int) -> Judge:
    """Scores at 0.5; where the loss shifts probabilities, after a recalibration on val, and its log-loss there.

    It holds the labels and nothing else, so that it can be sent to where a network is trained.
    """
    line = STRAIGHT

    def scored(part: Part, probabilities_NL: NDArray[np.float32]) -> float | None:
        return score_one(metric, labels[part], recalibrated(line, probabilities_NL))

    def log_loss(probabilities_NL: NDArray[np.float32]) -> float:
        nonlocal line  # val's loss is asked for before its score, and before any of train
        line = fit_recalibration(labels["val"], probabilities_NL)
        return score_one("log_loss", labels["val"], recalibrated(line, probabilities_NL)) or 0.0

    return Judge(metric, scored, log_loss if shifted else None, train_every)
