"""Frozen records as JSON, and JSON read back into them.

msgspec reads standard dataclasses by their annotations (unions of records by tagged Structs), strictly: no text becomes
a number. It adds 20 ms to a start, where pydantic adds 60. It stops at the first fault, so that all of them are looked
for by `io.faults` once something is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec

from tagfit.errors import BundleError
from tagfit.io.faults import MOST_FAULTS, unknown_fields, wrong_values
from tagfit.io.scalars import plain

Record = TypeVar("Record")


def to_plain(value: object) -> Any:
    """A record, or a mapping or sequence of records, as plain data for JSON.

    Not by `msgspec.to_builtins`, which leaves out the defaults of a dataclass that was read without them.

    Raises:
        TypeError: something in it that JSON has not.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {} if config.tag_field is None else {config.tag_field: config.tag}
        return tag | to_plain(msgspec.structs.asdict(value))
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if (own := plain(value)) is not value:
        return own
    raise TypeError(f"JSON has no {type(value).__name__}")


def from_plain(values: object, kind: type[Record], *, surplus: bool = True) -> Record:
    """The record that `values` describe.

    Args:
        values: what was read from JSON.
        kind: a dataclass, a Struct, or a type made of them.
        surplus: whether fields that the record does not have are passed over, as those of a newer version. A Struct
            that forbids them always does.

    Raises:
        BundleError: every field that is missing, is of another type, out of range or, unless `surplus`, unknown.
    """
    try:
        record = msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError:
        faults = chain(unknown_fields(values, kind, surplus=surplus), wrong_values(values, kind))
        raise BundleError([*islice(faults, MOST_FAULTS)] or ["this is not what tagfit writes"]) from None
    if not surplus and (unknown := [*islice(unknown_fields(values, kind, surplus=False), MOST_FAULTS)]):
        raise BundleError(unknown)
    return record
