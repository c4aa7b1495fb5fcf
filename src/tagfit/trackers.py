"""Trackers that somebody has already: files for TensorBoard, or MLflow wherever MLFLOW_TRACKING_URI says.

Both are listeners: `tagfit.fit(data, on_event=TensorBoard("logs"))`. What they are told of is written in the run folder
as well; they never stop a training, and one that fails is let go.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import tagfit
from tagfit.errors import OutputError, demand_extra
from tagfit.records.scores import METRICS
from tagfit.runs.folder import TENSORBOARD, flat
from tagfit.training.events import EpochEnded, Event, Listener, RunEnded

if TYPE_CHECKING:
    from tagfit.runs.record import Delivered, ModelRecord, RunRecord

Log = Literal["tensorboard", "mlflow"]

#: seconds between two messages to MLflow about one training
_PATIENCE = 5.0

#: unless whoever runs this wants it otherwise: nobody else is told, and a server that is away is found out soon
_MLFLOW = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


class Tracker(Protocol):
    """Is told what happens, then what came of it."""

    def __call__(self, event: Event) -> None: ...

    def result(self, record: RunRecord, folder: Path | None) -> None:
        """Keep the scores, recipes and files of a run."""
        ...

    def close(self, *, complete: bool) -> None: ...


class TensorBoard:
    """Writes the history of each training to a folder of its own in `folder`, NUMBER-RECIPE, for TensorBoard.

    Raises:
        MissingExtraError: without tensorboardX.
    """

    def __init__(self, folder: str | Path) -> None:
        demand_extra("a log for TensorBoard", "tensorboard")
        from tensorboardX import SummaryWriter

        self._writer, self._folder, self._open = SummaryWriter, Path(folder), dict[int, Any]()

    def __call__(self, event: Event) -> None:
        match event:
            case EpochEnded():
                writer = self._open.get(event.number)
                if writer is None:
                    place = self._folder / f"{event.number:03}-{_plain(event.recipe)}"
                    writer = self._open[event.number] = self._writer(str(place))
                for name, value in _measured(event.row).items():
                    writer.add_scalar(name, value, int(event.row["epoch"] or 0))
            case RunEnded():
                if (writer := self._open.pop(event.number, None)) is not None:
                    writer.close()

    def result(self, record: RunRecord, folder: Path | None) -> None:
        for which, run in (("before", record.before), ("after", record.after)):
            if run is not None:
                with self._writer(str(self._folder / which)) as writer:
                    fields = flat(run.recipe.to_dict())
                    writer.add_text("recipe", "\n".join(f"    {name} = {value}" for name, value in fields.items()))
                    for name, value in _final(run):
                        writer.add_scalar(f"delivered/{name}", value, 0)

    def close(self, *, complete: bool) -> None:
        for writer in self._open.values():
            writer.close()


class MLflow:
    """A run of the experiment `tagfit` (or of MLFLOW_EXPERIMENT_NAME), and in it one for each training.

    Raises:
        MissingExtraError: without mlflow.
        OutputError: the tracking server does not answer, or refuses.
    """

    def __init__(self, name: str) -> None:
        for variable, value in _MLFLOW.items():
            os.environ.setdefault(variable, value)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        demand_extra("a log for MLflow", "mlflow")
        from mlflow import MlflowClient, entities

        self._entities = entities
        self._children, self._waiting = dict[int, str](), dict[int, list[Any]]()
        self._sent = time.monotonic()
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "tagfit")
        try:
            self._client = MlflowClient()
            known = self._client.get_experiment_by_name(experiment)
            self._experiment = known.experiment_id if known else self._client.create_experiment(experiment)
            self._run = self._begin(name, {"tagfit": tagfit.__version__})
        except Exception as error:
            raise OutputError(f"MLflow: {_first_line(error)}", "Set MLFLOW_TRACKING_URI, or remove --log.") from error

    def __call__(self, event: Event) -> None:
        match event:
            case EpochEnded():
                now, epoch = int(time.time() * 1000), int(event.row["epoch"] or 0)
                if event.number not in self._children:
                    tags = {"mlflow.parentRunId": self._run}
                    self._children[event.number] = self._begin(f"{event.number:03}-{event.recipe}", tags)
                metric = self._entities.Metric
                rows = [metric(name, value, now, epoch) for name, value in _measured(event.row).items()]
                self._waiting.setdefault(event.number, []).extend(rows)
                if time.monotonic() - self._sent > _PATIENCE:
                    self._send()
            case RunEnded() if event.number in self._children:
                self._send()
                status = {"stopped": "KILLED", "diverged": "FAILED"}.get(event.state, "FINISHED")
                self._client.set_terminated(self._children.pop(event.number), status)

    def result(self, record: RunRecord, folder: Path | None) -> None:
        now = int(time.time() * 1000)
        self._client.set_tag(self._run, "lock", record.lock)
        self._client.set_tag(self._run, "target met", str(record.target.met))
        fields = flat(record.after.recipe.to_dict())
        params = [self._entities.Param(name, str(value)[:500]) for name, value in fields.items()]
        metrics = [
            self._entities.Metric(f"{which}.{name}".replace("/", "."), value, now, 0)
            for which, run in (("before", record.before), ("after", record.after))
            if run is not None
            for name, value in _final(run)
        ]
        self._client.log_batch(self._run, metrics=metrics, params=params)
        for file in ("result.json", "report.html") if folder is not None else ():
            if folder is not None and (folder / file).is_file():
                self._client.log_artifact(self._run, str(folder / file))

    def close(self, *, complete: bool) -> None:
        self._send()
        for child in self._children.values():
            self._client.set_terminated(child, "KILLED")
        self._client.set_terminated(self._run, "FINISHED" if complete else "KILLED")

    def _begin(self, name: str, tags: Mapping[str, str]) -> str:
        run_id: str = self._client.create_run(self._experiment, run_name=name, tags=dict(tags)).info.run_id
        return run_id

    def _send(self) -> None:
        self._sent = time.monotonic()
        for number, rows in self._waiting.items():
            for first in range(0, len(rows), 1000):  # as many as one message may hold
                self._client.log_batch(self._children[number], metrics=rows[first : first + 1000])
        self._waiting.clear()


def demand(log: Log | None) -> None:
    """Before any work.

    Raises:
        MissingExtraError: what `log` needs is not installed.
    """
    if log is not None:
        demand_extra(f"--log {log}", log)


@contextmanager
def tracked(log: Log | None, folder: Path, listen: Listener) -> Iterator[_Both]:
    """A listener that tells both `listen` and the tracker; files for TensorBoard go to RUN/tensorboard.

    Raises:
        OutputError: a tracking server does not answer.
    """
    tracker: Tracker | None = None
    if log == "tensorboard":
        tracker = TensorBoard(folder / TENSORBOARD)
    elif log == "mlflow":
        tracker = MLflow(folder.name)
    both = _Both(listen, tracker)
    try:
        yield both
    finally:
        both.tell(lambda kept: kept.close(complete=both.complete))


class _Both:
    """Tells a listener, whose answer counts, and a tracker, whose troubles do not."""

    def __init__(self, listen: Listener, tracker: Tracker | None) -> None:
        self.complete = False
        self._listen, self._tracker = listen, tracker

    def __call__(self, event: Event) -> bool | None:
        self.tell(lambda tracker: tracker(event))
        return self._listen(event)

    def result(self, delivered: Delivered) -> None:
        """What came of it; what was finished before was reported before."""
        self.complete = delivered.record.state == "finished"
        if delivered.fresh:
            self.tell(lambda tracker: tracker.result(delivered.record, delivered.folder))

    def tell(self, what: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            what(self._tracker)
        except Exception as error:
            self._tracker = None
            print(f"tagfit: logging stopped, the run continues: {_first_line(error)}", file=sys.stderr, flush=True)


def _measured(row: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "epoch" and value is not None}


def _final(run: ModelRecord) -> Iterator[tuple[str, float]]:
    """PART/METRIC and the score, of the parts that were scored."""
    for part in run.scores:
        for name in METRICS:
            if (value := run.score(part, name)) is not None:
                yield f"{part}/{name}", value


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)[:60]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
