"""The tables a person sees at the end, in 80 columns, from a result's record alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tagfit.metrics.titles import TITLES
from tagfit.records.scores import SCORED_PARTS
from tagfit.report.findings import findings_lines

WIDTH = 80

#: slices in a table
MOST_SLICES = 30


def result_text(record: Mapping[str, Any]) -> str:
    """The table of a fit or a cure as plain text."""
    return as_text(result_table(record))


def evaluation_text(record: Mapping[str, Any]) -> str:
    """The table of an evaluation as plain text."""
    return as_text(evaluation_table(record))


def as_text(renderable: RenderableType) -> str:
    console = Console(width=WIDTH, color_system=None, force_terminal=False, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def result_table(record: Mapping[str, Any]) -> Group:
    """What was asked, what came, in plain words and in figures."""
    metric = record["target"]["metric"]
    runs = {name: record[name] for name in ("before", "after") if record[name] is not None}
    if len(runs) == 1:
        runs = {"model": record["after"]}
    tried: list[RenderableType] = [_tried_table(record, metric), Text()] if record["tried"] else []
    return Group(
        Text(_head(record), style="bold"),
        _main_table(record, runs, metric),
        Text(),
        *(_sentence(record, number, text) for number, text in enumerate(record["verdict"]["sentences"])),
        Text(),
        *tried,
        *_search_tables(record),
        _other_metrics(runs, metric),
        *((Text(), *findings_lines(record["findings"])) if record["findings"] else ()),
        *(Text(f"note: {note}", style="dim") for note in _notes(record, runs)),
    )


def evaluation_table(record: Mapping[str, Any]) -> Group:
    """Every metric with its interval, beside the constant baseline and beside another model where there is one."""
    return Group(
        Text(f"{record['samples']:,} samples scored", style="bold"),
        _evaluated_table(record),
        *_told(record),
        *((Text(), _slices_table(record["by"])) if "by" in record else ()),
        *(Text(f"note: {note}", style="dim") for note in _evaluation_notes(record)),
    )


def _evaluated_table(record: Mapping[str, Any]) -> Table:
    ruled, compared = record["decider"]["rule"] is not None, record.get("compare")
    columns = ["score", "95% interval", *(["decided"] if ruled else []), "constant"]
    table = _plain_table("metric", *columns, *(["other", "difference"] if compared else []))
    for name, title in TITLES.items():
        cells = [_number(record["scores"][name]), _interval(record["intervals"]["scores"][name])]
        cells += [_number(record["decided"][name])] if ruled else []
        cells += [_number(record["constant"][name])]
        if compared:
            cells += [_number(compared["scores"][name]), _change(compared["differences"]["scores"][name])]
        table.add_row(title, *cells)
    return table


def _told(record: Mapping[str, Any]) -> list[Text]:
    """What decides and what was guaranteed, in words."""
    decider = record["decider"]
    if "guarantee" in record:
        here, metric = record["guarantee"], decider["guaranteed"]["guarantee"].partition("=")[0]
        found = f"Here {metric} is {_number(here['achieved'])}"
        if here["low"] is not None:
            found += f" (95%: {here['low']:.3f} to {here['high']:.3f})"
        return [Text(), Text(decider["guaranteed"]["sentence"]), Text(f"{found}, over {here['samples']:,} samples.")]
    if decider["rule"] is None:
        return []
    return [Text(), Text(f"decided: for {decider['wish']}, fitted on {decider['fitted_on']}; score: above 0.5")]


def _slices_table(by: Mapping[str, Any]) -> Table:
    """The slices of a column; the smallest are left to --json."""
    metrics = ("micro_f1", "macro_f1", "subset_accuracy", "map")
    table = _plain_table(
        _shorten(by["column"], 14), "samples", "micro-F1", "95%", "constant", "macro-F1", "subset", "mAP"
    )
    for one in by["slices"][:MOST_SLICES]:
        micro, *others = (_number(one["scores"][metric]) for metric in metrics)
        interval, constant = _interval(one["intervals"]["scores"]["micro_f1"]), _number(one["constant"]["micro_f1"])
        name = _shorten(one["value"] or "(empty)", 14)
        table.add_row(name, f"{one['samples']:,}", micro, interval, constant, *others)
    if len(by["slices"]) > MOST_SLICES:
        table.add_row(f"… {len(by['slices']) - MOST_SLICES} more: --json")
    return table


def _evaluation_notes(record: Mapping[str, Any]) -> list[str]:
    notes = [*record["notes"], *record.get("compare", {}).get("notes", ())]
    calibration = record["calibration"]
    if calibration["method"] != "none":
        before, after = (_number(calibration[when]["ece"]) for when in ("before", "after"))
        notes.append(
            f"Calibrated ({calibration['method']}), the probabilities' ECE is {after}, of the scores {before}."
        )
    if "compare" in record:
        notes.append("A difference is this model minus the other; in brackets: inside the noise.")
    return notes


def _head(record: Mapping[str, Any]) -> str:
    data = record["data"]
    return (
        f"{record['command']} · {data['name']} · {data['samples']:,} samples · "
        f"{len(data['label_names'])} labels · lock {record['lock'][:12]}"
    )


def _main_table(record: Mapping[str, Any], runs: Mapping[str, Any], metric: str) -> Table:
    table = _plain_table(TITLES[metric], "recipe", *SCORED_PARTS, "gap")
    for name, run in runs.items():
        values = [_score(run["scores"], part, metric) for part in SCORED_PARTS]
        gap = None if values[0] is None or values[1] is None else values[0] - values[1]
        table.add_row(name, _shorten(run["recipe"]["name"]), *map(_number, [*values, gap]), style="bold")
        intervals = run["intervals"]["scores"]
        table.add_row("", "95% interval", *(_interval(_score(intervals, part, metric)) for part in SCORED_PARTS), "")
    after = record["after"]
    if len(runs) > 1 and record["differences"]:
        changes = (_change(_score(record["differences"], part, metric)) for part in SCORED_PARTS)
        table.add_row("change", "in brackets: noise", *changes, "")
    if after["decider"]["rule"] is not None:
        decided = (_number(_score(after["decided"], part, metric)) for part in SCORED_PARTS)
        table.add_row("decided", f"for {after['decider']['wish']}", *decided, "")
    if after["folds"] is not None:
        spread = (_mean_and_deviation(after["folds"], part, metric) for part in SCORED_PARTS)
        table.add_row("folds", "mean and deviation", *spread, "")
    constants = [_number(_score(after["constant"], part, metric)) for part in SCORED_PARTS]
    table.add_row("constant", "the best fixed answer", *constants, "", style="dim")
    target = record["target"]
    table.add_row("asked", "", f"< {target['train_below']:.3f}", f">= {target['val_at_least']:.3f}", "", "")
    train, val = (_score(after["scores"], part, metric) for part in ("train", "val"))
    table.add_row(
        "",
        "",
        _met(train < target["train_below"]) if train is not None else "-",
        _met(val is not None and val >= target["val_at_least"]),
        "",
        "",
    )
    return table


def _tried_table(record: Mapping[str, Any], metric: str) -> Table:
    """Every recipe that was tried; the one that is delivered is marked."""
    table = _plain_table("recipes tried", "train", "val", "gap", "")
    table.style = "dim"
    for trial in record["tried"]:
        train, val = (_score(trial["scores"], part, metric) for part in ("train", "val"))
        gap = None if train is None or val is None else train - val
        chosen = "delivered" if trial["recipe"] == record["after"]["recipe"] else ""
        remark = chosen if trial["state"] == "finished" else trial["state"]
        table.add_row(_shorten(trial["recipe"]["name"]), *map(_number, (train, val, gap)), remark)
    return table


def _search_tables(record: Mapping[str, Any]) -> list[RenderableType]:
    """Finalists on several seeds, and what each ingredient of the chosen one brings."""
    tables: list[RenderableType] = []
    if record["finalists"]:
        table = _plain_table("finalists: mean and deviation", "seeds", "train", "val")
        for one in record["finalists"]:
            spreads = [_spread(one[part]["mean"], one[part]["deviation"]) for part in ("train", "val")]
            table.add_row(_shorten(one["recipe"]["name"]), str(one["seeds"]), *spreads)
        tables += [table, Text()]
    if record["ingredients"]:
        table = _plain_table("ingredient", "brings on val", "noise", "")
        for one in sorted(record["ingredients"], key=lambda one: -(one["change"] or 0.0)):
            change = "-" if one["change"] is None else f"{round(one['change'], 3) + 0.0:+.3f}"
            table.add_row(_shorten(one["ingredient"], 40), change, _number(one["noise"]), "useless" * one["useless"])
        tables += [table, Text()]
    return tables


def _met(met: bool) -> Text:
    return Text("met", style="green") if met else Text("missed", style="red")


def _sentence(record: Mapping[str, Any], number: int, text: str) -> Text:
    if number:
        return Text(text)
    return Text(text, style="bold green" if record["target"]["met"] else "bold yellow")


def _other_metrics(runs: Mapping[str, Any], metric: str) -> Table:
    """All other metrics of the delivered model, its baseline's val beside, in grey."""
    after = list(runs.values())[-1]
    before = runs.get("before")
    before = None if before is not None and before["recipe"] == after["recipe"] else before
    columns = ["the delivered model", *SCORED_PARTS, "val: constant", *(["val: before"] if before else [])]
    table = _plain_table(*columns)
    table.style = "dim"
    for name, title in TITLES.items():
        if name == metric:
            continue
        cells = [_number(_score(after["scores"], part, name)) for part in SCORED_PARTS]
        cells.append(_number(_score(after["constant"], "val", name)))
        if before:
            cells.append(_number(_score(before["scores"], "val", name)))
        table.add_row(title, *cells)
    return table


