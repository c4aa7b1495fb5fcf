"""What a fit or a cure came to, as a RunRecord."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import tagfit
from tagfit.data.unknown import cell_counts
from tagfit.decisions.appraisal import differences
from tagfit.metrics.intervals import Spread, gap
from tagfit.records.data import UNKNOWN, YES, LockedData
from tagfit.records.runs import Finding
from tagfit.records.scores import Differences, EstimatedScore, Target
from tagfit.records.verdict import MET
from tagfit.runs import ledger
from tagfit.runs.continuation import sentences as since
from tagfit.runs.guarantee_scope import scope
from tagfit.runs.next_steps import next_steps
from tagfit.runs.record import (
    SCHEMA,
    Continuation,
    DataRecord,
    Intervals,
    ModelRecord,
    Refit,
    RunRecord,
    SetAside,
    TargetRecord,
)
from tagfit.runs.unknown_labels import UnknownLabels
from tagfit.search.campaign import Outcome
from tagfit.search.verdict import Case, expectation
from tagfit.search.wording import judge
from tagfit.training.trained import TrainedModel


def record_of(
    command: Literal["fit", "cure"],
    outcome: Outcome,
    data: LockedData,
    target: Target,
    *,
    test_run: int | None,
    continued: Continuation | None = None,
    **facts: Any,
) -> RunRecord:
    """The record of what a fit or a cure came to.

    Args:
        test_run: which run it is that scores the data's test part.
        continued: what changed since the run that was gone on from.
        facts: `seed`, `device` and `seconds`.
    """
    before, after = outcome.before, outcome.after
    case = _case(outcome, target)
    verdict = judge(case)
    refit = None if outcome.refit is None else Refit(len(data.dataset) - data.split.counts["test"])
    sentences = (
        *verdict.sentences,
        *since(continued, target.metric),
        *data.split.questions,
        *_unknown(after),
        *ledger.sentences(test_run),
        *_outside(data),
        *_decisions(after, data, target),
        *_refitted(refit),
    )
    record = RunRecord(
        schema=SCHEMA,
        tagfit=tagfit.__version__,
        command=command,
        test_run=test_run,
        continued=continued,
        state="finished" if outcome.complete else "stopped",
        lock=data.lock,
        data=_data_record(data),
        target=TargetRecord(**vars(target), met=verdict.state in MET),
        verdict=replace(verdict, sentences=sentences),
        before=None if before is None else _model_record(before),
        after=_model_record(after),
        differences=case.differences,
        refit=refit,
        tried=tuple(run.trial for run in outcome.tried),
        search=outcome.search,
        finalists=tuple(repeats.record for repeats in outcome.finalists),
        ingredients=tuple(ingredient.record for ingredient in outcome.ingredients),
        gains=outcome.gains,
        untried=outcome.untried,
        findings=_findings(before, after),
        expected=case.expected,
        choice=outcome.choice,
        **facts,
    )
    return replace(record, next_steps=next_steps(record, None))


def _case(outcome: Outcome, target: Target) -> Case:
    """What a verdict is passed on."""
    before, after = outcome.before, outcome.after
    assert after.appraisal is not None
    spreads = after.appraisal.spreads
    optimism = 0.0 if outcome.choice is None else outcome.choice.optimism
    return Case(
        target=target,
        before=None if before is None else before.run,
        after=after.run,
        expected=expectation(spreads, target, optimism, after.appraisal.averaged),
        gap=gap(spreads["train"], spreads["val"])[target.metric] if "train" in spreads else None,
        intervals=spreads["val"].intervals,
        differences={} if before is None else _differences(before, after),
        choice=outcome.choice,
        tried=outcome.tried,
    )


def _data_record(data: LockedData) -> DataRecord:
    dataset, split = data.dataset, data.split
    return DataRecord(
        name=dataset.name,
        kind=dataset.kind,
        samples=len(dataset),
        label_names=dataset.label_names,
        parts=split.counts,
        folds=None if split.folds is None else int(split.folds.max()) + 1,
        preprocessing=dataset.preprocessing,
        positives=_counts(data, YES),
        unknown=_counts(data, UNKNOWN),
        notes=(*dataset.notes, *split.notes),
        set_aside=tuple(SetAside(*one) for one in dataset.set_aside),
        source=data.source,
        grouped_by=split.grouped_by,
    )


def _model_record(trained: TrainedModel) -> ModelRecord:
    run, appraisal = trained.run, trained.appraisal
    assert appraisal is not None
    return ModelRecord(
        **{**vars(run), "seconds": round(run.seconds, 3)},
        members=trained.members if len(trained.members) > 1 else None,
        intervals=Intervals(
            scores=appraisal.intervals,
            decided=appraisal.decided_intervals,
        ),
        decider=appraisal.decider,
        calibration=appraisal.calibration,
        refusal=appraisal.refusal,
        small_sample=appraisal.small_sample,
        ensemble=_ensemble(appraisal.averaged),
    )


def _ensemble(averaged: Spread | None) -> dict[str, EstimatedScore]:
    if averaged is None:
        return {}
    return {
        metric: EstimatedScore(averaged.scores[metric], interval) for metric, interval in averaged.intervals.items()
    }


def _counts(data: LockedData, value: int) -> dict[str, tuple[int, ...]]:
    return {part: tuple(counts) for part, counts in cell_counts(data.dataset, data.split.parts, value).items()}


def _differences(before: TrainedModel, after: TrainedModel) -> Differences:
    if before is after or before.appraisal is None or after.appraisal is None:
        return {}
    return differences(after.appraisal.spreads, before.appraisal.spreads)


def _findings(before: TrainedModel | None, after: TrainedModel) -> tuple[Finding, ...]:
    """Those of what is delivered, then those of the baseline, each the worst first."""
    runs = [("after", after), *([] if before is None or before is after else [("before", before)])]
    return tuple(replace(finding, of=name) for name, trained in runs for finding in trained.findings)


def _unknown(after: TrainedModel) -> tuple[str, ...]:
    compared = UnknownLabels.of(after.predictions)
    return () if compared is None else compared.sentences


def _outside(data: LockedData) -> tuple[str, ...]:
    backbone = data.dataset.preprocessing.backbone
    if backbone is None:
        return ()
    return (f"It brings knowledge from outside: {backbone} was trained on other images, and made features of these.",)


def _decisions(after: TrainedModel, data: LockedData, target: Target) -> tuple[str, ...]:
    if after.appraisal is None:
        return ()
    guaranteed = scope(data) if after.appraisal.decider.guaranteed is not None else ()
    return (*after.appraisal.sentences(data.dataset.label_names, target.metric), *guaranteed)


def _refitted(refit: Refit | None) -> tuple[str, ...]:
    if refit is None:
        return ()
    return (
        f"What is handed over was trained again on all {refit.samples:,} labelled samples but test: "
        "no split scores that network. The scores are of the same recipe on train alone.",
    )
