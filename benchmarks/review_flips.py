"""Turn 5% of the labels over, and correct the first 200 that `tagfit review` asks about: how many of those were wrong,
and how good is a model that is trained again?

    python benchmarks/review_flips.py DATA BACKBONE [--cells 200] [--seeds 5] [--record]

Labels are turned over at random in all parts. Answers come from the true labels: a label that was turned is set right,
any other is confirmed. Models are trained on train, as `suggest` trains them, and scored on the true labels of val by
mean average precision.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import tagfit
from tagfit.data.corrections import corrected, read_corrections
from tagfit.labels.review import Decision, Filter, Review
from tagfit.labels.scoring import scored
from tagfit.metrics.scores import score
from tagfit.recipes import find_recipe
from tagfit.records.data import UNKNOWN
from tagfit.records.runs import Fitting
from tagfit.training.quick import fit_all

SHARE, NETWORKS = 0.05, 3


def asked(review, cells):
    """Row and label of the first cells that the page asks about, in its order."""
    found = []
    while len(found) < cells:
        before = len(found)
        cards = review.page("wrong", Filter(), 0, cells).cards
        found += [(card.row, label) for card in cards for label in card.asked]
        if len(found) == before or len(cards) < cells:
            break
    return found[:cells]


def trained(data, labels_NL, seed):
    """mAP on the true labels of val of networks that were trained on `labels_NL` of train."""
    train, val = data.split.rows("train"), data.split.rows("val")
    fittings = []
    for number in range(NETWORKS):
        order = np.random.default_rng(seed + number).permutation(train)
        held = len(order) // 6
        fittings.append(Fitting(labels_NL, order[held:], val, seed + number, stop=order[:held]))
    p = np.mean(fit_all(fittings, np.asarray(data.dataset.x, np.float32), find_recipe("dense-regularised")), axis=0)
    return score(data.dataset.labels_NL[val], p).map


def once(data, cells, seed, folder):
    """How many of the cells that were asked about had been turned, and mAP: clean, turned over, corrected."""
    truth_NL = data.dataset.labels_NL
    turned_NL = (truth_NL != UNKNOWN) & (np.random.default_rng(seed).random(truth_NL.shape) < SHARE)
    wrong = replace(data.dataset, labels_NL=np.where(turned_NL, 1 - truth_NL, truth_NL).astype(np.int8))
    path = folder / f"{seed}.jsonl"
    review = Review(scored(wrong, None, seed), path)
    first = asked(review, cells)
    review.decide("benchmark", [Decision(row, {label: int(truth_NL[row, label])}) for row, label in first])
    right = corrected(wrong, read_corrections(path))
    flips = sum(bool(turned_NL[cell]) for cell in first)
    maps = [trained(data, labels_NL, 100 * seed) for labels_NL in (truth_NL, wrong.labels_NL, right.labels_NL)]
    return flips, int(turned_NL.sum()), *maps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("backbone")
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    data = tagfit.load(given.data, backbone=given.backbone)
    head = f"{Path(given.data).name}, features of {Path(given.backbone).name}, {len(data.dataset)} samples"
    lines = [f"{head}, {SHARE:.0%} of the labels turned over"]
    with TemporaryDirectory() as folder:
        found = np.array([once(data, given.cells, seed, Path(folder)) for seed in range(given.seeds)])
    for seed, (flips, all_turned, clean, wrong, right) in enumerate(found):
        lines.append(
            f"  seed {seed}: {flips:.0f} of the first {given.cells} cells were turned ({all_turned:.0f} in all); mAP "
            f"on the true val: clean {clean:.3f}, turned {wrong:.3f}, corrected {right:.3f}"
        )
    mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
    lines.append(
        f"  mean: {mean[0]:.0f} of {given.cells}; clean {mean[2]:.4f}, turned {mean[3]:.4f}, corrected {mean[4]:.4f} "
        f"(deviations {spread[2]:.4f}, {spread[3]:.4f}, {spread[4]:.4f}); clean - corrected {mean[2] - mean[4]:+.4f}"
    )
    text = "\n".join(lines)
    print(text)
    if given.record:
        record = (
            Path(__file__).parent
            / "records"
            / f"{date.today()}-review-flips-{Path(given.data).name}-{Path(given.backbone).name}.txt"
        )
        record.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
