"""Labels as a file of their own, and which to give next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tagfit.cli.command import command, json_option, option, say, takes
from tagfit.cli.output import read, show, show_json
from tagfit.io.files import write_new
from tagfit.options.commands import ReviewOptions, SuggestOptions
from tagfit.options.data import LabelOptions


@command("tagfit labels photos/ -o labels.csv", "tagfit labels photos/ --apply corrections.jsonl -o labels.csv")
@click.argument("data")
@takes(reading=LabelOptions, leave=("corrections",))
@option("--apply", "corrections", metavar="FILE", help="Apply the corrections of labels in this file (JSON lines).")
@option("--output", "-o", required=True, metavar="FILE", help="The .csv, .jsonl or .npz file to write.")
@json_option
def labels(data: str, reading: LabelOptions, corrections: str | None, output: str, as_json: bool) -> None:
    """Write the labels of DATA as one plain table.

    The file gives the same data and the same lock when it is read again. DATA itself is not changed.
    """
    from tagfit.data.label_file import write_labels

    dataset = read(data, replace(reading, corrections=corrections))
    written = write_labels(Path(output), dataset)
    if as_json:
        show_json({**vars(written), "file": str(written.file), "images": written.images and str(written.images)})
        return
    for note in (*dataset.reading, *dataset.notes):
        say(note)
    if written.left_out:
        say(f"columns that would be mistaken for labels are left out: {', '.join(written.left_out)}")
    root = "" if written.images is None else f" (read it with --images {written.images})"
    show(f"{written.samples:,} samples and {written.labels:,} labels written to {written.file}{root}")


@command("tagfit suggest run new-photos/ -n 50 -o next.csv", "tagfit suggest photos/ --blank-is unlabelled")
@click.argument("data", metavar="DATA|RUN")
@click.argument("photos", nargs=-1)
@takes(asking=SuggestOptions, leave=("on",))
@option("--output", "-o", metavar="FILE", help="The .csv file to write.  [default: stdout]")
@json_option
def suggest(data: str, photos: tuple[str, ...], asking: SuggestOptions, output: str | None, as_json: bool) -> None:
    """Suggest which images to label next.

    They are chosen among the images of DATA that have an unknown label, and those in PHOTOS. Images are preferred if
    the model is unsure about labels that few images have; images that look alike are suggested once. A fifth is drawn
    at random: those alone tell you how good the model is on the whole collection.

    A RUN suggests with its own model. For DATA, a small network is trained first.
    """
    from tagfit import api
    from tagfit.cli.progress import reading_bar
    from tagfit.labels.suggest import as_csv

    with reading_bar() as on_read:
        found = api.suggest(data, photos, on_read=on_read, **asking.changed())
    say(f"{len(found.chosen)} of {found.candidates:,} candidates are suggested, by {found.model}")
    if as_json:
        show_json(
            {**vars(found), "chosen": [{**vars(one), "file": one.file and str(one.file)} for one in found.chosen]}
        )
    elif output is None:
        click.echo(as_csv(found), nl=False)
    else:
        write_new(Path(output), as_csv(found).encode("utf-8", "surrogateescape"))
        say(f"written to {output}")


@command("tagfit review run new-photos/", "tagfit review photos/ --blank-is unlabelled -o corrections.jsonl")
@click.argument("data", metavar="RUN|DATA")
@click.argument("photos", nargs=-1)
@takes(reviewing=ReviewOptions, leave=("on",))
def review(data: str, photos: tuple[str, ...], reviewing: ReviewOptions) -> None:
    """Review labels on a page: which are likely wrong, and which to add next.

    Your decisions are appended to a file of corrections. Nothing else of yours is changed: apply the file with
    `tagfit labels DATA --apply FILE`, or train with `tagfit cure DATA --corrections FILE`.

    A RUN brings its own data and model. For DATA, small networks are trained first. Only this machine can open the page
    unless you set --host. ctrl-C ends it.
    """
    from tagfit import api
    from tagfit.cli.progress import reading_bar

    with reading_bar() as on_read:
        api.review(data, photos, reviewing, say, on_read)
