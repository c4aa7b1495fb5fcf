"""What is wrong with values that should become a record: every fault, with its place and what was expected there.

The types are a record's annotations, as msgspec understands them. `Meta(description=...)` says in words what a field
takes. What a record says of its fields together, in `__post_init__`, is asked for once each is right by itself.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from tagfit.errors import InputError, did_you_mean

#: so many faults are named, and so many items of a list are looked at one by one: strangers may send millions
MOST_FAULTS, MOST_ITEMS = 100, 1000

_WORDS: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_OBJECT, _LIST = "an object (in TOML: a table)", "a list"

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 60


def wrong_values(values: object, kind: Any, where: str = "") -> Iterator[str]:
    """The faults of a value; those of its fields or items, where it has any, in place of its own."""
    record = _record(kind, values)
    if record is not None and isinstance(values, Mapping):
        values = {name: value for name, value in values.items() if name in _fields(record) or name == _tag(record)}
        kind, inner = record, [f"{_at(where, name)} is missing" for name in _required(record) if name not in values]
        inner += _first(_inside(values, kind, where))
    else:
        inner = []
    try:
        if not inner:
            msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        if record is None:
            inner = _first(islice(_inside(values, kind, where), MOST_ITEMS))
        inner = inner or _own(error, values, kind, where)
    yield from inner


def unknown_fields(values: object, kind: Any, where: str = "", *, surplus: bool) -> Iterator[str]:
    """Fields that a record does not have, at every depth; where `surplus` is fine, only of Structs that forbid it."""
    if not (isinstance(values, Mapping | list) and _holds_records(kind)):
        return
    record = _record(kind, values)
    if record is not None and isinstance(values, Mapping) and not (surplus and not _forbids(record)):
        known = (*filter(None, [_tag(record)]), *_fields(record))
        for name in (name for name in values if name not in known):
            hint = did_you_mean(str(name)[:60], known)
            yield f"there is no field {_at(where, str(name))!r:.80}; known: {', '.join(known)}.{hint}"
    for value, inner, place in _inside(values, record or kind, where):
        yield from unknown_fields(value, inner, place, surplus=surplus)


def field_faults(record: Any, where: str = "") -> list[str]:
    """What is wrong with the fields of a record that was built in Python, where nothing checks its annotations.

    Args:
        where: what to call the record in a fault.
    """
    own_kind: Any = type(record)
    faults: list[str] = []
    for name, kind in _fields(own_kind).items():
        value, place = getattr(record, name), _at(where, name)
        if isinstance(value, list):
            faults.append(f"{place} must be a tuple; got the list {_shown.repr(value)}")
        else:
            faults += wrong_values(value, kind, place)
    return faults


def _first(several: Iterable[tuple[object, Any, str]]) -> list[str]:
    """The faults of several values, as many as are named."""
    return list(islice((fault for one in several for fault in wrong_values(*one)), MOST_FAULTS))


# ---------------------------------------------------------------------------------------------- in words


def _own(error: msgspec.ValidationError, values: object, kind: Any, where: str) -> list[str]:
    """What a record itself complains of or, of a plain value, what it should be."""
    if str(error).startswith("Object contains unknown field"):
        return []  # of a Struct inside, which `unknown_fields` names
    if isinstance(error.__cause__, InputError):
        return [f"{where}: {fault}" if where else fault for fault in error.__cause__.faults]
    if tags := _tags(kind):
        return _not_tagged(values, tags, where)
    own = error.__cause__ is not None or (isinstance(values, Mapping) and is_record(kind))
    expected = None if own else _expected(kind)
    if expected is not None:
        hint = did_you_mean(values[:60], map(str, get_args(kind))) if isinstance(values, str) else ""
        return [f"{where or 'this'} must be {expected}; got {_shown.repr(values)}.{hint}".removesuffix(".")]
    message, _, path = str(error).partition(" - at `$")
    place = f"{where}{path.rstrip('`')}".lstrip(".")
    return [f"{place}: {message}" if place else message]


def _not_tagged(values: object, tags: Mapping[Any, Any], where: str) -> list[str]:
    """A union's faults, where the tag does not name one of its records."""
    if not isinstance(values, Mapping):
        return [f"{where or 'this'} must be {_OBJECT}; got {_shown.repr(values)}"]
    place, tag = _at(where, _tag(next(iter(tags.values()))) or ""), _given_tag(values, tags)
    hint = did_you_mean(tag[:60], tags) if isinstance(tag, str) else ""
    return [f"{place} must be one of {', '.join(tags)}; got {_shown.repr(tag)}.{hint}".removesuffix(".")]


