"""The command line: thin over `workflow`. Results go to stdout; progress and messages go to stderr.

Exit codes: 0 done, 1 the job failed, 2 bad usage or bad input, 3 `cure` finished and the target was not met,
130 and 143 stopped by ctrl-C and SIGTERM with what it had reached written.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import tagfit
from tagfit.errors import InputError, OutputError, TagfitError, demand_extra

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tagfit.inference.rows import PredictedRow
    from tagfit.inference.tagger import Tagger
    from tagfit.records.data import Dataset, LockedData
    from tagfit.runs.result import Result

Command = TypeVar("Command", bound=Callable[..., Any])


class _Group(click.Group):
    """Turns tagfit's exceptions into messages and exit codes; suggests the nearest command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            code, message = 2, str(error)
        except TagfitError as error:
            code, message = 1, str(error)
        except KeyboardInterrupt:
            code, message = 130, "Stopped."
        click.echo(f"tagfit: {message}", err=True)
        raise click.exceptions.Exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(tagfit.__version__, prog_name="tagfit")
def main() -> None:
    """Train multi-label classifiers, see honestly why they overfit, cure them.

    DATA is a folder with a label file in it or with keywords in its images, a label file (CSV, TSV, JSONL, COCO,
    ARFF), an arrays file (.npz), or postcards:COUNT, the embedded set.
    """


# --------------------------------------------------------------------------------------------- options


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_SEED = click.IntRange(0, 2**63 - 1)
_MEGAPIXELS = click.FloatRange(0.000001, 1_000_000)

_reading = _options(
    click.option("--images", metavar="ROOT", help="The folder that image paths are relative to."),
    click.option("--label-separator", metavar="TEXT", help="What stands between the labels of one cell."),
    click.option(
        "--minus-one-is",
        type=click.Choice(["no", "unknown"]),
        help="What -1 means in a matrix of -1 and +1.",
    ),
    click.option("--max-megapixels", type=_MEGAPIXELS, help="Larger images are not decoded.  [default: 100]"),
    click.option("--strict", is_flag=True, help="Stop where an image cannot be read, instead of setting it aside."),
)
_splitting = _options(
    click.option("--size", type=int, metavar="PIXELS", help="Images become this wide and high.  [default: 64]"),
    click.option(
        "--backbone",
        metavar="FOLDER|NAME",
        help="A network that was trained elsewhere: features that it makes of images take their place.",
    ),
    click.option("--split", metavar="A/B/C", help="Train/val/test in percent.  [default: 70/15/15]"),
    click.option(
        "--split-seed", default=0, show_default=True, type=_SEED, help="Deals the samples to the parts another way."
    ),
    click.option(
        "--groups",
        metavar="auto|blocks|none|COLUMN",
        help="What comes into one part: near-copies, neighbouring files as well, nothing, or what a column says.  "
        "[default: auto]",
    ),
    click.option(
        "--folds",
        type=click.IntRange(2, 20),
        help="Instead of train and val, for small data: every sample is scored by a network that has not seen it.",
    ),
)
_deciding = _options(
    click.option(
        "--decide-for",
        metavar="METRIC",
        help="Decide labels for micro_f1, macro_f1, sample_f1, subset_accuracy, recall>=R or precision>=P.  "
        "[default: above 0.5]",
    ),
    click.option(
        "--guarantee",
        metavar="recall=R|precision=P",
        help="Decide labels so that this holds on new samples; a calibrate part is carved out of train for it.",
    ),
)
_training = _options(
    click.option("-o", "--output", metavar="RUN", help="The run folder to write.  [default: runs/NAME-COMMAND]"),
    click.option("--seed", default=0, show_default=True, type=_SEED, help="First weights, order of samples, dropout."),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        help="Where to train.",
    ),
)
_allow = click.option(
    "--allow",
    multiple=True,
    type=click.Choice(["augmentation"]),
    help="Let recipes change the images in training.",
)
_fine_tune = click.option("--fine-tune", is_flag=True, help="Train the backbone's upper blocks further as well.")
_target = _options(
    click.option("--metric", default="micro_f1", show_default=True, help="What the target is set on."),
    click.option(
        "--train-below", type=float, metavar="SCORE", help="The score on train that is too high.  [default: 0.92]"
    ),
    click.option("--val-at-least", default=0.85, show_default=True, help="The score on val that is asked for."),
    click.option(
        "--baseline", default="dense-baseline", show_default=True, metavar="NAME|FILE", help="The recipe to cure."
    ),
    click.option(
        "--trials",
        type=click.IntRange(1),
        help="How many recipes to try: the ladder, then a search.  [default: 48 on features, the ladder on images]",
    ),
    click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Search for about so long."),
    click.option("--single", is_flag=True, help="Deliver one network, never an ensemble."),
    click.option("--refit", is_flag=True, help="Hand over the recipe trained again on all labelled samples but test."),
)
_log = click.option(
    "--log", type=click.Choice(["tensorboard", "mlflow"]), help="Keep each training's history there as well."
)
_on = click.option("--on", metavar="ray[://HOST:PORT]", help="Work on a Ray cluster that is there already.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")


