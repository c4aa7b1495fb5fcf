"""A table of images, made into a `LabelTable`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.cells import cell_code
from tagfit.data.sources.columns import IMAGE_NAMES, Roles, roles
from tagfit.data.sources.conventions import Conventions
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.files import Root, find_images, unlabelled
from tagfit.data.sources.labelled import Labelled, labelled
from tagfit.data.sources.repeats import first_rows
from tagfit.data.sources.table import Table
from tagfit.images.decode import IMAGE_SUFFIXES
from tagfit.records.data import LabelTable


def image_table(table: Table, name: str, root: Root, conventions: Conventions, faults: Faults) -> LabelTable:
    """Read labels, split and metadata, and look for each image.

    Raises:
        DataError: with every fault of the table, and those gathered before.
    """
    role = roles(table)
    if role.image is None and table.columns:
        _refuse_header(table, faults)
    elif not len(table) and not len(faults):
        faults.add(f"{table.source}: there are no rows.", "Expected one row an image.")
    if not root.folder.is_dir():
        faults.add(f"{root.folder}: the folder of images does not exist.", "Name a folder with --images (images).")
    if role.image is None or not len(table) or not root.folder.is_dir():
        faults.check()
    assert role.image is not None
    told = labelled(table, role, conventions, faults)
    written = ["" if cell is None else str(cell).strip() for cell in table.columns[role.image]]
    found = find_images(written, table.where, root, faults)
    kept, repeated = first_rows(found, table.where, told, faults)
    faults.check()
    files = [file for file in found if file is not None]
    beside = unlabelled(files)
    notes = (*told.notes, *_second_image_note(table, role), *repeated, *_beside_note(beside, table.source))
    return _record(name, kept, (written, files), told, notes)


def _record(
    name: str,
    kept: NDArray[np.intp],
    images: tuple[Sequence[str], Sequence[Path]],
    told: Labelled,
    notes: tuple[str, ...],
) -> LabelTable:
    written, files = images
    return LabelTable(
        name=name,
        label_names=told.labels.names,
        labels_NL=told.labels.codes_NL[kept],
        sample_names=tuple(written[row] for row in kept),
        files=tuple(files[row] for row in kept),
        given_split=None if told.given_split is None else told.given_split[kept],
        metadata={name: tuple(cells[row] for row in kept) for name, cells in told.metadata.items()},
        absent_label=told.labels.absent,
        notes=notes,
    )


def _refuse_header(table: Table, faults: Faults) -> None:
    names = list(table.columns)
    if _looks_like_data(names):
        faults.add(
            f"{table.head}: there is no header line; the first line is {', '.join(map(shortened, names[:6]))}.",
            "Put a header above it, such as image,labels or image,beach,sea,sunset.",
        )
    else:
        faults.add(
            f"{table.head}: expected a column with the images' paths, called {', '.join(IMAGE_NAMES)}; "
            f"got {', '.join(map(shortened, names[:20]))}.",
            "Rename that column to image. Features without images go into an ARFF or .npz file.",
        )


def _looks_like_data(header: Sequence[str]) -> bool:
    return any(cell.lower().endswith(IMAGE_SUFFIXES) for cell in header) or (
        len(header) > 1 and all(cell_code(cell) is not None for cell in header[1:])
    )


def _second_image_note(table: Table, role: Roles) -> tuple[str, ...]:
    others = [name for name in table.columns if name.lower() in IMAGE_NAMES and name != role.image]
    return (f"Images are read from column {role.image!r}, not from {', '.join(others)}.",) if others else ()


def _beside_note(count: int, source: str) -> tuple[str, ...]:
    return (f"{count} images beside the labelled ones are not in {source} and are left out.",) if count else ()
