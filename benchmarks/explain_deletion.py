"""Whether what `Tagger.explain` points at is what a model looks at: the hottest tenth of an image is deleted.

    python benchmarks/explain_deletion.py RUN DATA [--images 100] [--record]

Of the first images of DATA's val part, and of each label that RUN's model gives: how much the label's score falls
when the hottest tenth of the pixels is painted over with the image's mean colour, and when a square of a tenth of
the pixels at a random place is (mean of 5 places). A map that points at nothing would do as well as a random place.
(The deletion game of Petsiuk et al., "RISE", BMVC 2018, at one point of its curve.)
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch

import tagfit

RECORDS = Path(__file__).resolve().parent / "records"
SHARE, PLACES = 0.1, 5


def painted(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The image with its mean colour at `where`."""
    changed = image.copy()
    changed[where] = image.mean((0, 1)).round()
    return changed


def squares(size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Masks of squares of a tenth of the pixels."""
    side = round((SHARE * size * size) ** 0.5)
    masks = []
    for _ in range(PLACES):
        mask = np.zeros((size, size), bool)
        top, left = rng.integers(0, size - side + 1, 2)
        mask[top : top + side, left : left + side] = True
        masks.append(mask)
    return masks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    tagger, rng = tagfit.Tagger.load(given.run), np.random.default_rng(0)
    data = tagfit.load(given.data, like=tagger)
    seen = data.dataset.x if data.dataset.pixels is None else data.dataset.pixels
    drops, seconds, method = [], 0.0, ""
    for row in data.split.rows("val")[: given.images]:
        image = np.array(seen[row])
        began = time.perf_counter()
        explanation = tagger.explain(image)
        seconds += time.perf_counter() - began
        method = explanation.method
        for label, score, heat in zip(explanation.label_names, explanation.scores, explanation.heat, strict=True):
            hottest = heat > np.quantile(heat, 1 - SHARE)
            changed = [painted(image, where) for where in (hottest, *squares(len(image), rng))]
            scores = tagger.predict(np.stack(changed)).scores[:, tagger.label_names.index(label)]
            drops.append((score - scores[0], score - scores[1:].mean()))
    hot, random = np.array(drops).T
    spread = (hot - random).std(ddof=1) / len(drops) ** 0.5
    text = (
        f"{method}, {data.dataset.name}: {len(drops)} labels of {given.images} images, "
        f"{seconds / given.images:.2f} s an image\n"
        f"the score falls by {hot.mean():.3f} without the hottest tenth, "
        f"by {random.mean():.3f} without a random square: {hot.mean() / random.mean():.1f} times; "
        f"more by {(hot - random).mean():.3f} (standard error {spread:.3f})"
    )
    print(text)
    if given.record:
        head = (
            f"{date.today()}  python {' '.join(map(shlex.quote, sys.argv))}\n"
            f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
            f"tagfit {tagfit.__version__}, torch {torch.__version__}\n\n"
        )
        with (RECORDS / f"{date.today()}-explain-deletion.txt").open("a") as record:
            record.write(head + text + "\n\n")


if __name__ == "__main__":
    main()
