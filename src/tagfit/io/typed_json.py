"""Frozen records as JSON, and JSON read back into them, checked field by field.

msgspec reads standard dataclasses by their annotations (unions of records by tagged Structs), strictly: no text becomes
a number. It adds 20 ms to a start, where pydantic adds 60. It stops at the first fault, so that all of them are looked
for here once something is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from tagfit.errors import BundleError

Record = TypeVar("Record")


def to_plain(record: object) -> Any:
    """A record, or a mapping or sequence of records, as plain data for JSON."""
    return msgspec.to_builtins(record, str_keys=True)


def from_plain(values: object, kind: type[Record], *, surplus: bool = True) -> Record:
    """The record that `values` describe.

    Args:
        values: what was read from JSON.
        kind: a dataclass, a Struct, or a type made of them.
        surplus: whether fields that the record does not have are passed over, as those of a newer version.

    Raises:
        BundleError: every field that is missing, is of another type, out of range or, unless `surplus`, unknown.
    """
    try:
        record = msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError:
        raise BundleError(list(_faults(values, kind, "")) or ["this is not what tagfit writes"]) from None
    if not surplus and (unknown := list(_unknown(values, to_plain(record), ""))):
        raise BundleError([f"there is no field {name!r:.60}" for name in unknown])
    return record


def _faults(values: object, kind: Any, where: str) -> Iterator[str]:
    """What is wrong, the innermost record first; a record's own complaint where none of its fields is wrong."""
    try:
        msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        inner = [fault for name, value, of in _inside(values, kind) for fault in _faults(value, of, f"{where}.{name}")]
        yield from inner or [_sentence(str(error), where)]


def _sentence(message: str, where: str) -> str:
    """msgspec's message, with the place where it is before it."""
    what, _, path = message.partition(" - at `$")
    place = f"{where}{path.rstrip('`')}".lstrip(".")
    return f"{place}: {what}" if place else what


def _inside(values: object, kind: Any) -> Iterator[tuple[str, object, Any]]:
    """The fields of a record, or the items of a mapping or sequence: name, value and expected type."""
    if dataclasses.is_dataclass(kind) and isinstance(values, Mapping):
        hints = get_type_hints(kind)
        yield from ((name, values[name], kind) for name, kind in hints.items() if name in values)
        return
    arguments, of = get_args(kind), get_origin(kind)
    if isinstance(values, Mapping) and of in (dict, Mapping):
        yield from ((str(name), value, arguments[1]) for name, value in values.items())
    elif isinstance(values, list) and of is tuple and arguments[-1] is Ellipsis:
        yield from ((str(number), value, arguments[0]) for number, value in enumerate(values))
    elif type(None) in arguments and len(arguments) == 2:  # a record, or null
        yield from _inside(values, next(one for one in arguments if one is not type(None)))


def _unknown(values: object, known: object, where: str) -> Iterator[str]:
    """Names in `values` that are not in `known`, which was made of the record that `values` became."""
    if isinstance(values, Mapping) and isinstance(known, Mapping):
        for name, value in values.items():
            if name in known:
                yield from _unknown(value, known[name], f"{where}{name}.")
            else:
                yield f"{where}{name}"
    elif isinstance(values, list) and isinstance(known, list | tuple):
        for number, (value, one) in enumerate(zip(values, known, strict=False)):
            yield from _unknown(value, one, f"{where}{number}.")
