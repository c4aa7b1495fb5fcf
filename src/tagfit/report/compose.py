"""Builds what the page shows from the records of a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tomli_w

from tagfit.metrics.titles import SMALL_SAMPLE, TITLES
from tagfit.recipes import Recipe
from tagfit.records.data import Part
from tagfit.records.scores import LOWER_IS_BETTER, SCORED_PARTS, ByPart, SmallSample
from tagfit.report.command import reproduction
from tagfit.report.context import (
    ComparedRun,
    Comparison,
    Context,
    LockShown,
    MetricRow,
    MetricTable,
    ModelRow,
    OutcomeShown,
    Reproduction,
    SameSamplesRow,
    ScoreShown,
    SinceShown,
    WhyShown,
)
from tagfit.report.drawn import bands, compared, curves, ingredients, learning, search, series_of
from tagfit.report.samples import gallery, labels, together
from tagfit.report.summary import summary
from tagfit.report.values import continued_line, gains_of, gains_remark, gap_of, runs_of, score_of
from tagfit.report.visible import duration
from tagfit.runs.folder import RunCommand
from tagfit.runs.gallery import scored_part
from tagfit.runs.next_steps import next_steps
from tagfit.runs.predictions import SavedPredictions
from tagfit.runs.record import Continuation, DataRecord, ModelRecord, RunRecord

#: images set aside that are named
NAMED = 12

#: the series of runs that are compared
SERIES = ("after", "before", "third", "fourth", "fifth", "constant")

_NO_PREDICTIONS = (
    "This run folder holds no predictions (it was made by an earlier version, or they were deleted): labels, curves, "
    "confusions and images are not shown. The same command, run anew with another -o, writes them."
)


@dataclass(frozen=True, eq=False)
class RunFiles:
    """What a run folder, called `name`, holds: result.json, run.json and, where there are some, predictions."""

    name: str
    record: RunRecord
    command: RunCommand
    predictions: SavedPredictions | None


def compose(files: RunFiles, others: Sequence[RunFiles] = ()) -> Context:
    """The page of one run, beside others where there are some."""
    record, saved = files.record, files.predictions
    scored = saved if saved is not None and scored_part(saved) in saved.runs["after"] else None
    constant = _without_train(record.after.constant)
    return Context(
        record=record,
        facts=tuple(_facts(record)),
        summary=summary(record),
        comparison=_comparison(files, others) if others else None,
        outcome=outcome(record),
        learning=tuple(learning(record)),
        why=WhyShown(gains_of(record), gains_remark(record)) if record.gains else None,
        lock=_lock(record),
        metrics=_metrics(
            {**{name: run.scores for name, run in runs_of(record).items()}, "constant": constant},
            {**{name: series_of(name) for name in runs_of(record)}, "constant": "constant"},
            {name: run.small_sample for name, run in runs_of(record).items()},
        ),
        findings=tuple(sorted(record.findings, key=lambda one: (one.of != "after", -one.strength))),
        labels=labels(scored, record) if scored is not None else None,
        curves=curves(scored, record),
        together=together(scored, record) if scored is not None else None,
        search=search(record) if record.tried else None,
        ingredients=ingredients(record) if record.ingredients else None,
        gallery=gallery(saved, record) if saved is not None else None,
        reproduction=_reproduction(files),
        steps=next_steps(record, None),
        missing=() if saved is not None else (_NO_PREDICTIONS,),
    )


def _facts(record: RunRecord) -> Iterator[str]:
    yield f"{record.data.samples:,} samples"
    yield f"{len(record.data.label_names)} labels"
    yield f"seed {record.seed}"
    yield f"{duration(record.seconds)} on {record.device}"
    if record.state == "stopped":
        yield "stopped early: preliminary"


# ---------------------------------------------------------------------------------------------- scores


def outcome(record: RunRecord) -> OutcomeShown:
    """Before and after on the target's metric, by part."""
    target, metric = record.target, record.target.metric
    parts = tuple(part for part in SCORED_PARTS if record.after.scores.get(part) is not None)
    bounds = {"train": f"below {target.train_below:.3f}", "val": f"at least {target.val_at_least:.3f}"}
    models = tuple(_model_rows(record, parts, metric))
    changes = tuple(record.difference(part, metric) for part in parts)
    asked = tuple(bounds.get(part, "") for part in parts)
    figure = bands(TITLES[metric], models, parts, target)
    return OutcomeShown(TITLES[metric], parts, models, changes if any(changes) else (), asked, figure)


