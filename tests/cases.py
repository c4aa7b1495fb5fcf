"""Runs and records with chosen figures, for tests of choices and verdicts."""

from dataclasses import replace

from tagfit.decisions.decider import Decider
from tagfit.decisions.reliability import CalibrationReport, ProbabilityReport
from tagfit.recipes import RECIPES
from tagfit.records.runs import Finding, RepeatsRecord, Run, SeedSpread
from tagfit.records.scores import METRICS, Scores
from tagfit.records.verdict import MET
from tagfit.runs.record import SCHEMA, Intervals, ModelRecord, RunRecord, TargetRecord
from tagfit.search.wording import judge


def run_of(name, train, val, *, test=None, parameters=100, state="finished", constant=0.3, ranks=None):
    """A run with the same score in every metric, or `ranks` in mAP."""

    def scores(value):
        by_metric = dict.fromkeys(METRICS, value)
        return Scores(**(by_metric if ranks is None else {**by_metric, "map": ranks}))

    by_part = {"train": None if train is None else scores(train), "val": scores(val)}
    if test is not None:
        by_part["test"] = scores(test)
    return Run(
        recipe=replace(RECIPES["dense-baseline"], name=name),
        lock="0" * 64,
        scores=by_part,
        constant={part: Scores(**dict.fromkeys(METRICS, constant)) for part in by_part},
        delivered_epoch=1,
        parameters=parameters,
        seconds=1.0,
        state=state,
    )


def record_of_case(case):
    """A record whose figures are those that a verdict is passed on."""
    verdict = judge(case)
    return RunRecord(
        schema=SCHEMA,
        tagfit="0",
        command="fit" if case.before is None else "cure",
        state="finished",
        lock="0" * 64,
        seed=0,
        device="cpu",
        data=None,
        target=TargetRecord(**vars(case.target), met=verdict.state in MET),
        verdict=verdict,
        before=None if case.before is None else _model(case.before, case),
        after=_model(case.after, case),
        differences=case.differences,
        refit=None,
        tried=tuple(run.trial for run in case.tried),
        search=None,
        finalists=tuple(_finalists(case)),
        ingredients=(),
        findings=tuple(_overfits(case)),
        seconds=1.0,
        expected=case.expected,
        choice=case.choice,
    )


def _model(run, case):
    nothing = ProbabilityReport(None, None, ())
    return ModelRecord(
        **vars(run),
        members=(run.recipe, run.recipe) if "ensemble" in run.recipe.name else None,
        intervals=Intervals({"val": case.intervals}, {}),
        decider=Decider(),
        calibration=CalibrationReport("none", None, nothing, nothing),
    )


def _finalists(case):
    for passed in case.choice.passed_over if case.choice else ():
        for name, mean in zip((passed.name, passed.instead), passed.means or (), strict=False):
            recipe = replace(RECIPES["dense-baseline"], name=name)
            yield RepeatsRecord(recipe, 3, SeedSpread(None, None), SeedSpread(mean, 0.01))


def _overfits(case):
    if case.gap is not None and case.gap.low > 0.05:
        yield Finding("gap", 0.2, case.gap.interval, "", "The model overfits: it knows more of train.", "", of="after")
