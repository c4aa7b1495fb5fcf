"""The page explains words as docs/glossary.md does."""

import runpy
from pathlib import Path

import pytest

from tagfit.report.compose import compose
from tagfit.report.glossary import anchor, glossary, word_of
from tagfit.report.page import render

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def definitions():
    return runpy.run_path(str(DOCS / "make_glossary.py"))["definitions"]


def test_the_packaged_words_are_those_of_the_glossary(definitions):
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert definitions(text) == dict(glossary()), "run: python docs/make_glossary.py"
    assert len(glossary()) == text.count("\n**") > 15


def test_links_and_marks_are_left_out(definitions):
    assert definitions("**Fold.** One of `K` [parts](data.md). See [folds](data.md#folds).") == {
        "fold": "One of K parts."
    }


def test_every_word_is_on_the_page_and_plurals_are_known(records):
    html = render(compose(records))
    assert all(f'id="{anchor(word)}"' in html for word in glossary())
    assert html.count('class="term"') > 8
    assert (word_of("folds"), word_of("fold"), word_of("split")) == ("fold", "fold", None)
