"""CNN training beside a plain torch loop and Keras on TensorFlow, in one run.

    python benchmarks/cnn_peers.py [--peer .venv-peers/bin/python] [--data ../shared/data/ucm] [--record]

First, images a second in training of one and the same CNN, layer for layer (the recipe `cnn` with one view and no
averaging), on random images of 64 x 64, in turns: tagfit in float32 and in bfloat16 (which the recipe asks for), a
plain channels_last loop on torch's own threads, Keras. Each side's median round counts. Beside it, the share of the
multiply-adds that this machine reaches in a large float32 convolution.

Then, where DATA is there, the time to the best val micro-F1 of a plain CNN: the plain torch loop that people write
(four convolutions with BatchNorm and max-pooling, Adam, no mirrored views), then tagfit's `cnn-mirrored` until its val
micro-F1 is the same. Both are timed from their first step, with their validations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

import tagfit
from tagfit.metrics.scores import score_one
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES, Recipe
from tagfit.records.scores import Target
from tagfit.search.candidates import ladder
from tagfit.training.batches import LabelledRows, Samples
from tagfit.training.events import EpochEnded
from tagfit.training.steps import Steps
from tagfit.training.thread_pool import thread_pool_for

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records"
PEER = HERE.parent / ".venv-peers" / "bin" / "python"
SHAPE, LABELS, BATCH, IMAGES = (64, 64, 3), 17, 32, 640

_CNN = RECIPES["cnn"]
SAME = _CNN.changed(
    model={"views": 1, "standardise": False, "stride": 2},
    training={"batch_size": BATCH, "averaging": 0.0, "autocast": False, "schedule": "constant"},
)

KERAS = """
import sys, json, time
import keras, numpy as np
from keras import layers
width, labels, batch, images, rounds = json.loads(sys.argv[1])
def conv(x, channels, side, stride):
    x = layers.Conv2D(channels, side, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9)(x)
def residual(x, channels):
    y = layers.ReLU()(conv(x, channels, 3, 1))
    return layers.ReLU()(layers.Add()([x, conv(y, channels, 3, 1)]))
inputs = keras.Input((64, 64, 3))
x = residual(layers.ReLU()(conv(inputs, width, 4, 2)), width)
for channels in (2 * width, 4 * width):
    x = residual(layers.ReLU()(conv(layers.AveragePooling2D(2)(x), channels, 3, 1)), channels)
x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
model = keras.Model(inputs, layers.Dense(labels, activation="sigmoid")(layers.Dropout(0.5)(x)))
model.compile(optimizer=keras.optimizers.AdamW(3e-3), loss="binary_crossentropy")
x, y = np.random.rand(images, 64, 64, 3).astype("float32"), (np.random.rand(images, labels) > 0.8).astype("float32")
model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
print(json.dumps({"parameters": model.count_params()}), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
    print(json.dumps(time.perf_counter() - began), flush=True)
"""


def multiply_adds(network: nn.Module) -> int:
    """Of one image's forward pass, in convolutions and linear layers."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()  # type: ignore[operator, union-attr, index]

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network(torch.rand(1, *SHAPE))
    for hook in hooks:
        hook.remove()
    return total


def peak() -> float:
    """Multiply-adds a second of a large float32 convolution on all cores, which outruns a matrix product here."""
    x, weight = torch.rand(16, 256, 28, 28), torch.rand(256, 256, 3, 3)
    x, weight = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, weight))
    with torch.no_grad():
        seconds = min(timed(lambda: nn.functional.conv2d(x, weight, padding=1)) for _ in range(8))
    return 16 * 28 * 28 * 256 * 256 * 9 / seconds


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def random_rows() -> LabelledRows:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
    targets = torch.from_numpy((rng.random((IMAGES, LABELS)) > 0.8).astype(np.float32))
    samples = Samples.of(x, 1 / 255, torch.device("cpu"))
    return LabelledRows(samples, torch.arange(IMAGES), targets, None)


def tagfit_epoch(rows: LabelledRows, recipe: Recipe) -> Callable[[], None]:
    """An epoch of tagfit's steps; the crew lives as long as the function."""
    network = build_network(recipe, SHAPE, LABELS)

    def epoch() -> None:
        with thread_pool_for(network, BATCH) as pool:
            steps = Steps(network, recipe.training, rows, 0, pool)
            network.train()
            for batch in torch.split(torch.randperm(IMAGES), BATCH):
                steps.step(batch)

    return epoch


