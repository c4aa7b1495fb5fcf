"""Progress on stderr: bars or, where stderr is no terminal, lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tagfit.cli.console import GatedConsole
from tagfit.images.store import OnRead
from tagfit.report.progress import TrainingProgress, bar
from tagfit.training.events import Event


@contextmanager
def reading_bar(what: str = "reading") -> Iterator[OnRead]:
    """A bar of what was read so far; a total of 0 is one that is not known."""
    with bar(GatedConsole(stderr=True)) as progress:
        task = progress.add_task(what, total=None, extra="")

        def on_read(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None)

        yield on_read


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says what takes a while, until it is over."""
    with bar(GatedConsole(stderr=True)) as progress:
        progress.add_task(what, total=None, extra="")
        yield


class TrainingBar(TrainingProgress):
    """Progress of a command, which asks to stop once `stopped_by` is set."""

    def __init__(self) -> None:
        super().__init__(GatedConsole(stderr=True))
        self.stopped_by: int | None = None

    def __enter__(self) -> TrainingBar:
        super().__enter__()
        return self

    def __call__(self, event: Event) -> bool:
        super().__call__(event)
        return self.stopped_by is not None
