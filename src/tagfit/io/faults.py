"""What is wrong with values that should become a record: every fault, with its place and what was expected there.

The types are a record's annotations, as msgspec understands them; `Meta(description=...)` says in words what a field
takes. What a record's `__post_init__` demands is reported once each field is right by itself.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice, repeat
from types import NoneType, UnionType
from typing import Annotated, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec.inspect import DataclassType, StructType, type_info

from tagfit.errors import InputError, did_you_mean

#: so many faults are named, and so many items of a list are looked at one by one: strangers may send millions
MOST_FAULTS, MOST_ITEMS = 100, 1000

#: a type as an annotation has it
Kind: TypeAlias = object

_WORDS: dict[Kind, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_OBJECT, _LIST = "an object (in TOML: a table)", "a list"

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 60


@dataclasses.dataclass(frozen=True)
class _Record:
    """A record's type, the type of each field, and which fields have no default.

    Attributes:
        tag_field, tag: the field that names a Struct in a union, and the Struct's name.
        forbids: whether a Struct forbids unknown fields.
    """

    kind: type
    fields: dict[str, Kind]
    required: tuple[str, ...]
    tag_field: str | None = None
    tag: str | int | None = None
    forbids: bool = False

    @property
    def known(self) -> list[str]:
        return [*filter(None, [self.tag_field]), *self.fields]


def wrong_values(values: object, kind: Kind, where: str = "") -> Iterator[str]:
    """The faults of a value; those of its fields or items, where it has any, in place of its own."""
    inner: list[str] = []
    record = _record(kind, values)
    if record is not None and isinstance(values, Mapping):
        values, kind = {name: value for name, value in values.items() if name in record.known}, record.kind
        inner = [f"{_at(where, name)} is missing" for name in record.required if name not in values]
        inner += _first(_inside(values, kind, where))
    try:
        if not inner:
            msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        if record is None:
            inner = _first(islice(_inside(values, kind, where), MOST_ITEMS))
        inner = inner or _own(error, values, kind, where)
    yield from inner


def unknown_fields(values: object, kind: Kind, where: str = "", *, surplus: bool) -> Iterator[str]:
    """Fields that a record does not have, at every depth; where `surplus` is fine, only of Structs that forbid it."""
    if not (isinstance(values, Mapping | list) and _holds_records(kind)):
        return
    record = _record(kind, values)
    if record is not None and isinstance(values, Mapping) and not (surplus and not record.forbids):
        for name in (name for name in values if name not in record.known):
            hint = did_you_mean(str(name)[:60], record.known)
            yield f"there is no field {_at(where, str(name))!r:.80}; known: {', '.join(record.known)}.{hint}"
    for value, inner, place in _inside(values, kind if record is None else record.kind, where):
        yield from unknown_fields(value, inner, place, surplus=surplus)


def field_faults(record: object, where: str = "") -> list[str]:
    """What is wrong with the fields of a record that was built in Python, where nothing checks its annotations.

    Args:
        where: what to call the record in a fault.
    """
    faults: list[str] = []
    kind: Kind = type(record)
    described = _described(kind)
    for name, kind in described.fields.items() if described is not None else ():
        value, place = getattr(record, name), _at(where, name)
        if isinstance(value, list):
            faults.append(f"{place} must be a tuple; got the list {_shown.repr(value)}")
        else:
            faults += wrong_values(value, kind, place)
    return faults


def _first(several: Iterable[tuple[object, Kind, str]]) -> list[str]:
    """The faults of several values, as many as are named."""
    return list(islice((fault for one in several for fault in wrong_values(*one)), MOST_FAULTS))


# ---------------------------------------------------------------------------------------------- in words


def _own(error: msgspec.ValidationError, values: object, kind: Kind, where: str) -> list[str]:
    """What a record itself complains of or, of a plain value, what it should be."""
    if str(error).startswith("Object contains unknown field"):
        return []  # of a Struct inside, which `unknown_fields` names
    if isinstance(error.__cause__, InputError):
        return [f"{where}: {fault}" if where else fault for fault in error.__cause__.faults]
    if tagged := _tagged(kind):
        return _not_tagged(values, tagged, where)
    own = error.__cause__ is not None or (isinstance(values, Mapping) and _described(kind) is not None)
    expected = None if own else _expected(kind)
    if expected is not None:
        return [_wrong(where or "this", expected, values, map(str, get_args(kind)))]
    message, _, path = str(error).partition(" - at `$")
    place = f"{where}{path.rstrip('`')}".lstrip(".")
    return [f"{place}: {message}" if place else message]


def _not_tagged(values: object, tagged: Mapping[object, _Record], where: str) -> list[str]:
    """A union's faults, where the tag does not name one of its records."""
    if not isinstance(values, Mapping):
        return [_wrong(where or "this", _OBJECT, values)]
    field, names = _tag_field(tagged), list(map(str, tagged))
    return [_wrong(_at(where, field), f"one of {', '.join(names)}", values.get(field), names)]


