"""Progress bars on stderr; where stderr is no terminal, a line a run instead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tagfit.cli.console import GatedConsole
from tagfit.images.store import OnRead
from tagfit.training.events import EpochEnded, Event, ImagesPassed, RunEnded, RunStarted


def _progress() -> Progress:
    console = GatedConsole(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[extra]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def reading_bar(what: str = "reading images") -> Iterator[OnRead]:
    """A bar of the images read so far; a total of 0 is one that is not known."""
    with _progress() as progress:
        task = progress.add_task(what, total=None, extra="", visible=False)

        def on_read(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None, visible=True)

        yield on_read


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says what takes a while, until it is over."""
    with _progress() as progress:
        progress.add_task(what, total=None, extra="")
        yield


class TrainingBar:
    """A bar of epochs for the recipe in training; called with events, it asks to stop once `stopped_by` is set."""

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        self._progress = _progress()
        self._task = self._progress.add_task("training", total=None, extra="")

    def __enter__(self) -> TrainingBar:
        self._progress.start()
        return self

    def __exit__(self, *failure: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> bool:
        match event:
            case ImagesPassed():
                self._progress.update(self._task, completed=event.done, total=event.total, description="lower blocks")
            case RunStarted():
                place = f"{event.number}/{event.of} {event.recipe}"
                self._progress.reset(self._task, total=event.epochs, description=place, extra="")
            case EpochEnded():
                extra = f"loss {event.row['train_loss']:.3f} val {event.row['val_loss']:.3f}"
                self._progress.update(self._task, advance=1, extra=extra)
            case RunEnded():
                best = "" if event.best is None else f" · best val before {event.best:.3f}"
                self._say(f"{event.number}/{event.of} {event.recipe}: {event.state}{best}")
        return self.stopped_by is not None

    def _say(self, line: str) -> None:
        if self._progress.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self._progress.console.print(line)
