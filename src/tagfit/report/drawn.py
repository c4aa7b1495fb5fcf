"""The page's charts: which numbers of the records are drawn, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tagfit.decisions.reliability import CalibrationReport
from tagfit.metrics.intervals import Answers
from tagfit.metrics.titles import TITLES
from tagfit.records.data import UNKNOWN, YES, Part
from tagfit.records.runs import Row, SeedSpread, Trial
from tagfit.records.scores import Target
from tagfit.report.charts import dots, lines
from tagfit.report.charts.lines import Line
from tagfit.report.context import (
    ComparedRun,
    Curves,
    Figure,
    Finalist,
    LabelCurves,
    Learning,
    ModelRow,
    ScoreShown,
    SearchShown,
    TrialShown,
)
from tagfit.report.labels import decisions, label_reliability, precision_recall
from tagfit.report.table import gap_of, trial_remark
from tagfit.report.visible import written
from tagfit.runs.gallery import scored_part
from tagfit.runs.predictions import SavedPredictions
from tagfit.runs.record import ModelRecord, RunRecord

#: labels whose curves are seen at once, and that have any: the most frequent ones
FIRST, MOST = 12, 100
#: recipes in the table of all that was tried
TRIALS = 150
#: points of a label's curve
POINTS = 60
#: rows of the table behind learning curves
EPOCHS = 40


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else written(value, f".{digits}f")


def interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def runs_of(record: RunRecord) -> dict[str, ModelRecord]:
    """The runs by what the page calls them; one alone is the model."""
    before = record.baseline
    return {"model": record.after} if before is None else {"before": before, "after": record.after}


def series_of(name: str) -> str:
    """The series in the palette of a run."""
    return "before" if name == "before" else "after"


# ---------------------------------------------------------------------------------------------- scores


def bands(title: str, models: Sequence[ModelRow], parts: Sequence[str], target: Target) -> Figure:
    """Scores of all models by part, with their intervals, and the bands that were asked for."""
    groups = []
    for place, part in enumerate(parts):
        dots_here = [_dot(model.name, model.kind, model.scores[place]) for model in models]
        bound = {"train": target.train_below, "val": target.val_at_least}.get(part)
        groups.append(dots.Group(part, tuple(dot for dot in dots_here if dot), bound, below=part == "train"))
    caption = f"{title} with 95% intervals; what was asked for is shaded."
    return Figure("before-and-after", caption, dots.intervals(f"{title} by part", caption, groups))


def _dot(name: str, kind: str, score: ScoreShown) -> dots.Dot | None:
    return None if score.value is None else dots.Dot(name, kind, score.value, score.interval)


def compared(title: str, runs: Sequence[ComparedRun], parts: Sequence[str]) -> Figure:
    """The same of several runs."""
    groups = [
        dots.Group(
            part, tuple(dot for run in runs if (dot := _dot(run.name[:12], run.kind, run.scores[place])) is not None)
        )
        for place, part in enumerate(parts)
    ]
    caption = f"{title} of each run, with 95% intervals."
    return Figure("compared", caption, dots.intervals(f"{title} of several runs", caption, groups))


# -------------------------------------------------------------------------------------- learning curves


def learning(record: RunRecord) -> Iterator[Learning]:
    """Loss and metric by epoch, of each run that has a history."""
    metric = record.target.metric
    for name, run in runs_of(record).items():
        if not run.history:
            continue
        yield Learning(
            run=name,
            recipe=run.recipe.name,
            remark=_remark(run),
            loss=_course(name, run, "loss", "Loss", None),
            scores=_course(name, run, metric, TITLES[metric], record.target.val_at_least)
            if any(f"val_{metric}" in row for row in run.history)
            else None,
        )


def _remark(run: ModelRecord) -> str:
    if run.folds is not None:
        return f"A pair of lines for each of {len(run.folds.each)} folds; rings are the epochs that were delivered."
    if run.members:
        return f"Of the ensemble of {len(run.members)} networks, these are the curves of one."
    return ""


def _course(name: str, run: ModelRecord, what: str, title: str, band: float | None) -> Figure:
    """One quantity on train and val, fold by fold where there are folds."""
    history, kind = run.history, series_of(name)
    folds = sorted({int(row.get("fold") or 1) for row in history})
    delivered = _delivered(run, folds)
    drawn = []
    for fold in folds:
        rows = [row for row in history if int(row.get("fold") or 1) == fold]
        first = fold == folds[0]
        for part, style in (("train", "dash"), ("val", "")):
            points = tuple(
                (float(row["epoch"] or 0), float(value))
                for row in rows
                if (value := row.get(f"{part}_{what}")) is not None
            )
            marked = tuple(point for point in points if part == "val" and point[0] == delivered.get(fold))
            thin = "thin" if len(folds) > 1 else ""
            drawn.append(Line(part if first else "", " ".join(filter(None, (kind, style, thin))), points, marked))
    of = {"model": "the model"}.get(name, name)
    caption = f"{title} of {of}, by epoch: val solid, train dashed."
    if what == "loss":
        caption += " The training loss is the mean over an epoch, with dropout on."
    svg = lines.learning(
        f"{title} of {of}, by epoch",
        caption,
        [line for line in drawn if line.points],
        restored=delivered.get(folds[0]) if len(folds) == 1 else None,
        band=band,
    )
    columns = (*(("fold",) if len(folds) > 1 else ()), "epoch", "train", "val")
    table = tuple(
        (
            *((str(row.get("fold")),) if len(folds) > 1 else ()),
            str(row["epoch"]),
            number(row.get(f"train_{what}")),
            number(row.get(f"val_{what}")),
        )
        for row in _some(history)
    )
    return Figure(f"learning-{name}-{'loss' if what == 'loss' else 'metric'}", caption, svg, columns, table)


def _delivered(run: ModelRecord, folds: Sequence[int]) -> dict[int, int]:
    """The epoch that was delivered, of each fold."""
    if run.folds is not None:
        return {fold: one.delivered_epoch for fold, one in zip(folds, run.folds.each, strict=False)}
    return {} if run.delivered_epoch is None else {folds[0]: run.delivered_epoch}


def _some(rows: Sequence[Row]) -> list[Row]:
    """Evenly chosen ones of many, the first and the last among them."""
    if len(rows) <= EPOCHS:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (EPOCHS - 1))] for place in range(EPOCHS)]


# ------------------------------------------------------------------------------------- curves by label


def curves(saved: SavedPredictions | None, record: RunRecord) -> Curves | None:
    """Reliability of all labels together and, where there are predictions, both curves of each label."""
    pooled = _pooled(record.after.calibration)
    if saved is None:
        return Curves(pooled, (), (), 0)
    part = scored_part(saved)
    if part not in saved.runs["after"]:
        return None
    names, answers = record.data.label_names, saved.runs["after"][part]
    before = saved.runs.get("before", {}).get(part)
    yes_L = (answers.labels_NL == YES).sum(axis=0)
    frequent = [label for label in (-yes_L).argsort(kind="stable").tolist() if yes_L[label]][:MOST]
    shown = [_label_curves(label, names[label], answers, before, part) for label in sorted(frequent)]
    first = len(shown) if len(shown) <= FIRST + 2 else FIRST
    return Curves(pooled, tuple(shown[:first]), tuple(shown[first:]), len(names) - len(shown))


def _pooled(calibration: CalibrationReport) -> Figure:
    """Reliability of all labels' cells, of scores and of calibrated probabilities."""
    drawn, whiskers, table = [], [], []
    for quality, kind, name in (
        (calibration.before, "constant dash", "scores"),
        (calibration.after, "after", "calibrated"),
    ):
        bins = [(b.mean, b.yes, b.interval, b.count) for b in quality.reliability if b.interval is not None]
        points = tuple((mean or 0.0, yes or 0.0) for mean, yes, *_ in bins)
        drawn.append(Line(name, kind, points, points))
        table += [(name, number(mean), number(yes), interval(ends), str(count)) for mean, yes, ends, count in bins]
        if quality is calibration.after:
            whiskers = [(mean or 0.0, *ends) for mean, _, ends, _ in bins]
    calibrated = calibration.method != "none"
    caption = (
        f"Reliability of all labels together, on {calibration.fitted_on}: of the labels given about a probability, "
        "how many are yes. On the dotted diagonal, probabilities are right."
    )
    if calibrated:
        caption += f" Grey and dashed: the network's scores; blue: calibrated ({calibration.method}), cross-fitted."
    svg = lines.square(
        "Reliability of all labels together",
        caption,
        drawn if calibrated else [Line("scores", "after", drawn[0].points, drawn[0].points)],
        across="probability",
        up="fraction yes",
        diagonal=True,
        whiskers=whiskers,
        side=300,
    )
    return Figure("reliability", caption, svg, ("of", "mean", "yes", "95% interval", "cells"), tuple(table))


