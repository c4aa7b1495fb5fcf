"""Whether more data would help: the scores on val of shares of train, followed to twice as many samples.

A power law, a - b n^-c (Cortes et al., Learning curves: asymptotic values and rate of convergence, 1993), with the
uncertainty of val's samples, of the draws and of the exponent.

Shapes: K shares, R repeats, B resamples, C exponents.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagfit.diagnosis.evidence import CannotCheck, Evidence
from tagfit.metrics.intervals import LEAST, Answers, Resampling, resample
from tagfit.metrics.titles import TITLES
from tagfit.records.runs import Finding, Fitting
from tagfit.records.scores import Interval

SHARES = (0.25, 0.5, 0.75, 1.0)
REPEATS = 4
TRAININGS = len(SHARES) * REPEATS

#: fewer samples of train draw no curve
FEWEST = 40

#: what twice as many samples have to bring, at the lower end of the interval
WORTH = 0.005

#: learning curves fall off this steeply, from slower than any power to one over n
EXPONENTS = np.array([0.05, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0])

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Scores at the shares of train, what twice as many samples would add, and where that lies with 95% confidence."""

    scores: tuple[float, ...]
    gain: float
    interval: Interval


def more_data(evidence: Evidence) -> list[Finding]:
    """What twice as many samples would bring.

    Raises:
        CannotCheck: nothing may be trained, or train is too small.
    """
    curve = learning_curve(evidence)
    if curve.interval.low <= WORTH:
        return []
    title, count = TITLES[evidence.target.metric], len(evidence.rows("train"))
    course = ", ".join(f"{score:.3f}" for score in curve.scores)
    return [
        Finding(
            check="more_data",
            strength=min(1.0, curve.gain),
            interval=curve.interval,
            seen=f"{evidence.quick_name} reaches {title} {course} on val with 25, 50, 75 and 100% of train. Twice as "
            f"many samples ({2 * count:,}) would add about {curve.gain:.3f} (95%: {curve.interval.low:.3f} to "
            f"{curve.interval.high:.3f}).",
            meaning="There is too little data: more samples would help.",
            todo="Label more samples. tagfit cure --refit also trains on val; on images, try --allow augmentation.",
        )
    ]


def learning_curve(evidence: Evidence) -> Curve:
    """Train on shares of train, each drawn several times, and follow the scores on val.

    Raises:
        CannotCheck: as in `more_data`.
    """
    train, val, metric = evidence.rows("train"), evidence.rows("val"), evidence.target.metric
    if len(train) < FEWEST:
        raise CannotCheck(f"train has {len(train)} samples, too few to train on shares of them")
    labels_NL, fittings = evidence.locked.dataset.labels_NL, []
    for repeat in range(REPEATS):
        order = np.random.default_rng((evidence.seed, repeat)).permutation(train)
        fittings += [
            Fitting(labels_NL, np.sort(order[: round(share * len(train))]), val, evidence.seed + repeat)
            for share in SHARES
        ]
    groups = evidence.locked.split.groups
    draw = Resampling.of(len(val), None if groups is None else groups[val], resamples=LEAST, seed=evidence.seed)
    spreads = [resample(Answers(labels_NL[val], p_NL), draw) for p_NL in evidence.fit(fittings)]
    scores = [getattr(spread.scores, metric) for spread in spreads]
    if None in scores:
        raise CannotCheck(f"{TITLES[metric]} is undefined on val")
    scores_RK = np.array(scores, dtype=np.float64).reshape(REPEATS, len(SHARES))
    values_BK = np.stack([spread.values[metric] for spread in spreads]).reshape(REPEATS, len(SHARES), -1).mean(axis=0).T
    values_BK = values_BK[~np.isnan(values_BK).any(axis=1)]
    return _followed(scores_RK, draw.scale * (values_BK - scores_RK.mean(axis=0)), evidence.seed)


def _followed(scores_RK: Floats, deviations_BK: Floats, seed: int) -> Curve:
    mean_K = scores_RK.mean(axis=0)
    # draws of the same train differ by their seeds alone; the others by their samples, too
    error_K = np.sqrt(np.maximum(scores_RK.var(axis=0, ddof=1), scores_RK.var(axis=0, ddof=1).mean()) / len(scores_RK))
    noise_BK = np.random.default_rng(seed).standard_normal(deviations_BK.shape) * error_K
    gains_B = _gains(mean_K + deviations_BK + noise_BK, np.random.default_rng(seed + 1))
    low, high = np.quantile(gains_B, [0.025, 0.975])
    gain = float(np.median(gains_B))
    return Curve(tuple(mean_K.tolist()), gain, Interval(float(low), float(high)))


def _gains(curves_BK: Floats, rng: np.random.Generator) -> Floats:
    """(B,) what each curve gains by twice the samples; its exponent is drawn as often as it fits well."""
    basis_CK = 1 - np.array(SHARES) ** -EXPONENTS[:, None]  # 0 at all of train, below 0 at shares of it
    centred_CK = basis_CK - basis_CK.mean(axis=1, keepdims=True)
    centred_BK = curves_BK - curves_BK.mean(axis=1, keepdims=True)
    slope_BC = centred_BK @ centred_CK.T / (centred_CK**2).sum(axis=1)
    rest_BC = ((centred_BK[:, None] - slope_BC[..., None] * centred_CK) ** 2).sum(axis=2)
    # the likelihood of two degrees of freedom that four points leave, the noise being unknown
    weight_BC = (rest_BC + 1e-12) ** -1.0
    chosen_B = (rng.random((len(curves_BK), 1)) * weight_BC.sum(axis=1, keepdims=True) > weight_BC.cumsum(axis=1)).sum(
        axis=1
    )
    chosen_B = np.minimum(chosen_B, len(EXPONENTS) - 1)
    rows = np.arange(len(curves_BK))
    gains_B: Floats = slope_BC[rows, chosen_B] * (1 - 2 ** -EXPONENTS[chosen_B])
    return gains_B
