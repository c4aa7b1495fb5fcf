"""Decisions about labels, kept beside the data: appended to a file of JSON lines, and applied on top of any source.

The user's own label file is never changed. A decision names its sample by content (SHA-256), so that it holds wherever
the file lies, and is set aside if the image has changed since.

Shapes: N samples, L labels.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from tagfit.data.sources.tabular import MOST_BYTES
from tagfit.errors import DataError
from tagfit.io.files import regular_file, writable
from tagfit.records.data import NO, PARTS, UNKNOWN, YES, Dataset, LabelTable

#: a label of a sample as JSON has it: yes, no, or unknown
Told = Literal[1, 0] | None

#: decisions that cannot be applied, named one by one in a note; the others are counted
_MOST_NAMED = 10

#: a label as a matrix has it, by what JSON has
VALUES: Mapping[Told, int] = {1: YES, 0: NO, None: UNKNOWN}
TOLD: Mapping[int, Told] = {value: told for told, value in VALUES.items()}


class Correction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"before": "from"}):
    """One decision about one label of one sample: a line of the file.

    Attributes:
        when: ISO 8601, in UTC.
        who: the person, as the system calls them.
        sample: the sample's name, for people.
        sha256: of the image file's bytes or the row's, in hex: what identifies the sample.
        label: the label's name.
        before: what the label was when the person decided (`from` in the file).
        to: what it is now: 1, 0, or null for unknown.
        undo: whether this takes an earlier decision back, so that nobody has decided about the label.
    """

    when: str
    who: str
    sample: str
    sha256: str
    label: str
    before: Told
    to: Told
    undo: bool = False


@dataclass(frozen=True)
class Corrections:
    """What a file of decisions holds; of several about one label of a sample, the last one counts.

    Attributes:
        lines: decisions by the number of their line.
        unreadable: why a line is none, by its number.
    """

    path: Path
    lines: Mapping[int, Correction]
    unreadable: Mapping[int, str] = field(default_factory=dict)

    def latest(self) -> dict[tuple[str, str], tuple[int, Correction]]:
        """By the sample's hash and the label: the line and the decision that counts."""
        return {(one.sha256, one.label): (number, one) for number, one in self.lines.items()}


# --------------------------------------------------------------------------------------- reading, writing


def read_corrections(path: Path) -> Corrections:
    """Read a file of decisions; lines that are damaged are set aside, not fatal.

    Raises:
        DataError: the file cannot be read, or holds lines but no decision.
    """
    try:
        with regular_file(path, MOST_BYTES) as stream:
            rows = stream.read().split(b"\n")
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}",
            "Name a file of decisions about labels: JSON lines, as docs/data.md shows them.",
        ) from error
    lines, unreadable = dict[int, Correction](), dict[int, str]()
    for number, row in enumerate(rows, 1):
        try:
            if row.strip():
                lines[number] = msgspec.json.decode(row, type=Correction)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            unreadable[number] = str(error)
    if unreadable and not lines:
        first = min(unreadable)
        raise DataError(f"{path}: line {first} is no decision about a label: {unreadable[first]}")
    return Corrections(path, lines, unreadable)