def torch_epoch(rows: LabelledRows) -> Callable[[], None]:
    """An epoch of the loop that people write, channels_last, on torch's own threads, with fused AdamW."""
    network = build_network(SAME, SHAPE, LABELS).train()
    adam = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    x = rows.samples.x.float().div(255)

    def epoch() -> None:
        for batch in torch.split(torch.randperm(IMAGES), BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(network(x[batch]), rows.targets_NL[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()

    return epoch


class Keras:
    """A Keras process that trains an epoch whenever it is told to."""

    def __init__(self, peer: Path, script: str, sizes: Sequence[object], backend: str = "tensorflow") -> None:
        self._process = subprocess.Popen(
            [peer, "-c", script, json.dumps(sizes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        self.parameters = json.loads(self._line())["parameters"]

    def epoch(self) -> float:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


def throughput(peer: Path | None, rounds: int) -> list[str]:
    rows, network = random_rows(), build_network(SAME, SHAPE, LABELS)
    in_bfloat16 = replace(SAME, training=replace(SAME.training, autocast=True))
    sides: dict[str, Callable[[], float]] = {
        "tagfit": partial(timed, tagfit_epoch(rows, SAME)),
        "tagfit, bfloat16": partial(timed, tagfit_epoch(rows, in_bfloat16)),
        "plain torch": partial(timed, torch_epoch(rows)),
    }
    lines = []
    if peer is not None:
        keras = Keras(peer, KERAS, [SAME.model.width, LABELS, BATCH, IMAGES, 0])  # type: ignore[union-attr]
        sides["Keras on TensorFlow"] = keras.epoch
        moments = sum(b.numel() for b in network.buffers())
        ours = sum(p.numel() for p in network.parameters()) + moments
        lines.append(f"parameters and moments: tagfit {ours:,}, Keras {keras.parameters:,}")
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, epoch in sides.items():
            seconds[side].append(epoch())
    work, most = 3 * multiply_adds(network), peak()
    rate = {side: IMAGES / statistics.median(times) for side, times in seconds.items()}
    lines.append(f"{work / 3e6:.1f} M multiply-adds an image forward, thrice that in training; "
                 f"peak {most / 1e9:.0f} G multiply-adds/s")  # fmt: skip
    lines.append(f"\n{'':<22}{'images/s':>11}{'of peak':>9}{'/ tagfit':>10}{'/ bfloat16':>12}   all rounds")
    for side, value in rate.items():
        every = " ".join(f"{IMAGES / took:.0f}" for took in seconds[side])
        ratios = f"{value / rate['tagfit']:>10.2f}{value / rate['tagfit, bfloat16']:>12.2f}"
        lines.append(f"{side:<22}{value:>11.0f}{value * work / most:>9.0%}{ratios}   {every}")
    return lines


class PlainCnn(nn.Sequential):
    """What a tutorial would have."""

    def __init__(self, labels: int) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 128), (128, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, labels))


def time_to_score(data: Path, epochs: int) -> list[str]:
    locked = tagfit.load(data)
    train_rows, val_rows = (LabelledRows.of(locked, part, torch.device("cpu")) for part in ("train", "val"))
    plain = plain_course(train_rows, val_rows, locked.labels("val"), epochs)
    reached, best = max(plain, key=lambda point: point[1])
    mirrored = next(
        candidate for candidate in ladder(locked.dataset.preprocessing, Target()) if candidate.name == "cnn-mirrored"
    )
    began, ours = time.perf_counter(), []

    def listen(event: object) -> bool:
        if isinstance(event, EpochEnded):
            ours.append((time.perf_counter() - began, event.row["val_micro_f1"] or 0.0))
        return bool(ours) and ours[-1][1] >= best

    tagfit.fit(locked, recipe=mirrored, on_event=listen)
    took, there = ours[-1]
    verdict = (
        f"{took:.0f} s, {took / reached:.2f} of that" if there >= best else f"never: {there:.3f} after {took:.0f} s"
    )
    return [
        f"\n{locked.dataset.name}: the plain torch loop's best val micro-F1 in {epochs} epochs is {best:.3f}, "
        f"after {reached:.0f} s ({plain[-1][0]:.0f} s in all)",
        f"tagfit's {mirrored.name} reaches it after {verdict}",
    ]


def plain_course(
    train_rows: LabelledRows, val_rows: LabelledRows, val_labels: np.ndarray, epochs: int
) -> list[tuple[float, float]]:
    """(seconds since the start, val micro-F1) after each epoch."""
    torch.manual_seed(0)
    network = PlainCnn(train_rows.targets_NL.shape[1]).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    val = val_rows.take(torch.arange(len(val_rows)))[0].permute(0, 3, 1, 2)
    began, course = time.perf_counter(), []
    for _ in range(epochs):
        network.train()
        for batch in torch.split(torch.randperm(len(train_rows)), BATCH):
            x, y, _ = train_rows.take(batch)
            loss = nn.functional.binary_cross_entropy_with_logits(network(x.permute(0, 3, 1, 2)), y)
            adam.zero_grad()
            loss.backward()
            adam.step()
        network.eval()
        with torch.no_grad():
            scores = torch.cat([torch.sigmoid(network(part)) for part in torch.split(val, 128)]).numpy()
        course.append((time.perf_counter() - began, score_one("micro_f1", val_labels, scores) or 0.0))
    return course


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", type=Path, default=PEER)
    arguments.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "ucm")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--epochs", type=int, default=40, help="of the plain CNN on DATA")
    arguments.add_argument("--record", action="store_true", help="also write to benchmarks/records/")
    given = arguments.parse_args()
    head = (
        f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, "
        f"tagfit {tagfit.__version__}, torch {torch.__version__}"
    )
    lines = [head, *throughput(given.peer if given.peer.exists() else None, given.rounds)]
    print("\n".join(lines), flush=True)
    if given.data.exists():
        more = time_to_score(given.data, given.epochs)
        print("\n".join(more))
        lines += more
    if given.record:
        (RECORDS / f"{date.today()}-cnn-peers.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"written to {RECORDS}", file=sys.stderr)


if __name__ == "__main__":
    main()
