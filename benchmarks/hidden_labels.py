"""What hidden and rare labels cost, and what losses made for them bring: one recipe, three seeds, scores on val.

    .venv/bin/python benchmarks/hidden_labels.py FEATURES.npz

FEATURES.npz holds X_train, y_train, X_val and y_val with all labels known, e.g. features of a frozen backbone. Val is
never touched. Of train, in turn: half of the label cells are hidden; of each row all but one yes is hidden; and rows
are left out until the labels of fewer than one row in ten have about 12 yes each.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

import tagfit
from tagfit.recipes import RARE_LOSSES, SINGLE_POSITIVE_LOSSES, DenseModel, Recipe, Training
from tagfit.records.data import LockedData

SEEDS, SHOWN = 3, ("map", "macro_f1", "micro_f1")

#: yes cells that are left of a label that is made rare, and which labels are
LEFT, RARE_BELOW = 12, 0.1

RECIPE = Recipe(
    name="wide",
    model=DenseModel(widths=(512, 256), standardise=True, dropout=(0.5,), input_dropout=0.2),
    training=Training(epochs=40, batch_size=64, rate=3e-3, schedule="one-cycle", weight_decay=0.05, patience=8),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features")
    arrays = dict(np.load(parser.parse_args().features))
    print(f"tagfit {tagfit.__version__}, torch {torch.__version__}, {platform.machine()}, {SEEDS} seeds")
    print(f"\n{'':38}{'mAP':>14}{'macro-F1':>14}{'micro-F1':>14}")
    rng = np.random.default_rng(0)
    y = arrays["y_train"].astype(int)

    hidden = np.where(rng.random(y.shape) < 0.5, -1, y)
    full = told("all labels known", _with(arrays, y), "bce")
    half = told("half of the cells hidden", _with(arrays, hidden), "bce")
    as_no = told("  and taken for no", _with(arrays, np.maximum(hidden, 0)), "bce")
    print(f"hiding costs {full - half:.3f} mAP; taking what is hidden for no {full - as_no:.3f}\n")

    single = np.full_like(y, -1)
    for row in np.flatnonzero(y.any(axis=1)):
        single[row, rng.choice(np.flatnonzero(y[row]))] = 1
    data = _with(arrays, single)
    by_loss = {loss: told(f"one yes a row known: {loss}", data, loss) for loss in reversed(SINGLE_POSITIVE_LOSSES)}
    print(f"weak-negative brings {by_loss['weak-negative'] - by_loss['assume-negative']:+.3f} mAP\n")

    rare = np.flatnonzero(y.mean(axis=0) < RARE_BELOW)
    kept = ~y[:, rare].any(axis=1)
    for label in rare:
        kept[rng.permutation(np.flatnonzero(y[:, label]))[:LEFT]] = True
    data = _with({**arrays, "X_train": arrays["X_train"][kept]}, y[kept])
    print(f"{kept.sum()} rows left, the rarest labels have {y[kept].mean(axis=0).min():.1%} of them")
    for loss in ("bce", *RARE_LOSSES):
        told(f"rare labels: {loss}", data, loss)


def _with(arrays: dict[str, np.ndarray], labels_NL: np.ndarray) -> LockedData:
    parts = {"X_train": arrays["X_train"], "y_train": labels_NL, "X_val": arrays["X_val"], "y_val": arrays["y_val"]}
    return tagfit.load(parts, minus_one="unknown")


def told(what: str, data: LockedData, loss: str) -> float:
    """Print the mean and deviation of the scores on val; the mean mAP."""
    recipe = replace(RECIPE, training=replace(RECIPE.training, loss=loss))
    scores = [tagfit.fit(data, recipe=recipe, seed=seed).record.after.scores["val"] for seed in range(SEEDS)]
    cells = [_mean_and_deviation([one[metric] for one in scores]) for metric in SHOWN]
    print(f"{what:38}{''.join(f'{cell:>14}' for cell in cells)}", flush=True)
    return float(np.mean([one.map for one in scores]))


def _mean_and_deviation(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ±{np.std(values, ddof=1):.3f}"


if __name__ == "__main__":
    main()