def _label_curves(label: int, name: str, answers: Answers, before: Answers | None, part: Part) -> LabelCurves:
    labels_N = answers.labels_NL[:, label]
    known_N = labels_N != UNKNOWN
    drawn = []
    for kind, one in (("before dash thin", before), ("after", answers)):
        if one is not None:
            recall_K, precision_K = precision_recall(labels_N, one.probabilities_NL[:, label])
            rises_K = np.diff(recall_K, prepend=0.0) > 0
            steps = zip(recall_K[rises_K].tolist(), precision_K[rises_K].tolist(), strict=True)
            points = tuple(lines.thinned(list(steps), POINTS))
            drawn.append(Line("", kind, points, _decided(one, label) if kind == "after" else ()))
    share = float((labels_N == YES).sum() / known_N.sum())
    title = f"{name}: precision against recall on {part}"
    caption = "The dot is what is decided; the dotted line is what chance would get."
    precision = Figure(
        f"precision-recall-{label + 1:03}",
        name,
        lines.square(title, caption, drawn, across="recall", up="precision", heading=name, level=share),
        ("recall", "precision"),
        tuple((number(x, 2), number(y, 2)) for x, y in _at_recalls(drawn[-1].points)),
    )
    bins = label_reliability(labels_N, answers.probabilities_NL[:, label])
    points = tuple((one.mean, one.yes) for one in bins)
    reliability = Figure(
        f"reliability-{label + 1:03}",
        name,
        lines.square(
            f"{name}: reliability of scores on {part}",
            "On the dotted diagonal, scores are what they say.",
            [Line("", "after", (), points)],
            across="score",
            up="yes",
            heading=name,
            diagonal=True,
            whiskers=[(one.mean, one.interval.low, one.interval.high) for one in bins],
        ),
        ("score", "yes", "cells"),
        tuple((number(one.mean, 2), number(one.yes, 2), str(one.count)) for one in bins),
    )
    return LabelCurves(name, precision, reliability)


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
    trials = sorted((_trial(one, record) for one in record.tried), key=_rank)
    drawn = [
        dots.RecipeDot(one.recipe, one.train, one.val)
        for one in trials
        if one.train is not None and one.val is not None and one.remark == ""
    ]
    for name, run in runs_of(record).items():
        train, val = (run.score(part, metric) for part in ("train", "val"))
        if train is not None and val is not None:
            kind, called = series_of(name), {"before": "before"}.get(name, "delivered")
            drawn.append(dots.RecipeDot(called, train, val, kind))
    caption = (
        f"Every recipe tried: {TITLES[metric]} on val against train. Where the target is met is shaded; on the dotted "
    )
    caption += "line val equals train. What diverged or was stopped early is in the table alone."
    svg = dots.search(
        "Every recipe tried",
        caption,
        drawn,
        metric=TITLES[metric],
        train_below=target.train_below,
        val_at_least=target.val_at_least,
    )
    return SearchShown(
        summary=_summary(record),
        figure=Figure("search", caption, svg),
        trials=tuple(trials[:TRIALS]),
        more=max(0, len(trials) - TRIALS),
        finalists=tuple(_finalists(record)),
    )


def _trial(trial: Trial, record: RunRecord) -> TrialShown:
    train, val = (trial.score(part, record.target.metric) for part in ("train", "val"))
    remark = trial_remark(trial, record)
    return TrialShown(trial.recipe.name, train, val, gap_of(train, val), trial.seconds, remark)


def _rank(trial: TrialShown) -> float:
    return -1.0 if trial.val is None else -trial.val if trial.remark in ("", "delivered") else 1.0


def _summary(record: RunRecord) -> str:
    tried = len(record.tried)
    summary = f"{tried} recipe{'s' if tried != 1 else ''} tried after the baseline"
    if record.search is not None:
        generations = record.search.generations
        summary += f", searched for in {generations} generation{'s' if generations != 1 else ''}"
    diverged = sum(trial.state == "diverged" for trial in record.tried)
    return f"{summary}; {diverged} diverged." if diverged else f"{summary}."


def _finalists(record: RunRecord) -> Iterator[Finalist]:
    for one in record.finalists:
        yield Finalist(one.recipe.name, one.seeds, _spread(one.train), _spread(one.val))


def _spread(spread: SeedSpread) -> str:
    return number(spread.mean) + ("" if spread.deviation is None else f" ± {spread.deviation:.3f}")


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
