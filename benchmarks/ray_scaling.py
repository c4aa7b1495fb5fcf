"""What a Ray cluster of two nodes of one core does, beside this machine's two cores without it, in one run.

    python benchmarks/ray_scaling.py [--only search|prediction] [--trials 64] [--record]

    search       `cure` of 6,000 feature rows (120 numbers, 12 labels): recipes tried a second

Both nodes are on this machine (`ray.cluster_utils.Cluster`), so that the same two cores do the work; the head has no
CPU. Start-up, told apart, is what the cluster takes until its workers have trained for the first time: processes that
import torch. Here, the same is left out: a short cure goes first.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import ray
from ray.cluster_utils import Cluster

import tagfit
from tagfit.cluster.connection import connected

RECORDS = Path(__file__).resolve().parent / "records"
ROWS, WIDTH, LABELS = 6_000, 120, 12
PARTS = ("search",)


@contextmanager
def two_nodes() -> Iterator[float]:
    """Seconds that a cluster took to start; `connected("ray")` finds it."""
    began = time.perf_counter()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        yield time.perf_counter() - began
    finally:
        cluster.shutdown()


def search_part(trials: int) -> list[str]:
    """Recipes a second, of the same search."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    y = (x @ rng.normal(size=(WIDTH, LABELS)) + rng.normal(size=(ROWS, LABELS)) * 6 > 4).astype(np.int8)
    data = tagfit.load(x, y)

    def cure(count: int, on: str | None = None) -> tuple[float, dict]:
        began = time.perf_counter()
        record = tagfit.cure(data, trials=count, on=on, single=True).record
        return time.perf_counter() - began, record

    cure(8)
    here, record = cure(trials)
    with two_nodes() as started, connected("ray"):
        first, _ = cure(8, "ray")
        there, again = cure(trials, "ray")
    same = [one["scores"] for one in record["tried"]] == [one["scores"] for one in again["tried"]]
    return [
        f"search       here {here:6.1f} s, {trials / here:5.2f} recipes/s",
        f"             Ray  {there:6.1f} s, {trials / there:5.2f} recipes/s: {here / there:.2f} of it; "
        f"the same scores of all {len(again['tried'])} recipes: {'yes' if same else 'NO'}",
        f"             start-up: the cluster {started:.1f} s; a first cure of 8 recipes {first:.1f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    lines = []
    if given.only in (None, "search"):
        lines += search_part(given.trials)
    text = "\n".join([*lines, f"load {os.getloadavg()[0]:.1f} at the end"])
    print(text)
    if given.record:
        head = (
            f"{date.today()}  python {' '.join(map(shlex.quote, sys.argv))}\n"
            f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
            f"tagfit {tagfit.__version__}, Ray {ray.__version__}\n\n"
        )
        with (RECORDS / f"{date.today()}-ray-scaling.txt").open("a") as record:
            record.write(head + text + "\n\n")


if __name__ == "__main__":
    main()