def _expected(kind: Any) -> str | None:
    """What a value should be, in words; None where msgspec says it better, as with a range."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        described: str | None = next(note.description for note in arguments[1:] if isinstance(note, msgspec.Meta))
        return described
    if origin in (Union, UnionType):
        inner = [_expected(one) for one in arguments if one is not type(None)]
        return f"{inner[0]}, or null" if len(inner) == 1 and inner[0] else None
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else f"{arguments[0]!r}"
    if origin in (dict, Mapping) or is_record(kind):
        return _OBJECT
    return _LIST if origin in (list, tuple) and arguments[-1] is Ellipsis else _WORDS.get(kind)


# ------------------------------------------------------------------------------------------- what is where


def _inside(values: object, kind: Any, where: str) -> Iterator[tuple[object, Any, str]]:
    """The fields of a record, or the items of a mapping or sequence: value, expected type and place."""
    kind = _bare(kind)
    arguments, origin = get_args(kind), get_origin(kind)
    if isinstance(values, Mapping) and is_record(kind):
        hints = _fields(kind)
        yield from ((values[name], hint, _at(where, name)) for name, hint in hints.items() if name in values)
    elif isinstance(values, Mapping) and origin in (dict, Mapping):
        yield from ((name, arguments[0], f"a key of {where or 'this'}") for name in values)
        yield from ((value, arguments[1], _at(where, str(name)[:60])) for name, value in values.items())
    elif isinstance(values, list | tuple) and origin in (list, tuple):
        kinds: Iterable[Any] = arguments
        if origin is list or arguments[-1] is Ellipsis:
            kinds = (arguments[0] for _ in values)
        yield from ((one, inner, f"{where}[{n}]") for n, (one, inner) in enumerate(zip(values, kinds, strict=False)))


def _record(kind: Any, values: object) -> Any:
    """The record that `kind` stands for, or the one of a union that the tag in `values` names; else None."""
    kind = _bare(kind)
    if is_record(kind):
        return kind
    tags = _tags(kind)
    return tags.get(_given_tag(values, tags)) if tags and isinstance(values, Mapping) else None


@cache
def _tags(kind: Any) -> dict[object, Any]:
    """The records of a union by their tags; empty of all else."""
    inner = [one for one in get_args(kind) if one is not type(None)] if get_origin(kind) in (Union, UnionType) else []
    return {one.__struct_config__.tag: one for one in inner if _tag(one) is not None}


def _given_tag(values: Mapping[str, object], tags: Mapping[Any, Any]) -> Any:
    tag = values.get(_tag(next(iter(tags.values()))) or "")
    return tag if isinstance(tag, str) else None


def _tag(record: Any) -> str | None:
    """The field that names a Struct among others."""
    field: str | None = getattr(getattr(record, "__struct_config__", None), "tag_field", None)
    return field


def tag_of(record: Any) -> dict[str, str]:
    """What names a Struct among others, as a field; empty of other records."""
    field = _tag(record)
    return {} if field is None else {field: record.__struct_config__.tag}


def _forbids(record: Any) -> bool:
    return bool(getattr(getattr(record, "__struct_config__", None), "forbid_unknown_fields", False))


@cache
def is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct))


@cache
def _bare(kind: Any) -> Any:
    """Without what is noted of it, and without null where it is one type or null."""
    arguments, origin = get_args(kind), get_origin(kind)
    optional = origin in (Union, UnionType) and len(arguments) == 2 and type(None) in arguments
    return _bare(next(one for one in arguments if one is not type(None))) if optional or origin is Annotated else kind


@cache
def _holds_records(kind: Any) -> bool:
    return is_record(kind) or any(map(_holds_records, get_args(kind)))


@cache
def names_of(record: Any) -> tuple[str, ...]:
    """The names of its fields."""
    if issubclass(record, msgspec.Struct):
        return tuple(record.__struct_fields__)
    return tuple(field.name for field in dataclasses.fields(record))


@cache
def _fields(record: Any) -> dict[str, Any]:
    """The type of each field."""
    hints = get_type_hints(record, include_extras=True)
    return {name: hints[name] for name in names_of(record)}


@cache
def _required(record: Any) -> tuple[str, ...]:
    """Fields without a default."""
    if issubclass(record, msgspec.Struct):
        return tuple(one.name for one in msgspec.structs.fields(record) if one.required)
    nothing = dataclasses.MISSING
    fields = (one for one in dataclasses.fields(record) if one.init and one.default is one.default_factory is nothing)
    return tuple(one.name for one in fields)


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