def _notes(record: Mapping[str, Any], runs: Mapping[str, Any]) -> list[str]:
    notes = list(record["data"]["notes"])
    if record["state"] == "stopped":
        notes.append("Stopped early; this is what it had reached. The same command with the same -o goes on.")
    set_aside = record["data"]["set_aside"]
    if set_aside:
        first = set_aside[0]
        notes.append(f"{len(set_aside)} images were set aside, e.g. {first['sample']}: {first['reason']}.")
    for part, left_out in record["after"]["left_out"].items():
        if left_out.get("map"):
            notes.append(f"mAP on {part} leaves out {left_out['map']} labels without a positive there.")
    calibration = record["after"]["calibration"]
    if calibration["method"] != "none":
        before, after = (_number(calibration[when]["ece"]) for when in ("before", "after"))
        notes.append(
            f"Calibrated on {calibration['fitted_on']} ({calibration['method']}), the probabilities' ECE falls from "
            f"{before} to {after}, cross-fitted; scores are uncalibrated."
        )
    shifting = sorted({one["training"]["loss"] for one in _recipes(record["after"])} - {"bce"})
    if shifting:
        notes.append(
            f"Networks trained by {' and '.join(shifting)} are levelled: one line for all labels, fitted on val, makes "
            "probabilities of their scores, so that 0.5 decides; val is scored by lines fitted on other rows."
        )
    diverged = sum(trial["state"] == "diverged" for trial in record["tried"])
    if diverged:
        notes.append(f"{diverged} recipes diverged and were passed over.")
    return notes


