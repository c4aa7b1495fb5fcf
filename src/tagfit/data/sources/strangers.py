"""Files that are known and not read as labels: what they are, and the way on."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from tagfit.data.sources.listing import Head, Listing
from tagfit.errors import DataError

_FOLDER = "Name the label file, or the folder that holds it."
_SHEET = "Save the sheet as CSV (UTF-8)."
_UNPACK = "Unpack it, and name the folder."

_ARRAYS = "Save its arrays with np.savez('data.npz', X=X, y=y)."
_IMAGES = "Write its images as files, and its labels as a CSV with their names."

#: where files hold what, what they are then, and what to do
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x93NUMPY", "a single array", "Save features and labels together: np.savez('data.npz', X=X, y=y)."),
    (0, b"\x89HDF", "an HDF5 file", _ARRAYS),
    (0, b"MATLAB", "a MATLAB file", f"Write its labels as CSV. {_ARRAYS}"),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ", "an xz archive", _UNPACK),
    (0, b"\xff\xd8\xff", "a JPEG image", _FOLDER),
    (0, b"\x89PNG", "a PNG image", _FOLDER),
    (0, b"%PDF", "a PDF document", _FOLDER),
    (0, b"SQLite format 3", "an SQLite database", "Write its table of labels as CSV."),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document", _SHEET),
    (0, b"\x80", "a pickle", "Pickles can run code and are never loaded; save arrays with np.savez."),
    (0, b"\n#\xd7\xce", "MXNet's RecordIO", _IMAGES),
    (16, b"\xde\xc0\xef\xbe", "an LMDB database", _IMAGES),
    (0, b"PK\x05\x06", "a zip archive", _UNPACK),
)
#: a member of a zip archive, and what the archive is then
_MEMBERS: tuple[tuple[str, str, str], ...] = (("content.xml", "an OpenDocument sheet", _SHEET),)


def _stranger(head: Head) -> tuple[str, str]:
    """What a file is and what to do; two empty texts if nothing is known of it."""
    for member, what, todo in _MEMBERS:
        if member in head.members:
            return what, todo
    if head.members and not any(name.endswith(".npy") for name in head.members):
        return "a zip archive", _UNPACK
    if head.raw[4:8] == bytes(4) and head.raw[12:13] == b"\n":
        return "a TFRecord file", _IMAGES
    found = (entry for entry in _MAGIC if head.raw[entry[0] :].startswith(entry[1]))
    return next(((what, todo) for _, _, what, todo in found), ("", ""))


_JSON = 'Write it as JSON lines: {"image": "a.jpg", "labels": ["beach"]}.'


def _text(head: Head) -> tuple[str, str]:
    first = head.lines[0] if head.lines else ""
    if first.startswith("<"):
        return "XML", "Name the .arff file that it belongs to, or the folder of images that it lies in."
    if first.startswith("[") or first == "{" or (first.startswith("{") and (head.document or not head.row)):
        return "one JSON document over the whole file, of a form that is not known", _JSON
    if head.suffix in (".yaml", ".yml", ".toml"):
        return f"a {head.suffix[1:].upper()} file", "Write its labels as CSV: image,labels."
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
    first = {PurePosixPath(name).suffix: name for name in reversed(listing.sidecars)}
    texts = {suffix for suffix, name in first.items() if b"\0" not in listing.head(name).raw}
    beside = Counter(suffix for name in listing.sidecars if (suffix := PurePosixPath(name).suffix) in texts)
    told = "; ".join(
        (
            *(f"{name} is {what}" for name, (what, _) in known.items()),
            *(
                f"{count} {suffix} files beside images hold no labels in a known form (tags recur)"
                for suffix, count in beside.items()
            ),
        )
    )
    return told, " ".join(dict.fromkeys(todo for _, todo in known.values()))
