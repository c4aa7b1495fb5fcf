"""The tables a person sees at the end, in 80 columns, from records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType, group
from rich.table import Table
from rich.text import Text

from tagfit.metrics.titles import SMALL_SAMPLE, TITLES
from tagfit.records.runs import Folds, SeedSpread
from tagfit.records.scores import SCORED_PARTS, Difference, Interval
from tagfit.records.verdict import NextStep
from tagfit.report.findings import findings_lines
from tagfit.report.values import continued_line, gains_of, gains_remark, gap_of, score_of, tone_of, tried_recipes
from tagfit.runs.next_steps import next_steps
from tagfit.runs.record import Continuation, RunRecord

if TYPE_CHECKING:  # it loads torch
    from tagfit.runs.evaluation import EvaluationRecord, Slices

WIDTH = 80

#: slices in a table
MOST_SLICES = 30


def as_text(renderable: RenderableType) -> str:
    """What is shown, as plain text."""
    console = Console(width=WIDTH, color_system=None, force_terminal=False, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


# ------------------------------------------------------------------------------------------ fit and cure


@group()
def result_table(record: RunRecord, folder: Path | None = None) -> Iterator[RenderableType]:
    """What was asked and what came, in figures; last the verdict, and what to do next.

    Args:
        folder: the run's, for the commands.
    """
    data = record.data
    head = f"{record.command} · {data.name} · {data.samples:,} samples · {len(data.label_names)} labels"
    yield Text(f"{head} · lock {record.lock[:12]}", style="bold")
    yield from (Text(), _main_table(record), Text())
    if record.continued is not None:
        yield from (*_since(record.continued), Text())
    if record.gains:
        yield from (*_gains(record), Text())
    for table in _search_tables(record):
        yield from (table, Text())
    yield _other_metrics(record)
    yield from findings_lines(record.findings)
    yield from (Text(f"note: {note}", style="dim") for note in _notes(record))
    yield from _verdict(record)
    yield from _steps(next_steps(record, folder))


def _verdict(record: RunRecord) -> Iterator[Text]:
    style = {"bad": "bold red", "good": "bold green", "even": "bold yellow"}[tone_of(record)]
    yield from (Text(), Text("Verdict", style="bold underline"))
    yield from (Text(text, style=style) for text in record.verdict.sentences[:1])
    yield from map(Text, record.verdict.sentences[1:])


def _steps(steps: Sequence[NextStep]) -> Iterator[Text]:
    yield from (Text(), Text("What to do next", style="bold underline"))
    for step in steps:
        yield Text(step.reason)
        yield Text(f"    {step.command}", style="bold", no_wrap=True, overflow="ignore")


def _main_table(record: RunRecord) -> Table:
    metric, after, target = record.target.metric, record.after, record.target
    table = _plain_table(TITLES[metric], "recipe", *SCORED_PARTS, "gap")
    runs = {"model": after} if record.before is None else {"before": record.before, "after": after}
    for name, run in runs.items():
        values = [run.score(part, metric) for part in SCORED_PARTS]
        gap = gap_of(values[0], values[1])
        table.add_row(name, _shorten(run.recipe.name), *map(_number, [*values, gap]), style="bold")
        table.add_row("", "95% interval", *(_interval(run.interval(part, metric)) for part in SCORED_PARTS), "")
    if record.differences:
        changes = (_change(record.difference(part, metric)) for part in SCORED_PARTS)
        table.add_row("change", "in brackets: noise", *changes, "")
    if after.decider.rule is not None:
        decided = (_number(score_of(after.decided, part, metric)) for part in SCORED_PARTS)
        table.add_row("decided", f"for {after.decider.objective}", *decided, "")
    if after.folds is not None:
        spread = (_over_folds(after.folds, part, metric) for part in SCORED_PARTS)
        table.add_row("folds", "mean and deviation", *spread, "")
    if estimate := after.ensemble.get(metric):
        table.add_row("ensemble", "what it is estimated", "", _number(estimate.value), "", "")
        table.add_row("", "95% interval", "", _interval(estimate.interval), "", "")
    constants = [_number(score_of(after.constant, part, metric)) for part in SCORED_PARTS]
    table.add_row("constant", "the best fixed answer", *constants, "", style="dim")
    table.add_row("asked", "", f"< {target.train_below:.3f}", f">= {target.val_at_least:.3f}", "", "")
    train, val = (after.score(part, metric) for part in ("train", "val"))
    on_train = "-" if train is None else _met(train < target.train_below)
    table.add_row("", "", on_train, _met(val is not None and val >= target.val_at_least), "", "")
    return table


def _since(continued: Continuation) -> Iterator[RenderableType]:
    """What changed since the run that was gone on from, and both models on the same samples."""
    yield Text(continued_line(continued))
    if continued.compared:
        table = _plain_table("the same samples", "samples", "that run", "now", "difference", "relabelled")
        for part, same in continued.compared.items():
            change = _change(same.difference)
            cells = f"{same.cells_relabelled:,}"
            table.add_row(part, f"{same.samples:,}", _number(same.earlier), _number(same.now), change, cells)
            if same.cells_relabelled:
                values = (same.earlier_on_labels_then, same.now_on_labels_then)
                table.add_row("  by the old labels", f"{same.kept:,}", *map(_number, values), "", "")
        yield table


def _gains(record: RunRecord) -> Iterator[RenderableType]:
    """Why it is better: change by change, from the baseline to what is delivered."""
    shown = gains_of(record)
    table = _plain_table("why it is better", "", "on val", "share")
    for one in shown:
        share = "-" if one.share is None else f"{one.share:.0%}"
        table.add_row(_shorten(one.name), _shorten(one.fields, 34), _change(one.change), share)
    yield table
    yield from (Text(f"{_shorten(one.name)}: {one.why}") for one in shown)
    yield Text(f"note: in brackets: inside the noise. {gains_remark(record)}", style="dim")


def _search_tables(record: RunRecord) -> Iterator[Table]:
    """Every recipe that was tried, finalists on several seeds, what each ingredient of the chosen one brings."""
    if record.tried:
        table = _plain_table("recipes tried", "train", "val", "gap", "")
        table.style = "dim"
        for one in tried_recipes(record):
            table.add_row(_shorten(one.name), *map(_number, (one.train, one.val, one.gap)), one.remark)
        yield table
    if record.finalists:
        table = _plain_table("finalists: mean and deviation", "seeds", "train", "val")
        for repeats in record.finalists:
            spreads = map(_spread, (repeats.train, repeats.val))
            table.add_row(_shorten(repeats.recipe.name), str(repeats.seeds), *spreads)
        yield table
    if record.ingredients:
        table = _plain_table("ingredient", "brings on val", "noise", "")
        for brought in sorted(record.ingredients, key=lambda one: -(one.change or 0.0)):
            change = "-" if brought.change is None else f"{brought.change:+z.3f}"
            table.add_row(_shorten(brought.ingredient, 40), change, _number(brought.noise), brought.remark)
        yield table


def _met(met: bool) -> Text:
    return Text("met", style="green") if met else Text("missed", style="red")


def _other_metrics(record: RunRecord) -> Table:
    """All other metrics of the delivered model, its baseline's val beside, in grey."""
    after, before = record.after, record.baseline
    columns = ["the delivered model", *SCORED_PARTS, "val: constant", *(["val: before"] if before else [])]
    table = _plain_table(*columns)
    table.style = "dim"
    for name, title in TITLES.items():
        if name == record.target.metric:
            continue
        values = [after.score(part, name) for part in SCORED_PARTS]
        values.append(score_of(after.constant, "val", name))
        values += [before.score("val", name)] if before else []
        table.add_row(title, *map(_number, values))
        if name in SMALL_SAMPLE and after.small_sample:
            few = (after.small_sample.get(part) for part in SCORED_PARTS)
            table.add_row(SMALL_SAMPLE[name], *("-" if one is None else _number(one[name]) for one in few))
    return table


