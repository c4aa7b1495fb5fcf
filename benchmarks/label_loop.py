"""Label 50 images at a time, as `tagfit suggest` proposes or at random: how much labelling does a suggestion save?

    python benchmarks/label_loop.py DATA BACKBONE [--seeds 5] [--rounds 8] [--record]

Starts with a tenth of the train part's labels, and answers from the true ones. After each round the network that
`suggest` trains is trained on what is labelled, and scored on val by mean average precision. `copies`: 30% of the
images that may be labelled are near-copies of others (their features with a hundredth of noise).
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np

import tagfit
from tagfit.labels.suggest import Candidates, choose
from tagfit.metrics.scores import score
from tagfit.recipes import find_recipe
from tagfit.records.data import YES
from tagfit.records.runs import Fitting
from tagfit.training.quick import fit_all

NETWORKS = 3


def probabilities(x, labels_NL, known, ask, seed):
    """Of as many networks as `suggest` trains, on the known rows of which a sixth stops them."""
    fittings = []
    for number in range(NETWORKS):
        order = np.random.default_rng(seed + number).permutation(known)
        held = max(1, len(order) // 6)
        fittings.append(Fitting(labels_NL, order[held:], ask, seed + number, stop=order[:held]))
    return np.mean(fit_all(fittings, x, find_recipe("dense-regularised")), axis=0)


def loop(data, strategy, copies, seed, rounds, batch):
    """mAP on val after each round, the start included."""
    rng = np.random.default_rng(seed)
    x, labels_NL = np.asarray(data.dataset.x, dtype=np.float32), data.dataset.labels_NL
    train, val = data.split.rows("train"), data.split.rows("val")
    if copies:
        others = rng.choice(train, int(0.3 * len(train)), replace=False)
        sources = rng.choice(np.setdiff1d(train, others), len(others))
        noise = 0.01 * x.std(axis=0) * rng.normal(size=(len(others), x.shape[1]))
        x, labels_NL = x.copy(), labels_NL.copy()
        x[others], labels_NL[others] = x[sources] + noise, labels_NL[sources]
    known = rng.choice(train, len(train) // 10, replace=False)
    scores = []
    for turn in range(rounds + 1):
        pool = np.setdiff1d(train, known)
        p = probabilities(x, labels_NL, known, np.concatenate([val, pool]), 1000 * seed + turn)
        scores.append(score(labels_NL[val], p[: len(val)]).map)
        if strategy == "random":
            rows = rng.choice(len(pool), min(batch, len(pool)), replace=False)
        else:
            open_NL = np.ones((len(pool), labels_NL.shape[1]), bool)
            positives = (labels_NL[known] == YES).sum(axis=0)
            rows, _ = choose(Candidates(p[len(val) :], open_NL, positives, x[pool]), batch, 1000 * seed + turn)
        known = np.concatenate([known, pool[rows]])
    return scores


def needed(curve, goal, batch, start):
    """Labels until a curve reaches `goal`, between rounds by a line; the last round's if it does not."""
    for turn in range(1, len(curve)):
        if curve[turn] >= goal:
            part = (goal - curve[turn - 1]) / max(curve[turn] - curve[turn - 1], 1e-9)
            return start + batch * (turn - 1 + min(max(part, 0), 1))
    return start + batch * (len(curve) - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("backbone")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    data = tagfit.load(given.data, backbone=given.backbone)
    start = len(data.split.rows("train")) // 10
    lines = [f"{Path(given.data).name}, {len(data.split.rows('train'))} train rows, {start} labelled at the start"]
    for copies in (False, True):
        curves = {
            strategy: np.array(
                [loop(data, strategy, copies, seed, given.rounds, given.batch) for seed in range(given.seeds)]
            )
            for strategy in ("random", "suggest")
        }
        lines.append("with 30% near-copies" if copies else "as it is")
        for strategy, curve in curves.items():
            means = " ".join(f"{value:.3f}" for value in curve.mean(axis=0))
            lines.append(f"  {strategy:8} {means}  (deviation at the end {curve[:, -1].std(ddof=1):.3f})")
        moved = curves["suggest"] - curves["random"]
        error = moved.std(axis=0, ddof=1) / np.sqrt(given.seeds)
        gains = zip(moved.mean(axis=0), error, strict=True)
        lines.append("  suggest - random " + " ".join(f"{mean:+.3f}±{one:.3f}" for mean, one in gains))
        goal = curves["random"].mean(axis=0)[-1]
        asked = needed(curves["suggest"].mean(axis=0), goal, given.batch, start) - start
        share = asked / (given.batch * given.rounds)
        lines.append(f"  random's last mAP ({goal:.3f}) is reached with {share:.0%} as many further labels")
    text = "\n".join(lines)
    print(text)
    if given.record:
        record = Path(__file__).parent / "records" / f"{date.today()}-label-loop-{Path(given.data).name}.txt"
        record.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
