"""What ranks of a cluster make of a training: `python benchmarks/ray_training.py DATA [--record]`.

The recipe `cnn` on DATA (images of 64 x 64) with several seeds, each by one process, with a thread for each of two
cores, and by `on="ray"` with two ranks of one thread each, on a cluster of two nodes of one core that is started here.
Losses are compared epoch by epoch: do those of the ranks lie where those of one process lie with other seeds? An
epoch's seconds are those of its row in the history; start-up is all else between a training's beginning and its end.
"""

import argparse
import os
import platform
import shlex
import statistics
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
import torch
from ray.cluster_utils import Cluster

import tagfit
from tagfit.recipes import find_recipe
from tagfit.training.events import EpochEnded, RunEnded, RunStarted

RECORDS = Path(__file__).parent / "records"

#: where each trains
MODES = {"1 process": None, "2 ranks": "ray"}
LOSSES = ("train_loss", "val_loss")


def train(data, recipe, seed, on):
    """The history, and seconds of all but its epochs."""
    rows, at = [], {}

    def listen(event):
        if isinstance(event, EpochEnded):
            rows.append(event.row)
        elif isinstance(event, RunStarted | RunEnded):
            at[type(event)] = time.perf_counter()

    tagfit.fit(data, recipe=recipe, seed=seed, on=on, on_event=listen)
    return rows, at[RunEnded] - at[RunStarted] - sum(row["seconds"] for row in rows)


def spread(runs, epoch, name):
    """Lowest, mean and highest of a loss over the seeds."""
    values = [rows[epoch][name] for rows, _ in runs]
    return min(values), statistics.mean(values), max(values)


def lines(found):
    epochs = len(found["1 process"][0][0])
    columns = [f"{mode}, {name}" for name in LOSSES for mode in MODES]
    yield "mean (lowest-highest) over the seeds"
    yield f"{'epoch':>5}" + "".join(f"{column:>28}" for column in columns)
    for epoch in range(epochs):
        cells = [spread(found[mode], epoch, name) for name in LOSSES for mode in MODES]
        yield f"{epoch + 1:5}" + "".join(f"{f'{mean:.4f} ({low:.4f}-{high:.4f})':>28}" for low, mean, high in cells)
    for name in LOSSES:
        one, ranks = ([spread(found[mode], epoch, name) for epoch in range(epochs)] for mode in MODES)
        apart = statistics.mean(abs(b[1] / a[1] - 1) for a, b in zip(one, ranks, strict=True))
        seeds = statistics.mean((high - low) / mean for low, mean, high in one)
        yield f"{name}: means are {apart:.1%} apart, over all epochs; seeds of 1 process span {seeds:.1%}"
    yield ""
    yield f"{'':12}{'s an epoch':>12}{'start-up, s':>13}{'val micro-F1, by seed':>28}"
    for mode, runs in found.items():
        seconds = statistics.median(row["seconds"] for rows, _ in runs for row in rows)
        scores = " ".join(f"{rows[-1]['val_micro_f1']:.3f}" for rows, _ in runs)
        yield f"{mode:12}{seconds:12.2f}{statistics.median(rest for _, rest in runs):13.1f}{scores:>28}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write benchmarks/records/DATE-ray-training.txt as well")
    options = parser.parse_args()
    began = time.perf_counter()
    data, recipe = tagfit.load(options.data), find_recipe("cnn")
    recipe = replace(recipe, training=replace(recipe.training, epochs=options.epochs, patience=0))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        found = {mode: [] for mode in MODES}
        for seed in range(options.seeds):
            for mode, on in MODES.items():
                found[mode].append(train(data, recipe, seed, on))
    finally:
        cluster.shutdown()
    head = [
        f"{date.today()}  python {shlex.join(sys.argv)}",
        f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"tagfit {tagfit.__version__}, torch {torch.__version__}, Ray {ray.__version__}; "
        f"load {os.getloadavg()[0]:.1f} at the end; {time.perf_counter() - began:.0f} s in all",
        f"{len(data.dataset)} images, {data.split.counts['train']} of them to train on; recipe cnn, "
        f"batches of {recipe.training.batch_size}; seeds 0 to {options.seeds - 1}, {options.epochs} epochs",
        "",
    ]
    text = "\n".join([*head, *lines(found)])
    print(text)
    if options.record:
        (RECORDS / f"{date.today()}-ray-training.txt").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
