"""Quick trainings: many dense networks on feature rows, each asked once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tagfit.models.registry import build_network
from tagfit.recipes import Recipe
from tagfit.records.runs import Fitting
from tagfit.training import engine as dense_engine
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.inference import probabilities
from tagfit.training.inputs import NetworkInputs
from tagfit.training.job import PreparedJob

CPU = torch.device("cpu")


def fit_all(fittings: Sequence[Fitting], x_ND: NDArray[np.float32], recipe: Recipe) -> list[NDArray[np.float32]]:
    """Train every fitting by the compiled engine, and give the probabilities (len(ask), L) of each.

    Args:
        x_ND, recipe: of fittings that bring none of their own.

    Raises:
        TrainingDivergedError: one of them diverged.
    """
    jobs = [_job(fitting, x_ND if fitting.x_ND is None else fitting.x_ND, recipe) for fitting in fittings]
    for result in dense_engine.train_all(jobs):
        if result.error is not None:
            raise result.error
        if result.state == "stopped":  # by ctrl-C: half-trained networks are no evidence
            raise KeyboardInterrupt
    return [
        probabilities(job.network, NetworkInputs(job.train_rows.samples.source, 1.0, CPU), fitting.ask)
        for job, fitting in zip(jobs, fittings, strict=True)
    ]


def _job(fitting: Fitting, x_ND: NDArray[np.float32], usual: Recipe) -> PreparedJob:
    recipe = usual if fitting.recipe is None else fitting.recipe
    samples = Samples.of(x_ND, 1.0, CPU)
    network = build_network(recipe, x_ND.shape[1:], fitting.labels_NL.shape[1], seed=fitting.seed)
    # where nothing stops by them, a few rows do for the val loss that nobody reads
    stop = fitting.ask if fitting.stop is None else fitting.stop
    stop = stop if recipe.training.patience else fitting.rows[:32]
    train_rows, stop_rows = (
        LabelledRows.labelled(samples, rows, fitting.labels_NL[rows]) for rows in (fitting.rows, stop)
    )
    return PreparedJob(network, recipe.training, train_rows, stop_rows, seed=fitting.seed)
