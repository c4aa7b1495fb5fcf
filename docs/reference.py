"""Write the generated parts of the reference pages: `make reference`.

Such a part stands between `<!-- generated: NAME -->` and `<!-- end -->`. The rest of a page is written by hand.
"""

import dataclasses
import html
import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import click
import msgspec

from tagfit.cli.main import main as tagfit
from tagfit.diagnosis.registry import CHECKS, Check
from tagfit.options.data import DataOptions, DataSource
from tagfit.options.option import GROUPS, options_of
from tagfit.recipes import Recipe
from tagfit.records.scores import Interval, Scores
from tagfit.runs.record import RunRecord

DOCS = Path(__file__).parent
PAGES = (DOCS / "cli.md", DOCS / "result.md", DOCS / "checks" / "index.md")
PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

#: an option that so many commands have is explained once, for all of them
SHARED = 3


def written(page: str) -> str:
    """The page with its generated parts as they are now.

    Raises:
        KeyError: a part of a name that nothing generates.
    """
    parts = {
        **dict(_commands()),
        "options of several commands": _shared_options(),
        "result.json": _records(),
        "checks": _checks(),
    }
    return PART.sub(lambda match: f"{match[1]}\n{parts[match[2]]}\n\n{match[3]}", page)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    """As code, also in a table: GitHub and the site differ about an escaped | in backticks."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


# -------------------------------------------------------------------------------------------- commands


def _commands() -> Iterator[tuple[str, str]]:
    """By name, each command: its help, examples and options."""
    shared = _shared()
    for name, command in tagfit.commands.items():
        context = click.Context(command, info_name=name)
        usage = [word for word in command.collect_usage_pieces(context) if word not in ("[OPTIONS]", "")]
        options = [option for option in command.params if isinstance(option, click.Option)]
        own = [option for option in options if _record(option) not in shared]
        parts = [
            f"## `{' '.join(['tagfit', name, *usage])}`",
            *_paragraphs(command.help or ""),
            "```console\n{}\n```".format("\n".join(f"$ {example}" for example in command.examples)),
            _options_table(own),
            _see_shared([option for option in options if option not in own]),
        ]
        yield f"tagfit {name}", "\n\n".join(part for part in parts if part)


def _paragraphs(text: str) -> list[str]:
    return [_prose(" ".join(lines.split())) for lines in inspect.cleandoc(text).split("\n\n")]


def _prose(text: str) -> str:
    """Help as Markdown: flags as code, and no letter with a meaning of its own."""
    plain = re.split(r"(`[^`]*`)", text)
    plain[::2] = [
        re.sub(r"(?<![\w-])--[a-z][a-z-]+", r"`\g<0>`", re.sub(r"[*|]", r"\\\g<0>", part)) for part in plain[::2]
    ]
    return "".join(plain)


def _record(option: click.Option) -> tuple[str, str]:
    """How help spells an option and explains it."""
    return option.get_help_record(click.Context(tagfit)) or ("", "")


def _group(option: click.Option) -> str:
    return str(getattr(option, "group", "Output"))


def _shared() -> dict[tuple[str, str], click.Option]:
    """The options that several commands have, and explain alike."""
    options = [one for command in tagfit.commands.values() for one in command.params if isinstance(one, click.Option)]
    counts = Counter(map(_record, options))
    return {_record(option): option for option in reversed(options) if counts[_record(option)] >= SHARED}


def _in_order(options: Iterable[click.Option]) -> list[click.Option]:
    return sorted(options, key=lambda option: GROUPS.index(_group(option)))


def _options_table(options: Iterable[click.Option]) -> str:
    rows = [_option_row(option) for option in _in_order(options)]
    return _table(("option", "default", "what it does"), rows) if rows else ""


def _option_row(option: click.Option) -> tuple[str, str, str]:
    spelled, explained = _record(option)
    meaning, _, usual = explained.removesuffix("]").partition("  [")
    usual = usual.removeprefix("default: ")
    return _code(spelled), usual if " " in usual or not usual else _code(usual), _prose(meaning)


def _see_shared(options: Iterable[click.Option]) -> str:
    """Which options that are explained further down a command takes: whole groups, and single ones."""
    shared = _shared()
    taken = {_record(option) for option in options}
    groups: dict[str, list[tuple[str, str]]] = {}
    for record, option in shared.items():
        groups.setdefault(_group(option), []).append(record)
    whole = [group for group in GROUPS if group in groups and taken.issuperset(groups[group])]
    single = _in_order(shared[record] for record in reversed(shared) if record in taken)
    names = ["the options on " + _listed([_link(_subject(group), group) for group in whole])] if whole else []
    names += [
        _link(_code(max(option.opts, key=len)), _group(option)) for option in single if _group(option) not in whole
    ]
    return f"It also takes {_listed(names)}." if names else ""


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _subject(group: str) -> str:
    return "label files" if group == "Label file" else group.lower()


def _link(text: str, group: str) -> str:
    return f"[{text}](#options-on-{_subject(group).replace(' ', '-')})"


def _shared_options() -> str:
    options = list(reversed(_shared().values()))
    groups = [group for group in GROUPS if any(_group(option) == group for option in options)]
    return "\n\n".join(
        f"### Options on {_subject(group)}\n\n{_options_table(one for one in options if _group(one) == group)}"
        for group in groups
    )


# --------------------------------------------------------------------------------------------- records

#: records that another page explains
ELSEWHERE: Mapping[type, str] = {
    Recipe: "[recipe](recipes.md)",
    Scores: "[scores by metric](metrics.md)",
    Interval: "[low, high]",
}
JSON = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null", Any: "any"}


def _records() -> str:
    """RunRecord and every record in it, each once, in the order in which they come."""
    held_by: dict[type, dict[type, list[str]]] = {RunRecord: {}}
    for record in (found := [RunRecord]):  # grows while it is walked
        for name, one in _records_in(record):
            held_by.setdefault(one, {}).setdefault(record, []).append(_code(name))
            found += [one] if one not in found else []
    return "\n\n".join(_record_section(record, held_by[record]) for record in found)


def _records_in(record: type) -> Iterator[tuple[str, type]]:
    """The records that its fields hold, by the names of the fields."""
    for name, kind in _fields(record).items():
        yield from ((name, one) for one in _types_in(kind) if _is_record(one) and one not in ELSEWHERE)


def _types_in(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind) if get_origin(kind) is not Literal else ():
        yield from _types_in(part)


def _is_record(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _fields(record: type) -> dict[str, Any]:
    """Its fields, and what they hold; a Struct's tag is the first."""
    hints = get_type_hints(record)
    if not issubclass(record, msgspec.Struct):
        return {field.name: hints[field.name] for field in dataclasses.fields(record)}
    config = record.__struct_config__
    return {str(config.tag_field): Literal[config.tag], **{name: hints[name] for name in record.__struct_fields__}}


