"""Labels that a person looks at and decides on: the queues, the decisions, and taking them back.

What was decided is appended to a file, which is on disk before a decision counts. What was not looked at stays as it
was: unknown stays unknown.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import getpass
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tagfit.data.corrections import (
    TOLD,
    VALUES,
    Correction,
    Corrections,
    Told,
    append,
    corrected,
    decisions,
    in_unicode,
    read_corrections,
)
from tagfit.errors import DataError, OutputError
from tagfit.labels.alike import Alike, differences
from tagfit.labels.keys import label_keys
from tagfit.labels.rules import broken, exceptions, find_rules
from tagfit.labels.scoring import Scored
from tagfit.labels.suggest import Candidates, askable, choose
from tagfit.records.data import NO, UNKNOWN, YES, Dataset

QueueName = Literal["wrong", "next", "all"]
QUEUES: tuple[QueueName, ...] = ("wrong", "next", "all")

Order = Literal["given", "highest", "lowest"]
Said = Literal["", "yes", "no", "unknown"]

#: how a label is written in a card
_LETTERS: Mapping[Told, str] = {1: "y", 0: "n", None: "?"}

_SAID: Mapping[Said, int] = {"yes": YES, "no": NO, "unknown": UNKNOWN}

#: a score above which a label is suggested
SUGGESTED = 0.5

#: batches of decisions that can be taken back in one window, and windows
_MOST_UNDONE, _MOST_WINDOWS = 200, 100

#: samples over which the pace is measured, and seconds without a decision that are a break
_PACE_OVER, _BREAK = 30, 120.0


@dataclass(frozen=True)
class SampleCard:
    """One sample, as a page shows it.

    Attributes:
        row: its number.
        labels: a letter a label: y, n or ? for unknown.
        decided: a digit a label: 1 where a person has decided.
        scores: of each label, in hundredths.
        asked: labels that are likely wrong and not decided on yet.
        suggested: labels that the model suggests, and that one key accepts.
        why: what is odd about its labels, as sentences.
        done: whether nothing is left to do in this queue.
    """

    row: int
    name: str
    labels: str
    decided: str
    scores: tuple[int, ...]
    asked: tuple[int, ...]
    suggested: tuple[int, ...]
    why: tuple[str, ...]
    done: bool


@dataclass(frozen=True)
class Page:
    """Some cards of a queue.

    Attributes:
        total: how many cards the filter leaves.
        start: the place of the first of `cards`.
    """

    total: int
    start: int
    cards: tuple[SampleCard, ...]


@dataclass(frozen=True)
class QueueProgress:
    """How far a queue is done.

    Attributes:
        first: the place of the first sample that is not done; 0 if all are.
        note: why the queue is empty.
    """

    total: int
    done: int
    first: int = 0
    note: str = ""


@dataclass(frozen=True)
class ReviewProgress:
    """What was decided.

    Attributes:
        changed: labels that are now other than the data has them.
        confirmed: labels that were looked at and are as the data has them.
        pictures: samples with a decision.
        pace: samples a minute, in this session; None as long as it is not known.
    """

    changed: int
    confirmed: int
    pictures: int
    pace: float | None
    queues: dict[QueueName, QueueProgress]


@dataclass(frozen=True)
class Filter:
    """Which cards of a queue are shown.

    Attributes:
        name: what the sample's name contains, in upper or lower case.
        label: the number of the label that `said`, `low`, `high` and `order` are about.
        low, high: the score of that label.
        left: whether only samples are shown that are not done.
    """

    name: str = ""
    label: int | None = None
    said: Said = ""
    low: float = 0.0
    high: float = 1.0
    order: Order = "given"
    left: bool = False


@dataclass(frozen=True)
class Decision:
    """What a person says of one sample: labels by their numbers."""

    row: int
    labels: Mapping[int, Told]


@dataclass(frozen=True)
class Neighbourhood:
    """A sample's neighbours in feature space, and in which labels it differs from them."""

    cards: tuple[SampleCard, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class _Cell:
    """A label of a sample before it was decided on, and what it was decided to be."""

    row: int
    label: int
    before: int
    to: int
    decided: bool


class Review:
    """Samples with their labels as they are now, decided on by several windows at once.

    Args:
        found: what models say.
        path: the file of decisions; those in it are applied, and new ones are appended.
        count: how many samples are suggested to be labelled next.

    Attributes:
        notes: what could not be applied, and what is missing.
    """

    def __init__(self, found: Scored, path: Path, *, count: int = 200, seed: int = 0, who: str = "") -> None:
        self.path, self._who = path, who or _person()
        self._source, self._scores_NL = found.dataset, found.scores_NL
        self._first_NL = found.dataset.labels_NL
        self._decided_NL = np.zeros(self._first_NL.shape, np.bool_)
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, digest in enumerate(found.dataset.hashes):
            self._rows[digest.tobytes().hex()].append(row)
        self._columns = {name: column for column, name in enumerate(found.dataset.label_names)}
        self._lock, self._read_to = Lock(), 0
        self._batches: dict[str, deque[list[_Cell]]] = defaultdict(lambda: deque(maxlen=_MOST_UNDONE))
        self._times: deque[tuple[float, int]] = deque(maxlen=_PACE_OVER)
        self._labels_NL = self._first_NL.copy()
        self.notes = (*found.notes, *self._resume())
        self.keys, self.model = label_keys(found.dataset.label_names), found.model
        self._rules = find_rules(self._first_NL)
        self._asked = _asked(found, exceptions(self._rules, self._first_NL))
        self._asked_NL = np.zeros_like(self._decided_NL)
        for row, labels in self._asked.items():
            self._asked_NL[row, labels] = True
        self._order: dict[QueueName, NDArray[np.intp]] = {
            "wrong": np.array(list(self._asked), np.intp),
            "next": self._next(found, count, seed),
            "all": np.arange(len(found.dataset)),
        }
        self._alike = Alike(found.x_ND)

    def _next(self, found: Scored, count: int, seed: int) -> NDArray[np.intp]:
        """The rows to label next; others, once all of these are labelled."""
        rows = _next(found, count, seed)
        left = (self._labels_NL[rows] == UNKNOWN).any()
        return rows if left else _next(replace(found, dataset=self.dataset), count, seed)

    @property
    def dataset(self) -> Dataset:
        """The samples with their labels as they are now."""
        return replace(self._source, labels_NL=self._labels_NL)

    # ------------------------------------------------------------------------------------------- showing

    def page(self, queue: QueueName, chosen: Filter, start: int, count: int) -> Page:
        """Some cards of a queue, `start` counted from 0."""
        with self._lock:
            self._catch_up()
            rows = self._filtered(queue, chosen)
            return Page(len(rows), start, tuple(self._card(int(row), queue) for row in rows[start : start + count]))

    def cards(self, rows: Iterable[int], queue: QueueName) -> tuple[SampleCard, ...]:
        """Samples as they are now."""
        with self._lock:
            return tuple(self._card(row, queue) for row in rows)

    def neighbours(self, row: int) -> Neighbourhood:
        """The samples that look most like one.

        Raises:
            DataError: there is no such row.
        """
        self._check_row(row)
        near = self._alike.nearest(row)
        with self._lock:
            told = differences(self._labels_NL[row], self._labels_NL[near], self._source.label_names)
            return Neighbourhood(tuple(self._card(int(one), "all") for one in near), told)

    def progress(self) -> ReviewProgress:
        """What was decided so far, other windows' decisions included."""
        with self._lock:
            self._catch_up()
            changed_NL = self._decided_NL & (self._labels_NL != self._first_NL)
            decided = int(self._decided_NL.sum())
            return ReviewProgress(
                changed=int(changed_NL.sum()),
                confirmed=decided - int(changed_NL.sum()),
                pictures=int(self._decided_NL.any(axis=1).sum()),
                pace=self._pace(),
                queues={queue: self._of_queue(queue) for queue in QUEUES},
            )

    def _of_queue(self, queue: QueueName) -> QueueProgress:
        rows = self._order[queue]
        done = self._done(queue, rows)
        first = 0 if done.all() else int(done.argmin())
        empty = {"wrong": "No label looks wrong.", "next": "Every label of every sample is known.", "all": ""}
        return QueueProgress(len(rows), int(done.sum()), first, "" if len(rows) else empty[queue])

    def _pace(self) -> float | None:
        """Samples a minute; breaks do not count."""
        if len(self._times) < 5:
            return None
        gaps = [later - earlier for (earlier, _), (later, _) in zip(self._times, list(self._times)[1:], strict=False)]
        seconds = sum(gap for gap in gaps if gap < _BREAK)
        samples = sum(count for _, count in list(self._times)[1:])
        return 60 * samples / seconds if seconds > 0 else None

    def _filtered(self, queue: QueueName, chosen: Filter) -> NDArray[np.intp]:
        rows = self._order[queue]
        if chosen.left:
            rows = rows[~self._done(queue, rows)]
        if chosen.name:
            part = chosen.name.casefold()
            rows = np.array([row for row in rows if part in self._source.sample_names[row].casefold()], np.intp)
        return rows if chosen.label is None else self._by_label(rows, chosen, chosen.label)

    def _by_label(self, rows: NDArray[np.intp], chosen: Filter, label: int) -> NDArray[np.intp]:
        scores = self._scores_NL[rows, label]
        kept = (scores >= chosen.low) & (scores <= chosen.high)
        if chosen.said:
            kept &= self._labels_NL[rows, label] == _SAID[chosen.said]
        rows, scores = rows[kept], scores[kept]
        if chosen.order == "given":
            return rows
        return rows[np.argsort(-scores if chosen.order == "highest" else scores, kind="stable")]

    def _done(self, queue: QueueName, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """(n,) whether nothing is left to do: of *all*, once one label was decided on."""
        if queue == "next":
            return np.asarray((self._labels_NL[rows] != UNKNOWN).all(axis=1))
        decided_nL = self._decided_NL[rows]
        if queue == "wrong":
            return np.asarray(~(self._asked_NL[rows] & ~decided_nL).any(axis=1))
        return np.asarray(decided_nL.any(axis=1))

    def _card(self, row: int, queue: QueueName) -> SampleCard:
        names = self._source.label_names
        labels_L, decided_L, scores_L = self._labels_NL[row], self._decided_NL[row], self._scores_NL[row]
        asked = [label for label in self._asked.get(row, ()) if not decided_L[label]]
        unknown = np.flatnonzero((labels_L == UNKNOWN) & (scores_L > SUGGESTED))
        rules = broken(self._rules, labels_L)
        why = [_odd(names[label], int(labels_L[label]), float(scores_L[label])) for label in asked]
        return SampleCard(
            row=row,
            name=in_unicode(self._source.sample_names[row]),
            labels="".join(_LETTERS[TOLD[value]] for value in labels_L.tolist()),
            decided="".join("01"[value] for value in decided_L.tolist()),
            scores=tuple(np.rint(100 * scores_L).astype(int).tolist()),
            asked=tuple(asked),
            suggested=tuple(dict.fromkeys([*asked, *unknown.tolist()])),
            why=(*why, *(rule.sentence(names) for rule in rules)),
            done=bool(self._done(queue, np.array([row]))[0]),
        )

    # ------------------------------------------------------------------------------------------ deciding

    def decide(self, window: str, given: Sequence[Decision]) -> None:
        """Write decisions down; they count once they are on disk.

        Args:
            window: who may take them back.

        Raises:
            DataError: there is no such row or label.
            OutputError: they cannot be written.
        """
        self._check(given)
        when = _now()
        with self._lock:
            self._catch_up()
            dataset = self.dataset
            cells, lines = [], list[Correction]()
            for one in given:
                labels = {self._source.label_names[label]: told for label, told in one.labels.items()}
                lines += decisions(dataset, one.row, labels, who=self._who, when=when)
                cells += [self._cell(one.row, label, VALUES[told]) for label, told in one.labels.items()]
            self._write(lines)
            self._batches[window].append(cells)
            while len(self._batches) > _MOST_WINDOWS:
                self._batches.pop(next(iter(self._batches)))
            self._times.append((time.monotonic(), len({one.row for one in given})))

    def undo(self, window: str) -> tuple[tuple[int, ...], int]:
        """Take the last decisions of a window back.

        Returns:
            the rows, and how many labels stay as they are because somebody has changed them since.

        Raises:
            OutputError: it cannot be written.
        """
        with self._lock:
            self._catch_up()
            batches = self._batches.get(window)
            if not batches:
                return (), 0
            cells = batches.pop()
            same = [one for one in cells if self._labels_NL[one.row, one.label] == one.to]
            when = _now()
            self._write([self._taken_back(one, when) for one in same])
            return tuple(dict.fromkeys(one.row for one in cells)), len(cells) - len(same)

    def _cell(self, row: int, label: int, to: int) -> _Cell:
        return _Cell(row, label, int(self._labels_NL[row, label]), to, bool(self._decided_NL[row, label]))

    def _taken_back(self, cell: _Cell, when: str) -> Correction:
        told = {self._source.label_names[cell.label]: TOLD[cell.before]}
        (line,) = decisions(self.dataset, cell.row, told, who=self._who, when=when)
        return line if cell.decided else msgspec.structs.replace(line, undo=True)

    def _check(self, given: Sequence[Decision]) -> None:
        for one in given:
            self._check_row(one.row)
            if not all(0 <= label < len(self._source.label_names) for label in one.labels):
                raise DataError(f"there are only the labels 0 to {len(self._source.label_names) - 1}")

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self._source):
            raise DataError(f"there are only the rows 0 to {len(self._source) - 1}")

    # ------------------------------------------------------------------------------------------ the file

    def _write(self, lines: Sequence[Correction]) -> None:
        append(self.path, lines)
        self._catch_up()

    def _resume(self) -> tuple[str, ...]:
        """Apply what the file holds already; says what could not be applied."""
        if not self.path.exists():
            return ()
        held = read_corrections(self.path)
        self._read_to = self.path.stat().st_size
        self._take(held)
        return corrected(self._source, held).notes[len(self._source.notes) :]

    def _catch_up(self) -> None:
        """Apply what was appended since, by this process or another."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}") from error
        if size > self._read_to:
            with self.path.open("rb") as stream:
                stream.seek(self._read_to)
                rows = stream.read()
            whole = rows[: rows.rfind(b"\n") + 1]
            self._take(Corrections(self.path, dict(enumerate(_readable(whole.split(b"\n"))))))
            self._read_to += len(whole)

    def _take(self, held: Corrections) -> None:
        for one in held.lines.values():
            column = self._columns.get(one.label)
            if column is not None and one.sha256 in self._rows:
                at = self._rows[one.sha256], column
                self._labels_NL[at] = self._first_NL[at] if one.undo else VALUES[one.to]
                self._decided_NL[at] = not one.undo


# ------------------------------------------------------------------------------------------------ what is asked


def _asked(found: Scored, further: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    """By row, in the order in which rows are shown: the labels that are likely wrong."""
    asked: dict[int, list[int]] = {}
    for row, label in [*map(tuple, found.errors_K2.tolist()), *further]:
        labels = asked.setdefault(row, [])
        if label not in labels:
            labels.append(label)
    return asked


def _next(found: Scored, count: int, seed: int) -> NDArray[np.intp]:
    """The rows to label next, those first that bring most."""
    rows = askable(found.dataset)
    if not len(rows):
        return rows
    candidates = Candidates.of(found.dataset, rows, found.scores_NL[rows], found.x_ND[rows])
    return rows[choose(candidates, count, seed)[0]]


def _odd(name: str, label: int, score: float) -> str:
    if label == UNKNOWN:
        return f"{name} is unknown; the model gives it {score:.0%}."
    return f"{name} is {'yes' if label == YES else 'no'}; the model gives it {score:.0%}."


def _readable(rows: Iterable[bytes]) -> list[Correction]:
    found = []
    for row in rows:
        try:
            if row.strip():
                found.append(msgspec.json.decode(row, type=Correction))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # named when the file is next read as a whole
    return found


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
