"""Labels as a file of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tagfit.cli.command import command, json_option, option, say, takes
from tagfit.cli.output import read, show, show_json
from tagfit.options.data import LabelOptions


@command("tagfit labels photos/ -o labels.csv", "tagfit labels photos/ --apply corrections.jsonl -o labels.csv")
@click.argument("data")
@takes(reading=LabelOptions, leave=("corrections",))
@option("--apply", "corrections", metavar="FILE", help="Apply the decisions about labels in this file (JSON lines).")
@option("--output", "-o", required=True, metavar="FILE", help="The .csv, .jsonl or .npz file to write.")
@json_option
def labels(data: str, reading: LabelOptions, corrections: str | None, output: str, as_json: bool) -> None:
    """Write the labels of DATA in their plainest form.

    Whatever DATA is, the file reads back to the same data and lock. The file of DATA itself is not touched.
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
        say(f"columns that would be read as labels are left out: {', '.join(written.left_out)}")
    root = "" if written.images is None else f" (read it with --images {written.images})"
    show(f"{written.samples:,} samples and {written.labels:,} labels written to {written.file}{root}")
