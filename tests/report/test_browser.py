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
    head = table.locator("thead th").nth(1)
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
    assert page.locator("#gallery .image:visible").count() == page.locator("#gallery .image").count()
    assert page.locator("svg[role=img] > title").count() == page.locator("svg").count() > 8


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("plain", 1440, "light"), ("plain", 390, "dark"), ("poor", 390, "light")]
)
def test_axe_finds_nothing(opened, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(name, width, color_scheme=scheme)
    found = axe.run(page)
    assert found.response["violations"] == [], found.generate_report()


COPIED = "navigator.clipboard.readText()"


def test_commands_tables_and_names_are_copied_from_a_file(opened):
    page = opened("plain", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#verdict .copied button").first.click()
    assert page.evaluate(COPIED) == page.locator("#verdict pre").first.inner_text()
    page.locator("#labels .tools button").click()
    lines = [line.split("\t") for line in page.evaluate(COPIED).split("\n")]
    assert lines[0][:3] == ["label", "F1", "95% interval"]
    assert [line[0] for line in lines[1:]] == page.locator("#labels tbody th").all_inner_texts()
    assert {len(line) for line in lines} == {len(lines[0])}
    page.locator("#metrics .tools button").click()
    lines = [line.split("\t") for line in page.evaluate(COPIED).split("\n")]
    assert {len(line) for line in lines} == {len(lines[0])}
    page.locator("#gallery .tools button").first.click()
    block = page.locator("#gallery .block").first
    assert page.evaluate(COPIED).split("\n") == block.locator(".item").all_text_contents()


def test_where_no_clipboard_is_allowed_it_copies_too(opened):
    page = opened("plain")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    page.evaluate(
        "() => { document.execCommand = () => { document.body.dataset.it = document.activeElement.value; }; }"
    )
    page.locator("#verdict .copied button").first.click()
    page.locator("#verdict .copied button", has_text="Copied").wait_for()
    assert page.evaluate("document.body.dataset.it") == page.locator("#verdict pre").first.inner_text()


def test_samples_are_filtered_by_label(opened):
    page = opened("plain")
    images = page.locator("#gallery .image")
    for value in page.locator("#about option").evaluate_all("all => all.map((one) => one.value)"):
        page.locator("#about").select_option(value)
        about = [text.split() for text in images.evaluate_all("all => all.map((one) => one.dataset.about)")]
        shown = [one.is_visible() for one in images.all()]
        assert shown == [value == "" or value in one for one in about]
        assert any(shown)


def test_an_image_and_a_chart_are_enlarged_and_closed_from_the_keyboard(opened):
    page = opened("plain")
    first, second = (page.locator("#gallery .zoom").nth(number) for number in (0, 1))
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog img").bounding_box()["width"] > 250
    name = page.locator("dialog .item")
    assert name.inner_text() in first.get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    assert name.inner_text() in second.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden()
    chart = page.locator("#curves svg").last
    before = chart.bounding_box()["width"]
    chart.click()
    assert page.locator("dialog svg").bounding_box()["width"] > before
    page.locator("dialog button", has_text="Close").click()
    assert page.locator("dialog").is_hidden()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_navigation_stays_and_says_where_you_are(opened, width):
    page = opened("plain", width)
    nav, current = page.locator("nav"), page.locator("nav a[aria-current]")
    assert current.inner_text() == "Summary"
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    page.locator("nav a", has_text="Labels").click()
    page.locator("nav a[aria-current]", has_text="Labels").wait_for()
    assert nav.bounding_box()["y"] == 0
    assert page.locator("#labels h2").bounding_box()["y"] >= nav.bounding_box()["height"]


def test_on_a_phone_f1_is_in_sight(opened):
    page = opened("plain", 390)
    head = page.locator("#labels thead th").nth(3)
    assert head.inner_text().startswith("F1 before")
    box = head.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.locator("#metrics .wide").evaluate("one => { one.scrollLeft = 9999; }")
    assert page.locator("#metrics tbody th").first.bounding_box()["x"] >= 0


def test_a_word_is_explained_where_it_stands(opened):
    page = opened("plain")
    term = page.locator("#verdict .term").first
    meaning = page.locator(term.get_attribute("href")).locator("dd").inner_text()
    term.focus()
    assert page.locator("#tip").inner_text() == meaning
    box = page.locator("#tip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1440
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_a_table_of_many_labels_is_searched(opened):
    page = opened("strange")
    rows = page.locator("#labels tbody tr")
    page.locator("#labels input[type=search]").fill("iframe")
    names = [row.locator("th").inner_text().lower() for row in rows.all() if row.is_visible()]
    assert 0 < len(names) < rows.count()
    assert all("iframe" in name for name in names)


def test_paper_has_all_of_it_and_no_buttons(opened):
    page = opened("plain", 800)
    page.emulate_media(media="print")
    assert page.locator("#gallery .image:visible").count() == page.locator("#gallery .image").count()
    assert page.locator("nav:visible, .tools:visible, #filter:visible, .copied button:visible").count() == 0
    kept = page.locator("h2, h3, .card, tr, .image").evaluate_all(
        "all => all.map((one) => [getComputedStyle(one).breakAfter, getComputedStyle(one).breakInside])"
    )
    assert all("avoid" in pair for pair in kept)


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