def _record_section(record: type, held_by: Mapping[type, list[str]]) -> str:
    meanings = _meanings(record)
    summary = inspect.cleandoc(record.__doc__ or "").split("\n\n")[0]
    rows = [(_code(name), _json_type(kind), meanings[name]) for name, kind in _fields(record).items()]
    places = [f"{_listed(names)} of {_json_type(holder)}" for holder, names in held_by.items()]
    head = [f"### {record.__name__}", " ".join(summary.split()), f"This is {_listed(places)}." if places else ""]
    return "\n\n".join(filter(None, [*head, _table(("key", "type", "meaning"), rows)]))


def _meanings(record: type) -> dict[str, str]:
    """What docstrings say of its fields, and of those of what it extends.

    The options of data have their help instead.
    """
    options = options_of(DataOptions) if record is DataSource else {}
    found = {name: option.help.replace("|", "\\|") for name, option in options.items()}
    if issubclass(record, msgspec.Struct):
        found[str(record.__struct_config__.tag_field)] = "What this is."
    for base in reversed(record.__mro__):
        described = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
        for entry in re.split(r"^    (?=\S)", described, flags=re.MULTILINE)[1:]:
            name, _, meaning = " ".join(entry.split()).partition(": ")
            found[name] = meaning[0].upper() + meaning[1:].replace("|", "\\|")
    return {name: re.sub(r"\bNone\b", "null", meaning) for name, meaning in found.items()}


def _json_type(kind: Any) -> str:
    """What JSON has for a type."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind in ELSEWHERE:
        return ELSEWHERE[kind]
    if _is_record(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if origin is Literal:
        return " or ".join(_code(f'"{one}"' if isinstance(one, str) else str(one)) for one in parts)
    if origin in (Union, UnionType):
        return " or ".join(map(_json_type, parts))
    if origin is tuple and parts[-1] is ...:
        return f"array of {_json_type(parts[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_json_type, parts))}]"
    if origin is not None:
        return f"object of {_json_type(parts[1])}"
    return JSON[kind]


# ---------------------------------------------------------------------------------------------- checks


def _checks() -> str:
    """The registry, in the order of the codes."""
    rows = [_check_row(name, check) for name, check in sorted(CHECKS.items(), key=lambda one: one[1].code)]
    return _table(("code", "name", "finds", "about", "quick trainings", "in `fit`"), rows)


def _check_row(name: str, check: Check) -> list[str]:
    link, trainings = f"[{check.code}]({check.code}.md)", str(check.trainings or "none")
    return [link, _code(name), check.finds, check.about, trainings, "yes" if check.free else "no"]


def main() -> None:
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