def _recipes(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Of each network that is delivered."""
    return run["members"] or [run["recipe"]]


def bare_table() -> Table:
    """A table without lines or columns yet: the look of all tables here."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="underline")


def _plain_table(first: str, *columns: str) -> Table:
    table = bare_table()
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="left" if column in {"recipe", ""} else "right", no_wrap=True)
    return table


def _score(by_part: Mapping[str, Any], part: str, metric: str) -> Any:
    scores = by_part.get(part)
    return None if scores is None else scores[metric]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: never -0.000


def _interval(interval: Sequence[float] | None) -> str:
    """`.842-.871`; nothing where there is none."""
    return "" if interval is None else "-".join(f"{round(end, 3) + 0.0:.3f}".removeprefix("0") for end in interval)


def _change(change: Mapping[str, Any] | None) -> str:
    """`+0.012`; in brackets inside the noise."""
    if change is None:
        return "-"
    text = f"{round(change['value'], 3) + 0.0:+.3f}"
    return f"({text})" if change["within_noise"] else text


def _mean_and_deviation(folds: Mapping[str, Any], part: str, metric: str) -> str:
    mean, deviation = (_score(folds[what], part, metric) for what in ("mean", "deviation"))
    return _spread(mean, deviation)


def _spread(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return ""
    return f"{mean:.3f}".removeprefix("0") + ("" if deviation is None else f"±{deviation:.3f}".replace("±0", "±"))


def _shorten(name: str, width: int = 24) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"
