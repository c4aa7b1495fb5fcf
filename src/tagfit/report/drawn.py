"""The page's charts: which numbers of the records are drawn, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tagfit.decisions.reliability import CalibrationBin, CalibrationReport
from tagfit.metrics.intervals import Answers
from tagfit.metrics.titles import TITLES
from tagfit.records.data import UNKNOWN, YES, Part
from tagfit.records.runs import Row
from tagfit.records.scores import Interval, Target
from tagfit.report.charts import dots, lines
from tagfit.report.charts.lines import Line, thinned
from tagfit.report.context import (
    ComparedRun,
    Curves,
    Figure,
    LabelCurves,
    Learning,
    ModelRow,
    ScoreShown,
    SearchShown,
)
from tagfit.report.labels import decisions, label_reliability, precision_recall
from tagfit.report.values import TriedRecipe, runs_of, tried_recipes
from tagfit.report.visible import number, written
from tagfit.runs.gallery import scored_part
from tagfit.runs.predictions import SavedPredictions
from tagfit.runs.record import ModelRecord, RunRecord

#: labels whose curves are shown at once, and that have any: the most frequent ones
FIRST, MOST = 12, 100
#: recipes in the table of all that was tried
TRIALS = 150
#: points of a label's curve
POINTS = 60
#: rows of the table behind learning curves
EPOCHS = 40


def series_of(name: str) -> str:
    """The series of a run in the palette."""
    return "before" if name == "before" else "after"


# ---------------------------------------------------------------------------------------------- scores


def bands(title: str, models: Sequence[ModelRow], parts: Sequence[str], target: Target) -> Figure:
    """Scores of all models by part, with their intervals, and the bands that were asked for."""
    bounds = {"train": target.train_below, "val": target.val_at_least}
    groups = [
        dots.Group(
            part, _dots((one.name, one.kind, one.scores[place]) for one in models), bounds.get(part), part == "train"
        )
        for place, part in enumerate(parts)
    ]
    caption = f"{title} with 95% intervals; what was asked for is shaded."
    return Figure("before-and-after", caption, dots.intervals(f"{title} by part", caption, groups))


def compared(title: str, runs: Sequence[ComparedRun], parts: Sequence[str]) -> Figure:
    """The same of several runs."""
    groups = [
        dots.Group(part, _dots((run.name[:12], run.kind, run.scores[place]) for run in runs))
        for place, part in enumerate(parts)
    ]
    caption = f"{title} of each run, with 95% intervals."
    return Figure("compared", caption, dots.intervals(f"{title} of several runs", caption, groups))


def _dots(rows: Iterable[tuple[str, str, ScoreShown]]) -> tuple[dots.Dot, ...]:
    return tuple(
        dots.Dot(name, kind, score.value, score.interval) for name, kind, score in rows if score.value is not None
    )


# -------------------------------------------------------------------------------------- learning curves


def learning(record: RunRecord) -> Iterator[Learning]:
    """Loss and metric by epoch, of each run that has a history."""
    metric = record.target.metric
    for name, run in runs_of(record).items():
        if run.history:
            measured = any(f"val_{metric}" in row for row in run.history)
            scores = _by_epoch(name, run, metric, TITLES[metric], record.target.val_at_least) if measured else None
            yield Learning(name, run.recipe.name, _remark(run), _by_epoch(name, run, "loss", "Loss"), scores)


def _remark(run: ModelRecord) -> str:
    if run.folds is not None:
        return f"A pair of lines for each of {len(run.folds.each)} folds; rings are the epochs that were delivered."
    if run.members:
        return f"Of the ensemble of {len(run.members)} networks, these are the curves of one."
    return ""


def _by_epoch(name: str, run: ModelRecord, what: str, title: str, band: float | None = None) -> Figure:
    """One quantity on train and val, fold by fold where there are folds."""
    rows: dict[int, list[Row]] = {}
    for row in run.history:
        rows.setdefault(int(row.get("fold") or 1), []).append(row)
    folds = sorted(rows)
    delivered, several = _delivered(run, folds), len(folds) > 1
    kind = series_of(name), " thin" * several
    drawn = [line for fold in folds for line in _pair(rows[fold], what, kind, delivered.get(fold), fold == folds[0])]
    of = "the model" if name == "model" else name
    caption = f"{title} of {of}, by epoch: val solid, train dashed."
    if what == "loss":
        caption += " The training loss is the mean over an epoch, with dropout on."
    restored = None if several else delivered.get(folds[0])
    svg = lines.learning(f"{title} of {of}, by epoch", caption, drawn, restored=restored, band=band)
    table = [
        (str(row.get("fold")), str(row["epoch"]), *(number(row.get(f"{part}_{what}")) for part in ("train", "val")))
        for row in thinned(run.history, EPOCHS)
    ]
    first = 0 if several else 1
    slug = f"learning-{name}-{'loss' if what == 'loss' else 'metric'}"
    columns = ("fold", "epoch", "train", "val")[first:]
    return Figure(slug, caption, svg, columns, tuple(row[first:] for row in table))


def _pair(rows: Sequence[Row], what: str, kind: tuple[str, str], delivered: int | None, named: bool) -> Iterator[Line]:
    """The lines of train and val, where they have points; `kind` is the series, and how thin they are."""
    for part, dash in (("train", " dash"), ("val", "")):
        values = [(float(row["epoch"] or 0), row.get(f"{part}_{what}")) for row in rows]
        points = tuple((epoch, float(value)) for epoch, value in values if value is not None)
        marked = tuple(point for point in points if part == "val" and point[0] == delivered)
        if points:
            yield Line(part if named else "", f"{kind[0]}{dash}{kind[1]}", points, marked)


def _delivered(run: ModelRecord, folds: Sequence[int]) -> dict[int, int]:
    """The epoch that was delivered, of each fold."""
    if run.folds is not None:
        return {fold: one.delivered_epoch for fold, one in zip(folds, run.folds.each, strict=False)}
    return {} if run.delivered_epoch is None else {folds[0]: run.delivered_epoch}


# ------------------------------------------------------------------------------------- curves by label


def curves(saved: SavedPredictions | None, record: RunRecord) -> Curves:
    """Reliability of all labels together and, where there are predictions, both curves of each label."""
    pooled = _pooled(record.after.calibration)
    if saved is None:
        return Curves(pooled, (), (), 0)
    part = scored_part(saved)
    names, answers = record.data.label_names, saved.runs["after"][part]
    before = saved.runs.get("before", {}).get(part)
    yes_L = (answers.labels_NL == YES).sum(axis=0)
    frequent = [label for label in (-yes_L).argsort(kind="stable").tolist() if yes_L[label]][:MOST]
    shown = [_label_curves(label, names[label], answers, before, part) for label in sorted(frequent)]
    first = len(shown) if len(shown) <= FIRST + 2 else FIRST
    return Curves(pooled, tuple(shown[:first]), tuple(shown[first:]), len(names) - len(shown))


def _pooled(calibration: CalibrationReport) -> Figure:
    """Reliability of all labels together, of scores and of calibrated probabilities."""
    scores, probabilities = (
        [one for one in quality.reliability if one.count] for quality in (calibration.before, calibration.after)
    )
    table = tuple(
        (name, number(one.mean), number(one.yes), _interval(one.interval), str(one.count))
        for name, bins in (("scores", scores), ("calibrated", probabilities))
        for one in bins
    )
    caption = (
        f"Reliability of all labels together, on {calibration.fitted_on}: of the labels given about a probability, "
        "how many are yes. On the dotted diagonal, probabilities are right."
    )
    drawn = [Line("scores", "after", _points(scores), _points(scores))]
    if calibration.method != "none":
        caption += f" Grey and dashed: the network's scores; blue: calibrated ({calibration.method}), cross-fitted."
        drawn = [
            Line("scores", "constant dash", _points(scores), _points(scores)),
            Line("calibrated", "after", _points(probabilities), _points(probabilities)),
        ]
    svg = lines.square(
        "Reliability of all labels together",
        caption,
        drawn,
        across="probability",
        up="fraction yes",
        diagonal=True,
        whiskers=_whiskers(probabilities),
        side=300,
    )
    return Figure("reliability", caption, svg, ("of", "mean", "yes", "95% interval", "cells"), table)


def _interval(ends: Interval | None) -> str:
    return "" if ends is None else f"{ends.low:.3f} to {ends.high:.3f}"


def _points(bins: Sequence[CalibrationBin]) -> tuple[tuple[float, float], ...]:
    return tuple((one.mean or 0.0, one.yes or 0.0) for one in bins)


def _whiskers(bins: Sequence[CalibrationBin]) -> list[tuple[float, float, float]]:
    return [(one.mean or 0.0, *one.interval) for one in bins if one.interval is not None]


def _label_curves(label: int, name: str, answers: Answers, before: Answers | None, part: Part) -> LabelCurves:
    labels_N, scores_N = answers.labels_NL[:, label], answers.probabilities_NL[:, label]
    bins, curve = (
        label_reliability(labels_N, scores_N),
        Line("", "after", _curve(answers, label), _decided(answers, label)),
    )
    old = [] if before is None else [Line("", "before dash thin", _curve(before, label))]
    precision = lines.square(
        f"{name}: precision against recall on {part}",
        "The dot is what is decided; the dotted line is what chance would get.",
        [*old, curve],
        across="recall",
        up="precision",
        heading=name,
        level=float((labels_N == YES).sum() / (labels_N != UNKNOWN).sum()),
    )
    reliability = lines.square(
        f"{name}: reliability of scores on {part}",
        "On the dotted diagonal, scores are what they say.",
        [Line("", "after", (), _points(bins))],
        across="score",
        up="yes",
        heading=name,
        diagonal=True,
        whiskers=_whiskers(bins),
    )
    at_recalls = tuple((number(x, 2), number(y, 2)) for x, y in _at_recalls(curve.points))
    by_score = tuple((number(one.mean, 2), number(one.yes, 2), str(one.count)) for one in bins)
    return LabelCurves(
        name,
        Figure(f"precision-recall-{label + 1:03}", name, precision, ("recall", "precision"), at_recalls),
        Figure(f"reliability-{label + 1:03}", name, reliability, ("score", "yes", "cells"), by_score),
    )


def _curve(answers: Answers, label: int) -> tuple[tuple[float, float], ...]:
    """(recall, precision) wherever recall rises."""
    recall_K, precision_K = precision_recall(answers.labels_NL[:, label], answers.probabilities_NL[:, label])
    rises_K = np.diff(recall_K, prepend=0.0) > 0
    return tuple(thinned(list(zip(recall_K[rises_K].tolist(), precision_K[rises_K].tolist(), strict=True)), POINTS))


def _decided(answers: Answers, label: int) -> tuple[tuple[float, float], ...]:
    yes_N, given_N = answers.labels_NL[:, label] == YES, decisions(answers)[:, label]
    given = int((given_N & (answers.labels_NL[:, label] != UNKNOWN)).sum())
    hits = int((yes_N & given_N).sum())
    return ((hits / int(yes_N.sum()), hits / given),) if given and yes_N.any() else ()


def _at_recalls(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The best precision at each tenth of recall."""
    return [
        (recall / 10, max((y for x, y in points if x >= recall / 10 - 1e-9), default=0.0)) for recall in range(1, 11)
    ]


