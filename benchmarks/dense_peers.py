"""Dense training beside Keras on TensorFlow, Keras on JAX and tagfit's torch loop, in one run.

    python benchmarks/dense_peers.py [--peer .venv-peers/bin/python] [--data ../shared/data/scene] [--record]

Two networks, with BatchNorm, dropout and Adam as in the recipe `dense-regularised`: 294-128-64-6 with batches of 32,
and 768-256-128-80 with batches of 128, on random rows, in turns. Every side trains a few epochs with the validation of
each and early stopping, whose patience does not run out, so that all sides make as many steps; each side's median
round counts, after one that does not. Keras has compiled by then, and trains with its model, optimiser and functions
as they are; tagfit begins anew every time. Sixteen models are trained at once by the compiled engine; nothing else
here gains by training several, so they are compared with the time of one. Beside them: the matrix products alone that
a step needs, by NumPy on one thread.

Then, where DATA is there, sixty-four dense recipes on it with up to 50 epochs each, early stopping and val micro-F1
after each epoch.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from cnn_peers import HERE, PEER, RECORDS, Keras, timed
from keras_peer import Neighbours, cpu_model
from threadpoolctl import threadpool_limits

import tagfit
from tagfit.metrics.scores import score_one
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES, DenseModel, Recipe, Training
from tagfit.training import loop
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.engine import train_all
from tagfit.training.job import PreparedJob
from tagfit.training.judge import Judge

REGULARISED = RECIPES["dense-regularised"]
EPOCHS, STEPS, MANY = 4, 64, 16

KERAS = """
import sys, json, time
import keras, numpy as np
from keras import layers
sizes, batch, steps, epochs, dropout = json.loads(sys.argv[1])
parts = []
for count in (batch * steps, batch * steps // 4):
    x = np.random.randn(count, sizes[0]).astype("float32")
    parts.append((x, (np.random.rand(count, sizes[-1]) > 0.8).astype("float32")))
stack = [keras.Input((sizes[0],))]
for units, share in zip(sizes[1:-1], dropout):
    stack += [layers.Dense(units, activation="relu"), layers.BatchNormalization(), layers.Dropout(share)]
model = keras.Sequential([*stack, layers.Dense(sizes[-1], activation="sigmoid")])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
def fit():
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=epochs + 1, restore_best_weights=True)
    model.fit(*parts[0], batch_size=batch, epochs=epochs, validation_data=parts[1], callbacks=[stopping], verbose=0)
