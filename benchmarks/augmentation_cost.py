"""Milliseconds of a training step of a small CNN, with augmentation and without.

    python benchmarks/augmentation_cost.py [--size 64] [--labels 12] [--steps 60]

The recipe is the ladder's `cnn-augmented`, which looks at one view of an image in a step; without augmentation it is
given one view too, so that the network's own work is the same. All take steps of the same batches, in one process, in
turns; printed are the median processor time of all threads and the median wall time of a step, with the ratio to the
step without augmentation. Made-up images.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import torch

import tagfit
from tagfit.models.registry import build_network
from tagfit.recipes import AUGMENTATIONS, Recipe
from tagfit.records.data import LockedData
from tagfit.records.scores import Target
from tagfit.search.candidates import FROM_ABOVE, FROM_THE_SIDE, ladder
from tagfit.training.batches import LabelledRows
from tagfit.training.loop import prepare
from tagfit.training.steps import Steps
from tagfit.training.thread_pool import thread_pool_for

KINDS = {
    "none": (),
    "as from the side": FROM_THE_SIDE,
    "as from above": FROM_ABOVE,
    "all of them": AUGMENTATIONS,
    **{f"{name} alone": (name,) for name in AUGMENTATIONS},
}


def made_up(size: int, labels: int) -> LockedData:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (512, size, size, 3), dtype=np.uint8)
    return tagfit.load(images, random.integers(0, 2, (512, labels)))


def steps_of(recipe: Recipe, data: LockedData, stack: ExitStack) -> Steps:
    device = torch.device("cpu")
    network = build_network(recipe, data.dataset.preprocessing.shape, len(data.dataset.label_names), seed=0)
    rows = LabelledRows.of(data, "train", device)
    prepare(network, rows)
    network.train()
    pool = stack.enter_context(thread_pool_for(network, recipe.training.batch_size))
    return Steps(network, recipe.training, rows, 0, pool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--labels", type=int, default=12)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    data = made_up(options.size, options.labels)
    candidates = ladder(data.dataset.preprocessing, Target(), augmentation=True)
    base = next(candidate for candidate in candidates if candidate.name == "cnn-augmented")
    base = base.changed(model={"views": 1})
    wall, processor = defaultdict(list), defaultdict(list)
    with ExitStack() as stack:
        threads = torch.get_num_threads()
        every = {}
        for kind, names in KINDS.items():
            torch.set_num_threads(threads)  # each crew leaves one to torch
            recipe = replace(base, training=replace(base.training, augmentation=names))
            every[kind] = steps_of(recipe, data, stack)
        batch = torch.arange(base.training.batch_size)
        for number in range(options.steps + 3):
            for kind, steps in every.items():
                began, used = time.perf_counter(), time.process_time()
                steps.step(batch)
                if number >= 3:
                    wall[kind].append(1e3 * (time.perf_counter() - began))
                    processor[kind].append(1e3 * (time.process_time() - used))
        size = every["none"].pool.size
    print(
        f"{options.size} x {options.size}, batch {base.training.batch_size}, {size} threads, "
        f"median of {options.steps} steps"
    )
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores"
    )
    print(f"{'augmentation':18s} {'processor ms':>13s} {'ratio':>6s} {'wall ms':>9s} {'ratio':>6s}")
    plain, plain_wall = statistics.median(processor["none"]), statistics.median(wall["none"])
    for kind in KINDS:
        used, took = statistics.median(processor[kind]), statistics.median(wall[kind])
        print(f"{kind:18s} {used:13.1f} {used / plain:6.2f} {took:9.1f} {took / plain_wall:6.2f}")


if __name__ == "__main__":
    main()
