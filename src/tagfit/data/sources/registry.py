"""Every reader, and which of them reads what lies at a path.

A folder is listed once, and every reader is asked about it. What people wrote down in files counts before keywords
inside images and names of folders. If exactly one source is found it is read; several are a question, and none is a
refusal that names what each file is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tagfit.data.sources import coco, features, keywords, mulan, npz, tables
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.formats import (
    attributes,
    azure,
    captions,
    create_ml,
    cvat,
    datumaro,
    fiftyone,
    folders,
    image_lists,
    imaterialist,
    label_studio,
    labelbox,
    lists,
    nus_wide,
    open_images,
    parquet,
    prodigy,
    records,
    sagemaker,
    scale,
    sheet,
    sidecars,
    vertex,
    via,
    voc,
    webdataset,
    yolo,
)
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.splits import gives_parts
from tagfit.data.sources.strangers import refuse, strangers, what_is
from tagfit.errors import DataError, nearest_file

#: those of one format first; the table of columns, which can be anything, last
READERS: tuple[Reader, ...] = (
    *(npz.NPZ, mulan.ARFF),
    *(label_studio.LABEL_STUDIO, labelbox.LABELBOX, scale.SCALE, via.VIA, cvat.CVAT, datumaro.DATUMARO),
    *(create_ml.CREATE_ML, prodigy.PRODIGY, image_lists.IMAGES_BY_LABEL),
    *(fiftyone.FIFTYONE, sidecars.LABELME, sidecars.SUPERVISELY, sidecars.DARWIN),
    *(voc.VOC, voc.VOC_LISTS, yolo.YOLO),
    *(sagemaker.SAGEMAKER, azure.AZURE, vertex.VERTEX, vertex.VERTEX_LINES),
    *(imaterialist.IMATERIALIST, open_images.OPEN_IMAGES, attributes.ATTRIBUTES, nus_wide.NUS_WIDE),
    *(parquet.PARQUET, webdataset.WEBDATASET, sheet.SHEET),
    *(captions.CAPTIONS, lists.LISTS, records.RECORDS, records.RECORDS_BESIDE),
    *(coco.COCO, keywords.KEYWORDS, image_lists.IMAGE_LISTS, folders.FOLDERS, tables.TABLE, features.FEATURES),
)

#: files that may hold labels, and are named if they are not read
_LABEL_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet", ".arff", ".npz", ".tar")

#: suffixes of files that are taken for tables if nothing else is there, so that their faults are told
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")

#: names of files and folders that do not tell one data set from another: there the folder above names it
_COMMON = {
    "",
    "data",
    "labels",
    "label",
    "tags",
    "metadata",
    "annotations",
    "_annotations.coco",
    "instances",
    "_classes",
}

#: a folder for label files alone: paths in them start at the folder above
_ANNOTATIONS = "annotations"


def find_source(data: Path) -> Source:
    """The source at a path: the file itself, or what a folder holds.

    Raises:
        DataError: nothing there, nothing that can be read, or several sources.
    """
    _check_exists(data)
    sources = _of_file(data) if data.is_file() else _of_folder(*_listed(data))
    source, *others = sources
    if others:
        raise _several(data, sources)
    return replace(source, name=source.name or _folder_name(source.listing), left_out=_left_out(source))


def _left_out(source: Source) -> tuple[str, ...]:
    """What is not read of a source, and other files beside its own that look as if they might hold labels."""
    read, folders = {file.name for file in source.files}, {file.base for file in source.files}
    said = "".join(source.left_out)
    beside = () if source.listing.only else source.listing.others
    looks = (name for name in beside if name.lower().endswith(_LABEL_SUFFIXES) and name.rpartition("/")[0] in folders)
    return (*source.left_out, *(name for name in looks if name not in read and name not in said))


def _check_exists(data: Path) -> None:
    complaint = "is neither a file nor a folder."
    try:
        if data.is_file() or data.is_dir():
            return
        if not data.exists():
            complaint = f"does not exist.{nearest_file(data)}"
    except OSError as error:
        raise DataError(f"{shortened(str(data))} cannot be a path: {error.strerror}.") from error
    raise DataError(f"{data}: {complaint}", "Name a folder with a label file in it, or a label file.")


def _several(data: Path, sources: Sequence[Source]) -> DataError:
    found = "; ".join(f"{source.title} ({source.reader.title})" for source in sources)
    first = next((file.path for source in sources for file in source.files), None)
    todo = f"Name the label file to use, e.g. {first}. Images are still looked for in its folder."
    expected = "expected one label file, or the train, val and test parts of one split"
    return DataError(f"{data}: {expected}; got {found}.", todo if first else "Put a labels.csv into the folder.")


# ------------------------------------------------------------------------------------------------ one file


def _of_file(path: Path) -> Sequence[Source]:
    """The source that a named file belongs to."""
    inside = path.resolve().parent.name.lower() == _ANNOTATIONS
    folder = path.resolve().parent.parent if inside else path.parent
    name = f"{path.resolve().parent.name}/{path.name}" if inside else path.name
    listing = Listing(folder, name)
    head = listing.head(name)
    reader = _reader_of(head, listing)
    if reader is None:  # what lies beside a file is listed only where the file alone tells nothing
        together = [source for one in READERS for source in _asked(one, listing) if name in source.names]
        if together:
            return together
        refuse(head)
    return [Source(reader or tables.TABLE, listing, (LabelFile(path, name),), _file_name(path, folder))]


def _asked(reader: Reader, listing: Listing) -> Sequence[Source]:
    return reader.of_folder(listing) if reader.of_folder is not None and not reader.is_implicit else ()


def _reader_of(head: Head, listing: Listing) -> Reader | None:
    return next((reader for reader in READERS if reader.of_file is not None and reader.of_file(head, listing)), None)


def _file_name(file: Path, folder: Path) -> str:
    base = part_in_stem(file.stem)[0]
    is_common = base.lower().rstrip("0123456789-_. ") in _COMMON
    return folder.resolve().name if is_common else base


def _folder_name(listing: Listing) -> str:
    return listing.folder.resolve().name


# ------------------------------------------------------------------------------------------------ a folder


def _listed(folder: Path) -> tuple[Listing, str]:
    """What lies in a folder; a folder for label files alone stands for those in the folder above."""
    real = folder.resolve()
    return (Listing(real.parent), f"{real.name}/") if real.name.lower() == _ANNOTATIONS else (Listing(folder), "")


def _of_folder(listing: Listing, within: str) -> Sequence[Source]:
    sources: Sequence[Source]
    sources = [source for reader in READERS for source in _asked(reader, listing)]
    taken = {name for source in sources for name in source.names}
    sources = [*sources, *_of_files(listing, within, taken)]
    if not sources:
        sources = _implicit(listing)
    if not sources:
        sources = _unrecognised(listing)
    if not sources and listing.images:
        sources = [Source(keywords.KEYWORDS, listing)]
    if not sources:
        raise _nothing_found(listing)
    return sources


def _implicit(listing: Listing) -> Sequence[Source]:
    """What the first reader finds if nobody wrote labels down in files."""
    readers = (reader.of_folder for reader in READERS if reader.is_implicit and reader.of_folder is not None)
    return next(filter(None, (of_folder(listing) for of_folder in readers)), ())


def _of_files(listing: Listing, within: str, taken: set[str]) -> Sequence[Source]:
    """Sources of files that are recognised one by one, at the first of the usual places whose files hold labels."""
    readers: dict[str, Reader] = {}
    for name in listing.others:
        if name in taken or _is_template(name) or not name.startswith(within) or not (listing.folder / name).is_file():
            continue
        head = listing.head(name)
        if (reader := _reader_of(head, listing)) is not None and not gives_parts(head):
            readers[name] = reader
    silent: tuple[str, ...] = ()
    found: Sequence[Source] = ()
    for by_folder, level in _levels(listing):
        names = {name: readers[name] for name in level if name in readers}
        if not names or (by_folder and len({name.rpartition("/")[0] for name in names}) < 2):
            continue
        if not all(
            reader is tables.TABLE and tables.is_silent(listing.head(name), listing) for name, reader in names.items()
        ):
            return [replace(one, left_out=(*one.left_out, *silent)) for one in _grouped(listing, names, by_folder)]
        found = found or _grouped(listing, names, by_folder)
        silent += tuple(f"{name}, which holds no labels" for name in names)
    return found


def _is_template(name: str) -> bool:
    """What a competition wants to be filled in lists test images with made-up labels."""
    return name.rpartition("/")[2].lower().startswith("sample_submission")


def _levels(listing: Listing) -> Iterator[tuple[bool, Sequence[str]]]:
    """The places where label files lie, and whether these are the folders of the parts of a split."""
    inside: dict[str, list[str]] = {}
    for name in listing.others:
        inside.setdefault(name.rpartition("/")[0], []).append(name)
    yield False, inside.pop("", [])
    parts = {folder for folder in inside if "/" not in folder and part_in_stem(folder)[1] is not None}
    yield True, [name for folder in sorted(parts) for name in inside[folder]]
    yield False, next((inside[folder] for folder in inside if folder.lower() == _ANNOTATIONS), [])
    yield False, [name for names in inside.values() for name in names]


def _grouped(listing: Listing, readers: Mapping[str, Reader], by_folder: bool) -> Sequence[Source]:
    """One source a reader if its files are the parts of one split, else one source a file."""
    sources = []
    for reader in dict.fromkeys(readers.values()):
        names = [name for name in readers if readers[name] is reader]
        files = tuple(_label_file(listing, name, by_folder) for name in names)
        left_out: tuple[str, ...] = ()
        if len(files) > 1 and not _is_split(files, by_folder):
            files, left_out = reader.chosen(files, listing)
        if by_folder:
            left_out += _empty_parts(listing, files)
        if len(files) == 1 or _is_split(files, by_folder):
            lone = len(files) == 1 and not by_folder
            files = tuple(replace(file, part=None) if lone else file for file in files)
            sources.append(Source(reader, listing, files, left_out=left_out))
        else:
            sources += [Source(reader, listing, (replace(file, part=None),)) for file in files]
    return sources


def _label_file(listing: Listing, name: str, by_folder: bool) -> LabelFile:
    path = listing.folder / name
    return LabelFile(path, name, part_in_stem(path.parent.name if by_folder else path.stem)[1])


def _is_split(files: Sequence[LabelFile], by_folder: bool) -> bool:
    """Whether files are train and other parts of one split, each once, and all else in their names is the same."""
    parts = [file.part for file in files]
    bases = {part_in_stem(file.path.parent.name if by_folder else file.path.stem)[0] for file in files}
    return len(bases) == 1 and None not in parts and len(set(parts)) == len(parts) and "train" in parts


def _empty_parts(listing: Listing, files: Sequence[LabelFile]) -> tuple[str, ...]:
    used = {file.base for file in files}
    folders = {folder for folder in listing.inside if folder and "/" not in folder and part_in_stem(folder)[1]}
    return tuple(f"{folder}/, which has no label file" for folder in sorted(folders - used))


# ------------------------------------------------------------------------------------------------- nothing


def _unrecognised(listing: Listing) -> Sequence[Source]:
    """The files that look like tables and are none: reading them tells why."""
    names = [name for name in listing.others if "/" not in name and name.lower().endswith(_TABLES)]
    found = [name for name in names if (listing.folder / name).is_file() and not what_is(listing.head(name))[0]]
    return [Source(tables.TABLE, listing, (LabelFile(listing.folder / name, name),)) for name in found]


def _nothing_found(listing: Listing) -> DataError:
    told, todo = strangers(listing)
    return DataError(
        f"{listing.folder}: expected a label file (CSV, TSV, JSON lines, COCO, ARFF, .npz), or images with keywords "
        f"(XMP or IPTC); got {len(listing.images)} images, {len(listing.inside) - 1} folders and "
        f"{len(listing.files) - len(listing.images)} other files{': ' if told else ''}{told}.",
        f"{todo} {keywords.TODO}".strip(),
    )
