from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from making import feature_table, locked
from tagfit.api import fit
from tagfit.recipes import Recipe, Training
from tagfit.records.runs import Trial
from tagfit.runs.model_card import model_card, plain
from tagfit.runs.record import Refit

RECIPE = Recipe(name="short", training=Training(epochs=2))
#: CommonMark with what GitHub adds that needs nothing else
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil/x.png)",
    "<https://evil>",
    "https://evil.example",
    "www.evil.example",
    "a@evil.example",
    "| cell | cell |",
    "# title",
    "- item",
    "+ item",
    "1. item",
    "> quote",
    "`code`",
    "```",
    "**bold** _it_ ~~no~~",
    "&lt;b&gt;",
    "\\<b>",
    "---",
    "===",
    "$x^2$",
    "[^1]",
    "@everyone #1",
    "two\nlines\r\n\r\n# title",
    "    indented",
    "safe\u202egnp.exe",
    "bell\a\x1b[31m",
    "=cmd|' /C calc'!A0",
)


def shown(markdown):
    """What a reader sees of a paragraph; fails where it is more than text."""
    paragraph, inline, end = MARKDOWN.parse(markdown)
    assert (paragraph.type, end.type) == ("paragraph_open", "paragraph_close")
    assert {token.type for token in inline.children} <= {"text", "text_special"}
    return "".join(token.content for token in inline.children)


def told(text):
    """The same without what cannot be seen."""
    signs = " ".join(text.split())
    return "".join(sign if sign.isprintable() or sign in "\u200c\u200d" else f"⟨U+{ord(sign):04X}⟩" for sign in signs)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text):
    assert shown(plain(text)) == told(text)
    row = MARKDOWN.render(f"| a | b |\n|---|---|\n| {plain(text)} | x |")
    assert row.count("<td>") == 2


@pytest.mark.parametrize("text", ["https://evil", "www.evil.example", "a@evil.example"])
def test_what_sites_make_links_of_is_broken_up(text):
    assert text not in plain(text)


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("<>[]()*_`|&\\#-+=!~$:/.@1 \n")), max_size=60))
def test_any_text_is_shown_as_it_is(text):
    if told(text):
        assert shown(plain(text)) == told(text)
        plain(text).encode()


@pytest.fixture(scope="module")
def record():
    table = feature_table(label_names=HOSTILE[:3])
    return fit(locked(replace(table, set_aside=(("<b>.png", "cannot be *read*"),))), recipe=RECIPE).record


def test_a_card_says_what_the_records_say(record):
    card = model_card(record)
    assert [line for line in card.splitlines() if line.startswith("#")] == [
        "# Model card: rows",
        "## Intended use",
        "## Data",
        "## Recipe",
        "## Scores",
        "## Decisions",
        "## Findings",
        "## Limits",
    ]
    val, constant = record.after.score("val", "micro_f1"), record.after.constant["val"].micro_f1
    low, high = record.after.interval("val", "micro_f1")
    assert f"| {val:.3f} ({low:.3f}–{high:.3f}) | {constant:.3f} |" in card
    positives = record.data.positives
    assert f"| {positives['train'][0]} | {positives['val'][0]} | {positives['test'][0]} | 0 |" in card
    assert record.lock in card
    assert all(plain(finding.seen) in card for finding in record.findings)


def test_names_in_a_card_are_text(record):
    rendered = MARKDOWN.render(model_card(record))
    assert not {"<script", "<img", "<a ", "<b>"} & {tag for tag in ("<script", "<img", "<a ", "<b>") if tag in rendered}
    assert all(f"<td>{shown_name}</td>" in rendered for shown_name in map(escaped, HOSTILE[:3]))
    assert "&lt;b&gt;.png: cannot be *read*" in rendered


def escaped(text):
    return MARKDOWN.renderInline(plain(text))


def test_a_card_names_what_limits_the_scores(record):
    after = record.after
    data = replace(
        record.data,
        parts={**record.data.parts, "test": 0},
        positives={"train": (1, 50, 50), "val": (1, 1, 1), "test": (0, 0, 0)},
        unknown={"train": (3, 0, 0)},
    )
    tried = (Trial(after.recipe, after.scores, after.lock, after.state, after.seconds),)
    card = model_card(replace(record, tried=tried, refit=Refit(99), state="stopped", data=data))
    for predictions in ("optimistic", "no test part", "trained again on 99", "stopped early", "Unknown labels"):
        assert predictions in card
    assert f"Fewer than 20 samples of train have: {plain(HOSTILE[0])}." in card
