"""Builds what the page shows from the records of a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomli_w

from tagfit.metrics.titles import TITLES
from tagfit.records.scores import LOWER_IS_BETTER, SCORED_PARTS
from tagfit.report.command import reproduction
from tagfit.report.context import (
    Change,
    ComparedRun,
    Comparison,
    Context,
    FieldChange,
    FindingShown,
    Head,
    Lock,
    MetricRow,
    Metrics,
    ModelRow,
    Outcome,
    Reproduction,
    Score,
    Verdict,
)
from tagfit.report.drawn import bands, compared, curves, ingredients, learning, search
from tagfit.report.samples import gallery, labels, together
from tagfit.report.values import gap_of, kind_of, runs_of, value_of
from tagfit.runs.predictions import SavedPredictions

#: names in a finding, and images set aside, that are shown
NAMED = 12

#: the series of runs that are compared
KINDS = ("after", "before", "third", "fourth", "fifth", "constant")


@dataclass(frozen=True, eq=False)
class Records:
    """What a run folder holds of a run.

    Attributes:
        name: how the folder is called.
        result: result.json (docs/result.md).
        command: run.json.
        predictions: None where the folder has none.
    """

    name: str
    result: Mapping[str, Any]
    command: Mapping[str, Any]
    predictions: SavedPredictions | None


def compose(records: Records, others: Sequence[Records] = ()) -> Context:
    """The page of one run, beside others where there are some."""
    result, saved = records.result, records.predictions
    fitted = saved is not None
    return Context(
        version=str(result["tagfit"]),
        head=_head(result),
        verdict=_verdict(result),
        comparison=_comparison(records, others) if others else None,
        outcome=_outcome(result),
        learning=tuple(learning(result)),
        lock=_lock(result),
        metrics=_metrics(_models(result)),
        findings=tuple(_findings(result)),
        labels=labels(saved, result) if saved is not None else None,
        curves=curves(saved, result),
        together=together(saved, result) if saved is not None else None,
        search=search(result) if result["tried"] else None,
        ingredients=ingredients(result) if result["ingredients"] else None,
        gallery=gallery(saved, result) if saved is not None else None,
        reproduction=_reproduction(records),
        missing=() if fitted else (_NO_PREDICTIONS,),
    )


_NO_PREDICTIONS = (
    "This run folder holds no predictions (it was made by an earlier version, or they were deleted): labels, curves, "
    "confusions and images are not shown. The same command, run anew with another -o, writes them."
)


def _head(result: Mapping[str, Any]) -> Head:
    data = result["data"]
    facts = [
        f"{data['samples']:,} samples",
        f"{len(data['label_names'])} labels",
        f"seed {result['seed']}",
        f"{_minutes(result['seconds'])} on {result['device']}",
    ]
    if result["state"] == "stopped":
        facts.append("stopped early: preliminary")
    return Head(str(result["command"]), str(data["name"]), tuple(facts))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _verdict(result: Mapping[str, Any]) -> Verdict:
    lead, *remarks = result["verdict"]["sentences"] or [""]
    return Verdict(result["verdict"]["state"], bool(result["target"]["met"]), lead, tuple(remarks))


# ---------------------------------------------------------------------------------------------- scores


def _parts(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts that are scored."""
    return tuple(part for part in SCORED_PARTS if result["after"]["scores"].get(part) is not None)


def _score(run: Mapping[str, Any], part: str, metric: str) -> Score:
    interval = value_of(run.get("intervals", {}).get("scores", {}), part, metric)
    return Score(value_of(run["scores"], part, metric), None if interval is None else (interval[0], interval[1]))


def _model_rows(result: Mapping[str, Any], parts: Sequence[str], metric: str) -> Iterator[ModelRow]:
    for name, run in runs_of(result).items():
        scores = tuple(_score(run, part, metric) for part in parts)
        gap = gap_of(*(value_of(run["scores"], part, metric) for part in ("train", "val")))
        yield ModelRow(name, kind_of(name), run["recipe"]["name"], scores, gap)
    after = result["after"]
    decider = after["decider"]
    if decider["rule"] is not None:
        decided = tuple(Score(value_of(after["decided"], part, metric)) for part in parts)
        yield ModelRow("decided", "after", f"for {decider['wish']}", decided, None)
    constant = tuple(Score(value_of(after["constant"], part, metric)) for part in parts)
    yield ModelRow("constant", "constant", "the best fixed answer", constant, None)


def _outcome(result: Mapping[str, Any]) -> Outcome:
    metric, parts, target = result["target"]["metric"], _parts(result), result["target"]
    asked = {"train": f"below {target['train_below']:.3f}", "val": f"at least {target['val_at_least']:.3f}"}
    models = tuple(_model_rows(result, parts, metric))
    changes = tuple(_change(value_of(result["differences"], part, metric)) for part in parts)
    return Outcome(
        metric=TITLES[metric],
        parts=parts,
        models=models,
        changes=changes if any(changes) else (),
        asked=tuple(asked.get(part, "") for part in parts),
        figure=bands(TITLES[metric], models, parts, target),
    )


def _change(change: Mapping[str, Any] | None) -> Change | None:
    return None if change is None else Change(*(change[key] for key in ("value", "low", "high", "within_noise")))


