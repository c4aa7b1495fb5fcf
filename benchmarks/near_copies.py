"""What of changed copies is found among real images, what else is, and how long it takes.

    .venv/bin/python benchmarks/near_copies.py ../shared/data/ucm ../shared/data/miml

A fifth of each folder's images is copied, each copy changed in one way, decoded to 64 x 64 and put beside all the
originals. Recall: copies that are in one group with their original. Others: groups that hold two originals, which the
folder's own near-copies are too; the folder alone, and the embedded postcards, say how many those are. Then random
blends of the same images, one in fifty a near-copy of another: seconds, and memory of the process beside the pixels.
"""

import argparse
import hashlib
import io
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tagfit.data.dataset import build
from tagfit.data.sources.postcards import read_postcards
from tagfit.data.sources.read import read
from tagfit.images.decode import shrink
from tagfit.images.near_copies import near_copies
from tagfit.records.form import ImageForm


def cropped(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    margin_x, margin_y = width * share / 2, height * share / 2
    return image.crop((int(margin_x), int(margin_y), int(width - margin_x), int(height - margin_y)))


CHANGES = {
    "quality 60": (lambda image: image, 60),
    "quality 30": (lambda image: image, 30),
    "half the size": (lambda image: image.resize((image.width // 2, image.height // 2)), 90),
    "12% brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.12), 90),
    "15% less contrast": (lambda image: ImageEnhance.Contrast(image).enhance(0.85), 90),
    "mirrored": (ImageOps.mirror, 90),
    "cropped by 3%": (lambda image: cropped(image, 0.03), 90),
    "cropped by 6%": (lambda image: cropped(image, 0.06), 90),
    "cropped by 10%": (lambda image: cropped(image, 0.10), 90),
}


def changed(file: Path, how: str) -> np.ndarray:
    change, quality = CHANGES[how]
    encoded = io.BytesIO()
    change(Image.open(file).convert("RGB")).save(encoded, "JPEG", quality=quality)
    return np.asarray(shrink(encoded.getvalue(), ImageForm(64))[0])


def groups_of(x: np.ndarray) -> list[list[int]]:
    hashes = np.stack([np.frombuffer(hashlib.sha256(row.tobytes()).digest(), dtype=np.uint8) for row in x])
    return [rows.tolist() for rows in near_copies(x, hashes)]


def measure(folder: Path) -> np.ndarray:
    table = read(folder)
    x = build(table).x
    alone = groups_of(x)
    print(f"\n{folder.name}: {len(x)} images; alone {len(alone)} groups, sizes {[len(rows) for rows in alone]}")
    originals = np.random.default_rng(0).choice(len(x), size=len(x) // 5, replace=False)
    print(f"{'':20} {'recall':>8} {'others':>8}")
    for how in CHANGES:
        copies = np.stack([changed(table.files[row], how) for row in originals])
        group = np.full(len(x) + len(copies), -1)
        groups = groups_of(np.concatenate([x, copies]))
        for number, rows in enumerate(groups):
            group[rows] = number
        hit = (group[len(x) :] >= 0) & (group[len(x) :] == group[originals])
        others = sum(sum(row < len(x) for row in rows) > 1 for rows in groups)
        print(f"{how:20} {hit.mean():8.3f} {others:8}")
    return x


def scale(base: np.ndarray, count: int) -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        x = np.lib.format.open_memmap(Path(folder) / "x.npy", "w+", np.uint8, (count, 64, 64, 3))
        for row in range(count):
            first, second = base[rng.integers(len(base), size=2)]
            share = rng.uniform(0.3, 0.7)
            x[row] = np.roll(first[:, ::-1] * share + second[::-1] * (1 - share), rng.integers(64, size=2), (0, 1))
        pairs = rng.choice(count, size=(count // 50, 2), replace=False)
        for original, copy in pairs:
            x[copy] = np.clip(x[original] * 1.1 + rng.normal(scale=2, size=x.shape[1:]), 0, 255)
        hashes = rng.integers(0, 256, size=(count, 32), dtype=np.uint8)
        began, used = time.perf_counter(), anonymous()
        groups = near_copies(x, hashes)
        seconds = time.perf_counter() - began
        group = np.full(count, -1)
        for number, rows in enumerate(groups):
            group[rows] = number
        recall = ((group[pairs[:, 0]] >= 0) & (group[pairs[:, 0]] == group[pairs[:, 1]])).mean()
        print(
            f"{count:9,} blends: {seconds:6.1f} s, recall {recall:.3f}, {len(groups)} groups for {len(pairs)} pairs, "
        )
        print(f"{'':18}largest {max(map(len, groups))}, {(anonymous() - used) / 1e6:,.0f} MB more at its end")


def anonymous() -> int:
    """Bytes of memory that no file backs; the peak of everything where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--counts", nargs="*", type=int, default=[10_000, 40_000])
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}")
    base = np.concatenate([measure(folder) for folder in given.folders])
    postcards = read_postcards("postcards:2400").x
    print(f"\npostcards: {len(postcards)} images; {len(groups_of(postcards))} groups\n")
    for count in given.counts:
        scale(base, count)


if __name__ == "__main__":
    main()
