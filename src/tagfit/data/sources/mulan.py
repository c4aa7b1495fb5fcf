"""Multi-label ARFF: which attributes are labels, by Mulan's XML or by MEKA's `-C`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.arff import Arff, Attribute, read_arff
from tagfit.data.sources.arrays import Block, array_table
from tagfit.data.sources.cells import EXPECTED, MINUS, cell_code
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.reader import Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.text import read_bytes
from tagfit.errors import DataError, did_you_mean
from tagfit.records.data import UNKNOWN, LabelTable, Part

_MEKA = re.compile(r"-C\s+(-?\d+)")
_TODO = (
    "Put Mulan's XML with the label names beside the file (scene.xml for scene-train.arff), "
    "or MEKA's number of labels into the first line: @relation 'scene: -C -6'."
)


@dataclass(frozen=True, eq=False)
class MultiLabelArff:
    """A file as read.

    Attributes:
        block: x (N, D) float32 and y (N, L) float32 of 0, 1, -1 and nan.
        label_names: (L,) in the order of the XML, else of the attributes.
        feature_names: the attributes that became the D features, which one-hot makes more of.
    """

    block: Block
    label_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    notes: tuple[str, ...]


def read_mulan(path: Path, part: Part | None, faults: Faults) -> MultiLabelArff:
    """Read a multi-label ARFF file.

    Raises:
        DataError: with every fault of the file.
    """
    arff = read_arff(path, faults)
    labels, notes = _labels(path, arff, faults)
    faults.check()
    rest = [at for at in range(len(arff.attributes)) if at not in set(labels)]
    if not rest:
        faults.add(f"{arff.source}: all attributes are labels; there are no features.")
    x_ND, feature_notes = _features(arff, rest, faults)
    y_NL = _codes(arff, labels, faults)
    faults.check()
    columns = _column_names(arff, rest)
    block = Block(x_ND, y_NL, arff.source, f"the labels of {arff.source}", part, columns)
    return MultiLabelArff(block, _names(arff, labels), _names(arff, rest), notes + feature_notes)


def _names(arff: Arff, columns: Sequence[int]) -> tuple[str, ...]:
    return tuple(arff.attributes[at].name for at in columns)


def _column_names(arff: Arff, columns: Sequence[int]) -> tuple[str, ...]:
    """A name for each of the D features, such as `colour=red` if one-hot; none if one occurs twice."""
    names = [name for at in columns for name in _one_hot_names(arff.attributes[at])]
    return tuple(names) if len(set(names)) == len(names) else ()


def _one_hot_names(attribute: Attribute) -> list[str]:
    if _is_number_like(attribute):
        return [attribute.name]
    return [f"{attribute.name}={value}" for value in attribute.values or ()]


# ------------------------------------------------------------------------------------------- which are labels


def _labels(path: Path, arff: Arff, faults: Faults) -> tuple[list[int], tuple[str, ...]]:
    """Attribute numbers of the labels, in the order of the XML or of the attributes."""
    meka = _MEKA.search(arff.relation)
    xml = _xml_beside(path, any_name=meka is None)
    if xml is not None:
        return _by_xml(xml, arff, faults)
    if meka is not None:
        return _by_meka(int(meka[1]), arff, faults), ()
    faults.add(f"{path.name}: it does not mark which attributes are labels.", _TODO)
    return [], ()


def _xml_beside(path: Path, *, any_name: bool) -> Path | None:
    """The XML of an ARFF file by its name; else, with `any_name`, the only one in the folder."""
    beside = [file for file in sorted(path.parent.iterdir()) if file.suffix.lower() == ".xml"]
    for stem in (path.stem, part_in_stem(path.stem)[0]):
        for file in beside:
            if file.stem == stem:
                return file
    return beside[0] if any_name and len(beside) == 1 else None


def _by_meka(count: int, arff: Arff, faults: Faults) -> list[int]:
    """MEKA counts labels from the start, and with a negative number from the end."""
    n = len(arff.attributes)
    if not 0 < abs(count) < n:
        faults.add(f"{arff.source}: @relation has -C {count}; expected 1 to {n - 1} labels among {n} attributes.")
        return []
    return list(range(count)) if count > 0 else list(range(n + count, n))


def _by_xml(xml: Path, arff: Arff, faults: Faults) -> tuple[list[int], tuple[str, ...]]:
    names, depth = read_label_xml(xml)
    column_of = {attribute.name: at for at, attribute in enumerate(arff.attributes)}
    if not names:
        faults.add(f"{xml.name}: there are no labels in it.", 'Expected <labels><label name="beach"/>...</labels>.')
    unknown = 0
    for name, count in Counter(names).items():
        if name not in column_of:
            unknown += 1
            hint = did_you_mean(name, column_of) if unknown <= DataError.SHOWN else ""  # the search takes time
            faults.add(f"{xml.name}: label {name!r} is not an attribute of {arff.source}.{hint}")
        elif count > 1:
            faults.add(f"{xml.name}: label {name!r} occurs {count} times.")
    note = f"The hierarchy of labels in {xml.name} is flattened: each is a label of its own."
    return [column_of[name] for name in names if name in column_of], (note,) if depth > 1 else ()


def read_label_xml(path: Path) -> tuple[list[str], int]:
    """Label names of a Mulan XML file in the order of the file, and how deep labels are nested.

    Raises:
        DataError: not such a file, or with a document type, whose entities could expand without end.
    """
    names: list[str] = []
    open_labels, deepest = 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal open_labels, deepest
        if tag.split(" ")[-1] == "label":
            open_labels += 1
            deepest = max(deepest, open_labels)
            names.append(attributes.get("name", ""))

    def end(tag: str) -> None:
        nonlocal open_labels
        open_labels -= tag.split(" ")[-1] == "label"

    def refuse(*_: object) -> None:
        raise DataError(f"{path.name}: has a document type (<!DOCTYPE ...>), which is not read.", "Remove it.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_bytes(path), True)
    except expat.ExpatError as error:
        raise DataError(f"{path.name}:{error.lineno}: is not well-formed XML: {error}.") from error
    return names, deepest


# ---------------------------------------------------------------------------------------- features and labels


def _features(arff: Arff, columns: Sequence[int], faults: Faults) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """(N, D) float32: numbers and 0/1 attributes as they are, other nominal attributes one-hot."""
    _check_finite(arff, columns, faults)
    nominal = [at for at in columns if not _is_number_like(arff.attributes[at])]
    if not nominal:
        return arff.values_NA[:, columns], ()
    pieces = []
    for at in columns:
        column_N1 = arff.values_NA[:, at : at + 1]
        codes = np.array(arff.attributes[at].codes, np.float32)
        pieces.append((column_N1 == codes).astype(np.float32) if at in set(nominal) else column_N1)
    names = ", ".join(arff.attributes[at].name for at in nominal[:8])
    return np.hstack(pieces), (f"{len(nominal)} nominal attributes are read one-hot: {names}.",)


def _is_number_like(attribute: Attribute) -> bool:
    return attribute.values is None or set(attribute.values) == {"0", "1"}


def _check_finite(arff: Arff, columns: Sequence[int], faults: Faults) -> None:
    wrong_ND = ~np.isfinite(arff.values_NA[:, columns])
    for row in np.flatnonzero(wrong_ND.any(axis=1)):
        at = columns[int(np.argmax(wrong_ND[row]))]
        what = "missing" if np.isnan(arff.values_NA[row, at]) else "infinite or beyond float32"
        faults.add(
            f"{arff.where[row]}: feature {arff.attributes[at].name!r} is {what}.",
            "Fill in missing features (in Weka: the filter ReplaceMissingValues), or leave out those rows.",
        )


def _codes(arff: Arff, columns: Sequence[int], faults: Faults) -> NDArray[np.float32]:
    """(N, L) float32 of 0, 1, -1 and nan, as `arrays.Block` has them."""
    y_NL = np.empty((len(arff.where), len(columns)), np.float32)
    for label, at in enumerate(columns):
        attribute, column_N = arff.attributes[at], arff.values_NA[:, at]
        y_NL[:, label] = column_N
        for value, code in zip(attribute.values or (), attribute.codes, strict=False):
            y_NL[column_N == np.float32(code), label] = _label_value(value, attribute, faults)
        if attribute.values is None:
            _check_numeric_label(arff, at, faults)
    return y_NL


def _label_value(value: str, attribute: Attribute, faults: Faults) -> float:
    code = cell_code(value)
    if code is None:
        faults.add(f"{attribute.place}: label {attribute.name!r} must be {EXPECTED}; got {value!r} among its values.")
        return 0.0
    return {MINUS: -1.0, UNKNOWN: np.nan}.get(code, float(code))


def _check_numeric_label(arff: Arff, at: int, faults: Faults) -> None:
    column_N = arff.values_NA[:, at]
    for row in np.flatnonzero(~np.isin(column_N, (0, 1, -1)) & ~np.isnan(column_N)):
        name = arff.attributes[at].name
        faults.add(f"{arff.where[row]}: label {name!r} must be {EXPECTED}; got {column_N[row]:g}.")


# ------------------------------------------------------------------------------------------------ the reader


def _read(source: Source, reading: Reading, faults: Faults) -> LabelTable:
    read_parts = [read_mulan(file.path, file.part, faults) for file in source.files]
    first = read_parts[0]
    for other in read_parts[1:]:
        _compare(first, other, faults)
    faults.check()
    blocks = [read_part.block for read_part in read_parts]
    table = array_table(blocks, source.name, names=first.label_names, minus_one=reading.minus_one, faults=faults)
    return replace(table, notes=first.notes + table.notes)


def _compare(first: MultiLabelArff, other: MultiLabelArff, faults: Faults) -> None:
    for what in ("label_names", "feature_names"):
        if getattr(first, what) != getattr(other, what):
            faults.add(
                f"{other.block.x_name}: its {what.replace('_', ' ')} are not those of {first.block.x_name}, in order.",
                "Give the parts of a split the same attributes, or name a single label file.",
            )


def _recognise(head: Head, listing: Listing) -> bool:
    first = next((line for line in head.lines if not line.startswith("%")), "%")
    return first.lower().startswith(("@relation", "@attribute")) or (first == "%" and bool(head.lines))


ARFF = Reader(
    "arff",
    "ARFF (Mulan or MEKA)",
    _read,
    of_file=_recognise,
    options=frozenset(("minus_one",)),
    takes_images=False,
)
