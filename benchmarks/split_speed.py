"""How long it takes to deal samples to the parts of a split, beside the package iterative-stratification.

    make bench-peers     makes the peers' environment
    .venv/bin/python benchmarks/split_speed.py --peer .venv-peers/bin/python

Both deal the same random labels 70/15/15; the peer can only cut in two, so it is asked for the first cut, 70/30.
"""

import argparse
import subprocess
import sys
import time

import numpy as np

SHAPES = ((1_000, 20), (10_000, 100), (100_000, 20))

PEER = """
import sys, time
import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit
labels = np.load(sys.argv[1])
began = time.perf_counter()
next(MultilabelStratifiedShuffleSplit(n_splits=1, test_size=0.3, random_state=0).split(labels, labels))
print(time.perf_counter() - began)
"""


def labels_of(samples: int, labels: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.random((samples, labels)) < rng.uniform(0.005, 0.2, size=labels)).astype(np.int8)


def our_seconds(labels_NL: np.ndarray) -> float:
    from tagfit.data.stratification import iterative_stratification

    began = time.perf_counter()
    iterative_stratification(labels_NL, [0.7, 0.15, 0.15])
    return time.perf_counter() - began


def peer_seconds(python: str, labels_NL: np.ndarray) -> float:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, labels_NL)
        file.flush()
        done = subprocess.run([python, "-c", PEER, file.name], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the Python of the peers' environment")
    arguments = parser.parse_args()
    print(f"{'samples x labels':>20} {'tagfit s':>10} {'peer s':>10} {'ratio':>8}")
    for shape in SHAPES:
        labels_NL = labels_of(*shape)
        ours = our_seconds(labels_NL)
        theirs = peer_seconds(arguments.peer, labels_NL) if arguments.peer else float("nan")
        print(f"{shape[0]:>12,} x {shape[1]:<5} {ours:>10.2f} {theirs:>10.2f} {theirs / ours:>8.1f}")


if __name__ == "__main__":
    sys.exit(main())