def _models(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Scores by part, of every model and of the constant baseline."""
    scored: dict[str, Mapping[str, Any]] = {name: run["scores"] for name, run in runs_of(result).items()}
    constant = result["after"]["constant"]
    return scored | {"constant": {part: one for part, one in constant.items() if part != "train"}}


def _metrics(models: Mapping[str, Mapping[str, Any]]) -> Metrics:
    """Every metric of models that have scores by part."""
    columns = [
        (model, part) for model, by_part in models.items() for part in SCORED_PARTS if by_part.get(part) is not None
    ]
    return Metrics(
        heads=tuple((model, sum(other == model for other, _ in columns)) for model in models),
        columns=tuple(part for _, part in columns),
        rows=tuple(
            MetricRow(
                title, name in LOWER_IS_BETTER, tuple(value_of(models[model], part, name) for model, part in columns)
            )
            for name, title in TITLES.items()
        ),
    )


# ------------------------------------------------------------------------------------ lock and findings


def _lock(result: Mapping[str, Any]) -> Lock:
    runs = [run for run in (result["before"], result["after"], *result["tried"]) if run is not None]
    same = all(run["lock"] == result["lock"] for run in runs)
    count = len(result["tried"]) + (result["before"] is not None or not result["tried"])
    proof = (
        f"All {count} trainings were done under this lock: data, split and preprocessing were the same."
        if count > 1
        else "The training was done under this lock."
    )
    return Lock(
        fingerprint=result["lock"],
        proof=proof if same else "Not all trainings were done under this lock: do not trust the comparison.",
        facts=tuple(_facts(result["data"])),
        changes=tuple(_changed(result)),
        notes=tuple(_notes(result["data"])),
    )


def _facts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "split", ", ".join(f"{part} {count:,}" for part, count in data["parts"].items() if count)
    if data["folds"] is not None:
        yield "folds", f"{data['folds']}: each sample of train is scored by a network that has not seen it"
    preprocessing = data["preprocessing"]
    shape = " × ".join(map(str, preprocessing["shape"]))
    yield "samples", f"{data['samples']:,} {data['kind']} of {shape}"
    if preprocessing.get("backbone"):
        backbone = preprocessing["backbone"]
        yield "backbone", f"{backbone['name']}, sha256 {backbone['sha256'][:12]}: makes features of images"
    unknown = sum(map(sum, data["unknown"].values()))
    if unknown:
        yield "unknown cells", f"{unknown:,}: read as neither yes nor no"
    if data["set_aside"]:
        yield "set aside", f"{len(data['set_aside'])} images that cannot be read"


def _notes(data: Mapping[str, Any]) -> Iterator[str]:
    yield from data["notes"]
    for one in data["set_aside"][:NAMED]:
        yield f"Set aside: {one['sample']}: {one['reason']}."
    if len(data["set_aside"]) > NAMED:
        yield f"{len(data['set_aside']) - NAMED} further images were set aside; result.json names them."


def _changed(result: Mapping[str, Any]) -> Iterator[FieldChange]:
    runs = runs_of(result)
    if len(runs) < 2:
        return
    old, new = (dict(_flat(runs[name]["recipe"])) for name in ("before", "after"))
    fields = dict.fromkeys([*old, *new])
    for field in sorted(fields, key=lambda name: not name.startswith("model.")):
        if field != "name" and old.get(field) != new.get(field):
            yield FieldChange(field, _plain(old.get(field)), _plain(new.get(field)))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)


def _findings(result: Mapping[str, Any]) -> Iterator[FindingShown]:
    """Those of what is delivered, then those of the baseline, each the worst first."""
    names = {"after": "the delivered model", "before": "the baseline"}
    found = sorted(result["findings"], key=lambda one: (one["of"] != "after", -one["strength"]))
    for one in found:
        yield FindingShown(
            names[one["of"]], one["strength"], one["meaning"], one["seen"], one["todo"], tuple(one["names"][:NAMED])
        )


def _reproduction(records: Records) -> Reproduction:
    line, remark = reproduction(records.command, records.result["data"].get("source"))
    after = records.result["after"]
    recipes = {str(one["name"]): tomli_w.dumps(one) for one in after["members"] or [after["recipe"]]}
    baseline = records.command.get("baseline")
    if "baseline.toml" in remark and isinstance(baseline, Mapping):
        recipes["the baseline"] = tomli_w.dumps(baseline)
    return Reproduction(line, remark, tuple(recipes.items()))


# ------------------------------------------------------------------------------------------ comparison


def _comparison(records: Records, others: Sequence[Records]) -> Comparison:
    runs = [records, *others]
    metric = records.result["target"]["metric"]
    parts = tuple(
        part for part in SCORED_PARTS if any(value_of(run.result["after"]["scores"], part, metric) for run in runs)
    )
    named = dict(_named(runs))
    shown = tuple(
        ComparedRun(
            name=name,
            kind=KINDS[min(number, len(KINDS) - 1)],
            recipe=run.result["after"]["recipe"]["name"],
            state=run.result["verdict"]["state"],
            lock=run.result["lock"][:12],
            same_lock=run.result["lock"] == records.result["lock"],
            scores=tuple(_score(run.result["after"], part, metric) for part in parts),
            constant=value_of(run.result["after"]["constant"], "val", metric),
        )
        for number, (name, run) in enumerate(named.items())
    )
    return Comparison(
        notice=_notice(shown, [run.result["data"]["label_names"] for run in runs]),
        metric=TITLES[metric],
        parts=parts,
        runs=shown,
        figure=compared(TITLES[metric], shown, parts),
        metrics=_metrics({name: _without_train(run.result["after"]["scores"]) for name, run in named.items()}),
    )


def _named(runs: Sequence[Records]) -> Iterator[tuple[str, Records]]:
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
    told = f"Not under the same lock: {', '.join(strange)}. Their scores are of other samples, of another split, or of "
    told += "samples prepared another way, so that a difference says nothing of the models alone."
    if any(list(names) != list(label_names[0]) for names in label_names):
        told += " Their labels differ as well."
    return told


def _without_train(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {part: one for part, one in scores.items() if part != "train"}