def _model_rows(record: RunRecord, parts: Sequence[str], metric: str) -> Iterator[ModelRow]:
    for name, run in runs_of(record).items():
        gap = gap_of(run.score("train", metric), run.score("val", metric))
        yield ModelRow(name, series_of(name), run.recipe.name, _appraised(run, parts, metric), gap)
    after = record.after
    if after.decider.rule is not None:
        objective = f"for {after.decider.objective}"
        yield ModelRow("decided", "after", objective, _scores(after.decided, parts, metric), None)
    yield ModelRow("constant", "constant", "the best fixed answer", _scores(after.constant, parts, metric), None)


def _appraised(run: ModelRecord, parts: Sequence[str], metric: str) -> tuple[ScoreShown, ...]:
    return tuple(ScoreShown(run.score(part, metric), run.interval(part, metric)) for part in parts)


def _scores(by_part: ByPart, parts: Sequence[str], metric: str) -> tuple[ScoreShown, ...]:
    return tuple(ScoreShown(score_of(by_part, part, metric)) for part in parts)


def _metrics(
    models: Mapping[str, ByPart],
    kinds: Mapping[str, str],
    few: Mapping[str, Mapping[Part, SmallSample]] | None = None,
) -> MetricTable:
    """Every metric of models that have scores by part, and what some of them owe to how few the samples are.

    Args:
        kinds: the series of each model.
    """
    parts = {name: [part for part in SCORED_PARTS if scores.get(part) is not None] for name, scores in models.items()}
    columns = [(model, part) for model, scored in parts.items() for part in scored]
    return MetricTable(
        heads=tuple((model, len(scored)) for model, scored in parts.items()),
        columns=tuple(part for _, part in columns),
        kinds=tuple(kinds[model] for model, _ in columns),
        rows=tuple(_metric_rows(models, few or {}, columns)),
    )


def _metric_rows(
    models: Mapping[str, ByPart], few: Mapping[str, Mapping[Part, SmallSample]], columns: Sequence[tuple[str, Part]]
) -> Iterator[MetricRow]:
    for name, title in TITLES.items():
        lower = name in LOWER_IS_BETTER
        yield MetricRow(title, lower, tuple(score_of(models[model], part, name) for model, part in columns))
        if name in SMALL_SAMPLE and any(few.values()):
            beside = [few.get(model, {}).get(part) for model, part in columns]
            values = tuple(None if one is None else one[name] for one in beside)
            yield MetricRow(SMALL_SAMPLE[name], lower, values)


def _without_train(scores: ByPart) -> ByPart:
    return {part: one for part, one in scores.items() if part != "train"}


# ------------------------------------------------------------------------------ lock and reproduction


def _lock(record: RunRecord) -> LockShown:
    runs = [run for run in (record.before, record.after, *record.tried) if run is not None]
    count = len(record.tried) + (record.before is not None or not record.tried)
    if any(run.lock != record.lock for run in runs):
        proof = "Not all trainings were done under this lock: do not trust the comparison."
    elif count > 1:
        proof = f"All {count} trainings were done under this lock: data, split and preprocessing were the same."
    else:
        proof = "The training was done under this lock."
    since = None if record.continued is None else _since(record.continued)
    return LockShown(proof, tuple(_locked(record.data)), tuple(_changed(record)), tuple(_notes(record.data)), since)


def _since(continued: Continuation) -> SinceShown:
    rows = []
    for part, same in continued.compared.items():
        change = "" if same.difference is None else str(same.difference)
        corrected = f"{same.cells_relabelled:,}"
        rows.append(SameSamplesRow(part, same.samples, same.earlier, same.now, change, corrected))
        if same.cells_relabelled:
            values = same.earlier_on_labels_then, same.now_on_labels_then
            rows.append(SameSamplesRow(f"{part}, by the old labels", same.kept, *values, "", ""))
    return SinceShown(continued_line(continued), tuple(rows))


