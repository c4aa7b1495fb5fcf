"""How time and memory grow with the number of samples: each size in a process of its own, with an empty cache.

    python benchmarks/scale.py [--rows 1000 10000 100000 1000000] [--postcards 1000 10000 50000 200000] [--record]

    rows         20 numbers and 5 labels each, arrays in memory
    postcards    the embedded set, 32 x 32, drawn into the cache

    load         read or drawn, near-copies looked for, dealt and locked
    epoch        one epoch of `dense-regularised`, the mean of three
    appraise     what `fit` takes beside its epochs: scores with intervals, calibration, findings
    predict      of all samples
    peak         resident memory of the process at its highest, and what it was before; a small fit went first

The exponent is the slope of log(time) over log(samples), least squares over the sizes whose time is above 0.05 s: 1 is
linear.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

RECORDS = Path(__file__).resolve().parent / "records"
STEPS = ("load", "epoch", "appraise", "predict")
EPOCHS = 3
SHORTEST = 0.05


def measured(kind: str, count: int) -> dict[str, float]:
    """Seconds of each step, and MB; in this process."""
    import tagfit
    from tagfit.recipes import DenseModel, Recipe, Training

    recipe = Recipe(
        name="short",
        model=DenseModel(widths=(64, 32), batch_norm=True, dropout=(0.4, 0.3)),
        training=Training(epochs=EPOCHS, patience=0, batch_size=256),
    )

    def samples(count: int) -> tuple:
        if kind == "postcards":
            return (f"postcards:{count}",)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(count, 20)).astype(np.float32)
        return x, (x[:, :5] + rng.normal(size=(count, 5)) > 0.5).astype(np.int8)

    size = 32 if kind == "postcards" else None
    tagfit.fit(tagfit.load(*samples(300), size=size), recipe=recipe)  # what is imported and compiled once
    given = samples(count)
    before, began = peak(), time.perf_counter()
    data = tagfit.load(*given, size=size)
    loaded = time.perf_counter()
    result = tagfit.fit(data, recipe=recipe)
    fitted = time.perf_counter()
    result.tagger.predict_array(data.dataset.x)
    ended = time.perf_counter()
    training = sum(row["seconds"] for row in result.record.after.history)
    return {
        "load": loaded - began,
        "epoch": training / EPOCHS,
        "appraise": fitted - loaded - training,
        "predict": ended - fitted,
        "peak": peak(),
        "before": before,
    }


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def in_a_process(kind: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--one", kind, str(count)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, env={**os.environ, "TAGFIT_CACHE": cache}, text=True
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def exponent(counts: list[int], seconds: list[float]) -> str:
    kept = [(n, s) for n, s in zip(counts, seconds, strict=True) if s > SHORTEST]
    if len(kept) < 2:
        return "-"
    slope, _ = np.polyfit(*np.log(np.array(kept)).T, 1)
    return f"{slope:.2f}"


def table(kind: str, counts: list[int]) -> str:
    lines = [f"{kind:<12}" + "".join(f"{name + ', s':>13}" for name in STEPS) + f"{'peak, MB':>12}{'before':>9}"]
    found = []
    for count in counts:
        one = in_a_process(kind, count)
        found.append(one)
        cells = "".join(f"{one[name]:13.2f}" for name in STEPS)
        lines.append(f"{count:<12,}{cells}{one['peak']:12,.0f}{one['before']:9,.0f}")
        print(lines[-1], file=sys.stderr, flush=True)
    slopes = "".join(f"{exponent(counts, [one[name] for one in found]):>13}" for name in STEPS)
    return "\n".join([*lines, f"{'exponent':<12}{slopes}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--postcards", type=int, nargs="*", default=[1_000, 10_000, 50_000, 200_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one[0], int(given.one[1]))))
        return
    tables = [table(kind, counts) for kind, counts in (("rows", given.rows), ("postcards", given.postcards)) if counts]
    text = "\n\n".join(tables)
    print(text)
    if given.record:
        import tagfit

        head = (
            f"{date.today()}  python {' '.join(map(shlex.quote, sys.argv))}\n"
            f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
            f"tagfit {tagfit.__version__}; load {os.getloadavg()[0]:.1f} at the end\n\n"
        )
        with (RECORDS / f"{date.today()}-scale.txt").open("a") as record:
            record.write(head + text + "\n\n")


if __name__ == "__main__":
    main()
