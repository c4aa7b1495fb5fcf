"""Write the generated parts of the reference pages: `make reference`.

Such a part stands between `<!-- generated: NAME -->` and `<!-- end -->`. The rest of a page is written by hand.
"""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from tagfit.cli.main import main as tagfit
from tagfit.options.option import GROUPS

DOCS = Path(__file__).parent
PAGES = (DOCS / "cli.md",)
PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

#: an option that so many commands have is explained once, for all of them
SHARED = 3


def written(page: str) -> str:
    """The page with its generated parts as they are now.

    Raises:
        KeyError: a part of a name that nothing generates.
    """
    parts = {**dict(_commands()), "options of several commands": _shared_options()}
    return PART.sub(lambda match: f"{match[1]}\n{parts[match[2]]}\n\n{match[3]}", page)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    """As code, also in a cell of a table."""
    return "`{}`".format(text.replace("|", "\\|"))


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
    escaped = re.sub(r"([*|])", r"\\\1", text)
    return re.sub(r"(?<![\w`-])--[a-z][a-z-]+", r"`\g<0>`", escaped)


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


def main() -> None:
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
