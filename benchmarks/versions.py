"""The same commands by this version and by another one, in turn: is anything slower than before?

    git worktree add ../before COMMIT
    python benchmarks/versions.py ../before/src [--rounds 3] [--record]

    start     `import tagfit`, and `tagfit --help`
    fit       `fit` of the embedded set by a dense network: the compiled engine, scores, intervals, report
    predict   500 images by that run's bundle, from files to a CSV
    inspect   the embedded set

Both run in this Python, as processes of their own that take tagfit from their folder; caches are filled first. Every
number is the least of the rounds, as other work on the machine only adds to it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
COMMANDS = {
    "import": ["-c", "import tagfit"],
    "--help": ["-m", "tagfit", "--help"],
    "inspect": ["-m", "tagfit", "inspect", "postcards:1200"],
    "fit": ["-m", "tagfit", "fit", "postcards:1200", "--recipe", "dense-baseline", "-o", "OUT"],
    "predict": ["-m", "tagfit", "predict", "RUN", "images", "-o", "OUT.csv"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="the other version's src folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write the result to benchmarks/records/")
    options = parser.parse_args()
    sources = {"before": options.before.resolve(), "now": HERE.parent / "src"}
    with tempfile.TemporaryDirectory() as folder:
        seconds = measured(Path(folder), sources, options.rounds)
    lines = [f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {date.today()}"]
    lines.append(f"{'':8}  {'before':>8}  {'now':>8}  now / before")
    for name in COMMANDS:
        before, now = (min(seconds[side, name]) for side in sources)
        lines.append(f"{name:8}  {before:7.3f}s  {now:7.3f}s  {now / before:.2f}")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.record:
        (HERE / "records" / f"{date.today()}-versions.txt").write_text(text, encoding="utf-8")


def measured(folder: Path, sources: dict[str, Path], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds by side and command, one a round; the first, which fills caches, is not counted."""
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(500):
        Image.fromarray(rng.integers(0, 255, (320, 240, 3), dtype=np.uint8)).save(folder / "images" / f"{number}.jpg")
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for name, words in COMMANDS.items():
            for side, source in sources.items():
                taken = _run(folder, side, source, name, number, words)
                if number:
                    found.setdefault((side, name), []).append(taken)
    return found


def _run(folder: Path, side: str, source: Path, name: str, number: int, words: list[str]) -> float:
    places = {"OUT": f"{side}-{name}-{number}", "OUT.csv": f"{side}-{number}.csv", "RUN": f"{side}-fit-{number}"}
    env = {**os.environ, "PYTHONPATH": str(source), "TAGFIT_CACHE": str(folder / f"cache-{side}")}
    command = [sys.executable, *(places.get(word, word) for word in words)]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