# -------------------------------------------------------------------------------------------- commands


@main.command()
@click.option("--count", default=2400, show_default=True, help="How many postcards to draw.")
@_target
@_fine_tune
@_allow
@_deciding
@_training
@_json
@click.pass_context
def demo(ctx: click.Context, /, count: int, **options: Any) -> None:
    """Cure a network that overfits the embedded postcards."""
    ctx.invoke(cure, data=f"postcards:{count}", **options)


@main.command()
@click.argument("data")
@_reading
@_splitting
@_json
def inspect(data: str, as_json: bool, **reading: Any) -> None:
    """Say what is in DATA, and what looks wrong with it.

    Also about how long training would take if nothing stopped early, from steps timed on this machine.
    """
    from tagfit import api as workflow

    locked = _load(data, **reading)
    inspection, estimate = workflow.inspect(locked), workflow.estimate(locked)
    record = {**inspection.to_dict(), "estimate": estimate.to_dict()}
    if as_json:
        _print_json(record)
        return
    from tagfit.report.inspection import inspection_table

    _print(inspection_table(record))


@main.command()
@click.argument("data")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="What to train, and how.  [default: dense-regularised; with --fine-tune, fine-tuned]",
)
@_fine_tune
@_allow
@_deciding
@_reading
@_splitting
@_training
@_on
@_log
@_json
def fit(
    data: str,
    recipe: str | None,
    fine_tune: bool,
    output: str | None,
    on: str | None,
    log: Any,
    as_json: bool,
    **options: Any,
) -> None:
    """Train one recipe on DATA and score it."""
    from tagfit import api as workflow
    from tagfit import trackers
    from tagfit.cluster.connection import connected

    trackers.demand(log)
    chosen = workflow.recipe_to_fit(recipe, fine_tune, on)
    with connected(on):
        training, locked = _prepared(data, options, on)
        folder = _folder(output, locked, "fit")
        with _watched() as watch, trackers.tracked(log, folder, watch) as told:
            result = workflow.fit(
                locked, recipe=chosen, fine_tune=fine_tune, output=folder, on=on, on_event=told, **training
            )
            told.result(result)
    _finish(result, as_json, watch.stopped_by)


