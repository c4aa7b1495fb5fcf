"""Files that are known and not read as labels: what they are, and the way on."""

from __future__ import annotations

from tagfit.data.sources.listing import Head, Listing
from tagfit.errors import DataError

_FOLDER = "Name the label file, or the folder that holds it."
_SHEET = "Save the sheet as CSV (UTF-8)."
_UNPACK = "Unpack it, and name the folder."

#: how files begin, what they are, and what to do
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", "Read it with pandas or polars and pass the frame, or write it as CSV."),
    (b"\x93NUMPY", "a single array", "Save features and labels together: np.savez('data.npz', X=X, y=y)."),
    (b"\x89HDF", "an HDF5 file", "Save its arrays with np.savez('data.npz', X=X, y=y)."),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ", "an xz archive", _UNPACK),
    (b"\xff\xd8\xff", "a JPEG image", _FOLDER),
    (b"\x89PNG", "a PNG image", _FOLDER),
    (b"%PDF", "a PDF document", _FOLDER),
    (b"SQLite format 3", "an SQLite database", "Write its table of labels as CSV."),
    (b"MATLAB 5.0", "a MATLAB file", "Write its labels as CSV, or its arrays with np.savez('data.npz', X=X, y=y)."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", _SHEET),
    (b"\x80", "a pickle", "Pickles can run code and are never loaded; save arrays with np.savez."),
)
#: a member of a zip archive, and what the archive is then
_MEMBERS: tuple[tuple[str, str, str], ...] = (
    ("xl/workbook.xml", "an Excel sheet", _SHEET),
    ("content.xml", "an OpenDocument sheet", _SHEET),
)


def _stranger(head: Head) -> tuple[str, str]:
    """What a file is and what to do; two empty texts if nothing is known of it."""
    if head.raw[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    for member, what, todo in _MEMBERS:
        if member in head.members:
            return what, todo
    if head.members and not any(name.endswith(".npy") for name in head.members):
        return "a zip archive", _UNPACK
    return next(((what, todo) for magic, what, todo in _MAGIC if head.raw.startswith(magic)), ("", ""))


_JSON = 'Write it as JSON lines: {"image": "a.jpg", "labels": ["beach"]}.'


def _text(head: Head) -> tuple[str, str]:
    first = head.lines[0] if head.lines else ""
    if first.startswith("<"):
        return "XML", "Name the .arff file that it belongs to, or the folder of images that it lies in."
    if first.startswith("[") or first == "{" or (first.startswith("{") and not head.row):
        return "one JSON document over the whole file, of a form that is not known", _JSON
    return "", ""


def what_is(head: Head) -> tuple[str, str]:
    """What a file is and what to do with it; two empty texts if it may be a table."""
    found = _stranger(head)
    return found if found[0] else _text(head)


def refuse(head: Head) -> None:
    """Raises DataError: a file of a kind that is known and not read."""
    what, todo = what_is(head)
    if what:
        raise DataError(f"{head.name}: expected a label file; this is {what}.", todo)


def strangers(listing: Listing) -> tuple[str, str]:
    """What the files of a folder are that are no label files, and what to do with them."""
    named = [name for name in listing.others if (listing.folder / name).is_file()][:12]
    known = {name: found for name in named if (found := what_is(listing.head(name)))[0]}
    told = "; ".join(f"{name} is {what}" for name, (what, _) in known.items())
    return told, " ".join(dict.fromkeys(todo for _, todo in known.values()))
