"""How trainings went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, overload

from tagfit.errors import DataError
from tagfit.metrics.titles import TITLES
from tagfit.report.charts import lines
from tagfit.report.charts.lines import Line
from tagfit.report.context import Figure
from tagfit.report.drawn import series_of
from tagfit.report.frames import FrameRow, Tabular
from tagfit.report.plot import Plot
from tagfit.report.values import runs_of
from tagfit.runs.record import ModelRecord, RunRecord


@dataclass(frozen=True)
class Epoch:
    """One epoch of one training.

    Attributes:
        run: `before` is the baseline, `after` what is delivered; a run that was compared with nothing is `model`. Of an
            ensemble, it is one of its networks.
        fold: from 1; None without folds.
        epoch: from 1.
        train_loss: the mean over the epoch, with dropout on: not the loss of the delivered weights.
        val_loss: in inference mode; None if there was nothing to compute it on.
        train: the target's metric on train, in inference mode; None in epochs in which it was not computed.
        val: the same on val.
        seconds: how long it took.
        delivered: whether the weights after this epoch are the ones that were kept.
    """

    run: Literal["before", "after", "model"]
    fold: int | None
    epoch: int
    train_loss: float | None
    val_loss: float | None
    train: float | None
    val: float | None
    seconds: float | None
    delivered: bool


@dataclass(frozen=True)
class History(Tabular, Sequence[Epoch]):
    """Every epoch of the baseline and of what is delivered.

    Attributes:
        metric: what `train` and `val` are of each epoch.
    """

    metric: str
    epochs: tuple[Epoch, ...]

    @classmethod
    def of(cls, record: RunRecord) -> History:
        """The history that a record holds."""
        metric = record.target.metric
        return cls(
            metric, tuple(epoch for name, run in runs_of(record).items() for epoch in _epochs(name, run, metric))
        )

    def plot(self, what: Literal["loss", "metric"] = "loss") -> Plot:
        """Loss or metric by epoch, of all runs in one chart.

        Raises:
            DataError: that was not computed in any epoch.
        """
        title = "Loss" if what == "loss" else TITLES[self.metric]
        drawn = [line for run in ("before", "after", "model") for line in self._lines(run, what)]
        if not drawn:
            raise DataError(f"this history holds no {title.lower()} by epoch")
        caption = f"{title} by epoch: val solid, train dashed; a ring is the epoch that was delivered."
        svg = lines.learning(f"{title} by epoch", caption, drawn, restored=None)
        return Plot(Figure(f"history-{what}", caption, svg))

    def _lines(self, run: str, what: str) -> Iterator[Line]:
        of_run = [epoch for epoch in self.epochs if epoch.run == run]
        for fold in sorted({epoch.fold or 1 for epoch in of_run}):
            rows = [epoch for epoch in of_run if (epoch.fold or 1) == fold]
            for part, dash in (("train", " dash"), ("val", "")):
                values = [(row, getattr(row, f"{part}_loss" if what == "loss" else part)) for row in rows]
                points = tuple((float(row.epoch), float(value)) for row, value in values if value is not None)
                kept = {float(row.epoch) for row in rows if row.delivered and part == "val"}
                name = f"{run}: {part}" if fold == 1 else ""
                if points:
                    yield Line(name, series_of(run) + dash, points, tuple(one for one in points if one[0] in kept))

    def _rows(self) -> Sequence[FrameRow]:
        names = {"train": f"train_{self.metric}", "val": f"val_{self.metric}"}
        return [{names.get(name, name): value for name, value in asdict(epoch).items()} for epoch in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    @overload
    def __getitem__(self, place: int) -> Epoch: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Epoch, ...]: ...
    def __getitem__(self, place: int | slice) -> Epoch | tuple[Epoch, ...]:
        return self.epochs[place]

    def __repr__(self) -> str:
        runs = dict.fromkeys(epoch.run for epoch in self.epochs)
        counts = (f"{sum(epoch.run == run for epoch in self.epochs)} epochs of {run}" for run in runs)
        return f"<history: {', '.join(counts)}>"


def _epochs(name: str, run: ModelRecord, metric: str) -> Iterator[Epoch]:
    delivered: dict[int | None, int | None] = {None: run.delivered_epoch}
    if run.folds is not None:
        delivered |= {fold: one.delivered_epoch for fold, one in enumerate(run.folds.each, 1)}
    for row in run.history:
        fold = None if row.get("fold") is None else int(row["fold"] or 1)
        epoch = int(row["epoch"] or 0)
        yield Epoch(
            run=name,  # type: ignore[arg-type]  # the names of runs_of
            fold=fold,
            epoch=epoch,
            train_loss=row.get("train_loss"),
            val_loss=row.get("val_loss"),
            train=row.get(f"train_{metric}"),
            val=row.get(f"val_{metric}"),
            seconds=row.get("seconds"),
            delivered=delivered.get(fold) == epoch,
        )
