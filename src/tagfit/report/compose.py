"""Builds what the page shows from the records of a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tomli_w

from tagfit.metrics.titles import TITLES
from tagfit.recipes import Recipe
from tagfit.records.scores import LOWER_IS_BETTER, SCORED_PARTS, ByPart, Difference
from tagfit.report.command import reproduction
from tagfit.report.context import (
    ChangeShown,
    ComparedRun,
    Comparison,
    Context,
    FieldChange,
    FindingShown,
    Head,
    LockShown,
    MetricRow,
    MetricTable,
    ModelRow,
    OutcomeShown,
    Reproduction,
    ScoreShown,
    VerdictShown,
)
from tagfit.report.drawn import bands, compared, curves, ingredients, learning, runs_of, search, series_of
from tagfit.report.samples import gallery, labels, together
from tagfit.report.table import gap_of
from tagfit.runs.folder import RunCommand
from tagfit.runs.predictions import SavedPredictions
from tagfit.runs.record import DataRecord, ModelRecord, RunRecord

#: names in a finding, and images set aside, that are shown
NAMED = 12

#: the series of runs that are compared
SERIES = ("after", "before", "third", "fourth", "fifth", "constant")


@dataclass(frozen=True, eq=False)
class RunFiles:
    """What a run folder holds of a run.

    Attributes:
        name: how the folder is called.
        record: result.json.
        command: run.json.
        predictions: None where the folder has none.
    """

    name: str
    record: RunRecord
    command: RunCommand
    predictions: SavedPredictions | None


def compose(files: RunFiles, others: Sequence[RunFiles] = ()) -> Context:
    """The page of one run, beside others where there are some."""
    record, saved = files.record, files.predictions
    return Context(
        version=record.tagfit,
        head=_head(record),
        verdict=_verdict(record),
        comparison=_comparison(files, others) if others else None,
        outcome=_outcome(record),
        learning=tuple(learning(record)),
        lock=_lock(record),
        metrics=_metrics(_models(record)),
        findings=tuple(_findings(record)),
        labels=labels(saved, record) if saved is not None else None,
        curves=curves(saved, record),
        together=together(saved, record) if saved is not None else None,
        search=search(record) if record.tried else None,
        ingredients=ingredients(record) if record.ingredients else None,
        gallery=gallery(saved, record) if saved is not None else None,
        reproduction=_reproduction(files),
        missing=() if saved is not None else (_NO_PREDICTIONS,),
    )


_NO_PREDICTIONS = (
    "This run folder holds no predictions (it was made by an earlier version, or they were deleted): labels, curves, "
    "confusions and images are not shown. The same command, run anew with another -o, writes them."
)


def _head(record: RunRecord) -> Head:
    facts = [
        f"{record.data.samples:,} samples",
        f"{len(record.data.label_names)} labels",
        f"seed {record.seed}",
        f"{_minutes(record.seconds)} on {record.device}",
    ]
    if record.state == "stopped":
        facts.append("stopped early: preliminary")
    return Head(record.command, record.data.name, tuple(facts))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _verdict(record: RunRecord) -> VerdictShown:
    lead, *remarks = record.verdict.sentences or ("",)
    return VerdictShown(record.verdict.state, record.target.met, lead, tuple(remarks))


# ---------------------------------------------------------------------------------------------- scores


def _score(run: ModelRecord, part: str, metric: str) -> ScoreShown:
    return ScoreShown(run.score(part, metric), run.interval(part, metric))


def _model_rows(record: RunRecord, parts: Sequence[str], metric: str) -> Iterator[ModelRow]:
    for name, run in runs_of(record).items():
        scores = tuple(_score(run, part, metric) for part in parts)
        gap = gap_of(run.score("train", metric), run.score("val", metric))
        yield ModelRow(name, series_of(name), run.recipe.name, scores, gap)
    after = record.after
    if after.decider.rule is not None:
        objective = f"for {after.decider.objective}"
        yield ModelRow("decided", "after", objective, _scores(after.decided, parts, metric), None)
    yield ModelRow("constant", "constant", "the best fixed answer", _scores(after.constant, parts, metric), None)


def _scores(by_part: ByPart, parts: Sequence[str], metric: str) -> tuple[ScoreShown, ...]:
    return tuple(ScoreShown(_value(by_part, part, metric)) for part in parts)


def _value(by_part: ByPart, part: str, metric: str) -> float | None:
    scores = by_part.get(part)
    return None if scores is None else scores[metric]


def _outcome(record: RunRecord) -> OutcomeShown:
    target, metric = record.target, record.target.metric
    parts = tuple(part for part in SCORED_PARTS if record.after.scores.get(part) is not None)
    asked = {"train": f"below {target.train_below:.3f}", "val": f"at least {target.val_at_least:.3f}"}
    models = tuple(_model_rows(record, parts, metric))
    changes = tuple(_change(record.difference(part, metric)) for part in parts)
    return OutcomeShown(
        metric=TITLES[metric],
        parts=parts,
        models=models,
        changes=changes if any(changes) else (),
        asked=tuple(asked.get(part, "") for part in parts),
        figure=bands(TITLES[metric], models, parts, target),
    )


def _change(change: Difference | None) -> ChangeShown | None:
    return None if change is None else ChangeShown(change.value, change.low, change.high, change.within_noise)


def _models(record: RunRecord) -> dict[str, ByPart]:
    """Scores by part, of every model and of the constant baseline."""
    scored = {name: run.scores for name, run in runs_of(record).items()}
    return scored | {"constant": _without_train(record.after.constant)}


def _metrics(models: Mapping[str, ByPart]) -> MetricTable:
    """Every metric of models that have scores by part."""
    columns = [(name, part) for name, one in models.items() for part in SCORED_PARTS if one.get(part) is not None]
    return MetricTable(
        heads=tuple((model, sum(other == model for other, _ in columns)) for model in models),
        columns=tuple(part for _, part in columns),
        rows=tuple(
            MetricRow(
                title, name in LOWER_IS_BETTER, tuple(_value(models[model], part, name) for model, part in columns)
            )
            for name, title in TITLES.items()
        ),
    )


# ------------------------------------------------------------------------------------ lock and findings


def _lock(record: RunRecord) -> LockShown:
    runs = [run for run in (record.before, record.after, *record.tried) if run is not None]
    same = all(run.lock == record.lock for run in runs)
    count = len(record.tried) + (record.before is not None or not record.tried)
    proof = (
        f"All {count} trainings were done under this lock: data, split and preprocessing were the same."
        if count > 1
        else "The training was done under this lock."
    )
    return LockShown(
        fingerprint=record.lock,
        proof=proof if same else "Not all trainings were done under this lock: do not trust the comparison.",
        facts=tuple(_facts(record.data)),
        changes=tuple(_changed(record)),
        notes=tuple(_notes(record.data)),
    )


def _facts(data: DataRecord) -> Iterator[tuple[str, str]]:
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


def _changed(record: RunRecord) -> Iterator[FieldChange]:
    if record.baseline is None:
        return
    old, new = (_fields(run.recipe) for run in (record.baseline, record.after))
    for field in sorted(dict.fromkeys([*old, *new]), key=lambda name: not name.startswith("model.")):
        if old.get(field) != new.get(field):
            yield FieldChange(field, _plain(old.get(field)), _plain(new.get(field)))


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


def _findings(record: RunRecord) -> Iterator[FindingShown]:
    """Those of what is delivered, then those of the baseline, each the worst first."""
    names = {"after": "the delivered model", "before": "the baseline"}
    for one in sorted(record.findings, key=lambda one: (one.of != "after", -one.strength)):
        yield FindingShown(names[one.of], one.strength, one.meaning, one.seen, one.todo, one.names[:NAMED])


def _reproduction(files: RunFiles) -> Reproduction:
    line, remark = reproduction(files.command, files.record.data.source)
    recipes = {one.name: one.to_toml() for one in files.record.after.networks}
    baseline = files.command.get("baseline")
    if "baseline.toml" in remark and isinstance(baseline, Mapping):
        recipes["the baseline"] = tomli_w.dumps(baseline)
    return Reproduction(line, remark, tuple(recipes.items()))


# ------------------------------------------------------------------------------------------ comparison


def _comparison(files: RunFiles, others: Sequence[RunFiles]) -> Comparison:
    runs, record = [files, *others], files.record
    metric = record.target.metric
    parts = tuple(
        part for part in SCORED_PARTS if any(run.record.after.score(part, metric) is not None for run in runs)
    )
    named = {name: run.record for name, run in _named(runs)}
    shown = tuple(
        ComparedRun(
            name=name,
            kind=SERIES[min(number, len(SERIES) - 1)],
            recipe=one.after.recipe.name,
            state=one.verdict.state,
            lock=one.lock[:12],
            same_lock=one.lock == record.lock,
            scores=tuple(_score(one.after, part, metric) for part in parts),
            constant=_value(one.after.constant, "val", metric),
        )
        for number, (name, one) in enumerate(named.items())
    )
    return Comparison(
        notice=_notice(shown, [run.record.data.label_names for run in runs]),
        metric=TITLES[metric],
        parts=parts,
        runs=shown,
        figure=compared(TITLES[metric], shown, parts),
        metrics=_metrics({name: _without_train(one.after.scores) for name, one in named.items()}),
    )


def _named(runs: Sequence[RunFiles]) -> Iterator[tuple[str, RunFiles]]:
    """Each by its folder's name; with a number where that was there before."""
    taken: set[str] = set()
    for run in runs:
        name, number = run.name, 1
        while name in taken:
            number += 1
            name = f"{run.name} ({number})"
        taken.add(name)
        yield name, run


def _notice(runs: Sequence[ComparedRun], label_names: Sequence[Sequence[str]]) -> str:
    strange = [run.name for run in runs if not run.same_lock]
    if not strange:
        return ""
    notice = (
        f"Not under the same lock: {', '.join(strange)}. Their scores are of other samples, of another split, or of "
        "samples prepared another way, so that a difference says nothing of the models alone."
    )
    differ = any(list(names) != list(label_names[0]) for names in label_names)
    return f"{notice} Their labels differ as well." if differ else notice


def _without_train(scores: ByPart) -> ByPart:
    return {part: one for part, one in scores.items() if part != "train"}