def _locked(data: DataRecord) -> Iterator[tuple[str, str]]:
    yield "split", ", ".join(f"{part} {count:,}" for part, count in data.parts.items() if count)
    if data.folds is not None:
        yield "folds", f"{data.folds}: each sample of train is scored by a network that has not seen it"
    shape = " × ".join(map(str, data.preprocessing.shape))
    yield "samples", f"{data.samples:,} {data.kind} of {shape}"
    if backbone := data.preprocessing.backbone:
        yield "backbone", f"{backbone.name}, sha256 {backbone.sha256[:12]}: makes features of images"
    if unknown := sum(map(sum, data.unknown.values())):
        yield "unknown labels", f"{unknown:,}: read as neither yes nor no"
    if data.set_aside:
        yield "set aside", f"{len(data.set_aside)} images that cannot be read"


def _notes(data: DataRecord) -> Iterator[str]:
    yield from data.notes
    for one in data.set_aside[:NAMED]:
        yield f"Set aside: {one.sample}: {one.reason}."
    if len(data.set_aside) > NAMED:
        yield f"{len(data.set_aside) - NAMED} further images were set aside; result.json names them."


def _changed(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    if record.baseline is None:
        return
    old, new = (_fields(run.recipe) for run in (record.baseline, record.after))
    for field in sorted(old | new, key=lambda name: not name.startswith("model.")):
        if old.get(field) != new.get(field):
            yield field, _plain(old.get(field)), _plain(new.get(field))


def _fields(recipe: Recipe) -> dict[str, object]:
    plain = recipe.to_dict()
    return {f"{section}.{name}": value for section in ("model", "training") for name, value in plain[section].items()}


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)


def _reproduction(files: RunFiles) -> Reproduction:
    line, remark = reproduction(files.command, files.record.data.source)
    recipes = {one.name: one.to_toml() for one in files.record.after.networks}
    baseline = files.command.get("baseline")
    if "baseline.toml" in remark and isinstance(baseline, Mapping):
        recipes["the baseline"] = tomli_w.dumps(baseline)
    return Reproduction(line, remark, tuple(recipes.items()))


# ------------------------------------------------------------------------------------------ comparison


def _comparison(files: RunFiles, others: Sequence[RunFiles]) -> Comparison:
    runs, metric = [files, *others], files.record.target.metric
    parts = tuple(
        part for part in SCORED_PARTS if any(run.record.after.score(part, metric) is not None for run in runs)
    )
    shown = tuple(
        ComparedRun(
            name=name,
            kind=SERIES[min(number, len(SERIES) - 1)],
            record=record,
            same_lock=record.lock == files.record.lock,
            scores=_appraised(record.after, parts, metric),
            constant=score_of(record.after.constant, "val", metric),
        )
        for number, (name, record) in enumerate(_named(runs).items())
    )
    return Comparison(
        notice=_notice(shown),
        metric=TITLES[metric],
        parts=parts,
        runs=shown,
        figure=compared(TITLES[metric], shown, parts),
        metrics=_metrics(
            {run.name: _without_train(run.record.after.scores) for run in shown}, {run.name: run.kind for run in shown}
        ),
    )


def _named(runs: Sequence[RunFiles]) -> dict[str, RunRecord]:
    """Each by its folder's name; with a number where that was there before."""
    named: dict[str, RunRecord] = {}
    for run in runs:
        name, number = run.name, 1
        while name in named:
            number += 1
            name = f"{run.name} ({number})"
        named[name] = run.record
    return named


def _notice(runs: Sequence[ComparedRun]) -> str:
    strange = [run.name for run in runs if not run.same_lock]
    if not strange:
        return ""
    notice = (
        f"Not under the same lock: {', '.join(strange)}. Their scores are of other samples, of another split, or of "
        "samples prepared another way, so that a difference says nothing of the models alone."
    )
    differ = any(run.record.data.label_names != runs[0].record.data.label_names for run in runs)
    return f"{notice} Their labels differ as well." if differ else notice
