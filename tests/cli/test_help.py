"""Help: under headings, with examples, as wide as the terminal."""

import re
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tagfit.cli.main import main
from tagfit.options.option import GROUPS


def help_of(name):
    command = main.commands[name]
    return click.Context(command, info_name=f"tagfit {name}", **command.context_settings).get_help()


@pytest.mark.parametrize("name", main.commands)
def test_two_examples_that_the_command_takes(name):
    command = main.commands[name]
    examples = help_of(name).split("Examples:\n")[1].splitlines()
    assert len(examples) == 2
    for example in examples:
        words = shlex.split(example)
        assert words[:2] == ["tagfit", name]
        with command.make_context(name, words[2:]):
            pass


@pytest.mark.parametrize("name", main.commands)
def test_options_stand_under_headings_in_their_order(name):
    headings = re.findall(r"^([A-Z]\w+):$", help_of(name), flags=re.MULTILINE)
    assert headings[-1] == "Examples"
    assert headings[:-1] == [group for group in GROUPS if group in headings]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_is_as_wide_as_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in main.commands:
        assert max(map(len, help_of(name).split("Examples:")[0].splitlines())) <= columns
    assert max(map(len, help_of("cure").splitlines())) > columns - 8


def test_help_has_80_columns_where_there_is_no_terminal():
    done = subprocess.run(
        [sys.executable, "-m", "tagfit", "cure", "--help"], capture_output=True, text=True, check=True
    )
    assert 72 < max(map(len, done.stdout.splitlines())) <= 80


def test_an_old_name_is_understood_and_not_shown():
    assert "pictures" not in help_of("serve")
    for words in (["--max-pictures", "0"], ["--max-pictures=0"]):
        done = CliRunner().invoke(main, ["serve", "run", *words])
        assert done.exit_code == 2
        assert "--max-pictures is now called --max-images" in done.stderr
        assert "--max-images must be a whole number from 1 to 1024; got 0" in done.stderr


def test_no_option_is_spelled_twice():
    for command in main.commands.values():
        options = [name for one in command.params if isinstance(one, click.Option) for name in one.opts]
        assert len(options) == len(set(options))