def _notes(record: RunRecord) -> Iterator[str]:
    data, after = record.data, record.after
    yield from data.notes
    if record.state == "stopped":
        yield "Stopped early; this is what it had reached. The same command with the same -o goes on."
    if data.set_aside:
        first = data.set_aside[0]
        yield f"{len(data.set_aside)} images were set aside, e.g. {first.sample}: {first.reason}."
    for part, left_out in after.left_out.items():
        if count := left_out.get("map"):
            yield f"mAP on {part} leaves out {count} labels without a positive there."
    shifting = sorted({one.training.loss for one in after.networks} - {"bce"})
    if shifting:
        yield (
            f"Networks trained by {' and '.join(shifting)} are recalibrated: one line for all labels, fitted on val, "
            "makes probabilities of their scores, so that 0.5 decides; val is scored by lines fitted on other rows."
        )
    if diverged := sum(trial.state == "diverged" for trial in record.tried):
        yield f"{diverged} recipes diverged and were passed over."


# ------------------------------------------------------------------------------------------- evaluation


@group()
def evaluation_table(record: EvaluationRecord) -> Iterator[RenderableType]:
    """Every metric with its interval, beside the constant baseline and beside another model where there is one."""
    yield Text(f"{record.samples:,} samples scored", style="bold")
    yield _evaluated_table(record)
    yield from _decision_lines(record)
    yield from (Text(), _slices_table(record.by)) if record.by else ()
    yield from (Text(f"note: {note}", style="dim") for note in _evaluation_notes(record))


