"""The words that the page explains. docs/glossary.md defines them; docs/make_glossary.py copies them to here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources


@cache
def glossary() -> Mapping[str, str]:
    """What each word means, by the word in lower case."""
    text = resources.files("tagfit.report").joinpath("page_files", "glossary.json").read_text(encoding="utf-8")
    words: Mapping[str, str] = json.loads(text)
    return words


def word_of(text: str) -> str | None:
    """The word that a text is, in the singular or the plural; None if the glossary has no such word."""
    return next((word for word in (text, text.removesuffix("s")) if word in glossary()), None)


def anchor(word: str) -> str:
    """Where on the page the word is explained."""
    return f"word-{word.replace(' ', '-')}"
