"""Memorisation: whether the same recipe learns shuffled labels as easily (Zhang et al., Understanding deep learning
requires rethinking generalization, 2017).

Shapes: N samples, L labels.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from tagfit.diagnosis.evidence import CannotCheck, Evidence, within
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.scores import score_one
from tagfit.metrics.titles import TITLES
from tagfit.records.runs import Finding, Fitting
from tagfit.records.scores import Interval

SHUFFLES = 3
TRAININGS = 1 + SHUFFLES

#: learning shuffled labels this much as well as the real ones, with all of the interval, is told
TELLING = 0.5

#: real labels that are learnt by no more than this above the constant baseline say nothing
LEAST = 0.05


def memorisation(evidence: Evidence) -> list[Finding]:
    """How well labels of other samples are learnt, as a share of how well the real ones are; chance is 0.

    Raises:
        CannotCheck: nothing may be trained, the recipe is not a dense one, or it hardly learns the real labels.
    """
    if evidence.train is not None and evidence.quick_recipe is not evidence.recipe:
        raise CannotCheck(f"{evidence.recipe.name} is not a dense network: training it again would take too long")
    labels_NL, train = evidence.locked.dataset.labels_NL, evidence.rows("train")
    metric, seed = evidence.target.metric, evidence.seed
    told = [labels_NL, *(_shuffled(evidence, number) for number in range(SHUFFLES))]
    answers = evidence.fit([Fitting(told_NL, train, train, seed, stop=evidence.rows("val")) for told_NL in told])
    constant = getattr(ConstantBaseline.choose(labels_NL[train]).score(labels_NL[train]), metric)
    real, *shuffled = (score_one(metric, told_NL[train], p_NL) for told_NL, p_NL in zip(told, answers, strict=True))
    if constant is None or real is None or real - constant < LEAST:
        raise CannotCheck(f"{evidence.quick_name} hardly learns the real labels")
    shares = np.array([(one - constant) / (real - constant) for one in shuffled if one is not None])
    share, error = float(shares.mean()), float(shares.std(ddof=1) / len(shares) ** 0.5)
    reach = error * float(special.stdtrit(len(shares) - 1, 0.975))
    if share - reach <= TELLING:
        return []
    return [
        Finding(
            check="memorisation",
            strength=within(share),
            interval=Interval(within(share - reach), within(share + reach)),
            seen=f"{evidence.quick_name} reaches {TITLES[metric]} {real:.3f} on train, and "
            f"{np.mean(np.array(shuffled, dtype=float)):.3f} if the labels of train are shuffled; a constant "
            f"baseline scores {constant:.3f}.",
            meaning="The network can memorise any labels, so its score on train says nothing.",
            todo="Reduce its capacity: dropout, weight decay, fewer units, early stopping. tagfit cure tries these.",
            tries=("dense-regularised", "dense-narrower"),
        )
    ]


def _shuffled(evidence: Evidence, number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """The labels with those of train dealt to other samples of train, and those of val to others of val."""
    rng = np.random.default_rng((evidence.seed, number))
    labels_NL = evidence.locked.dataset.labels_NL.copy()
    for part in ("train", "val"):
        rows = evidence.rows(part)
        labels_NL[rows] = labels_NL[rng.permutation(rows)]
    return labels_NL
