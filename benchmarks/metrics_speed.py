"""Seconds for all metrics of one part, beside scikit-learn computing those that it has.

    python benchmarks/metrics_speed.py [--samples 100000] [--labels 100] [--repeats 5] [--dtype float32]

Both score the same made-up labels and probabilities in one process, in turns. tagfit computes all metrics in one call;
scikit-learn is called once a metric, as a person would. Printed are the median seconds, their spread, the ratio, and
how far the values that both have are apart.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import sklearn
import sklearn.metrics as peer

from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.scores import CLIP, score
from tagfit.records.scores import METRICS


def made_up(samples: int, labels: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels of differing frequency, each sample with at least one and not with all, and probabilities near them."""
    random = np.random.default_rng(0)
    labels_NL = (random.random((samples, labels)) < random.uniform(0.01, 0.1, labels)).astype(np.int8)
    some = np.arange(samples)
    labels_NL[some, random.integers(0, labels, samples)] = 1
    labels_NL[some, random.integers(0, labels, samples)] = 0
    labels_NL = labels_NL[labels_NL.any(axis=1)]
    probabilities_NL = 0.4 * labels_NL + 0.6 * random.random(labels_NL.shape)
    return labels_NL, probabilities_NL.astype(dtype)


def peer_calls(labels_NL: np.ndarray, p_NL: np.ndarray) -> dict[str, Callable[[], float]]:
    """scikit-learn's call for each metric that it has."""
    decided_NL = (p_NL > 0.5).astype(np.int8)
    return {
        "label_accuracy": lambda: peer.accuracy_score(labels_NL.ravel(), decided_NL.ravel()),
        "subset_accuracy": lambda: peer.accuracy_score(labels_NL, decided_NL),
        "jaccard": lambda: peer.jaccard_score(labels_NL, decided_NL, average="samples", zero_division=1),
        "micro_f1": lambda: peer.f1_score(labels_NL, decided_NL, average="micro"),
        "macro_f1": lambda: peer.f1_score(labels_NL, decided_NL, average="macro"),
        "sample_f1": lambda: peer.f1_score(labels_NL, decided_NL, average="samples", zero_division=1),
        "hamming_loss": lambda: peer.hamming_loss(labels_NL, decided_NL),
        "ranking_loss": lambda: peer.label_ranking_loss(labels_NL, p_NL),
        "coverage_error": lambda: peer.coverage_error(labels_NL, p_NL),
        "lrap": lambda: peer.label_ranking_average_precision_score(labels_NL, p_NL),
        "map": lambda: peer.average_precision_score(labels_NL, p_NL, average="macro"),
        "micro_ap": lambda: peer.average_precision_score(labels_NL, p_NL, average="micro"),
        "log_loss": lambda: peer.log_loss(labels_NL.ravel(), p_NL.ravel().astype(np.float64).clip(CLIP, 1 - CLIP)),
    }


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def spread(times: list[float]) -> str:
    return f"{statistics.median(times):8.3f} s  ({min(times):.3f} to {max(times):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    args = parser.parse_args()

    labels_NL, p_NL = made_up(args.samples, args.labels, args.dtype)
    calls = peer_calls(labels_NL, p_NL)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.repeats):
        ours.append(seconds(lambda: score(labels_NL, p_NL)))
        for name, call in calls.items():
            theirs[name].append(seconds(call))
    totals = [sum(times) for times in zip(*theirs.values(), strict=True)]
    scores = score(labels_NL, p_NL).to_dict()
    apart = max(abs((scores[name] or 0.0) - call()) for name, call in calls.items())
    chosen = ConstantBaseline.choose(labels_NL)

    print(f"{labels_NL.shape[0]} x {labels_NL.shape[1]} {args.dtype}, median of {args.repeats} (fastest to slowest)")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}, ", end="")
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    print(f"tagfit, all {len(METRICS)} metrics         {spread(ours)}")
    print(f"scikit-learn, {len(calls)} of them        {spread(totals)}")
    for name, times in theirs.items():
        print(f"    {name:28s} {spread(times)}")
    print(f"ratio of the medians             {statistics.median(totals) / statistics.median(ours):8.1f}")
    print(f"largest difference of a value    {apart:8.1e}")
    print(f"ConstantAnswer.choose            {seconds(lambda: ConstantBaseline.choose(labels_NL)):8.3f} s")
    print(f"ConstantAnswer.score             {seconds(lambda: chosen.score(labels_NL)):8.3f} s")


if __name__ == "__main__":
    main()
