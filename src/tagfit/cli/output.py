"""Results on stdout; data, with a progress bar and what could not be read of it on stderr."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagfit.cli.command import say
from tagfit.options.data import DataOptions, LabelOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tagfit.inference.tagger import Tagger
    from tagfit.records.data import Dataset, LockedData


def show(renderable: RenderableType | str) -> None:
    """Print for people, in 80 columns at most."""
    from tagfit.cli.console import GatedConsole

    console = GatedConsole()
    console.width = min(80, console.width) if console.is_terminal else 80
    console.print(renderable)


def show_json(record: Any) -> None:
    """Print a record, or plain data, for programs."""
    from tagfit.io.typed_json import to_plain

    click.echo(json.dumps(to_plain(record), indent=1, ensure_ascii=False, allow_nan=False))


def load(data: str, options: DataOptions) -> LockedData:
    """Read, split and lock what a command was given."""
    from tagfit import api
    from tagfit.cli.progress import reading_bar

    with reading_bar() as on_read:
        locked = api.load(data, on_read=on_read, **options.changed())
    _say_set_aside(locked.dataset)
    for question in locked.split.questions:
        say(question)
    return locked


def read(data: str, options: LabelOptions, like: Tagger | None = None) -> Dataset:
    """Read what a command was given, as a tagger takes it where there is one, without splitting it."""
    from tagfit import api
    from tagfit.cli.progress import reading_bar

    with reading_bar() as on_read:
        dataset = api.read_dataset(data, like=like, on_read=on_read, **options.changed())
    _say_set_aside(dataset)
    return dataset


def _say_set_aside(dataset: Dataset) -> None:
    """How many images could not be read, by kind of reason: what stands before its colon."""
    if dataset.set_aside:
        total = len(dataset.set_aside)
        say(f"{total} of {len(dataset) + total} images cannot be read and are set aside")
        for kind, count in Counter(reason.partition(":")[0] for _, reason in dataset.set_aside).most_common():
            click.echo(f"    {count:,} × {kind}", err=True)


def name_of(bundle: str) -> str:
    """What a run folder, or the bundle in it, is called."""
    folder = Path(bundle).resolve()
    return folder.parent.name if folder.name == "bundle" else folder.name
