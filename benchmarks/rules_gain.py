"""What fitted decision rules gain on rows that nothing was fitted on, beside the flat 0.5, each with its interval.

    python benchmarks/rules_gain.py [--data ../shared/data] [--sets scene ucm postcards] [--keep FOLDER] [--record]

Networks are trained on one part, stopped by a second, on which the rules are then fitted as tagfit fits them on val,
and looked at on a third:

scene      `dense-regularised`; five folds, dealt four times; a quarter of what is left of each fold is val
ucm        `cnn-mirrored` on pictures of 64 x 64, split 60/20/20 five ways, whole blocks of neighbours in one part
postcards  the embedded set, of which most pictures with any of 8 labels are dropped; `cnn` on 2,800, val 600, and all
           the others unseen; three seeds

The differences are paired; intervals are of a bootstrap over unseen rows, each row with all networks that have not
seen it. --keep keeps the networks' probabilities, and takes them where they are kept already.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tagfit
from tagfit.curing.ladder import ladder
from tagfit.data.dataset import build
from tagfit.data.groups import BLOCKS
from tagfit.data.lock import lock
from tagfit.data.postcards.album import draw
from tagfit.data.postcards.materials import LABELS
from tagfit.data.sources.postcards import read_postcards
from tagfit.data.split import split as deal
from tagfit.recipes import RECIPES, Recipe
from tagfit.records import PARTS, Dataset, Split, Target
from tagfit.scoring.crossfitting import folds
from tagfit.workflow import read_dataset

#: the postcards' labels that stay common; the others are made rare
COMMON = ("people", "sea", "forest", "mountain")
#: of the postcards with a rare label, the share that stays
KEPT = 0.01
#: how many are drawn, and how many at a time
DRAWN, BLOCK = 98_304, 2048


@dataclass(frozen=True, eq=False)
class Network:
    """The labels (n, L) and probabilities (n, L) of val and of the unseen rows; the labels of train; who was unseen."""

    train_NL: NDArray[np.int8]
    val_NL: NDArray[np.int8]
    val_p_NL: NDArray[np.float32]
    unseen_NL: NDArray[np.int8]
    unseen_p_NL: NDArray[np.float32]
    unseen: NDArray[np.intp]


def trained(dataset: Dataset, parts: NDArray[np.int8], recipe: Recipe, seed: int) -> Network:
    tagger = tagfit.fit(lock(dataset, Split(parts)), recipe=recipe, seed=seed).tagger
    train, val, unseen = (np.flatnonzero(parts == PARTS.index(part)) for part in ("train", "val", "test"))
    labels_NL = dataset.labels_NL
    p_val, p_unseen = (tagger.predict_array(dataset.x[rows]).scores for rows in (val, unseen))
    return Network(labels_NL[train], labels_NL[val], p_val, labels_NL[unseen], p_unseen, unseen)


def scene(data: Path) -> list[Network]:
    dataset = read_dataset(data / "scene")
    networks = []
    for deal_number in range(4):
        fold_N = folds(len(dataset), seed=deal_number)
        for fold in range(5):
            parts = np.full(len(dataset), PARTS.index("train"), dtype=np.int8)
            rest = np.random.default_rng((deal_number, fold)).permutation(np.flatnonzero(fold_N != fold))
            parts[rest[: len(rest) // 4]] = PARTS.index("val")
            parts[fold_N == fold] = PARTS.index("test")
            networks.append(trained(dataset, parts, RECIPES["dense-regularised"], deal_number))
    return networks


def ucm(data: Path) -> list[Network]:
    dataset = replace(read_dataset(data / "ucm"), given_split=None)
    recipe = next(rung for rung in ladder(dataset.preprocessing, Target()) if rung.name == "cnn-mirrored")
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    dealt = [deal(dataset, shares=shares, seed=seed, groups=BLOCKS).parts for seed in range(5)]
    return [trained(dataset, parts, recipe, seed) for seed, parts in enumerate(dealt)]


def postcards(data: Path) -> list[Network]:
    table = read_postcards("postcards:1")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(made_rare, range(0, DRAWN, BLOCK)))
    x, labels_NL = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    names = tuple(f"postcard {number}" for number in range(len(x)))
    dataset = build(replace(table, x=x, labels_NL=labels_NL, sample_names=names))
    recipe = next(rung for rung in ladder(dataset.preprocessing, Target()) if rung.name == "cnn")
    networks = []
    for seed in range(3):
        parts = np.full(len(dataset), PARTS.index("test"), dtype=np.int8)
        order = np.random.default_rng(seed).permutation(len(dataset))
        parts[order[:2800]], parts[order[2800:3400]] = PARTS.index("train"), PARTS.index("val")
        networks.append(trained(dataset, parts, recipe, seed))
    return networks


def made_rare(start: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """What stays of one block of postcards."""
    x, labels_NL = draw(start, start + BLOCK)
    rare_L = [label not in COMMON for label in LABELS]
    kept_N = (labels_NL[:, rare_L] == 0).all(axis=1) | (np.random.default_rng(start).random(len(x)) < KEPT)
    return x[kept_N], labels_NL[kept_N]


SETS: dict[str, Callable[[Path], list[Network]]] = {"scene": scene, "ucm": ucm, "postcards": postcards}


def networks_of(name: str, data: Path, keep: Path | None) -> list[Network]:
    kept = None if keep is None else keep / f"{name}.npz"
    fields = tuple(Network.__dataclass_fields__)
    if kept is not None and kept.exists():
        with np.load(kept) as arrays:
            count = len(arrays.files) // len(fields)
            return [Network(*(arrays[f"{field}_{number}"] for field in fields)) for number in range(count)]
    networks = SETS[name](data)
    if kept is not None:
        arrays = {f"{field}_{n}": getattr(network, field) for n, network in enumerate(networks) for field in fields}
        np.savez(kept, **arrays)
    return networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    for name in given.sets:
        networks = networks_of(name, given.data, given.keep)
        for n in networks:
            print(name, n.train_NL.shape, n.val_NL.shape, n.unseen_NL.shape, n.val_NL.mean(0).round(3))


if __name__ == "__main__":
    main()
