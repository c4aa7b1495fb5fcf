"""Copies the definitions of docs/glossary.md to where the report's page reads them, without links.

python docs/make_glossary.py
"""

import json
import re
from pathlib import Path

DOCS = Path(__file__).parent
PACKAGED = DOCS.parent / "src" / "tagfit" / "report" / "page_files" / "glossary.json"


def definitions(text):
    """What each word of a glossary page means, by the word in lower case."""
    found = re.findall(r"^\*\*(.+?)\.\*\* (.+)$", text, re.MULTILINE)
    return {word.lower(): _plain(meaning) for word, meaning in found}


def _plain(meaning):
    """Without links to other pages and without marks."""
    meaning = re.sub(r" See (the )?\[[^\]]*\]\([^)]*\)\.", "", meaning)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", meaning).replace("`", "").strip()


if __name__ == "__main__":
    words = definitions((DOCS / "glossary.md").read_text(encoding="utf-8"))
    PACKAGED.write_text(json.dumps(words, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