@main.command()
@click.argument("data")
@_target
@_fine_tune
@_allow
@_deciding
@_reading
@_splitting
@_training
@_on
@_log
@_json
def cure(
    data: str,
    metric: str,
    train_below: float | None,
    val_at_least: float,
    baseline: str,
    trials: int | None,
    minutes: float | None,
    single: bool,
    refit: bool,
    fine_tune: bool,
    output: str | None,
    on: str | None,
    log: Any,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a baseline, then recipes that may overfit less.

    The best on val is delivered, and never one below the baseline. Data, split and preprocessing stay locked.

    Exits with 3 where the target is not met.
    """
    from tagfit import api as workflow
    from tagfit import trackers
    from tagfit.cluster.connection import connected
    from tagfit.recipes import find_recipe
    from tagfit.records.scores import Target

    trackers.demand(log)
    # a strong model may know its training set: with a backbone, or augmentation, the train band ranks if asked for
    band = Target.train_below if train_below is None else train_below
    plain = not options["allow"] and options.get("backbone") is None
    target = Target(metric, band, val_at_least, train_ranks=plain or train_below is not None)
    first = find_recipe(baseline)
    with connected(on):
        training, locked = _prepared(data, options, on)
        folder = _folder(output, locked, "cure")
        with _watched() as watch, trackers.tracked(log, folder, watch) as told:
            result = workflow.cure(
                locked,
                target=target,
                baseline=first,
                trials=trials,
                minutes=minutes,
                single=single,
                refit=refit,
                fine_tune=fine_tune,
                output=folder,
                on=on,
                on_event=told,
                **training,
            )
            told.result(result)
    _finish(result, as_json, watch.stopped_by)
    if not result.record["target"]["met"]:
        raise click.exceptions.Exit(3)


@main.command()
@click.argument("bundle")
@click.argument("data")
@click.option(
    "--part",
    type=click.Choice(["train", "val", "calibrate", "test"]),
    help="Only this part of the data's own split.",
)
@click.option("--by", metavar="COLUMN", help="Score each value of a further column by itself as well.")
@click.option("--compare", metavar="BUNDLE", help="Another model, scored on the same samples.")
@_reading
@_json
def evaluate(
    bundle: str, data: str, part: Any, by: str | None, compare: str | None, as_json: bool, **reading: Any
) -> None:
    """Score a BUNDLE (or RUN) on labelled DATA, with intervals."""
    from tagfit.inference.tagger import Tagger
    from tagfit.runs import evaluation

    tagger = Tagger.load(bundle, runtime="torch")
    other = None if compare is None else Tagger.load(compare, runtime="torch")
    samples = _read(data, **tagger.reading, **reading)
    alike = other is None or other.preprocessing == tagger.preprocessing
    theirs = samples if other is None or alike else _read(data, **other.reading, **reading)
    found = evaluation.evaluate(tagger, samples, part=part, by=by, compare=other, compare_data=theirs).to_dict()
    if as_json:
        _print_json(found)
        return
    from tagfit.report.table import evaluation_table

    _print(evaluation_table(found))


@main.command()
@click.argument("bundle")
@click.argument("paths", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", help="The .csv, .jsonl or .parquet file to write.  [default: stdout]")
@click.option("--calibrated", is_flag=True, help="Calibrated probabilities instead of the network's scores.")
@click.option("--explain", metavar="DIR", help="Write to a new folder which parts of each image speak for its labels.")
@click.option("--resume", is_flag=True, help="Go on with the file of -o after a stop: what it has is skipped.")
@click.option("--write-xmp", is_flag=True, help="Add the labels to XMP sidecars beside the images.")
@click.option("--dry-run", is_flag=True, help="With --write-xmp: print what would be added, and write nothing.")
@_on
@_json
def predict(
    bundle: str,
    paths: tuple[str, ...],
    output: str | None,
    calibrated: bool,
    explain: str | None,
    resume: bool,
    write_xmp: bool,
    dry_run: bool,
    on: str | None,
    as_json: bool,
) -> None:
    """Give labels to images or feature rows.

    BUNDLE is what `fit` or `cure` wrote: its run folder, or the bundle in it.

    PATHS are files, folders, which stand for all images below them, patterns such as 'photos/**/*.jpg', and - for
    the paths that come on stdin, one a line. One row comes out for each, in order.
    """
    from tagfit.cli.progress import reading_bar, working
    from tagfit.cluster.connection import connected
    from tagfit.inference import row_files
    from tagfit.inference.overlays import demand_new_folder, with_overlays
    from tagfit.inference.paths import places
    from tagfit.inference.rows import counted, predicted_rows
    from tagfit.inference.sidecars import planned, with_sidecars
    from tagfit.inference.tagger import Tagger

    if on is not None and (output is None or explain is not None or write_xmp or dry_run or as_json):
        raise click.UsageError("--on writes a folder of parts: give -o, and neither --explain, --write-xmp nor --json")
    if output is not None and as_json:
        raise click.UsageError("--json prints to stdout and -o writes a file: give one of them")
    if dry_run and (not write_xmp or output is not None or as_json):
        raise click.UsageError("--dry-run goes with --write-xmp, and with neither -o nor --json")
    if explain is not None and (resume or dry_run):
        raise click.UsageError("--explain goes with neither --resume nor --dry-run")
    if output is not None:
        row_files.demand_form(Path(output), resume and on is None)
    elif resume:
        raise click.UsageError("--resume goes on with a file: name it with -o")
    if output is not None and not resume and Path(output).exists():
        todo = "Choose another file with -o, or go on with this one with --resume; nothing was overwritten."
        raise OutputError(f"{output} exists already", todo)
    with connected(on) as ray:
        with working("loading the model"):
            tagger = Tagger.load(bundle)
        if ray is not None:
            _predict_on(ray, tagger, bundle, places(paths), str(output), calibrated=calibrated, resume=resume)
            return
    for option, asked in (("--write-xmp", write_xmp), ("--explain", explain is not None)):
        if asked and not tagger.takes_images:
            raise click.UsageError(f"{option} is for images, and this bundle takes feature rows")
    given = places(paths)
    if explain is not None:
        demand_new_folder(Path(explain), given)
    counts = {"read": 0, "unreadable": 0}
    with reading_bar("predicting") as on_row:

        def rows(known: Iterable[PredictedRow] = ()) -> Iterator[PredictedRow]:
            lines = sys.stdin.buffer
            found = predicted_rows(tagger, given, calibrated, lines=lines, known=known, on_row=on_row)
            if explain is not None:
                found = with_overlays(found, tagger.explain, Path(explain), _say_unexplained)
            return counted(with_sidecars(found, _say_refused) if write_xmp and not dry_run else found, counts)

        if dry_run:
            for row in rows():
                if line := planned(row, _say_refused):
                    click.echo(line)
        elif as_json:
            _print_json({"predictions": [row.to_dict() for row in rows()]})
        elif output is None:
            row_files.write_rows(sys.stdout.buffer, row_files.CsvLines(tagger.label_names), rows())
        elif resume:
            row_files.resume_rows(Path(output), tagger.label_names, rows)
        else:
            row_files.save_rows(Path(output), tagger.label_names, rows())
    _say_written(output, counts)
    if counts["unreadable"] and not counts["read"] and not resume:
        raise click.exceptions.Exit(1)


def _predict_on(ray: Any, tagger: Tagger, bundle: str, given: Sequence[Path], output: str, **options: bool) -> None:
    """Predict on a cluster."""
    from tagfit.cli.progress import reading_bar
    from tagfit.cluster.prediction import predict_parts
    from tagfit.inference.paths import demand_images, images_at

    if not tagger.takes_images:
        raise click.UsageError("--on is for images, and this bundle takes feature rows")
    demand_images(given)
    with reading_bar("predicting") as on_row:
        names = images_at(given, sys.stdin.buffer)
        counts = predict_parts(ray, Path(bundle), names, Path(output), on_row=on_row, **options)
    _say_written(output, counts)


def _say_written(output: str | None, counts: Mapping[str, int]) -> None:
    if output is not None:
        click.echo(f"tagfit: written to {output}", err=True)
    if counts["unreadable"]:
        total = counts["read"] + counts["unreadable"]
        click.echo(f"tagfit: {counts['unreadable']} of {total} images could not be read", err=True)


_RUNTIMES = {"onnx": "ONNX Runtime", "keras": "Keras"}


@main.command()
@click.argument("bundle")
@click.option(
    "--to",
    "to",
    type=click.Choice(["onnx", "keras"]),
    help="The file's format.  [default: keras for a FILE that ends with .keras, else onnx]",
)
@click.option(
    "-o", "--output", metavar="FILE", help="The file to write.  [default: NAME.onnx or .keras, of the folder's name]"
)
@_json
def export(bundle: str, to: Any, output: str | None, as_json: bool) -> None:
    """Write a BUNDLE (or RUN) as one file for other runtimes.

    An ONNX file calibrates and decides as well; a Keras file gives raw scores. It is compared with the bundle before it
    is written.
    """
    from tagfit.cli.progress import working
    from tagfit.inference.export import export as exporting

    with working("exporting"):
        written = f"{_named(bundle)}.{to or 'onnx'}" if output is None else output
        exported = exporting.export(bundle, written, to=to)
    if as_json:
        _print_json(exported.to_dict())
        return
    shape = ", ".join(map(str, exported.input["shape"]))
    aside = "; label names, calibration and rule are in its tagfit.json" if exported.format == "keras" else ""
    _print(
        f"takes    {exported.input['name']}, {exported.input['dtype']} ({shape})\n"
        f"gives    {', '.join(exported.outputs)}{aside}\n"
        f"checked  on {exported.samples} samples in {_RUNTIMES[exported.format]}: raw scores differ by at most "
        f"{exported.max_difference:.1e}\n"
        f"written to {exported.file} ({exported.bytes / 1e6:,.1f} MB)"
    )


@main.command()
@click.argument("bundle")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address; others than this need a token.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--token-file", metavar="FILE", help="Holds what requests must bring: Authorization: Bearer TOKEN.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name that this server is asked by.")
@click.option("--max-megabytes", default=32, show_default=True, type=click.IntRange(1, 1024), help="Of one request.")
@click.option("--max-megapixels", type=_MEGAPIXELS, default=100, show_default=True, help="Of one image.")
@click.option("--max-images", default=64, show_default=True, type=click.IntRange(1, 1024), help="Of one request.")
@click.option(
    "--max-seconds", default=30, show_default=True, type=click.FloatRange(0.1, 3600), help="For a request's answer."
)
@click.option("--queue", default=256, show_default=True, type=click.IntRange(1), help="Images that may wait.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]))
def serve(
    bundle: str,
    host: str,
    port: int,
    token_file: str | None,
    allow_host: tuple[str, ...],
    max_megabytes: int,
    max_megapixels: float,
    max_images: int,
    max_seconds: float,
    queue: int,
    device: str,
) -> None:
    """Answer over HTTP, with a page to drop photos on.

    BUNDLE is what `fit` or `cure` wrote: its run folder, or the bundle in it.

    Only this machine can ask, unless --host says otherwise. SIGTERM or ctrl-C ends it once what was accepted is
    answered.
    """
    demand_extra("serving", "serve")
    from tagfit.inference.tagger import Tagger
    from tagfit.serve import server
    from tagfit.serve.limits import Limits

    limits = Limits(max_megabytes << 20, round(max_megapixels * 1e6), max_images, max_seconds, queue)
    token = None if token_file is None else server.read_token(Path(token_file))
    with server.bind(host, port) as listener:
        server.demand_token(listener, token)
        tagger = Tagger.load(bundle, device)

        def say(text: str) -> None:
            click.echo(f"tagfit: {text}", err=True)

        made = server.make_server(_named(bundle), tagger, listener, limits, token=token, hosts=allow_host, say=say)
        server.serve(made, tagger, listener)


@main.command()
@click.argument("data", metavar="DATA|RUN")
@click.option("--quick", is_flag=True, help="Leave out the checks that need further training.")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="What to train on the samples as they are.  [default: dense-baseline on the cheapest features]",
)
@click.option("--metric", default="micro_f1", show_default=True, help="What the checks look at.")
@click.option("--seed", default=0, show_default=True, type=_SEED, help="First weights, order of samples, dropout.")
@_reading
@_splitting
@_json
@click.pass_context
def diagnose(
    ctx: click.Context,
    /,
    data: str,
    quick: bool,
    recipe: str | None,
    metric: str,
    seed: int,
    as_json: bool,
    **reading: Any,
) -> None:
    """Say what is wrong with DATA or with a RUN, and what to do.

    Of DATA, a model is trained on it quickly, and looked at; of a RUN, its own.
    """
    from tagfit.cli.progress import TrainingBar
    from tagfit.runs import checkup as diagnosis

    of_run = diagnosis.is_run(data)
    if of_run:
        given = [
            name for name in ctx.params if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        ]
        strange = sorted(set(given) - {"data", "quick", "seed", "as_json"})
        if strange:
            options = ", ".join("--" + name.replace("_", "-") for name in strange)
            raise click.UsageError(f"{options}: a run was trained and read as its record says; leave it away")
    subject = data if of_run else _load(data, **reading)

    def say(text: str) -> None:
        click.echo(f"tagfit: {text}", err=True)

    with TrainingBar() as bar:  # ctrl-C ends it at once: there is nothing to keep
        found = diagnosis.diagnose(
            subject, recipe=recipe, metric=metric, quick=quick, seed=seed, say=say, on_event=bar
        ).to_dict()
    if as_json:
        _print_json(found)
        return
    from tagfit.report.findings import diagnosis_text

    _print(diagnosis_text(found))


@main.command()
@click.argument("run")
@click.argument("more", nargs=-1, metavar="")
@click.option("-o", "--output", metavar="FILE", help="The page to write.  [default: report.html in the run folder]")
@click.option("--compare", multiple=True, metavar="RUN...", help="Other runs, side by side with this one.")
@click.option("--figures", metavar="DIR", help="Write the page's charts there as well, as SVG and PNG.")
@_json
def report(
    run: str, more: tuple[str, ...], output: str | None, compare: tuple[str, ...], figures: str | None, as_json: bool
) -> None:
    """Show the result of a RUN again, and write its HTML page.

    With --json the page is written only where -o names it.
    """
    from tagfit.report import files as reporting
    from tagfit.report.figures import can_draw_png
    from tagfit.report.table import result_table
    from tagfit.runs.folder import read_result

    if more and not compare:
        raise click.UsageError(f"one run is reported; others come after --compare: --compare {' '.join(more)}")
    record = read_result(Path(run))
    context = reporting.read_context(Path(run), [Path(one) for one in (*compare, *more)])
    _print_json(record) if as_json else _print(result_table(record))
    if figures is not None:
        count = reporting.write_figures(context, Path(figures))
        click.echo(f"tagfit: {count} charts written to {figures}", err=True)
        if not can_draw_png():
            click.echo("tagfit: PNG as well takes pip install 'tagfit[figures]'", err=True)
    if output is not None or not as_json:
        page = reporting.write_report(Path(run), context, None if output is None else Path(output))
        click.echo(f"\nreport: {page}", err=as_json)


@main.command()
@click.option("--clear", is_flag=True, help="Delete what is in it.")
@_json
def cache(clear: bool, as_json: bool) -> None:
    """Say where decoded images are kept, and how much they take."""
    from tagfit.io import cache as kept

    used = kept.clear() if clear else kept.usage()
    if as_json:
        _print_json(used.to_dict())
    else:
        _print(f"{used.folder}: {used.bytes / 1e6:,.1f} MB in {used.files:,} files{', deleted' if clear else ''}")


# ---------------------------------------------------------------------------------------------- helpers


#: the options that `workflow.fit` and `workflow.cure` share
_TRAINING = ("allow", "decide_for", "guarantee", "seed", "device")


def _prepared(data: str, options: dict[str, Any], on: str | None = None) -> tuple[dict[str, Any], LockedData]:
    """What training is told, and what it is to train on; what is asked for is looked at before the data is read."""
    from tagfit import api as workflow

    training = {name: options.pop(name) for name in _TRAINING}
    wish = workflow.parse_wish(training["decide_for"], training["guarantee"])
    return training, _load(data, calibrate=wish.guarantee is not None, on=on, **options)


def _read(data: str, **reading: Any) -> Dataset:
    from tagfit import api as workflow
    from tagfit.cli.progress import reading_bar

    with reading_bar() as on_read:
        dataset = workflow.read_dataset(data, on_read=on_read, **_python_names(**reading))
    _say_set_aside(dataset)
    return dataset


def _load(data: str, **reading: Any) -> LockedData:
    from tagfit import api as workflow
    from tagfit.cli.progress import reading_bar

    with reading_bar() as on_read:
        locked = workflow.load(data, on_read=on_read, **_python_names(**reading))
    _say_set_aside(locked.dataset)
    return locked


def _python_names(*, minus_one_is: Any = None, max_megapixels: float | None = None, **reading: Any) -> dict[str, Any]:
    max_pixels = None if max_megapixels is None else round(max_megapixels * 1e6)
    return {"minus_one": minus_one_is, "max_pixels": max_pixels, **reading}


def _say_set_aside(dataset: Dataset) -> None:
    """How many images could not be read, by kind of reason: what stands before its colon."""
    if dataset.set_aside:
        total = len(dataset.set_aside)
        click.echo(f"tagfit: {total} of {len(dataset) + total} images cannot be read and are set aside", err=True)
        for kind, count in Counter(reason.partition(":")[0] for _, reason in dataset.set_aside).most_common():
            click.echo(f"    {count:,} × {kind}", err=True)


def _named(bundle: str) -> str:
    """What a run folder, or the bundle in it, is called."""
    folder = Path(bundle).resolve()
    return folder.parent.name if folder.name == "bundle" else folder.name


def _say_unexplained(reason: str) -> None:
    click.echo(f"tagfit: not explained: {reason}", err=True)


def _say_refused(reason: str) -> None:
    click.echo(f"tagfit: no labels added: {reason}", err=True)


def _folder(output: str | None, locked: LockedData, command: str) -> Path:
    from tagfit.runs.folder import free_folder

    return Path(output) if output is not None else free_folder(Path("runs"), f"{locked.dataset.name}-{command}")


@contextmanager
def _watched() -> Iterator[Any]:
    """A progress bar that also listens to signals: the first asks training to stop, the second kills."""
    from tagfit.cli.progress import TrainingBar

    bar = TrainingBar()

    def ask_to_stop(number: int, frame: object) -> None:
        bar.stopped_by = number
        click.echo("tagfit: stopping after this step, to keep what it has reached; once more kills", err=True)
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_DFL)

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with bar:
            yield bar
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _finish(result: Result, as_json: bool, stopped_by: int | None) -> None:
    if not result.fresh:
        click.echo(f"tagfit: {result.folder} holds this run's finished result already; nothing was done", err=True)
    if as_json:
        _print_json(result.record)
    else:
        from tagfit.report.table import result_table
        from tagfit.runs.folder import REPORT

        _print(result_table(result.record))
        click.echo(f"\nwritten to {result.folder} (tagfit report {result.folder} shows this again)")
        if result.folder is not None and (result.folder / REPORT).is_file():
            click.echo(f"to look at: {result.folder / REPORT}")
    if stopped_by is not None and result.record["state"] == "stopped":
        raise click.exceptions.Exit(128 + stopped_by)
    if result.record["after"]["refusal"] is not None:
        click.echo("tagfit: the guarantee cannot be given; the model was delivered without it", err=True)
        raise click.exceptions.Exit(1)


def _print(renderable: RenderableType | str) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(80, console.width) if console.is_terminal else 80
    console.print(renderable)


def _print_json(record: Any) -> None:
    click.echo(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False))