fit()
print(json.dumps({"parameters": model.count_params()}), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    fit()
    print(json.dumps(time.perf_counter() - began), flush=True)
"""


class Network(NamedTuple):
    """Units from the inputs to the labels, and rows of a batch."""

    sizes: tuple[int, ...]
    batch: int

    @property
    def recipe(self) -> Recipe:
        training = {"epochs": EPOCHS, "batch_size": self.batch, "patience": EPOCHS + 1}
        return REGULARISED.changed(model={"widths": self.sizes[1:-1]}, training=training)

    def job(self, parts: Sequence[LabelledRows], seed: int = 0) -> PreparedJob:
        network = build_network(self.recipe, self.sizes[:1], self.sizes[-1], seed=seed)
        return PreparedJob(network, self.recipe.training, *parts, seed)  # type: ignore[arg-type, misc]

    def parts(self) -> list[LabelledRows]:
        """Random rows to train on, and a quarter as many for validation."""
        rng, found = np.random.default_rng(0), []
        for count in (self.batch * STEPS, self.batch * STEPS // 4):
            x = rng.normal(size=(count, self.sizes[0])).astype(np.float32)
            y = torch.from_numpy((rng.random((count, self.sizes[-1])) > 0.8).astype(np.float32))
            samples = Samples.of(x, 1.0, torch.device("cpu"))
            found.append(LabelledRows(samples, torch.arange(count), y, None))
        return found

    def products(self) -> float:
        """Seconds of a step's matrix products on one thread: forward, and back by weights and by inputs."""
        rng, operands = np.random.default_rng(0), []
        for number, (wide, units) in enumerate(itertools.pairwise(self.sizes)):
            x, kernel, slope = (
                rng.normal(size=shape).astype(np.float32)
                for shape in ((self.batch, wide), (wide, units), (self.batch, units))
            )
            back = [(slope, kernel.T)] if number else []
            operands += [(a, b, a @ b) for a, b in [(x, kernel), (x.T, slope), *back]]

        def step() -> None:
            for a, b, out in operands:
                np.matmul(a, b, out=out)

        with threadpool_limits(1, "blas"):
            return min(timed(lambda: [step() for _ in range(50)]) for _ in range(10)) / 50


NETWORKS = (Network((294, 128, 64, 6), 32), Network((768, 256, 128, 80), 128))


def by_loop(job: PreparedJob) -> None:
    loop.train(job)


def side_by_side(network: Network, peer: Path | None, rounds: int) -> list[str]:
    parts = network.parts()
    sides: dict[str, Callable[[], float]] = {}
    if peer is not None:
        sizes = [network.sizes, network.batch, STEPS, EPOCHS, REGULARISED.model.dropout]  # type: ignore[union-attr]
        for title, backend in (("Keras on TensorFlow", "tensorflow"), ("Keras on JAX", "jax")):
            sides[title] = Keras(peer, KERAS, sizes, backend).epoch
    sides["tagfit's torch loop"] = lambda: timed(partial(by_loop, network.job(parts)))
    sides["engine, one model"] = lambda: timed(partial(train_all, [network.job(parts)]))
    many = [network.job(parts, seed) for seed in range(MANY)]
    sides[f"engine, {MANY} models"] = lambda: timed(partial(train_all, many)) / MANY
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, train in sides.items():
            took = train()
            if number:
                seconds[side].append(took)
    steps, bare = EPOCHS * STEPS, network.products()
    step = {side: 1e3 * statistics.median(times) / steps for side, times in seconds.items()}
    engine = list(step)[-2:]
    lines = [
        f"\n{'-'.join(map(str, network.sizes))}, batches of {network.batch}: {EPOCHS} epochs of {STEPS} steps, "
        f"{rounds} rounds",
        f"the matrix products alone: {1e3 * bare:.3f} ms a step on one thread\n",
        f"{'ms a step and model':<22}{'':>8}{'/ one':>8}{f'/ {MANY}':>8}   all rounds",
    ]
    for side, value in step.items():
        ratios = "".join(f"{value / step[other]:>8.2f}" for other in engine)
        every = " ".join(f"{1e3 * took / steps:.3f}" for took in seconds[side])
        lines.append(f"{side:<22}{value:>8.3f}{ratios}   {every}")
    return lines


def sixty_four(folder: Path) -> list[str]:
    """Widths, dropout, noise, decay, smoothing and courses, every combination once."""
    data = tagfit.load(folder)
    parts = [LabelledRows.of(data, part, torch.device("cpu")) for part in ("train", "val")]
    truth = data.labels("val")
    judge = Judge("micro_f1", lambda part, p_NL: score_one("micro_f1", truth, p_NL))
    jobs = []
    for widths, dropout, spoilt, decay, rate, schedule in itertools.product(
        [(128, 64), (512, 256)], [0.3, 0.5], [0.0, 0.2], [0.0, 0.05], [1e-3, 3e-3], ["constant", "one-cycle"]
    ):
        model = DenseModel(
            widths=widths, batch_norm=True, dropout=(dropout,), standardise=True, input_dropout=spoilt,
            input_noise=spoilt,
        )  # fmt: skip
        recipe = Recipe(name="x", model=model, training=Training(rate=rate, schedule=schedule, weight_decay=decay))
        network = build_network(recipe, data.dataset.preprocessing.shape, len(data.dataset.label_names))
        jobs.append(PreparedJob(network, recipe.training, *parts, 0, judge))
    began = time.perf_counter()
    outcomes = [outcome for outcome in train_all(jobs) if outcome.error is None]
    took = time.perf_counter() - began
    best = max(outcome.history[outcome.delivered_epoch - 1]["val_micro_f1"] or 0.0 for outcome in outcomes)
    epochs = sum(len(outcome.history) for outcome in outcomes)
    return [
        f"\n{data.dataset.name}: {len(outcomes)} recipes, {epochs} epochs of {len(parts[0])} rows: {took:.1f} s; "
        f"best val micro-F1 {best:.3f}"
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", type=Path, default=PEER)
    arguments.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "scene")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--record", action="store_true", help="also write to benchmarks/records/")
    given = arguments.parse_args()
    lines, neighbours = [], Neighbours()

    def say(more: Sequence[str]) -> None:
        print("\n".join(more), flush=True)
        lines.extend(more)

    say([f"{date.today()}, {cpu_model()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, "
         f"tagfit {tagfit.__version__}, torch {torch.__version__}"])  # fmt: skip
    for network in NETWORKS:
        say(side_by_side(network, given.peer if given.peer.exists() else None, given.rounds))
    if given.data.exists():
        say(sixty_four(given.data))
    say([str(neighbours)])
    if given.record:
        (RECORDS / f"{date.today()}-dense-peers.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"written to {RECORDS}", file=sys.stderr)


if __name__ == "__main__":
    main()
