"""Photographs to small images: tagfit's store beside plain Pillow and Keras, in one run on the same files.

    python benchmarks/decode_peers.py [--peer .venv-peers/bin/python] [--count 100] [--rounds 3] [--record]

The files are JPEGs of 3 megapixels (2048 x 1536, quality 90) made by code: gradients, soft shapes and some noise, about
0.9 MB each, which is what a telephone writes. Each side makes 64 x 64 RGB of all of them:

    tagfit   `open_images` with an empty cache: reads, hashes and decodes in processes of their own, writes to disk
    Pillow   `Image.open(file).convert("RGB").resize((64, 64))`, one after the other
    Keras    `keras.utils.image_dataset_from_directory(..., image_size=(64, 64))`, on TensorFlow, read to its end

Every side runs in a fresh Python; what is timed leaves out the imports (those of tagfit's processes are in it). A round
is one run of each; the rates are those of the best round of each, the ratios come from these. Beside them the processor
time, which other processes on the machine disturb less. And how long a second run needs to open the same images.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image

import tagfit

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".venv-peers" / "bin" / "python"
SHAPE = (1536, 2048)

TAGFIT = """
import os, sys, time, json
from pathlib import Path
from tagfit.records.form import ImageForm
from tagfit.images.store import open_images
files = sorted(Path(sys.argv[1]).rglob("*.jpg"))
began, busy = time.perf_counter(), sum(os.times()[:4])
images = open_images(files, ImageForm(64))
print(json.dumps([time.perf_counter() - began, sum(os.times()[:4]) - busy, len(images.x)]))
"""

PILLOW = """
import os, sys, time, json
from pathlib import Path
import numpy as np
from PIL import Image
files = sorted(Path(sys.argv[1]).rglob("*.jpg"))
began, busy = time.perf_counter(), sum(os.times()[:4])
x = np.stack([np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files])
print(json.dumps([time.perf_counter() - began, sum(os.times()[:4]) - busy, len(x)]))
"""

KERAS = """
import os, sys, time, json
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
began, busy = time.perf_counter(), sum(os.times()[:4])
batches = keras.utils.image_dataset_from_directory(sys.argv[1], labels=None, image_size=(64, 64), verbose=False)
x = np.concatenate([batch for batch in batches])
print(json.dumps([time.perf_counter() - began, sum(os.times()[:4]) - busy, len(x)]))
"""


def photographs(count: int) -> Iterator[bytes]:
    """JPEGs of `count` photographs; of every ten, nine are the first one shifted, which is other bytes, made sooner."""
    rng = np.random.default_rng(0)
    for number in range(count):
        if number % 10 == 0:
            pixels = photograph(rng)
        shift = (101 * number % SHAPE[0], 37 * number % SHAPE[1])
        stream = io.BytesIO()
        Image.fromarray(np.roll(pixels, shift, (0, 1))).save(stream, "JPEG", quality=90)
        yield stream.getvalue()


def photograph(rng: np.random.Generator) -> np.ndarray:
    """Large soft areas, finer ones over them, and the noise of a sensor."""

    def areas(pixels: int, spread: int) -> np.ndarray:
        small = rng.integers(128 - spread, 128 + spread, (SHAPE[0] // pixels, SHAPE[1] // pixels, 3), dtype=np.uint8)
        large = Image.fromarray(small).resize(SHAPE[::-1], Image.Resampling.BICUBIC)
        return np.asarray(large).astype(np.int16) - 128

    noise = rng.normal(0, 6, (*SHAPE, 3)).astype(np.int16)
    pixels = 128 + areas(128, 90) + areas(16, 30) + areas(4, 12) + noise
    return np.clip(pixels, 0, 255).astype(np.uint8)


class Took(NamedTuple):
    """Seconds by the clock, and of all processors together."""

    wall: float
    cpu: float


def timed(python: str, code: str, folder: Path, cache: Path, count: int) -> Took:
    environment = {**os.environ, "TAGFIT_CACHE": str(cache)}
    command = [python, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    wall, cpu, images = json.loads(done.stdout.splitlines()[-1])
    assert images == count, f"{images} of {count} images"
    return Took(wall, cpu)


def report(peer: str | None, count: int, rounds: int) -> str:
    lines = [f"{count} JPEGs of {SHAPE[1]} x {SHAPE[0]}, quality 90, to 64 x 64 RGB; the best of {rounds} rounds"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "images"
        folder.mkdir()
        sizes = [(folder / f"{number}.jpg").write_bytes(jpeg) for number, jpeg in enumerate(photographs(count))]
        lines.append(f"{sum(sizes) / count / 1e6:.2f} MB each")
        sides = {"tagfit": (sys.executable, TAGFIT), "Pillow": (sys.executable, PILLOW)}
        if peer:
            sides["Keras"] = (peer, KERAS)
        taken: dict[str, list[Took]] = {side: [] for side in sides}
        again = []
        for number in range(rounds):
            for side, (python, code) in sides.items():
                taken[side].append(timed(python, code, folder, Path(made) / f"cache{number}", count))
            again.append(timed(sys.executable, TAGFIT, folder, Path(made) / f"cache{number}", count).wall)
    best = {side: Took(*map(min, zip(*times, strict=True))) for side, times in taken.items()}
    ours = best["tagfit"]
    lines.append(f"\n{'':<8}{'images/s':>12}{'/ tagfit':>10}{'CPU ms each':>14}{'/ tagfit':>10}   wall s, by round")
    for side, times in taken.items():
        wall, cpu = best[side]
        walls = " ".join(f"{took.wall:.2f}" for took in times)
        lines.append(
            f"{side:<8}{count / wall:>12.1f}{wall / ours.wall:>9.1f}x{1000 * cpu / count:>14.1f}"
            f"{cpu / ours.cpu:>9.1f}x   {walls}"
        )
    lines.append("(/ tagfit: how many times as long as tagfit)")
    lines.append(f"\nsecond run: {min(again):.3f} seconds to open all {count}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=str(PEER), help="the Python of the peers' environment")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="add what is printed to benchmarks/records/")
    arguments = parser.parse_args()
    peer = arguments.peer if Path(arguments.peer).exists() else None
    load = os.getloadavg()[0]
    text = (
        f"{date.today()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"load {load:.1f} at the start\n"
        f"tagfit {tagfit.__version__}, Python {platform.python_version()}, Pillow {PIL.__version__}\n\n"
        f"{report(peer, arguments.count, arguments.rounds)}\n"
    )
    print(text)
    if arguments.record:
        record = HERE / "records" / f"{date.today()}-decode-peers.txt"
        with record.open("a", encoding="utf-8") as file:
            file.write(f"$ {shlex.join(['python', *sys.argv])}\n\n{text}\n")


if __name__ == "__main__":
    main()
