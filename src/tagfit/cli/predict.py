"""predict: labels for many samples, to stdout, to a file, or beside the images."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagfit.cli.command import command, say, takes
from tagfit.cli.output import show_json
from tagfit.cli.streams import stdout_bytes
from tagfit.errors import OutputError
from tagfit.options.commands import PredictOptions

if TYPE_CHECKING:
    from tagfit.inference.rows import PredictedRow, RowCounts
    from tagfit.inference.sidecars import SidecarWriter
    from tagfit.inference.tagger import Tagger


@command("tagfit predict run new-photos/ -o labels.csv", "tagfit predict run 'photos/**/*.jpg' --write-xmp --dry-run")
@click.argument("bundle")
@click.argument("paths", nargs=-1, required=True)
@takes(writing=PredictOptions)
def predict(bundle: str, paths: tuple[str, ...], writing: PredictOptions) -> None:
    """Predict the labels of images or feature rows.

    BUNDLE is what `fit` or `cure` wrote: its run folder, or the bundle in it.

    PATHS are image files, folders (all images below them), patterns such as 'photos/**/*.jpg', or - to read paths from
    stdin, one a line. The output has one row for each image, in that order.
    """
    from tagfit.cli.progress import working
    from tagfit.cluster.connection import connected
    from tagfit.inference.paths import places
    from tagfit.inference.tagger import Tagger

    _check_output(writing)
    if writing.undo:
        _take_back(places(paths), dry=writing.dry_run)
        return
    with connected(writing.on) as ray:
        with working("loading the model"):
            tagger = Tagger.load(bundle)
        given = places(paths)
        _check_images(tagger, given, writing)
        with _overlays(bundle, given, writing):
            counts = _predict_here(tagger, given, writing) if ray is None else _predict_on(ray, bundle, given, writing)
    if writing.output is not None:
        say(f"written to {writing.output}")
    if counts.unreadable:
        say(f"{counts.unreadable} of {counts.total} images could not be read")
    if counts.unreadable and not (counts.read or writing.resume or writing.on):
        raise click.exceptions.Exit(1)


def _check_output(writing: PredictOptions) -> None:
    from tagfit.inference.row_files import demand_form

    if writing.output is None:
        return
    demand_form(Path(writing.output), writing.resume and writing.on is None)
    if not writing.resume and Path(writing.output).exists():
        todo = "Choose another file with -o, or continue this one with --resume; nothing was overwritten."
        raise OutputError(f"{writing.output} exists already", todo)


def _check_images(tagger: Tagger, given: Sequence[Path], writing: PredictOptions) -> None:
    from tagfit.inference.rows import all_arrays

    asked = {"--on": writing.on, "--write-xmp": writing.write_xmp, "--explain": writing.explain}
    for_images = [name for name, value in asked.items() if value]
    if for_images and not tagger.takes_images:
        raise click.UsageError(f"{', '.join(for_images)}: for images only, and this bundle takes feature rows")
    if for_images and all_arrays(given):
        raise click.UsageError(f"{', '.join(for_images)}: for image files only, and these are arrays")


def _overlays(bundle: str, given: Sequence[Path], writing: PredictOptions) -> AbstractContextManager[None]:
    from tagfit.inference.overlays import overlay_folder

    if writing.explain is None:
        return nullcontext()
    return overlay_folder(Path(writing.explain), given, Path(bundle))


def _predict_here(tagger: Tagger, given: Sequence[Path], writing: PredictOptions) -> RowCounts:
    """Write what was asked for; how many samples were read, and how many could not be."""
    from tagfit.cli.progress import reading_bar
    from tagfit.inference.overlays import with_overlays
    from tagfit.inference.rows import RowCounts, predicted_rows

    explain = None if writing.explain is None else Path(writing.explain)
    counts, sidecars = RowCounts(), _sidecars(tagger, writing)
    with reading_bar("predicting") as on_row:

        def rows(known: Iterable[PredictedRow] = ()) -> Iterator[PredictedRow]:
            lines = sys.stdin.buffer
            found = predicted_rows(tagger, given, writing.calibrated, lines=lines, known=known, on_row=on_row)
            if explain is not None:
                found = with_overlays(found, tagger.explain, explain, lambda why: say(f"not explained: {why}"))
            return counts.counted(sidecars.written(found) if writing.write_xmp and not writing.dry_run else found)

        _write(rows, tagger, writing, sidecars)
    if writing.write_xmp and not writing.dry_run:
        say(sidecars.counts.line("added to"))
    return counts


def _sidecars(tagger: Tagger, writing: PredictOptions) -> SidecarWriter:
    from tagfit.inference.sidecars import SidecarWriter

    return SidecarWriter(
        model=_model_name(tagger) if writing.write_xmp else "",  # to read the bundle's weights would load torch
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        refused=_say_refused,
        least=writing.min_score or 0.0,
        only_unlabelled=writing.only_unlabelled,
    )


def _model_name(tagger: Tagger) -> str:
    return f"{tagger.bundle.recipe.name}, lock {tagger.bundle.lock[:12]}"


def _take_back(given: Sequence[Path], *, dry: bool) -> None:
    from tagfit.inference.paths import images_at
    from tagfit.inference.sidecars import take_back

    def refused(why: str) -> None:
        say(f"nothing taken back: {why}")

    for told in take_back(map(Path, images_at(given, sys.stdin.buffer)), refused, dry=dry):
        if isinstance(told, str):
            click.echo(told)
        elif not dry:
            say(told.line("taken back from"))


def _write(rows: Any, tagger: Tagger, writing: PredictOptions, sidecars: SidecarWriter) -> None:
    from tagfit.inference import row_files

    if writing.dry_run:
        for row in rows():
            if line := sidecars.planned(row):
                click.echo(line)
    elif writing.json:
        show_json({"predictions": [row.to_dict() for row in rows()]})
    elif writing.output is None:
        row_files.write_rows(stdout_bytes(), row_files.CsvLines(tagger.label_names), rows())
    elif writing.resume:
        row_files.resume_rows(Path(writing.output), tagger.label_names, rows)
    else:
        row_files.save_rows(Path(writing.output), tagger.label_names, rows())


def _say_refused(why: str) -> None:
    say(f"no labels added: {why}")


def _predict_on(ray: Any, bundle: str, given: Sequence[Path], writing: PredictOptions) -> RowCounts:
    """The same on a cluster, as a folder of parts."""
    from tagfit.cli.progress import reading_bar
    from tagfit.cluster.prediction import predict_parts
    from tagfit.inference.paths import demand_images, images_at

    demand_images(given)
    with reading_bar("predicting") as on_row:
        names = images_at(given, sys.stdin.buffer)
        output, calibrated, resume = Path(str(writing.output)), writing.calibrated, writing.resume
        return predict_parts(ray, Path(bundle), names, output, calibrated=calibrated, resume=resume, on_row=on_row)
