"""What `tagfit cure` comes to on `scene`, beside the best of what was published on it.

    python benchmarks/scene_table.py [--trials 64] [--decide-for subset_accuracy] [--seed 0] [--record]

The rows of ../shared/data/scene are dealt to five folds. Each fold once is test; of the others 85% are train, 15% val.
A cure chooses on val alone, fits its decision rule there, and test is scored once: nothing of it is looked at before.
The target's train band does not rank, so that what counts is the score on new rows.

Beside the means stand, column by column, the best of 28 methods and of the network nearest to ours in Bogatinovski et
al., "Comprehensive comparative study of multi-label classification methods" (2022): CLR, classifier chains, BPNN. They
had all 2,407 rows; here are half of them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

import tagfit
from tagfit.data.dataset import build
from tagfit.data.sources.read import read
from tagfit.data.split import split

HERE = Path(__file__).resolve().parent
SCENE = HERE.parent.parent / "shared" / "data" / "scene"
COLUMNS = ("hamming_loss", "subset_accuracy", "micro_f1", "macro_f1", "ranking_loss")
PUBLISHED = {
    "best of 28 methods": (0.077, 0.711, 0.792, 0.800, 0.062),
    "nearest network": (0.100, 0.590, 0.720, 0.731, 0.081),
}
FOLDS = 5


def cured(x, y, test, arguments):
    """The record of a cure whose test part is one fold; 15% of the others become val."""
    data = tagfit.load({"X_train": x[~test], "y_train": y[~test], "X_test": x[test], "y_test": y[test]})
    return tagfit.cure(
        data,
        target=tagfit.Target("micro_f1", train_below=1.0, val_at_least=0.79, train_ranks=False),
        trials=arguments.trials,
        decide_for=arguments.decide_for,
        seed=arguments.seed,
    ).record


def figures(by_part):
    return [by_part["test"][column] for column in COLUMNS]


def row(name, values):
    print(f"{name:<34}" + "".join(f"{value:>9.3f}" for value in values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--decide-for", default="subset_accuracy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write it to benchmarks/records as well")
    arguments = parser.parse_args()
    heard = io.StringIO()
    with contextlib.redirect_stdout(_Tee(sys.stdout, heard)):
        compare(arguments)
    if arguments.record:
        target = HERE / "records" / f"{date.today()}-scene-table.txt"
        target.write_text(heard.getvalue(), encoding="utf-8")


def compare(arguments: argparse.Namespace) -> None:
    dataset = build(read(SCENE))
    folds = split(dataset, folds=FOLDS, seed=arguments.seed).folds
    print(
        f"scene, {len(dataset):,} rows, {FOLDS} folds; tagfit {tagfit.__version__}; {arguments.trials} trials a cure;"
    )
    print(f"rules for {arguments.decide_for}; seed {arguments.seed}; {date.today()}\n")
    print(f"{'':<34}" + "".join(f"{name:>9}" for name in ("Hamming", "subset", "micro-F1", "macro-F1", "ranking")))
    decided, plain = [], []
    for fold in range(FOLDS):
        began = time.perf_counter()
        record = cured(dataset.x, dataset.labels_NL, folds == fold, arguments)
        decided.append(figures(record.after.decided))
        plain.append(figures(record.after.scores))
        name = record.after.recipe.name
        row(f"fold {fold + 1}: {name}, {time.perf_counter() - began:.0f} s", decided[-1])
    print()
    row("mean, rules fitted", np.mean(decided, axis=0))
    row("standard deviation", np.std(decided, axis=0, ddof=1))
    row("mean, above 0.5", np.mean(plain, axis=0))
    for name, values in PUBLISHED.items():
        row(name, values)


class _Tee:
    """Writes to several streams."""

    def __init__(self, *streams: object) -> None:
        self._streams = streams

    def write(self, text: str) -> None:
        for stream in self._streams:
            stream.write(text)
            stream.flush()

    def flush(self) -> None:
        pass


if __name__ == "__main__":
    main()