def _wrong(place: str, expected: str, value: object, names: Iterable[str] = ()) -> str:
    hint = did_you_mean(value[:60], names) if isinstance(value, str) else ""
    if expected == _LIST and isinstance(value, str | int | float):
        hint = f" Write {[value]!r:.80}."
    return f"{place} must be {expected}; got {_shown.repr(value)}.{hint}".removesuffix(".")


def _expected(kind: Kind) -> str | None:
    """What a value should be, in words; None where msgspec says it better, as with a range."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return next(note.description for note in arguments[1:] if isinstance(note, msgspec.Meta))
    if members := _members(kind):
        inner = _expected(members[0])
        return f"{inner}, or null" if len(members) == 1 and inner else None
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else f"{arguments[0]!r}"
    if origin in (dict, Mapping) or _described(kind) is not None:
        return _OBJECT
    return _LIST if origin in (list, tuple) and arguments[-1] is Ellipsis else _WORDS.get(kind)


# ------------------------------------------------------------------------------------------- what is where


def _inside(values: object, kind: Kind, where: str) -> Iterator[tuple[object, Kind, str]]:
    """The fields of a record, or the items of a mapping or sequence: value, expected type and place."""
    kind = _bare(kind)
    arguments, origin = get_args(kind), get_origin(kind)
    if isinstance(values, Mapping) and (record := _described(kind)) is not None:
        yield from ((values[name], one, _at(where, name)) for name, one in record.fields.items() if name in values)
    elif isinstance(values, Mapping) and origin in (dict, Mapping):
        yield from ((name, arguments[0], f"a key of {where or 'this'}") for name in values)
        yield from ((value, arguments[1], _at(where, str(name)[:60])) for name, value in values.items())
    elif isinstance(values, list | tuple) and origin in (list, tuple):
        kinds = repeat(arguments[0]) if origin is list or arguments[-1] is Ellipsis else iter(arguments)
        yield from ((one, inner, f"{where}[{n}]") for n, (one, inner) in enumerate(zip(values, kinds, strict=False)))


def _record(kind: Kind, values: object) -> _Record | None:
    """The record that `kind` stands for, or the one of a union that the tag in `values` names; else None."""
    kind = _bare(kind)
    if not (tagged := _tagged(kind)) or not isinstance(values, Mapping):
        return _described(kind)
    tag = values.get(_tag_field(tagged))
    return tagged.get(tag) if isinstance(tag, str) else None


@cache
def _tagged(kind: Kind) -> dict[object, _Record]:
    """The records of a union by their tags; empty of all else."""
    records = filter(None, map(_described, _members(kind)))
    return {record.tag: record for record in records if record.tag_field is not None}


def _tag_field(tagged: Mapping[object, _Record]) -> str:
    return next(iter(tagged.values())).tag_field or ""


@cache
def _described(kind: Kind) -> _Record | None:
    """What there is to know of a record's type; None of any other type."""
    info = type_info(kind) if isinstance(kind, type) else None
    if not isinstance(info, StructType | DataclassType):
        return None
    hints = get_type_hints(kind, include_extras=True)
    fields = {one.name: hints[one.name] for one in info.fields}
    required = tuple(one.name for one in info.fields if one.required)
    if isinstance(info, DataclassType):
        return _Record(info.cls, fields, required)
    return _Record(info.cls, fields, required, info.tag_field, info.tag, info.forbid_unknown_fields)


def _members(kind: Kind) -> tuple[Kind, ...]:
    """What a union is of, null left out; nothing of any other type."""
    is_union = get_origin(kind) in (Union, UnionType)
    return tuple(one for one in get_args(kind) if one is not NoneType) if is_union else ()


@cache
def _bare(kind: Kind) -> Kind:
    """Without what is noted of it, and without null where it is one type or null."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    members = _members(kind)
    return _bare(members[0]) if len(members) == 1 else kind


@cache
def _holds_records(kind: Kind) -> bool:
    return _described(kind) is not None or any(map(_holds_records, get_args(kind)))


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
