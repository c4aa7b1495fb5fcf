"""Seconds for the intervals of all metrics of one part, beside loops that score resampled rows one after the other.

    python benchmarks/intervals_speed.py [--samples 10000] [--labels 20] [--repeats 5] [--dtype float32] [--alone]

All resample the same made-up labels and probabilities, in one process, in turns. The loops draw rows with
replacement, as a person would, and run for a few resamples only; their seconds are scaled to as many as tagfit makes.
scikit-learn is called once for each metric that it has; scipy.stats.bootstrap is given micro-F1 alone. Printed are the
median seconds, their spread, by how much tagfit's memory grew, and the ratios. With --alone no loop is run.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy.stats
import sklearn
import sklearn.metrics
from metrics_speed import made_up, peer_calls, spread

from tagfit.metrics.intervals import Answers, Resampling, resample
from tagfit.metrics.scores import score
from tagfit.records.scores import METRICS

#: resamples that a loop is timed on
TIMED = 5


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def loops(labels_NL: np.ndarray, p_NL: np.ndarray) -> dict[str, Callable[[], object]]:
    """What others would write, each of TIMED resamples."""
    N = len(labels_NL)
    draws = [np.random.default_rng(number).integers(0, N, size=N) for number in range(TIMED)]
    decided_NL = p_NL > 0.5

    def by_score() -> None:
        for rows in draws:
            score(labels_NL[rows], p_NL[rows])

    def by_sklearn() -> None:
        for rows in draws:
            for call in peer_calls(labels_NL[rows], p_NL[rows]).values():
                call()

    def micro_f1(rows: np.ndarray) -> float:
        return float(sklearn.metrics.f1_score(labels_NL[rows], decided_NL[rows], average="micro"))

    def by_scipy() -> None:
        options = {"n_resamples": TIMED, "vectorized": False, "method": "percentile", "rng": np.random.default_rng(0)}
        scipy.stats.bootstrap((np.arange(N),), micro_f1, **options)

    return {
        f"tagfit's score in a loop, {len(METRICS)} metrics": by_score,
        f"scikit-learn in a loop, {len(peer_calls(labels_NL[:2], p_NL[:2]))} metrics": by_sklearn,
        "scipy.stats.bootstrap, micro-F1 alone": by_scipy,
    }


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--alone", action="store_true")
    args = parser.parse_args()

    # it leaves out some of the samples that it is asked for
    labels_NL, p_NL = (array[: args.samples] for array in made_up(2 * args.samples, args.labels, args.dtype))
    resampling = Resampling.of(len(labels_NL))
    before = megabytes()
    ours = [seconds(lambda: resample(Answers(labels_NL, p_NL), resampling).intervals)]
    more = megabytes() - before
    peers = {} if args.alone else loops(labels_NL, p_NL)
    theirs: dict[str, list[float]] = {name: [] for name in peers}
    for repeat in range(args.repeats):
        if repeat:
            ours.append(seconds(lambda: resample(Answers(labels_NL, p_NL), resampling).intervals))
        for name, loop in peers.items():
            theirs[name].append(seconds(loop) * resampling.resamples / TIMED)

    print(f"{labels_NL.shape[0]} x {labels_NL.shape[1]} {args.dtype}, {resampling.resamples} resamples, ", end="")
    print(f"median of {args.repeats} (fastest to slowest)")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, ", end="")
    print(f"scikit-learn {sklearn.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"{f'tagfit, {len(METRICS)} metrics':40s} {spread(ours)}   {more:.0f} MB")
    for name, times in theirs.items():
        print(f"{name:40s} {spread(times)}   {statistics.median(times) / statistics.median(ours):8.1f} times as long")


if __name__ == "__main__":
    main()
