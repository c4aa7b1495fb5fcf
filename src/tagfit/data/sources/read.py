"""Read the labels at a path, whatever kind of source they are in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.label_table import label_table
from tagfit.data.sources.reader import Source
from tagfit.data.sources.reading import OPTIONS, Reading
from tagfit.data.sources.registry import find_source
from tagfit.data.sources.rows import Rows
from tagfit.data.sources.splits import with_official_split
from tagfit.options.data import ReadingKeywords
from tagfit.records.data import LabelTable

#: options of whatever names images: what a row without labels means, and how names of images begin
_OF_IMAGES = frozenset(("blank_is", "strip_prefix"))


def read(data: str | Path, *, images: str | Path | None = None, **options: Unpack[ReadingKeywords]) -> LabelTable:
    """Read the labels at a path. Kinds of files are detected from content; `registry.READERS` lists them.

    A folder stands for the one source of labels in it: a label file, those of the train, val and test parts of one
    split (`train.csv`, `val.csv`), or its images with the keywords in them. Nothing in it is written to; images are
    looked for, and opened only for their keywords.

    Args:
        data: a folder, or a label file.
        images: where the paths of images start; by default the folder of the label file.
        options: see `ReadingOptions`.

    Returns:
        N samples: image files, (N, D) float32 features or (N, H, W, 3) uint8 images; (N, L) int8 labels.

    Raises:
        DataError: with every fault that was found.
    """
    reading, faults = Reading(**options), Faults()
    source = replace(find_source(Path(data)), images=None if images is None else Path(images))
    _refuse(source, reading, faults)
    found = source.reader.read(source, reading, faults)
    if isinstance(found, Rows):
        found, source = with_official_split(found, source)
        found = label_table(found, source.name, source.root, reading, faults)
    faults.check()
    how = f"Read as {source.reader.title}: {source.title}." if source.files else f"Read: {source.reader.title}."
    return replace(found, name=source.name, notes=source.notes + found.notes, reading=(how, *found.reading))


def _refuse(source: Source, reading: Reading, faults: Faults) -> None:
    """An option that means nothing to the reader is a fault."""
    understood = source.reader.options | (_OF_IMAGES if source.reader.takes_images else frozenset())
    reading.refuse(OPTIONS - understood, source.title, faults)
    if source.images is not None and not source.reader.takes_images:
        faults.add(f"{source.title}: a folder of images was given, but this names no images.", "Leave out --images.")
