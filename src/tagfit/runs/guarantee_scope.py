"""What a guarantee says nothing of: labels that its calibrate part lacks, and samples of another mix of labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tagfit.diagnosis.checks.shift import MOST, LabelShift
from tagfit.records.data import PARTS, YES, LockedData

#: labels that a sentence names
NAMED = 8


def scope(data: LockedData, seed: int = 0) -> Iterator[str]:
    """Sentences, none where every label is covered and the calibrate part is like the others."""
    names, labels_NL = data.dataset.label_names, data.dataset.labels_NL
    here = data.split.parts == PARTS.index("calibrate")
    silent = np.flatnonzero(~(labels_NL[here] == YES).any(axis=0))
    if len(silent):
        named = ", ".join(names[label] for label in silent[:NAMED])
        more = f" and {len(silent) - NAMED:,} more" if len(silent) > NAMED else ""
        yield (
            f"It says nothing of {len(silent):,} of {len(names):,} labels, which no sample of the calibrate part has: "
            f"{named}{more}."
        )
    groups = np.arange(len(here)) if data.split.groups is None else data.split.groups
    some = slice(None, None, -(-len(here) // MOST))
    shift = LabelShift.between(labels_NL[some], groups[some], here[some], seed)
    if shift.concerned:
        yield (
            "It is for samples like those of the calibrate part. Labels are less or more frequent in the others: "
            f"{shift.listed(names)}."
        )