# ---------------------------------------------------------------------------------------------- search


def search(record: RunRecord) -> SearchShown:
    """Every recipe tried, val against train."""
    metric, target = record.target.metric, record.target
    trials = sorted(tried_recipes(record), key=_rank)
    drawn = [(one.name, one.train, one.val, "constant") for one in trials if not one.remark]
    for name, run in runs_of(record).items():
        called = "before" if name == "before" else "delivered"
        drawn.append((called, run.score("train", metric), run.score("val", metric), series_of(name)))
    caption = (
        f"Every recipe tried: {TITLES[metric]} on val against train. Where the target is met is shaded; on the dotted "
        "line val equals train. What diverged or was stopped early is in the table alone."
    )
    svg = dots.search(
        "Every recipe tried",
        caption,
        [dots.RecipeDot(name, x, y, kind) for name, x, y, kind in drawn if x is not None and y is not None],
        metric=TITLES[metric],
        train_below=target.train_below,
        val_at_least=target.val_at_least,
    )
    more = max(0, len(trials) - TRIALS)
    return SearchShown(_summary(record), Figure("search", caption, svg), tuple(trials[:TRIALS]), more, record.finalists)


def _rank(trial: TriedRecipe) -> float:
    return -1.0 if trial.val is None else -trial.val if trial.remark in ("", "delivered") else 1.0


def _summary(record: RunRecord) -> str:
    tried = len(record.tried)
    summary = f"{tried} recipe{'s' if tried != 1 else ''} tried after the baseline"
    if record.search is not None:
        generations = record.search.generations
        summary += f", searched for in {generations} generation{'s' if generations != 1 else ''}"
    diverged = sum(trial.state == "diverged" for trial in record.tried)
    return f"{summary}; {diverged} diverged." if diverged else f"{summary}."


def ingredients(record: RunRecord) -> Figure:
    """What each ingredient of the chosen recipe brings on val."""
    rows = [(one.ingredient, one.change, one.noise) for one in record.ingredients if one.change is not None]
    rows.sort(key=lambda row: -row[1])
    caption = "What val loses without each ingredient of the recipe, on the same seeds; whiskers are the noise."
    svg = dots.changes(
        "What each ingredient brings on val", caption, [(name[:28], change, noise) for name, change, noise in rows]
    )
    table = tuple((name, written(change, "+.3f"), number(noise)) for name, change, noise in rows)
    return Figure("ingredients", caption, svg, ("ingredient", "brings on val", "noise"), table)
