"""What a Ray cluster of two nodes of one core does, beside this machine's two cores without it, in one run.

    python benchmarks/ray_scaling.py [--only search|prediction] [--trials 64] [--images 20000] [--record]

    search       `cure` of 6,000 feature rows (120 numbers, 12 labels): recipes tried a second
    prediction   JPEGs of 160 x 160 through a CNN of 64 x 64, from disk to CSV: images a second

Both nodes are on this machine (`ray.cluster_utils.Cluster`), so that the same two cores do the work; the head has no
CPU. Start-up, told apart, is what the cluster takes until its workers have trained for the first time: processes that
import torch. Here, the same is left out: a short cure, or a short prediction, goes first. Ray Data starts its actors
anew for each job; what a job of two parts takes is printed as the start-up, and taken off.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import ray
from PIL import Image
from ray.cluster_utils import Cluster

import tagfit
from tagfit.cluster.connection import connected
from tagfit.cluster.prediction import PART, predict_parts
from tagfit.inference.row_files import save_rows
from tagfit.inference.rows import image_rows
from tagfit.recipes import CnnModel, Recipe, Training

RECORDS = Path(__file__).resolve().parent / "records"
ROWS, WIDTH, LABELS = 6_000, 120, 12
PARTS = ("search", "prediction")


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
    same = [one.scores for one in record.tried] == [one.scores for one in again.tried]
    return [
        f"search       here {here:6.1f} s, {trials / here:5.2f} recipes/s",
        f"             Ray  {there:6.1f} s, {trials / there:5.2f} recipes/s: {here / there:.2f} of it; "
        f"the same scores of all {len(again['tried'])} recipes: {'yes' if same else 'NO'}",
        f"             start-up: the cluster {started:.1f} s; a first cure of 8 recipes {first:.1f} s",
    ]


def prediction_part(images: int) -> list[str]:
    """Images a second, of the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        x = rng.integers(0, 255, (60, 64, 64, 3), np.uint8)
        recipe = Recipe(name="cnn", model=CnnModel(views=1), training=Training(epochs=1, patience=0))
        data = tagfit.load(x, rng.integers(0, 2, (60, 10)))
        run = tagfit.fit(data, recipe=recipe, output=folder / "run").folder
        seen = [Image.effect_noise((160, 160), 60).convert("RGB") for _ in range(20)]
        files = [str(folder / f"{number:06}.jpg") for number in range(images)]
        for number, file in enumerate(files):
            seen[number % len(seen)].save(file, quality=85)
        tagger = tagfit.Tagger.load(run)

        def locally(some: list[str], place: Path) -> float:
            began = time.perf_counter()
            save_rows(place, tagger.label_names, image_rows(tagger, iter(some)))
            return time.perf_counter() - began

        def on_ray(some: list[str], place: Path) -> float:
            began = time.perf_counter()
            predict_parts(ray, run, some, place)
            return time.perf_counter() - began

        few = files[: 2 * PART]
        locally(few, folder / "few.csv")
        here = locally(files, folder / "here.csv")
        with two_nodes() as started, connected("ray"):
            first = on_ray(few, folder / "first.csv")
            again = on_ray(few, folder / "again.csv")
            whole = on_ray(files, folder / "there.csv")
        there = whole - again
        rows = (folder / "here.csv").read_text().splitlines()
        parts = [part.read_text().splitlines() for part in sorted((folder / "there.csv").glob("part-*"))]
        same = [line for part in parts for line in part[1:]] == rows[1:]
    rate, rate_there = images / here, (images - len(few)) / there
    return [
        f"prediction   here {here:6.1f} s, {rate:5.0f} images/s",
        f"             Ray  {whole:6.1f} s; without what {len(few)} of them take, {again:.1f} s: {rate_there:5.0f} "
        f"images/s, {rate_there / rate:.2f} of it; the same rows: {'yes' if same else 'NO'}",
        f"             start-up: the cluster {started:.1f} s; a first job of {len(few)} images {first:.1f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    lines = []
    if given.only in (None, "search"):
        lines += search_part(given.trials)
    if given.only in (None, "prediction"):
        lines += prediction_part(given.images)
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
