"""JSON lines: one object a sample, read into a `Table`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.table import Table
from tagfit.data.sources.text import lines_of, read_text


def read_jsonl(path: Path, faults: Faults) -> Table:
    """Read one JSON object a line; lines that are none are faults and left out, blank lines are skipped.

    A key that only some lines have is a missing cell in the others, but `labels` is a fault where it is missing:
    whether such a sample has no labels, or nobody looked, is not known.
    """
    rows: list[Mapping[str, object]] = []
    where = []
    for number, line in enumerate(lines_of(read_text(path)), 1):
        if not line.strip():
            continue
        place = f"{path.name}:{number}"
        row = _object(line, place, faults)
        if row is not None:
            rows.append(row)
            where.append(place)
    if len(rows) == 1 and {"images", "annotations"} <= rows[0].keys():
        faults.add(f"{path.name}: is COCO's JSON, which is not read.", "Write one line a picture with its labels.")
        faults.check()
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(path.name, path.name, {name: [row.get(name) for row in rows] for name in names}, where)


def _object(line: str, place: str, faults: Faults) -> dict[str, object] | None:
    """The object of a line; None after a fault."""

    def distinct(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) < len(pairs):
            faults.add(f"{place}: a key occurs twice in one object.")
        return values

    try:
        row = json.loads(line, object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        faults.add(f"{place}: is not JSON: {error}.", 'Expected lines such as {"image": "a.jpg", "labels": ["beach"]}.')
        return None
    if not isinstance(row, dict):
        faults.add(f"{place}: expected a JSON object; got {line.strip()[:40]}.")
        return None
    return {name.strip(): value for name, value in row.items()}
