"""Training: demo, fit, cure."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from tagfit.cli.command import command, json_option, option, say, takes
from tagfit.cli.output import load, show, show_json
from tagfit.cli.stops import ASKING
from tagfit.options.data import DataOptions
from tagfit.options.runs import CureOptions, RunOptions, TrainOptions

if TYPE_CHECKING:
    from tagfit.cli.progress import TrainingBar
    from tagfit.records.data import LockedData
    from tagfit.report.result import Result
    from tagfit.search.plan import Plan
    from tagfit.training.events import Listener

Log = Literal["tensorboard", "mlflow"]
Kind = TypeVar("Kind", bound=RunOptions)

log_option = option(
    "--log",
    type=click.Choice(["tensorboard", "mlflow"]),
    metavar="tensorboard|mlflow",
    help="Also log each training's history to this tracker.",
)


class _Count(click.IntRange):
    """A whole number whose bounds help does not show."""

    def _describe_range(self) -> str:
        return ""


@command("tagfit demo", "tagfit demo --count 600 -o demo-run")
@option(
    "--count",
    default=2400,
    type=_Count(1),
    metavar="N",
    help="How many postcards to draw.  [default: 2400]",
    group="Data",
)
@takes(training=CureOptions, leave=("on", "fine_tune"))
@json_option
@click.pass_obj
def demo(plan: Plan | None, count: int, training: CureOptions, as_json: bool) -> None:
    """Cure a network that overfits the embedded postcards.

    The exit code is 3 if the target is not met.
    """
    _cure(plan, f"postcards:{count}", DataOptions(device=training.device), training, None, as_json)


@command("tagfit fit photos/ --recipe cnn -o run", "tagfit fit rows.npz --folds 5 --decide-for macro_f1")
@click.argument("data")
@takes(reading=DataOptions, training=TrainOptions)
@log_option
@json_option
def fit(data: str, reading: DataOptions, training: TrainOptions, log: Log | None, as_json: bool) -> None:
    """Train one recipe on DATA and score it."""
    from tagfit import api

    def work(locked: LockedData, options: RunOptions, listen: Listener) -> Result:
        return api.fit(locked, on_event=listen, **options.changed())

    _finish(*_trained("fit", work, data, reading, training, log), as_json)


@command("tagfit cure photos/ -o run", "tagfit cure photos/ --metric macro_f1 --val-at-least 0.7 --minutes 30")
@click.argument("data")
@takes(reading=DataOptions, training=CureOptions)
@log_option
@json_option
@click.pass_obj
def cure(
    plan: Plan | None, data: str, reading: DataOptions, training: CureOptions, log: Log | None, as_json: bool
) -> None:
    """Train a baseline, then recipes that may overfit less.

    The best recipe on val is delivered, never one that scores below the baseline. Data, split and preprocessing stay
    locked.

    The exit code is 3 if the target is not met.
    """
    _cure(plan, data, reading, training, log, as_json)


def _cure(
    plan: Plan | None, data: str, reading: DataOptions, training: CureOptions, log: Log | None, as_json: bool
) -> None:
    from tagfit import api
    from tagfit.search.plan import Plan

    def work(locked: LockedData, options: CureOptions, listen: Listener) -> Result:
        return api.cure_by(plan or Plan(), locked, options, on_event=listen)

    result, stopped_by = _trained("cure", work, data, reading, training, log)
    _finish(result, stopped_by, as_json)
    if not result.record.target.met:
        raise click.exceptions.Exit(3)


def _trained(
    name: str,
    work: Callable[[LockedData, Kind, Listener], Result],
    data: str,
    reading: DataOptions,
    training: Kind,
    log: Log | None,
) -> tuple[Result, int | None]:
    """The result, and the signal that stopped it, if one did. What can be refused is refused before data is read."""
    from tagfit.cli.progress import working

    with working("starting"):
        from tagfit import api, trackers
        from tagfit.cluster.connection import connected
        from tagfit.runs.folder import free_folder

    trackers.demand(log)
    api.recipe_of(training)
    with connected(training.on):
        locked = load(data, replace(reading, calibrate=training.guarantee is not None))
        folder = Path(training.output or free_folder(Path("runs"), f"{locked.dataset.name}-{name}"))
        with _watched() as watch, trackers.tracked(log, folder, watch) as listen:
            result = work(locked, replace(training, output=folder), listen)
            listen.result(result)
    return result, watch.stopped_by


@contextmanager
def _watched() -> Iterator[TrainingBar]:
    """A progress bar that also listens to signals: the first asks training to stop, the second kills."""
    from tagfit.cli.progress import TrainingBar

    bar = TrainingBar()

    def ask_to_stop(number: int, frame: object) -> None:
        bar.stopped_by = number
        if sys.stderr.isatty():
            click.echo(err=True)  # below the bar, and what the terminal shows of ctrl-C
        say("Stopping after this step; what was reached is kept. Press ctrl-C again to end at once.")
        for one in before:
            signal.signal(one, signal.SIG_DFL)

    handled = [number for number in ASKING if signal.getsignal(number) != signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, ask_to_stop) for number in handled}
    try:
        with bar:
            yield bar
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _finish(result: Result, stopped_by: int | None, as_json: bool) -> None:
    if not result.fresh:
        say(f"{result.folder} holds the finished result of this run already; nothing was done")
    if as_json:
        show_json(result.record)
    else:
        _show(result)
    if stopped_by is not None and result.record.state == "stopped":
        raise click.exceptions.Exit(128 + stopped_by)
    if result.record.after.refusal is not None:
        say("The guarantee cannot be given. The model was delivered without it.")
        raise click.exceptions.Exit(1)


def _show(result: Result) -> None:
    from tagfit.report.table import result_table
    from tagfit.runs.folder import REPORT

    show(result_table(result.record, result.folder))
    click.echo(f"\nwritten to {result.folder} (tagfit report {result.folder} shows this again)")
    if result.folder is not None and (result.folder / REPORT).is_file():
        click.echo(f"to look at: {result.folder / REPORT}")
