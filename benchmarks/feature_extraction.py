"""Features of image files by a pretrained backbone: tagfit beside transformers' own pipeline, in one run.

    python benchmarks/feature_extraction.py ../shared/backbones/efficientnet-lite0-in1k ../shared/data/ucm/images

Each measurement is a process of its own, from the first image to the last feature; the network is loaded before.
tagfit starts with an empty cache. `decode` is tagfit's decoding alone, `network` its network alone on images
that are decoded already, so that what overlapping the two saves can be read off.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import torch
import transformers

import tagfit

TAGFIT = """
import json, sys, time
from contextlib import closing
import numpy as np, torch
from tagfit.models.backbones import load_backbone
from tagfit.images.known_features import KnownFeatures
from tagfit.images.store import open_images
from tagfit.training.features import Extractor
what, folder, files = sys.argv[1], sys.argv[2], json.loads(sys.stdin.read())
from pathlib import Path
files = [Path(file) for file in files]
pretrained = load_backbone(folder)
form = pretrained.backbone.form
extractor = Extractor(pretrained, torch.device("cpu"))
if what == "decode":
    began = time.perf_counter()
    open_images(files, form)
elif what == "network":
    x = open_images(files, form).x
    began = time.perf_counter()
    extractor.features(np.asarray(x))
else:
    began = time.perf_counter()
    with closing(KnownFeatures(pretrained.fingerprint, pretrained.backbone.features)) as known:
        with extractor.looking(known) as looking:
            images = open_images(files, form, on_pixels=looking.at)
            features = looking.features(images.x, [row.tobytes() for row in images.hashes])
    np.save(sys.argv[3], features)
print(json.dumps(time.perf_counter() - began))
"""

PIPELINE = """
import json, sys, time
import numpy as np
from transformers import pipeline
from transformers.utils import logging
logging.set_verbosity_error()
logging.disable_progress_bar()
batch, folder, files = int(sys.argv[1]), sys.argv[2], json.loads(sys.stdin.read())
run = pipeline("image-feature-extraction", model=folder, image_processor=folder, pool=True, batch_size=batch)
began = time.perf_counter()
features = run(files)
print(json.dumps(time.perf_counter() - began))
np.save(sys.argv[3], np.array(features, dtype=np.float32).reshape(len(files), -1))
"""


def measured(code: str, what: str, arguments: argparse.Namespace, files: list[str], folder: Path) -> float:
    """Seconds of one run."""
    cache = tempfile.mkdtemp(dir=folder)
    done = subprocess.run(
        [sys.executable, "-c", code, what, arguments.backbone, str(folder / f"{what}.npy")],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        env={**os.environ, "TAGFIT_CACHE": cache, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("backbone")
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    files = [str(file.resolve()) for file in sorted(arguments.images.rglob("*.jpg"))][: arguments.count]

    print(f"{date.today()} · {' '.join(map(shlex.quote, sys.argv))}")
    print(f"{platform.machine()}, {torch.get_num_threads()} cores, Python {platform.python_version()}", end=", ")
    print(f"tagfit {tagfit.__version__}, torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"{len(files)} images, {arguments.rounds} rounds, one after the other in each\n")
    kinds = {
        "tagfit": (TAGFIT, "all"),
        "  decode alone": (TAGFIT, "decode"),
        "  network alone": (TAGFIT, "network"),
        "pipeline, one at a time": (PIPELINE, "1"),
        "pipeline, batches of 8": (PIPELINE, "8"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for name, (code, what) in kinds.items():
                seconds[name].append(measured(code, what, arguments, files, Path(folder)))
        apart = _apart(Path(folder))
    rates = {name: len(files) / statistics.median(taken) for name, taken in seconds.items()}
    print(f"{'images/s':26}  median     worst      best")
    for name, taken in seconds.items():
        print(f"{name:26}{rates[name]:8.1f}  {len(files) / max(taken):8.1f}  {len(files) / min(taken):8.1f}")
    best = max(rate for name, rate in rates.items() if name.startswith("pipeline"))
    pipelines = [taken for name, taken in seconds.items() if name.startswith("pipeline")]
    ratios = [min(theirs) / ours for ours, *theirs in zip(seconds["tagfit"], *pipelines, strict=True)]
    by_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"\ntagfit to the faster pipeline: {rates['tagfit'] / best:.2f} (by round: {by_round})")
    print(f"features differ by at most {apart:.1e} of the largest (a draft of large JPEGs is shrunk here)")


def _apart(folder: Path) -> float:
    import numpy as np

    from tagfit.training.features import evened

    ours, theirs = np.load(folder / "all.npy"), evened(np.load(folder / "1.npy"))
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


if __name__ == "__main__":
    main()
