"""Predicting with one and the same CNN: tagfit beside Keras `predict` and a plain torch loop, in one run.

    python benchmarks/predict_peers.py [--peer .venv-peers/bin/python] [--count 200] [--rounds 3] [--record]

The network is the recipe `cnn` with one view, 64 x 64 images and 17 labels, with weights as they are before training.

    disk     JPEGs of 3 megapixels, as `decode_peers.py` makes them: images/s from the first file to the last score,
             and the peak of the memory of all processes of a side (proportional set size, read 20 times a second)
    memory   2,000 images of 64 x 64 that are decoded already: images/s
    one      one decoded image at a time, 200 of them: milliseconds each

    tagfit   `Tagger.load(run).predict(...)`, in ONNX Runtime
    torch    the loop that people write: Pillow, `convert("RGB").resize`, batches of 32, `model(x)` in inference mode
    Keras    `model.predict` on TensorFlow; from disk of `keras.utils.image_dataset_from_directory(batch_size=32)`;
             `call` is `model(x)`, which its documents advise for one image

Every side runs in a fresh Python, and what is timed leaves out imports and loading. A round is one run of each; rates
are the medians of the rounds, ratios come from these.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from decode_peers import photographs

import tagfit
from tagfit.bundle.record import Bundle
from tagfit.bundle.write import write_bundle
from tagfit.decisions.decider import Decider
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES
from tagfit.records.data import NO, Preprocessing

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".venv-peers" / "bin" / "python"
SHAPE, LABELS = (64, 64, 3), 17

_CNN = RECIPES["cnn"]
RECIPE = _CNN.changed(model={"views": 1, "standardise": False, "stride": 2})

MEASURE = """
import json, sys, time
import numpy as np
folder, bundle, width, labels = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
x = np.random.default_rng(0).integers(0, 256, (2000, 64, 64, 3), dtype=np.uint8)
def rate(action):
    began = time.perf_counter()
    return action() / (time.perf_counter() - began)
def measure(disk, arrays, **singles):
    found = {"disk": rate(disk)}
    print("disk done", flush=True)
    arrays(x[:64])
    found["memory"] = rate(lambda: len(arrays(x)))
    for name, one in singles.items():
        for row in range(20):
            one(x[row : row + 1])
        began = time.perf_counter()
        for row in range(200):
            one(x[row : row + 1])
        found[name] = 5 * (time.perf_counter() - began)
    print(json.dumps(found))
"""

TAGFIT = (
    MEASURE
    + """
import tagfit
from pathlib import Path
tagger = tagfit.Tagger.load(bundle)
files = sorted(Path(folder).rglob("*.jpg"))
def disk():
    found = 0
    for prediction in tagger.predict_stream(files):
        assert not prediction.errors
        found += len(prediction)
    return found
measure(disk, lambda x: tagger.predict(x).scores, one=lambda x: tagger.predict(x).scores)
"""
)

TORCH = (
    MEASURE
    + """
from pathlib import Path
from PIL import Image
import torch
from torch import nn
class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
    def forward(self, x):
        return torch.relu(x + self.branch(x))
def stage(inputs, channels):
    return [nn.AvgPool2d(2), nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            Residual(channels)]
class Pooled(nn.Module):
    def forward(self, x):
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
model = nn.Sequential(
    nn.Conv2d(3, width, 4, 2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), Residual(width),
    *stage(width, 2 * width), *stage(2 * width, 4 * width), Pooled(), nn.Linear(8 * width, labels), nn.Sigmoid()).eval()
files = sorted(Path(folder).rglob("*.jpg"))
@torch.inference_mode()
def arrays(x):
    batches = [torch.from_numpy(x[start : start + 32]) for start in range(0, len(x), 32)]
    return torch.cat([model(batch.permute(0, 3, 1, 2).float() / 255) for batch in batches]).numpy()
def disk():
    found = 0
    for start in range(0, len(files), 32):
        images = [Image.open(file).convert("RGB").resize((64, 64)) for file in files[start : start + 32]]
        found += len(arrays(np.stack([np.asarray(image) for image in images])))
    return found
measure(disk, arrays, one=arrays)
"""
)

KERAS = (
    MEASURE
    + """
import keras
from keras import layers
def conv(x, channels, side, stride):
    return layers.BatchNormalization()(layers.Conv2D(channels, side, stride, padding="same", use_bias=False)(x))
def residual(x, channels):
    return layers.ReLU()(layers.Add()([x, conv(layers.ReLU()(conv(x, channels, 3, 1)), channels, 3, 1)]))
inputs = keras.Input((64, 64, 3))
x_ = residual(layers.ReLU()(conv(layers.Rescaling(1 / 255)(inputs), width, 4, 2)), width)
for channels in (2 * width, 4 * width):
    x_ = residual(layers.ReLU()(conv(layers.AveragePooling2D(2)(x_), channels, 3, 1)), channels)
