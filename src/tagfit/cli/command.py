"""What the commands have in common: options from records, help in groups, errors as messages and exit codes."""

from __future__ import annotations

import errno
import functools
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from tagfit.cli.stops import Stops, stops_raise
from tagfit.cli.streams import gated
from tagfit.errors import InputError, TagfitError, did_you_mean
from tagfit.options.checks import SWITCH
from tagfit.options.option import GROUPS, Group, Option, OptionReader, Options, defaults_of, flag_of, options_of

Run = TypeVar("Run", bound=Callable[..., Any])

#: characters of the first column of help, at most
_FIRST_COLUMN = 30

#: help is as wide as the terminal, or 80 columns where there is none
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 1000}


class GroupedOption(click.Option):
    """An option under one of the headings."""

    def __init__(self, *args: Any, group: Group = "Output", **more: Any) -> None:
        super().__init__(*args, **more)
        self.group = group


class Command(click.Command):
    """A command that shows its options under headings, and examples.

    Args:
        examples: command lines.
        renamed: options by their old names, which are still understood.
    """

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), renamed: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **{"context_settings": _SETTINGS, **more})
        self.examples, self.renamed = examples, renamed or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [self._current(word) for word in args])

    def _current(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if name not in self.renamed:
            return word
        click.echo(f"tagfit: {name} is now called {self.renamed[name]}", err=True)
        return self.renamed[name] + equals + value

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None and not isinstance(parameter, click.Argument):
                groups[getattr(parameter, "group", "Output")].append(row)
        _write_sections(formatter, groups)
        with formatter.section("Examples"):
            formatter.write("".join(f"  {example}\n" for example in self.examples))


def _write_sections(formatter: click.HelpFormatter, sections: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Sections of two columns, which begin at the same place in all of them."""
    widths = [len(first) for rows in sections.values() for first, _ in rows]
    width = min(max(widths), _FIRST_COLUMN)
    for heading, rows in sections.items():
        if rows:
            with formatter.section(heading):
                formatter.write_dl([(first.ljust(width), second) for first, second in rows], _FIRST_COLUMN)


class CommandGroup(click.Group):
    """All commands under headings, in the order in which people need them; errors become messages and exit codes."""

    def __init__(self, name: str, *, sections: Mapping[str, Sequence[click.Command]], **more: Any) -> None:
        commands = {str(command.name): command for several in sections.values() for command in several}
        super().__init__(name, commands, context_settings=_SETTINGS, **more)
        self.sections, self.stops = sections, Stops()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _usage_said():
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if not self.get_command(ctx, word):
            raise click.UsageError(_no_command(word, self.commands), ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, self.commands))
        rows = {
            heading: [(str(command.name), command.get_short_help_str(limit)) for command in commands]
            for heading, commands in self.sections.items()
        }
        _write_sections(formatter, rows)

    def main(self, *args: Any, **more: Any) -> Any:
        with gated(), stops_raise() as self.stops:
            return super().main(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _usage_said():
                result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()  # while it can still be said that it failed
            return result
        except InputError as error:
            code, message = 2, str(error)
        except TagfitError as error:
            code, message = 1, str(error)
        except BrokenPipeError:
            code, message = 1, "Whoever read stdout has gone; what was still to come is not written."
        except OSError as error:
            code = 2 if error.errno == errno.ENAMETOOLONG else 1
            message = f"{error.filename or 'stdout'}: {error.strerror or error}"
        except KeyboardInterrupt:
            code, message = 128 + self.stops.number, "Stopped."
        say(message)
        raise click.exceptions.Exit(code)


@contextmanager
def _usage_said() -> Iterator[None]:
    """Wrong usage in the form of all other messages: what is wrong, then what to do."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        path = "tagfit" if error.ctx is None else f"tagfit {error.ctx.info_name}".removesuffix(" tagfit")
        command = path if error.ctx is not None and error.ctx.parent is not None else "tagfit"
        say(f"{_usage(error)}\nRun `{command} --help` to see what it takes.")
        raise click.exceptions.Exit(2) from None


def _usage(error: click.UsageError) -> str:
    if not isinstance(error, click.NoSuchOption):
        return error.format_message()
    parameters = [] if error.ctx is None else error.ctx.command.params
    flags = {flag.lstrip("-"): flag for one in parameters for flag in one.opts if flag.startswith("--")}
    hint = did_you_mean(error.option_name.lstrip("-"), [name.replace("-", "_") for name in flags])
    for name, flag in flags.items():
        hint = hint.replace(repr(name.replace("-", "_")), flag)
    return f"there is no option {error.option_name}.{hint}"


def _no_command(word: str, commands: Iterable[str]) -> str:
    if Path(word).exists():
        return f"{word}: expected a command first, such as `tagfit inspect {word}`"
    return f"there is no command {word!r}.{did_you_mean(word, commands)}"


def say(text: str) -> None:
    """A message on stderr; in a terminal it is broken between words."""
    click.echo(_broken(f"tagfit: {text}"), err=True)


def _broken(text: str) -> str:
    if not sys.stderr.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    lines = (textwrap.wrap(line, columns, subsequent_indent=_indent(line), **_UNBROKEN) for line in text.split("\n"))
    return "\n".join("\n".join(several) for several in lines)


#: words are kept whole: they may be paths and commands
_UNBROKEN: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def _indent(line: str) -> str:
    return "    " if line.startswith("  - ") else ""


def command(*examples: str, renamed: Mapping[str, str] | None = None) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function, as `click.command` does."""
    return click.command(cls=Command, examples=examples, renamed=renamed)


option = functools.partial(click.option, cls=GroupedOption)

json_option = option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")


def takes(leave: Collection[str] = (), **records: type[Options]) -> Callable[[Run], Run]:
    """Give a command the options of some records; its function is called with the records, checked.

    Args:
        leave: options that this command does not have.
        records: by the parameter of the function. What several of them have is one option.
    """
    kinds = {name: kind for kind in records.values() for name in options_of(kind)}
    names = [name for name, kind in kinds.items() if name not in leave and options_of(kind)[name].flag is not None]

    def decorate(run: Run) -> Run:
        @functools.wraps(run)
        def called(**values: Any) -> Any:
            typed = {name: value for name in names if (value := values.pop(name)) not in (None, False, ())}
            return run(**values, **_records(records, typed))

        for name in reversed(names):
            called = _click_option(kinds[name], name)(called)
        return called  # type: ignore[return-value]  # click calls it by keywords

    return decorate


def _records(records: Mapping[str, type[Options]], typed: Mapping[str, Any]) -> dict[str, Options]:
    from tagfit.api import MEANINGS

    reader = OptionReader(MEANINGS, typed=True)
    found = {
        parameter: reader.read(kind, {name: value for name, value in typed.items() if name in options_of(kind)})
        for parameter, kind in records.items()
    }
    reader.check()
    return {parameter: record for parameter, record in found.items() if record is not None}


def _click_option(kind: type[Options], name: str) -> Callable[[Run], Run]:
    one, default = options_of(kind)[name], defaults_of(kind)[name]
    flags = [flag_of(kind, name), *([one.short] if one.short else [])]
    if one.check is SWITCH:
        return option(*flags, name, is_flag=True, help=one.help, group=one.group)
    shown = f"{one.help}{_usual(one, default)}"
    return option(*flags, name, metavar=one.written.metavar, multiple=one.several, help=shown, group=one.group)


def _usual(one: Option, default: Any) -> str:
    usual = one.typed_usual or (one.usual if default in (None, ()) else one.written.write(default))
    return f"  [default: {usual}]" if usual else ""
