"""Records of options: how one is spelled, read, checked, shown and written as a command."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from tagfit.errors import InputError, OptionError, did_you_mean
from tagfit.io.scalars import plain
from tagfit.options.checks import SWITCH, Constraint

Group = Literal[
    "Data",
    "Label file",
    "Target",
    "Search",
    "Decisions",
    "Scores",
    "Checks",
    "Labels",
    "Training",
    "Server",
    "Limits",
    "Output",
]

#: the headings that help is grouped under, in the order in which people need them
GROUPS: tuple[Group, ...] = get_args(Group)

#: characters of a value in a message, at most
LONGEST_SHOWN = 100


Value = TypeVar("Value")


@dataclass(frozen=True)
class Option:
    """What there is to know about an option beside its type and its default.

    Attributes:
        usual: what it comes to if it is None.
        flag: what the command line calls it; empty for its name, None if only Python has it.
        typed: what the command line takes, if that is in another unit.
        typed_usual: what it comes to there, if that is something else.
        short: its one-letter name there.
        several: whether it may be given several times there.
    """

    help: str
    check: Constraint
    group: Group
    usual: str = ""
    flag: str | None = ""
    typed: Constraint | None = None
    typed_usual: str = ""
    short: str = ""
    several: bool = False

    @property
    def written(self) -> Constraint:
        """What reads and writes it on the command line."""
        return self.typed or self.check


def option(default: Value, help: str, check: Constraint, group: Group, **more: Any) -> Value:
    """A field of a record of options; `more` as in `Option`."""
    return field(default=default, metadata={"option": Option(help, check, group, **more)})


@dataclass(frozen=True, kw_only=True)
class Options:
    """The base of the records. However one is made, its values are checked and Python's own.

    Raises:
        OptionError: with every fault.
    """

    def __post_init__(self) -> None:
        reader = OptionReader()
        values = reader.accepted(type(self), vars(self))
        reader.check()
        vars(self).update(values)

    @classmethod
    def conflicts(cls, given: Mapping[str, object], name: Callable[[str], str]) -> Iterator[str]:
        """What cannot be given together; `name` is what the person calls an option."""
        return iter(())

    def changed(self) -> dict[str, Any]:
        """What differs from the defaults: the keyword arguments that make this record."""
        return {name: vars(self)[name] for name, usual in defaults_of(type(self)).items() if vars(self)[name] != usual}


def options_of(kind: type[Options]) -> dict[str, Option]:
    """The options of a record, by their names in Python."""
    return {one.name: one.metadata["option"] for one in fields(kind)}


def defaults_of(kind: type[Options]) -> dict[str, object]:
    """Their defaults."""
    return {one.name: one.default for one in fields(kind)}


def flag_of(kind: type[Options], name: str) -> str:
    """What the command line calls an option."""
    return options_of(kind)[name].flag or "--" + name.replace("_", "-")


def _quoted(value: object) -> str:
    """A value as a message shows it, in one line, long ones cut."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def command_words(kind: type[Options], values: Mapping[str, object]) -> Iterator[str]:
    """The words of a command line for these values, without defaults and without what only Python has."""
    defaults = defaults_of(kind)
    for name, one in options_of(kind).items():
        value = values.get(name)
        if value is None or value == defaults[name] or one.flag is None:
            continue
        for each in value if one.several and isinstance(value, Iterable) else [value]:
            yield flag_of(kind, name)
            if one.check is not SWITCH:
                yield one.written.write(each)


# ----------------------------------------------------------------------------------------------- reading

Record = TypeVar("Record", bound=Options)

#: by the name of an option, who knows what its values mean, and raises an InputError if one means nothing
Meanings = Mapping[str, Callable[[Any], object]]


@dataclass
class OptionReader:
    """Makes records of what was given, and collects the faults of all of them.

    Attributes:
        typed: whether values come as text from a command line.
    """

    meanings: Meanings = field(default_factory=dict)
    typed: bool = False
    faults: list[str] = field(default_factory=list)
    todos: list[str] = field(default_factory=list)

    def read(self, kind: type[Record], given: Mapping[str, object]) -> Record | None:
        """The record; None if something is wrong with it, which `check` raises."""
        known, before = options_of(kind), len(self.faults)
        strange = [name for name in given if name not in known]
        self.faults += [f"there is no option {name!r}.{did_you_mean(name, known)}" for name in strange]
        values = self.accepted(kind, given)
        for name in values:
            self._understand(name, values[name])
        return kind(**values) if len(self.faults) == before else None

    def accepted(self, kind: type[Options], given: Mapping[str, object]) -> dict[str, object]:
        """The values that have no fault in themselves."""
        spelled: Callable[[str], str] = (lambda name: flag_of(kind, name)) if self.typed else str
        values: dict[str, object] = {}
        for name, usual in defaults_of(kind).items():
            if name not in given or (given[name] is None and usual is None):
                continue
            one = options_of(kind)[name]
            check, value = (one.written if self.typed else one.check), given[name]
            value = check.read(value) if self.typed and isinstance(value, str) else plain(value)
            try:
                values[name] = check.accept(value)
            except ValueError as hint:
                dot = "." if str(hint) else ""
                self.faults.append(f"{spelled(name)} must be {check.expected}; got {_quoted(value)}{dot}{hint}")
        self.faults += kind.conflicts(values, spelled)
        return values

    def check(self) -> None:
        """Raises OptionError if there is a fault."""
        if self.faults:
            # an option that two records share has its fault twice
            raise OptionError(dict.fromkeys(self.faults), " ".join(dict.fromkeys(self.todos)))

    def _understand(self, name: str, value: object) -> None:
        try:
            if name in self.meanings:
                self.meanings[name](value)
        except InputError as error:
            self.faults += error.faults
            self.todos += [error.todo] if error.todo else []


# ----------------------------------------------------------------------------------------------- showing

Function = TypeVar("Function", bound=Callable[..., object])


def shows(kind: type[Options]) -> Callable[[Function], Function]:
    """Show a record's options in the signature and the docstring of a function that takes them as `**options`.

    In the docstring they take the place of `{options}`.
    """

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        theirs = [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type)
            for one in fields(kind)
        ]
        ordered = sorted([*theirs, *own], key=lambda one: one.kind)
        function.__signature__ = signature.replace(parameters=ordered)  # type: ignore[attr-defined]
        lines = [
            textwrap.fill(f"{name}: {_described(one)}", 112, subsequent_indent=" " * 12)
            for name, one in options_of(kind).items()
        ]
        function.__doc__ = (function.__doc__ or "").replace("{options}", "\n        ".join(lines))
        return function

    return show


def _described(one: Option) -> str:
    help = one.help[0].lower() + one.help[1:]
    return f"{help.removesuffix('.')}; by default {one.usual}." if one.usual else help