def _evaluated_table(record: EvaluationRecord) -> Table:
    columns: dict[str, Callable[[str], str]] = {
        "score": lambda name: _number(record.scores[name]),
        "95% interval": lambda name: _interval(record.intervals.scores[name]),
    }
    if record.decider.rule is not None:
        columns["decided"] = lambda name: _number(record.decided[name])
    columns["constant"] = lambda name: _number(record.constant[name])
    if (other := record.compare) is not None:
        columns["other"] = lambda name: _number(other.scores[name])
        columns["difference"] = lambda name: _change(other.differences.scores[name])
    table = _plain_table("metric", *columns)
    for name, title in TITLES.items():
        table.add_row(title, *(cell(name) for cell in columns.values()))
        if name in SMALL_SAMPLE:
            table.add_row(SMALL_SAMPLE[name], _number(record.small_sample[name]))
    return table


def _decision_lines(record: EvaluationRecord) -> Iterator[Text]:
    """What decides and what was guaranteed, in words."""
    decider, here = record.decider, record.guarantee
    if decider.guaranteed is not None and here is not None:
        found = f"Here {decider.guaranteed.guarantee.metric} is {_number(here.achieved)}"
        if here.low is not None:
            found += f" (95%: {here.low:.3f} to {here.high:.3f})"
        yield from (Text(), Text(decider.guaranteed.sentence), Text(f"{found}, over {here.samples:,} samples."))
    elif decider.rule is not None:
        fitted = f"decided: for {decider.objective}, fitted on {decider.fitted_on}; score: above 0.5"
        yield from (Text(), Text(fitted))


def _slices_table(by: Slices) -> Table:
    """The slices of a column; the smallest are left to --json."""
    table = _plain_table(_shorten(by.column, 14), "samples", "micro-F1", "95%", "constant", "macro-F1", "subset", "mAP")
    for one in by.slices[:MOST_SLICES]:
        others = (_number(one.scores[metric]) for metric in ("macro_f1", "subset_accuracy", "map"))
        table.add_row(
            _shorten(one.value or "(empty)", 14),
            f"{one.samples:,}",
            _number(one.scores.micro_f1),
            _interval(one.intervals.scores["micro_f1"]),
            _number(one.constant.micro_f1),
            *others,
        )
    if len(by.slices) > MOST_SLICES:
        table.add_row(f"… {len(by.slices) - MOST_SLICES} more: --json")
    return table


def _evaluation_notes(record: EvaluationRecord) -> Iterator[str]:
    yield from record.notes
    yield from () if record.compare is None else record.compare.notes
    calibration = record.calibration
    if calibration.method != "none":
        before, after = (_number(one.ece) for one in (calibration.before, calibration.after))
        yield f"Calibrated ({calibration.method}), the probabilities' ECE is {after}, of the scores {before}."
    if record.compare is not None:
        yield "A difference is this model minus the other; in brackets: inside the noise."


# ------------------------------------------------------------------------------------- cells of a table


def bare_table() -> Table:
    """A table without lines or columns yet: the look of all tables here."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="underline")


def _plain_table(first: str, *columns: str) -> Table:
    table = bare_table()
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="left" if column in {"recipe", ""} else "right", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:z.3f}"


def _interval(interval: Interval | None) -> str:
    """`.842-.871`; nothing where there is none."""
    return "" if interval is None else "-".join(f"{end:z.3f}".removeprefix("0") for end in interval)


def _change(change: Difference | None) -> str:
    """`+0.012`; in brackets inside the noise."""
    if change is None:
        return "-"
    text = f"{change.value:+z.3f}"
    return f"({text})" if change.within_noise else text


def _over_folds(folds: Folds, part: str, metric: str) -> str:
    return _spread(SeedSpread(*(score_of(of, part, metric) for of in (folds.mean, folds.deviation))))


def _spread(spread: SeedSpread) -> str:
    if spread.mean is None:
        return ""
    deviation = "" if spread.deviation is None else f"±{spread.deviation:.3f}".replace("±0", "±")
    return f"{spread.mean:.3f}".removeprefix("0") + deviation


def _shorten(name: str, width: int = 24) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
