"""The page shows what the context holds, all of it, as text; and nothing else can get in."""

import re
import typing
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from types import UnionType

import pytest
from jinja2 import nodes

from payloads import PAYLOADS
from tagfit.report import page as rendering
from tagfit.report.compose import compose
from tagfit.report.context import Context
from tagfit.report.files import read_context
from tagfit.report.page import render
from tagfit.report.visible import visible


@pytest.fixture(scope="module")
def context(cured):
    return read_context(cured)


def kinds(kind, found=None):
    """All dataclasses of the tree."""
    found = set() if found is None else found
    for inner in typing.get_args(kind) if typing.get_origin(kind) in (tuple, UnionType) else ():
        kinds(inner, found)
    if is_dataclass(kind) and kind not in found:
        found.add(kind)
        for hint in typing.get_type_hints(kind).values():
            kinds(hint, found)
    return found


def used():
    """Every attribute that the template, or what it includes, asks for."""
    environment = rendering._environment()
    sources = [environment.loader.get_source(environment, name)[0] for name in (rendering.TEMPLATE, "why.html.jinja")]
    return {node.attr for source in sources for node in environment.parse(source).find_all(nodes.Getattr)}


def test_every_field_is_shown_and_every_name_is_a_field():
    """The page's own classes have no field that it does not show; of the records in it, it shows some."""
    all_of = {kind: {field.name for field in fields(kind)} for kind in kinds(Context)}
    own = {kind: names for kind, names in all_of.items() if kind.__module__ == Context.__module__}
    assert len(own) > 15
    assert set().union(*own.values()) <= used()
    assert used() - {"first", "last", "index0", "format"} <= set().union(*all_of.values())


class Found(HTMLParser):
    """What is in a page: tags with their attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def test_it_needs_nothing_else_and_lets_nothing_in(context):
    html = render(context)
    found = Found(html)
    policy = next(one["content"] for tag, one in found.tags if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert [tag for tag, _ in found.tags].count("script") == 1
    for tag, attributes in found.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert len(html) < 3_000_000


def test_it_is_valid_where_browsers_forgive_much(context):
    ids = re.findall(r'\bid="([^"]+)"', render(context))
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'href="#([^"]+)"', render(context)))
    assert links <= set(ids)


def test_sixty_hostile_names_are_text(renamed):
    assert len(PAYLOADS) == len(set(PAYLOADS)) == 60
    harmless, strange = (renamed(names) for names in ([f"a/{number}" for number in range(60)], PAYLOADS))
    plain, html = (render(compose(one, [one])) for one in (harmless, strange))
    plain, found = Found(plain), Found(html)
    allowed = {tag for tag, _ in plain.tags}
    assert {tag for tag, _ in found.tags} <= allowed
    assert [tag for tag, _ in found.tags].count("script") == 1
    for _, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert "style" not in attributes
    text = "".join(found.text)
    for payload in PAYLOADS:
        assert visible(payload, 80) in text
    html.encode("utf-8")  # no half of a pair is left
    assert not re.search("[\x00-\x08\x0b-\x1f\u200b\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]", html)


def test_what_a_folder_lacks_is_said_and_the_rest_is_shown(records):
    told = compose(replace(records, predictions=None))
    assert "no predictions" in told.missing[0]
    assert (told.labels, told.together, told.gallery) == (None, None, None)
    html = render(told)
    assert told.missing[0].split(",")[0] in html
    assert 'id="learning"' in html
    assert 'id="labels"' not in html


def test_a_fit_has_no_before(records):
    record = replace(records.record, before=None, differences={}, tried=(), command="fit")
    saved = replace(records.predictions, runs={"after": records.predictions.runs["after"]})
    told = compose(replace(records, record=record, predictions=saved))
    assert [model.name for model in told.outcome.models] == ["model", "constant"]
    assert not told.labels.compared
    html = render(told)
    assert "What it scores" in html
    assert "F1 before" not in html
    assert 'id="search"' not in html


def test_without_a_test_part_val_is_looked_at(records):
    saved = records.predictions
    runs = {run: {part: one for part, one in by_part.items() if part != "test"} for run, by_part in saved.runs.items()}

    def untested(run):
        return replace(run, scores={**run.scores, "test": None}, constant={**run.constant, "test": None})

    record = replace(records.record, before=untested(records.record.before), after=untested(records.record.after))
    told = compose(replace(records, record=record, predictions=replace(saved, runs=runs)))
    assert told.labels.part == "val"
    assert told.outcome.parts == ("train", "val")
    assert "Label by label, on val" in render(told)


def test_other_locks_are_pointed_out(records):
    other = replace(records, name="other", record=replace(records.record, lock="f" * 64))
    told = compose(records, [records, other]).comparison
    assert [run.name for run in told.runs] == ["run", "run (2)", "other"]
    assert "other" in told.notice
    assert [run.same_lock for run in told.runs] == [True, True, False]
    assert compose(records, [records]).comparison.notice == ""


def test_five_hundred_labels_stay_below_three_megabytes(renamed):
    names = [f"a label with a name of some length {number}" for number in range(500)]
    told = compose(renamed(names))
    html = render(told)
    assert len(html.encode()) < 3_000_000
    assert len(told.labels.rows) == 500
    assert "30 most frequent of 500" in html


def test_damaged_predictions_are_told(folder):
    from tagfit.errors import BundleError

    (folder / "predictions" / "samples.json").write_text("{}")
    with pytest.raises(BundleError, match="predictions"):
        read_context(folder)
