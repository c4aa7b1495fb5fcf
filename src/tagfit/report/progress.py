"""What a training shows while it runs: a bar in a terminal or a notebook, and elsewhere a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from tagfit.report.visible import duration
from tagfit.training.events import EpochEnded, Event, ImagesPassed, RunEnded, RunStarted, StageStarted, StepEnded

if TYPE_CHECKING:
    from tagfit.images.store import OnRead

#: seconds from one line to the next where there is no bar
EVERY = 10.0

#: characters of what stands before and behind the bar: all of it has to fit into 80
_NAME, _EXTRA = 36, 14


class _Times(ProgressColumn):
    """How long it has taken and, if that can be told, how long it takes at most."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        done, total = task.completed, task.total
        if not (elapsed and done and total) or done >= total:
            return Text(duration(elapsed or 0))
        return Text(f"{duration(elapsed * (total - done) / done)} left")


def bar(console: Console) -> Progress:
    """A bar that goes away when it is done; nothing where the console is neither a terminal nor a notebook."""
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=_NAME)),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        _Times(),
        TextColumn("{task.fields[extra]}", markup=False, table_column=Column(no_wrap=True, max_width=_EXTRA)),
        console=console,
        transient=True,
        disable=not (console.is_terminal or console.is_jupyter),
    )


def in_notebook() -> bool:
    """Whether a notebook runs this, and can show a bar."""
    return "ipykernel" in sys.modules and find_spec("ipywidgets") is not None


@contextmanager
def notebook_bar(what: str) -> Iterator[OnRead]:
    """A bar in a notebook, nothing elsewhere; call what it yields to say how far it is."""
    if not in_notebook():
        yield lambda done, total: None
        return
    with bar(Console(force_jupyter=True)) as progress:
        task = progress.add_task(what, total=None, extra="")
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


class TrainingProgress:
    """Shows which training runs, how far it is, and what follows; a listener that never asks to stop.

    Args:
        console: where it is shown.
        clock: seconds from any time on.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock, self._progress = console, clock, bar(console)
        self._task = self._progress.add_task("preparing", total=None, extra="")
        self._what, self._epochs, self._done = "", 0, 0
        self._began = self._said = clock()

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(self, *failure: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> bool:
        match event:
            case ImagesPassed():
                self._passed(event)
            case RunStarted():
                self._started(event)
            case StepEnded():
                self._say_at_times()
            case EpochEnded():
                self._epoch(event)
            case RunEnded():
                best = "" if event.best is None else f"; best val score before it: {event.best:.3f}"
                self._say(f"training {event.number} of {event.of}: {event.recipe} {event.state}{best}")
            case StageStarted():
                self._progress.reset(self._task, total=None, description=event.what, extra="")
                self._say_if_plain(event.what)
        return False

    def _passed(self, event: ImagesPassed) -> None:
        self._progress.update(self._task, completed=event.done, total=event.total, description="running the backbone")
        self._what, self._done, self._epochs = "running the backbone", event.done, event.total
        self._say_at_times("images")

    def _started(self, event: RunStarted) -> None:
        self._what = f"training {event.number} of {event.of}: {event.recipe}"
        self._epochs, self._done, self._began = event.epochs, 0, self._clock()
        self._progress.reset(self._task, total=event.epochs, description=self._what, extra="")

    def _epoch(self, event: EpochEnded) -> None:
        self._done += 1
        loss = event.row["val_loss"]
        extra = "" if loss is None else f"val loss {loss:.3f}"
        self._progress.update(self._task, advance=1, extra=extra)
        self._say_at_times("epochs", f", {extra}" if extra else "")

    def _say_at_times(self, unit: str = "epochs", extra: str = "") -> None:
        """A line if there is no bar, and none was printed for a while."""
        now = self._clock()
        if not self._progress.disable or now - self._said < EVERY:
            return
        self._said = now
        left = (now - self._began) * (self._epochs - self._done) / max(self._done, 1)
        rest = f", at most {duration(left)} left" if self._done else ""
        self._say(f"{self._what}: {self._done:,} of {self._epochs:,} {unit}{extra}{rest}")

    def _say_if_plain(self, line: str) -> None:
        if self._progress.disable:
            self._say(line)

    def _say(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True)
