"""Tutorials run as they are written, on less data; how-to pages as they are."""

import importlib.util
import re
from pathlib import Path

import pytest

from making import PROVE

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "tutorials").glob("[0-9]*.md"))
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))

_spec = importlib.util.spec_from_file_location("run_tutorials", DOCS / "run_tutorials.py")
tutorials = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tutorials)


def shorter(code):
    for long, short in {} if PROVE else tutorials.SHORT.items():
        code = code.replace(long, short)
    return code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs(page):
    text = page.read_text(encoding="utf-8")
    written = tutorials.rewritten(text, shorter)
    assert len(tutorials.BLOCK.findall(written)) == len(tutorials.BLOCK.findall(text)) >= 3


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_page_runs_and_is_short(page):
    text = page.read_text(encoding="utf-8")
    assert tutorials.BLOCK.findall(tutorials.rewritten(text))
    assert len(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).split()) <= 300


def test_what_fails_is_told():
    with pytest.raises(RuntimeError, match="there is no command 'nothing'"):
        tutorials.rewritten("```console\n$ tagfit nothing\n```\n")


def test_what_a_block_prints_replaces_the_text_after_it():
    page = "```python\nx = 2\n```\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n"
    assert tutorials.rewritten(page) == page.replace("\n1\n", "\n2\n")
