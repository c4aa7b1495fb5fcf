"""The page in headless Chromium: it loads, sorts, switches theme, fits, can be read by everybody, and runs nothing."""

from dataclasses import replace

import pytest

from payloads import PAYLOADS
from tagfit.report.compose import compose
from tagfit.report.page import render

WIDTHS = (390, 1440)


@pytest.fixture(scope="module")
def pages(records, renamed, tmp_path_factory):
    """Files of a plain page, one of hostile names, and one of a fit without predictions beside another run."""
    folder = tmp_path_factory.mktemp("pages")
    strange = renamed(PAYLOADS)
    fit = replace(records.record, before=None, differences={}, tried=())
    contexts = {
        "plain": compose(records),
        "strange": compose(strange, [strange]),
        "poor": compose(replace(records, record=fit, predictions=None), [records]),
    }
    for name, context in contexts.items():
        (folder / f"{name}.html").write_text(render(context), encoding="utf-8")
    return folder


@pytest.fixture
def opened(browser, pages):
    """Opens a page; whatever the console complains of, and whatever was asked of the network, is gathered."""
    contexts = []

    def open_(name, width=1440, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.append(request.url) if "http" in request.url[:5] else None)
        page.goto((pages / f"{name}.html").as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["plain", "strange", "poor"])
def test_it_loads_in_silence_and_fits(opened, name, width):
    page = opened(name, width)
    assert page.locator("h1").count() == 1
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert page.evaluate("document.body.dataset.ran") is None


def test_a_column_sorts_both_ways_from_the_keyboard(opened):
    page = opened("plain")
    table = page.locator("#labels table")
    names = table.locator("tbody th").all_inner_texts()
    values = [float(text) for text in table.locator("tbody td.f1").all_inner_texts()]
    head = table.locator("thead th").nth(4)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in table.locator("tbody td.f1").all_inner_texts()] == sorted(values, reverse=True)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in table.locator("tbody td.f1").all_inner_texts()] == sorted(values)
    table.locator("thead button").first.click()
    assert table.locator("tbody th").all_inner_texts() == sorted(names)
    assert head.get_attribute("aria-sort") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_it_is_switched(opened, scheme):
    page = opened("plain", color_scheme=scheme)
    paper = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
    other = {"light": "dark", "dark": "light"}[scheme]
    assert page.evaluate(paper) == colours[scheme]
    page.locator("#theme-button").click()
    assert page.evaluate(paper) == colours[other]
    page.emulate_media(media="print")
    assert page.evaluate(paper) == colours["light"]


def test_without_scripts_all_of_it_is_there(opened):
    page = opened("plain", java_script_enabled=False)
    assert page.locator("section").count() > 8
    assert page.locator("button").count() == 0
    assert page.locator("svg[role=img] > title").count() == page.locator("svg").count() > 8


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("plain", 1440, "light"), ("plain", 390, "dark"), ("poor", 390, "light")]
)
def test_axe_finds_nothing(opened, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(name, width, color_scheme=scheme)
    found = axe.run(page)
    assert found.response["violations"] == [], found.generate_report()


def test_no_text_of_a_chart_lies_on_another(opened):
    page = opened("plain")
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll('svg')].flatMap((svg) => {
            const all = [...svg.querySelectorAll('text')];
            const texts = all.map((one) => [one.textContent, one.getBoundingClientRect()]);
            return texts.flatMap(([name, a], n) => texts.slice(n + 1).filter(([, b]) =>
                Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
                Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 5).map(([other]) => `${name} | ${other}`));
        })"""
    )
    assert overlaps == []
