"""What speaks for each label, as images in a folder: an overlay for each label explained."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tagfit.errors import DataError, OutputError
from tagfit.inference.explain import Explanation
from tagfit.inference.rows import PredictedRow
from tagfit.io.files import filled_folder, writable, write_atomically


@contextmanager
def overlay_folder(folder: Path, read: Sequence[Path], bundle: Path) -> Iterator[None]:
    """Make `folder`, for overlays, out of what is read, lest they be taken for images.

    If the same command was stopped before, the folder may hold overlays already.

    Args:
        bundle: whose overlays they are.

    Raises:
        OutputError: it has something else in it, lies in a folder of `read`, or cannot be made.
    """
    if inside := [place for place in read if _real(folder).is_relative_to(_real(place))]:
        raise OutputError(
            f"{folder} is in {inside[0]}, from which images are read", "Choose a folder elsewhere; nothing was written."
        )
    with filled_folder(folder, "\0".join(str(_real(one)) for one in (bundle, *read))):
        yield


def _real(path: Path) -> Path:
    """Where links lead; one that leads in a circle is left as it is."""
    return Path(os.path.realpath(path))


def with_overlays(
    rows: Iterable[PredictedRow], explain: Callable[[str], Explanation], folder: Path, say: Callable[[str], None]
) -> Iterator[PredictedRow]:
    """The same rows; of each that has an image, an overlay for each label explained is in `folder`.

    Files are called after the row's number, the image and the label, with `_` for what names of files cannot hold.

    Args:
        say: called for each image that could not be read a second time.

    Raises:
        OutputError: `folder` cannot be written to.
    """
    for number, row in enumerate(rows, 1):
        try:
            explanation = None if row.error else explain(row.sample)
        except DataError as error:
            explanation = None
            say(str(error))
        if explanation is not None:
            for rank, label in enumerate(explanation.label_names, 1):
                name = f"{number:06}-{_plain(Path(row.sample).stem)}-{rank}-{_plain(label)}.png"
                with writable(folder):
                    write_atomically(folder / name, explanation.png(label))
        yield row


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)[:24].strip(".") or "_"