x_ = layers.Concatenate()([layers.GlobalAveragePooling2D()(x_), layers.GlobalMaxPooling2D()(x_)])
model = keras.Model(inputs, layers.Dense(labels, activation="sigmoid")(x_))
model.predict(x[:32], verbose=0)
def disk():
    batches = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(64, 64), batch_size=32, shuffle=False, verbose=False)
    return len(model.predict(batches, verbose=0))
measure(disk, lambda x: model.predict(x, verbose=0), one=lambda x: model.predict(x, verbose=0),
        call=lambda x: model(x, training=False).numpy())
"""
)


def bundle_of(folder: Path) -> Path:
    """A run folder with the network in it."""
    names = tuple(f"label {number}" for number in range(LABELS))
    constant = ConstantBaseline.choose(np.full((1, LABELS), NO, np.int8))
    network = build_network(RECIPE, SHAPE, LABELS).eval()
    taken = Preprocessing("images", SHAPE, 1 / 255)
    bundle = Bundle(
        recipe=RECIPE,
        members=(RECIPE,),
        preprocessing=taken,
        label_names=names,
        decider=Decider(),
        constant_baseline=constant,
        scores={},
        lock="0" * 64,
        network=network,
        trained_on={},
    )
    write_bundle(folder / "bundle", bundle)
    return folder


def memory_of(process: int) -> int:
    """Bytes of a process and all that it has started, shared pages shared out among those that share them."""
    found, waiting = 0, [process]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            found += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, ValueError):  # it has ended meanwhile
            continue
    return found


def run(python: str, code: str, arguments: list[str], cache: Path) -> dict[str, float]:
    """What one side found in a fresh process, with the `peak` of its memory until all files were predicted."""
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "TAGFIT_CACHE": str(cache)
    }  # fmt: skip
    process = subprocess.Popen(
        [python, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.05):
            peak = max(peak, memory_of(process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != "disk done\n":
        over.set()
        raise SystemExit(process.stderr.read())
    over.set()
    watching.join()
    found: dict[str, Any] = json.loads(process.communicate()[0])
    return found | {"peak": peak / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=PEER)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    began = time.perf_counter()
    sides = {"tagfit": (sys.executable, TAGFIT), "torch": (sys.executable, TORCH)}
    if given.peer.exists():
        sides["Keras"] = (str(given.peer), KERAS)
    rounds: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch, "photos")
        photos.mkdir()
        for number, content in enumerate(photographs(given.count)):
            (photos / f"{number:05}.jpg").write_bytes(content)
        bundle = bundle_of(Path(scratch, "run"))
        cache = Path(scratch, "cache")
        os.environ["TAGFIT_CACHE"] = str(cache)
        tagfit.Tagger.load(bundle)  # made for ONNX Runtime, which is done once
        arguments = [str(photos), str(bundle), str(RECIPE.model.width), str(LABELS)]  # type: ignore[union-attr]
        for _ in range(given.rounds):
            for side, (python, code) in sides.items():
                rounds[side].append(run(python, code, arguments, cache))
    middle = {
        side: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for side, found in rounds.items()
    }
    ours = middle["tagfit"]
    lines = [f"{'':<8}{'disk/s':>9}{'ours x':>8}{'memory/s':>11}{'ours x':>8}{'one, ms':>9}{'ours x':>8}{'peak MB':>9}"]
    for side, found in middle.items():
        lines.append(
            f"{side:<8}{found['disk']:>9.0f}{ours['disk'] / found['disk']:>8.2f}{found['memory']:>11.0f}"
            f"{ours['memory'] / found['memory']:>8.2f}{found['one']:>9.2f}{found['one'] / ours['one']:>8.2f}"
            f"{found['peak']:>9.0f}"
        )
        if "call" in found:
            lines.append(f"{'  call':<8}{'':>36}{found['call']:>9.2f}{found['call'] / ours['one']:>8.2f}")
    every = {side: " ".join(f"{one['disk']:.0f}" for one in found) for side, found in rounds.items()}
    lines.append("all rounds, disk/s: " + "; ".join(f"{side} {rates}" for side, rates in every.items()))
    text = "\n".join(lines)
    print(text)
    if given.record:
        head = (
            f"{date.today()}  python {' '.join(map(shlex.quote, sys.argv))}\n"
            f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
            f"tagfit {tagfit.__version__}, torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}; "
            f"load {os.getloadavg()[0]:.1f} at the end; {time.perf_counter() - began:.0f} s in all\n"
            f"{given.count} photographs, {given.rounds} rounds; ours x: how many times as fast tagfit is\n\n"
        )
        (HERE / "records" / f"{date.today()}-predict-peers.txt").write_text(head + text + "\n")


if __name__ == "__main__":
    main()