def append(path: Path, decisions: Iterable[Correction]) -> None:
    """Add decisions to the end of a file, which is on disk when this returns.

    All of them go out in one write at the end of the file, so that two processes do not overwrite each other.

    Raises:
        OutputError: the file cannot be written to.
    """
    content = b"".join(msgspec.json.encode(one) + b"\n" for one in decisions)
    with writable(path):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # a process that was killed may have left half a line
            end = os.fstat(descriptor).st_size
            whole = not end or os.pread(descriptor, 1, end - 1) == b"\n"
            content = content if whole else b"\n" + content
            if os.write(descriptor, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ----------------------------------------------------------------------------------------------- applying


def with_newly_labelled(table: LabelTable, corrections: Corrections) -> LabelTable:
    """`table` with a row for each unlabelled image that there are decisions about; all its labels are still unknown.

    If the data brings a split of its own, these images join train.
    """
    decided = {one.sha256: one.sample for _, one in corrections.latest().values() if not one.undo}
    names = {Path(sample).name for sample in decided.values()}
    candidates = [file for file in table.unlabelled if in_unicode(file.name) in names]
    added = {file: decided[digest] for file in candidates if (digest := _digest(file)) in decided}
    if not added:
        return table
    note = f"{len(added)} images that had no labels are labelled by {corrections.path.name}."
    return with_unlabelled(replace(table, notes=(*table.notes, note)), added)


def with_unlabelled(table: LabelTable, added: Mapping[Path, str]) -> LabelTable:
    """`table` with a row for each further image file, by its name; all its labels are unknown.

    Raises:
        DataError: the table has no image files.
    """
    if not added:
        return table
    if table.files is None:
        raise DataError(f"{table.name} names no image files, so that no images can be added to it")
    taken, count = set(table.sample_names), len(added)
    cells = np.full((count, len(table.label_names)), UNKNOWN, np.int8)
    split = None if table.given_split is None else np.full(count, PARTS.index("train"), np.int8)
    return replace(
        table,
        labels_NL=np.concatenate([table.labels_NL, cells]),
        sample_names=(*table.sample_names, *(str(file) if name in taken else name for file, name in added.items())),
        files=(*table.files, *added),
        given_split=None if split is None else np.concatenate([table.given_split, split]),
        metadata={head: (*values, *[""] * count) for head, values in table.metadata.items()},
        unlabelled=tuple(file for file in table.unlabelled if file not in added),
    )


def corrected(dataset: Dataset, corrections: Corrections) -> Dataset:
    """`dataset` with the decisions applied; byte-identical copies all get them.

    What cannot be applied is named in the notes.
    """
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(dataset.hashes):
        rows.setdefault(digest.tobytes().hex(), []).append(row)
    columns = {name: column for column, name in enumerate(dataset.label_names)}
    labels_NL, outcome, aside = dataset.labels_NL.copy(), Counter[bool](), dict(corrections.unreadable)
    for number, one in corrections.latest().values():
        if one.undo:  # nobody has decided: the source counts
            continue
        if one.label not in columns:
            aside[number] = f"there is no label {one.label!r}"
        elif one.sha256 not in rows:
            known = one.sample in map(in_unicode, dataset.sample_names)
            aside[number] = f"{one.sample} {'has changed since' if known else 'is not in this data'}"
        else:
            at = rows[one.sha256], columns[one.label]
            outcome[bool((labels_NL[at] != VALUES[one.to]).any())] += 1
            labels_NL[at] = VALUES[one.to]
    notes = [*dataset.notes, _applied(corrections, outcome), *_set_aside(corrections, aside)]
    return replace(dataset, labels_NL=labels_NL, notes=tuple(notes))


def _applied(corrections: Corrections, outcome: Mapping[bool, int]) -> str:
    changed, confirmed = outcome.get(True, 0), outcome.get(False, 0)
    return f"{corrections.path.name}: {changed} labels of samples are changed, {confirmed} are as they were."


def _set_aside(corrections: Corrections, aside: Mapping[int, str]) -> Iterator[str]:
    for number in sorted(aside)[:_MOST_NAMED]:
        yield f"{corrections.path.name}, line {number}, is set aside: {aside[number]}."
    if len(aside) > _MOST_NAMED:
        yield f"{corrections.path.name}: {len(aside) - _MOST_NAMED} more lines are set aside."


def in_unicode(name: str) -> str:
    """A name as JSON can hold it: bytes of a file's name that are not UTF-8 are written as `\\udce9`."""
    return name.encode("utf-8", "backslashreplace").decode()


def _digest(file: Path) -> str:
    """Of a file's bytes, as samples are hashed; empty if it cannot be read."""
    try:
        with regular_file(file, MOST_BYTES) as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return ""


def decisions(dataset: Dataset, row: int, labels: Mapping[str, Told], *, who: str, when: str) -> Sequence[Correction]:
    """What is to be appended for one sample.

    Args:
        labels: by name, each label that the person decided on.
    """
    columns = {name: column for column, name in enumerate(dataset.label_names)}
    return [
        Correction(
            when=when,
            who=who,
            sample=in_unicode(dataset.sample_names[row]),
            sha256=dataset.hashes[row].tobytes().hex(),
            label=label,
            before=TOLD[int(dataset.labels_NL[row, columns[label]])],
            to=to,
        )
        for label, to in labels.items()
    ]
