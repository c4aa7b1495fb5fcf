"""Small data that tests make for themselves."""

import os

import numpy as np
from PIL import Image

from tagfit.data.dataset import build
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.records import NO, LabelTable

#: `make prove` asks for the long form of the tests that have one
PROVE = bool(os.environ.get("TAGFIT_PROVE"))


def feature_table(samples=120, features=8, labels=3, seed=0, **changes):
    """Rows whose labels are noisy linear functions of their features."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, features)).astype(np.float32)
    weights = rng.normal(size=(features, labels))
    labels_NL = (x @ weights + rng.normal(scale=0.5, size=(samples, labels)) > 0).astype(np.int8)
    values = {
        "name": "rows",
        "label_names": tuple(f"label_{number}" for number in range(labels)),
        "labels_NL": labels_NL,
        "sample_names": tuple(f"row {number}" for number in range(1, samples + 1)),
        "x": x,
        "absent_label": NO,
    }
    return LabelTable(**{**values, **changes})


def picture_table(samples=40, side=16, seed=0, **changes):
    """Pictures in memory, noisy red and green ones, mixed."""
    rng = np.random.default_rng(seed)
    labels_NL = rng.integers(0, 2, size=(samples, 2), dtype=np.int8)
    x = rng.integers(0, 60, size=(samples, side, side, 3), dtype=np.uint8)
    x[..., :2] += (labels_NL.astype(np.uint8) * 190)[:, None, None, :]
    values = {
        "name": "squares",
        "label_names": ("red", "green"),
        "labels_NL": labels_NL,
        "sample_names": tuple(f"row {number}" for number in range(1, samples + 1)),
        "x": x,
        "absent_label": NO,
    }
    return LabelTable(**{**values, **changes})


def locked(table):
    dataset = build(table)
    return lock(dataset, split(dataset))


def picture_folder(folder, samples=40, size=20):
    """A folder of PNG pictures, red ones and green ones, with a labels.csv."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["image,labels"]
    for number in range(samples):
        red, green = number % 2, (number // 2) % 2
        pixels = rng.integers(0, 60, size=(size, size, 3), dtype=np.uint8)
        pixels[..., 0] += np.uint8(190 * red)
        pixels[..., 1] += np.uint8(190 * green)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        names = [name for name, there in (("red", red), ("green", green)) if there]
        lines.append(f"images/{number}.png,{';'.join(names)}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
