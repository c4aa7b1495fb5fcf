"""What it costs to share one training among processes: `python benchmarks/ray_training.py DATA [--record]`.

The recipe `cnn` on DATA (images of 64 x 64), in turns: one process with a thread for each of two cores, one process
with one thread, and `on="ray"` with two ranks of one thread each, on a cluster of two nodes of one core that is
started here. An epoch's seconds are those of its row in the history; start-up is all else between a training's
beginning and its end.
"""

import argparse
import os
import platform
import shlex
import statistics
import sys
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
import torch
from ray.cluster_utils import Cluster

import tagfit
from tagfit.recipes import find_recipe
from tagfit.training import thread_pool as threads
from tagfit.training.events import EpochEnded, RunEnded, RunStarted

RECORDS = Path(__file__).parent / "records"

#: threads of this process, and where it trains
MODES = {"1 process, 2 threads": (2, None), "1 process, 1 thread": (1, None), "2 ranks, 1 thread each": (1, "ray")}


def train(data, recipe, most, on):
    """Seconds of each epoch, seconds of all else, and the history."""
    threads.MOST = most
    epochs, at = [], {}

    def listen(event):
        if isinstance(event, EpochEnded):
            epochs.append(event.row)
        elif isinstance(event, RunStarted | RunEnded):
            at[type(event)] = time.perf_counter()

    tagfit.fit(data, recipe=recipe, on=on, on_event=listen)
    seconds = [row["seconds"] for row in epochs]
    return seconds, at[RunEnded] - at[RunStarted] - sum(seconds), epochs


def apart(rows, others):
    """How far two histories are apart at most, relative to their losses."""
    names = ("train_loss", "val_loss")
    return max(abs(a[name] / b[name] - 1) for a, b in zip(rows, others, strict=True) for name in names)


def lines(found):
    best = {
        mode: statistics.median(second for seconds, _, _ in runs for second in seconds) for mode, runs in found.items()
    }
    first = best["1 process, 2 threads"]
    yield f"{'':24}{'s an epoch':>12}{'ours x':>8}{'start-up, s':>13}"
    for mode, runs in found.items():
        rest = statistics.median(rest for _, rest, _ in runs)
        yield f"{mode:24}{best[mode]:12.2f}{first / best[mode]:8.2f}{rest:13.1f}"
    moved = apart(found["2 ranks, 1 thread each"][0][2], found["1 process, 1 thread"][0][2])
    yield f"losses of 2 ranks and of 1 process with 1 thread are at most {moved:.1e} apart"
    yield "all epochs, s: " + "; ".join(
        f"{mode} {' '.join(f'{second:.2f}' for seconds, _, _ in runs for second in seconds)}"
        for mode, runs in found.items()
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write benchmarks/records/DATE-ray-training.txt as well")
    options = parser.parse_args()
    began = time.perf_counter()
    data, recipe = tagfit.load(options.data), find_recipe("cnn")
    recipe = recipe.changed(
        model={"dropout": 0.0, "stochastic_depth": 0.0},  # so that the curves can be compared
        training={"epochs": options.epochs, "patience": 0},
    )
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        found = {mode: [] for mode in MODES}
        for _ in range(options.rounds):
            for mode, how in MODES.items():
                found[mode].append(train(data, recipe, *how))
    finally:
        cluster.shutdown()
    head = [
        f"{date.today()}  python {shlex.join(sys.argv)}",
        f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"tagfit {tagfit.__version__}, torch {torch.__version__}, Ray {ray.__version__}; "
        f"load {os.getloadavg()[0]:.1f} at the end; {time.perf_counter() - began:.0f} s in all",
        f"{len(data.dataset)} images, {data.split.counts['train']} of them to train on; recipe cnn, "
        f"batches of {recipe.training.batch_size}; {options.rounds} rounds of {options.epochs} epochs; "
        "ours x: how many times as fast as 1 process with 2 threads",
        "",
    ]
    text = "\n".join([*head, *lines(found)])
    print(text)
    if options.record:
        (RECORDS / f"{date.today()}-ray-training.txt").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
