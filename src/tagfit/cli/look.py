"""Before anything is trained: inspect, diagnose."""

from __future__ import annotations

import click

from tagfit.cli.command import command, json_option, say, takes
from tagfit.cli.output import load, show, show_json
from tagfit.options.data import DataOptions
from tagfit.options.option import flag_of
from tagfit.options.runs import DiagnoseOptions


@command("tagfit inspect photos/", "tagfit inspect labels.csv --images photos/ --json")
@click.argument("data")
@takes(reading=DataOptions, leave=("on",))
@json_option
def inspect(data: str, reading: DataOptions, as_json: bool) -> None:
    """Show what is in DATA, and what looks wrong with it.

    It also times a few steps on this machine and estimates how long training would take without early stopping.
    """
    from tagfit import api
    from tagfit.cli.progress import working
    from tagfit.io.typed_json import to_plain

    locked = load(data, reading)
    with working("timing a few training steps"):
        inspection, estimate = api.inspect(locked), api.estimate(locked, device=reading.device)
    if as_json:
        show_json({**to_plain(inspection), "estimate": to_plain(estimate)})
        return
    from tagfit.report.inspection import inspection_table

    show(inspection_table(inspection, estimate))


@command("tagfit diagnose photos/ --quick", "tagfit diagnose run")
@click.argument("data", metavar="DATA|RUN")
@takes(reading=DataOptions, looking=DiagnoseOptions, leave=("on",))
@json_option
def diagnose(data: str, reading: DataOptions, looking: DiagnoseOptions, as_json: bool) -> None:
    """Find out what is wrong with DATA or a RUN, and what to do.

    For DATA, a model is trained quickly to examine the data; with --recipe, that recipe is trained and examined itself.
    For a RUN, its own model is examined.
    """
    from tagfit.cli.progress import TrainingBar, working

    with working("starting"):
        from tagfit import api
        from tagfit.runs.checkup import is_run

        of_run = is_run(data)
    if of_run:
        _refuse(reading, looking)
    subject = data if of_run else load(data, reading)
    with TrainingBar() as bar:  # ctrl-C ends it at once: there is nothing to keep
        found = api.diagnose(subject, say=say, on_event=bar, **looking.changed())
    if as_json:
        show_json(found)
        return
    from tagfit.report.findings import diagnosis_text

    show(diagnosis_text(found))


def _refuse(reading: DataOptions, looking: DiagnoseOptions) -> None:
    """What a run has settled cannot be given again."""
    settled = [flag_of(DataOptions, name) for name in reading.changed() if name != "device"]
    settled += [flag_of(DiagnoseOptions, name) for name in looking.changed() if name in ("recipe", "metric")]
    if settled:
        raise click.UsageError(f"a run is examined with its own data and target; remove {', '.join(settled)}")
