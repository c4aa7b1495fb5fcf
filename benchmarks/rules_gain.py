"""What fitted decision rules gain on rows that nothing was fitted on, beside the flat 0.5, each with its interval.

    python benchmarks/rules_gain.py [--data ../shared/data] [--sets scene ucm postcards] [--keep FOLDER] [--record]

Networks are trained on one part, stopped by a second, on which the rules are then fitted as tagfit fits them on val,
and looked at on a third:

scene      `dense-regularised`; five folds, dealt four times; a quarter of what is left of each fold is val
ucm        `cnn-mirrored` on images of 64 x 64, split 60/20/20 five ways, whole blocks of neighbours in one part
postcards  the embedded set, of which most images with any of 8 labels are dropped; `cnn` on 2,800, val 600, and all
           the others unseen; three seeds

The differences are paired; intervals are of a bootstrap over unseen rows (over blocks of neighbours in ucm), each with
all networks that have not seen it. --keep keeps the networks' probabilities, and takes them where they are kept.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tagfit
from tagfit.api import read_dataset
from tagfit.data.dataset import build
from tagfit.data.groups import BLOCKS, group, likeness
from tagfit.data.lock import lock
from tagfit.data.postcards.album import draw
from tagfit.data.postcards.materials import LABELS
from tagfit.data.sources.postcards import read_postcards
from tagfit.data.split import split as deal
from tagfit.decisions.crossfitting import folds
from tagfit.decisions.rule_fitting import fit_rule
from tagfit.decisions.rules import METRIC_OBJECTIVES, Objective, Rule
from tagfit.metrics.scores import ROW_FORMULAS, DecisionCounts, f1
from tagfit.recipes import RECIPES, Recipe
from tagfit.records.data import PARTS, YES, Dataset, Split
from tagfit.records.scores import Target
from tagfit.search.candidates import ladder

HERE = Path(__file__).resolve().parent
RESAMPLES, RAREST = 1000, 5

#: the postcards' labels that stay common; the others are made rare
COMMON = ("people", "sea", "forest", "mountain")
#: of the postcards with a rare label, the share that stays
KEPT = 0.01
#: how many are drawn, and how many at a time
DRAWN, BLOCK = 98_304, 2048


@dataclass(frozen=True, eq=False)
class Network:
    """Labels (n, L) of train; labels, probabilities and groups (n,) of val and of the unseen rows."""

    train_NL: NDArray[np.int8]
    val_NL: NDArray[np.int8]
    val_p_NL: NDArray[np.float32]
    val_group: NDArray[np.intp]
    unseen_NL: NDArray[np.int8]
    unseen_p_NL: NDArray[np.float32]
    unseen_group: NDArray[np.intp]


def trained(
    dataset: Dataset, parts: NDArray[np.int8], recipe: Recipe, seed: int, group_N: NDArray[np.intp] | None = None
) -> Network:
    tagger = tagfit.fit(lock(dataset, Split(parts)), recipe=recipe, seed=seed).tagger
    train, val, unseen = (np.flatnonzero(parts == PARTS.index(part)) for part in ("train", "val", "test"))
    group_N = np.arange(len(dataset)) if group_N is None else group_N

    def of(rows: NDArray[np.intp]) -> tuple[NDArray[Any], ...]:
        return dataset.labels_NL[rows], tagger.predict_array(dataset.x[rows]).scores, group_N[rows]

    return Network(dataset.labels_NL[train], *of(val), *of(unseen))


def scene(data: Path, deals: int = 4) -> list[Network]:
    dataset = read_dataset(data / "scene")
    networks = []
    for deal_number in range(deals):
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
    recipe = next(
        candidate for candidate in ladder(dataset.preprocessing, Target()) if candidate.name == "cnn-mirrored"
    )
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    dealt = [deal(dataset, shares=shares, seed=seed, groups=BLOCKS).parts for seed in range(5)]
    group_N = group(dataset, BLOCKS, likeness(dataset)).of
    return [trained(dataset, parts, recipe, seed, group_N) for seed, parts in enumerate(dealt)]


def postcards(data: Path | None = None) -> list[Network]:
    table = read_postcards("postcards:1")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(made_rare, range(0, DRAWN, BLOCK)))
    x, labels_NL = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    names = tuple(f"postcard {number}" for number in range(len(x)))
    dataset = build(replace(table, x=x, labels_NL=labels_NL, sample_names=names))
    recipe = next(candidate for candidate in ladder(dataset.preprocessing, Target()) if candidate.name == "cnn")
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


# ----------------------------------------------------------------------------------------------- gains


def bootstrap(
    metric: str, networks: list[Network], decided: list[NDArray[np.bool_]], labels: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    """(1 + RESAMPLES,) the mean of a metric over the networks: as it is, then of resampled groups, the same each time.

    Args:
        decided: of each network's unseen rows.
        labels: the labels that count in macro-F1; None: all.
    """
    groups = np.unique(np.concatenate([network.unseen_group for network in networks]))
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=RESAMPLES)
    weight_BG = np.concatenate([np.ones((1, len(groups)), dtype=np.int64), drawn])
    values = []
    for network, decided_NL in zip(networks, decided, strict=True):
        weight_BN = weight_BG[:, np.searchsorted(groups, network.unseen_group)].astype(np.float64)
        yes_NL = network.unseen_NL == YES
        masks = [yes_NL & decided_NL, decided_NL, yes_NL, np.ones_like(yes_NL)]
        if metric in ROW_FORMULAS:
            worth_N = ROW_FORMULAS[metric](DecisionCounts(*(mask.sum(axis=1) for mask in masks)))
            values.append(weight_BN @ worth_N / weight_BN.sum(axis=1))
            continue
        counts = [weight_BN @ mask for mask in masks]
        if metric == "micro_f1":
            values.append(f1(DecisionCounts(*(count.sum(axis=1) for count in counts))))
        else:
            chosen = slice(None) if labels is None else labels
            counts = [count[:, chosen] for count in counts]
            judged = counts[2] > 0
            values.append((f1(DecisionCounts(*counts)) * judged).sum(axis=1) / judged.sum(axis=1))
    mean: NDArray[np.float64] = np.mean(values, axis=0)
    return mean


def gain(metric: str, networks: list[Network], rules: list[Rule], rarest: int | None = None) -> dict[str, float]:
    """Flat, decided, and their difference with its 95% interval, of rows that nothing was fitted on."""
    labels = None if rarest is None else np.argsort(networks[0].train_NL.mean(axis=0), kind="stable")[:rarest]
    flat, decided = (
        bootstrap(metric, networks, [rule.decide(network.unseen_p_NL) for network, rule in pairs], labels)
        for pairs in (
            [(network, Rule.flat(network.train_NL.shape[1])) for network in networks],
            list(zip(networks, rules, strict=True)),
        )
    )
    low, high = np.quantile((decided - flat)[1:], [0.025, 0.975])
    return {"flat": flat[0], "decided": decided[0], "gain": decided[0] - flat[0], "low": low, "high": high}


def fitted(metric: str, network: Network) -> Rule:
    return fit_rule(
        Objective.parse(metric), network.val_NL, network.val_p_NL, seen_NL=network.train_NL, groups=network.val_group
    )


def report(name: str, networks: list[Network]) -> Iterator[str]:
    rare = [int((network.val_NL.sum(axis=0)).min()) for network in networks]
    yield (
        f"{name}: {len(networks)} networks, trained on {len(networks[0].train_NL):,}, rules fitted on "
        f"{len(networks[0].val_NL):,}, about {len(networks[0].unseen_NL):,} unseen; "
        f"the rarest label has {min(rare)} to {max(rare)} yes to fit on"
    )
    yield f"  {'':28} {'at 0.5':>7} {'decided':>8}   gain   95% interval"
    for metric in METRIC_OBJECTIVES:
        rules = [fitted(metric, network) for network in networks]
        for rarest in (None, RAREST) if metric == "macro_f1" else (None,):
            g = gain(metric, networks, rules, rarest)
            what = metric if rarest is None else f"{metric} of the {rarest} rarest"
            values = f"{g['flat']:7.3f} {g['decided']:8.3f} {g['gain']:+7.3f}"
            yield f"  {what:28} {values}   {g['low']:+.3f} to {g['high']:+.3f}"
        names = [str(number) for number in range(networks[0].train_NL.shape[1])]
        yield f"    the first: {rules[0].describe(names)}"
    for text in ("recall>=0.9", "precision>=0.8"):
        reached = [levels(network, fitted(text, network)) for network in networks]
        recall, precision = np.mean(reached, axis=0)
        spread = np.std(reached, axis=0)[0 if text.startswith("recall") else 1]
        yield f"  {text:28} recall {recall:.3f}, precision {precision:.3f}; the asked one varies by {spread:.3f} (sd)"


def levels(network: Network, rule: Rule) -> tuple[float, float]:
    decided, yes = rule.decide(network.unseen_p_NL), network.unseen_NL == YES
    hits = int((decided & yes).sum())
    return hits / int(yes.sum()), hits / max(int(decided.sum()), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--record", action="store_true", help="write benchmarks/records/DATE-rules-gain.txt")
    given = parser.parse_args()
    lines = [f"{date.today()}, {platform.machine()}, tagfit {tagfit.__version__}, NumPy {np.__version__}"]
    print(lines[0])
    for name in given.sets:
        for line in ("", *report(name, networks_of(name, given.data, given.keep))):
            lines.append(line)
            print(line, flush=True)
    if given.record:
        (HERE / "records" / f"{date.today()}-rules-gain.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
