"""The page in a browser: photos are dropped on it."""

import base64
import csv
import io

import pytest

from serving import png, running

DROP = """
([files, kind]) => {
    const given = new DataTransfer();
    for (const [name, content] of files) {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        given.items.add(new File([bytes], name, { type: 'image/jpeg' }));
    }
    const event = kind === 'paste'
        ? new ClipboardEvent(kind, { clipboardData: given, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: given, bubbles: true, cancelable: true });
    document.getElementById('drop').dispatchEvent(event);
}
"""

HOSTILE = '=HYPERLINK("x")<img src=x onerror=document.title=1>.png'


def drop(page, *files, kind="drop"):
    page.wait_for_selector("#drop:not([hidden])")
    page.evaluate(DROP, [[(name, base64.b64encode(content).decode()) for name, content in files], kind])
    page.wait_for_selector(f".photo:nth-child({page.locator('.photo').count()}) :is(.bars li, .given.bad)")


def test_a_real_photo_that_is_dropped_gets_its_labels(opened, images_served, image_tagger, shared):
    photo = sorted((shared / "miml").rglob("*.jpg"))[0]
    page = opened(images_served.url)
    drop(page, (photo.name, photo.read_bytes()))
    scores = dict(zip(image_tagger.label_names, image_tagger.predict(photo).scores[0], strict=True))
    shown = dict(
        zip(page.locator(".bar .name").all_inner_texts(), page.locator(".value").all_inner_texts(), strict=True)
    )
    assert shown == {name: f"{score:.2f}" for name, score in sorted(scores.items(), key=lambda item: -item[1])}
    assert page.locator(".photo h2").inner_text() == photo.name
    assert page.evaluate("document.querySelector('.image').naturalWidth") > 100


def test_a_threshold_that_is_moved_acts_on_all_photos_and_the_csv(opened, images_served):
    page = opened(images_served.url)
    drop(page, ("a.png", png((210, 10, 10))), (HOSTILE, png((10, 10, 10))), ("broken.png", b"nothing"))
    slider = page.locator("#sliders input").nth(1)
    for value, given in (("0", 2), ("1", 0)):
        slider.fill(value)
        assert page.locator(".given span", has_text="red").count() == given
        assert page.locator("#sliders .count").nth(1).inner_text() == f"×{given}"
    slider.fill("0")
    assert page.locator(".tick").nth(0).get_attribute("style") in {"left: 0%;", "left: 50%;"}
    with page.expect_download() as download:
        page.click("#download")
    rows = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert rows[0] == ["sample", "labels", "error", "green", "red"]
    assert [row[0] for row in rows[1:]] == ["a.png", "'" + HOSTILE, "broken.png"]
    assert all("red" in row[1] for row in rows[1:3])
    assert rows[3][2].startswith("not an image")
    assert page.locator(".photo h2").nth(1).inner_text() == HOSTILE
    assert page.title() == "model · tagfit"
    assert page.locator("#reset").inner_text() == "Reset"
    page.click("#reset")
    assert page.locator("#sliders .at").nth(1).inner_text() == "0.50"
    page.click("#clear")
    assert page.locator(".photo").count() == 0


def test_what_speaks_for_a_label_is_laid_over_the_photo_and_taken_away(opened, images_served):
    page = opened(images_served.url)
    drop(page, ("a.png", png(size=(300, 200))))
    bar = page.locator("button.bar").first
    bar.click()
    page.wait_for_selector(".heat:not([hidden])")
    boxes = [page.locator(name).bounding_box() for name in (".heat", ".image")]
    assert boxes[0] == pytest.approx(boxes[1], abs=1)
    assert bar.get_attribute("aria-pressed") == "true"
    bar.click()
    assert page.locator(".heat").is_hidden()


def test_the_page_says_what_the_model_is_and_how_good_at_each_label(opened, images_served, image_tagger):
    page, origin = opened(images_served.url), image_tagger.origin
    page.wait_for_selector("#known li")
    about = page.locator("#model").inner_text()
    assert f"trained {origin.made}" in about
    assert f"micro-F1 {origin.score:.2f}" in about
    chips = page.locator("#known li").all_inner_texts()
    f1s = ["" if f1 is None else f" {f1:.2f}" for f1 in origin.label_f1]
    assert chips == [name + f1 for name, f1 in zip(image_tagger.label_names, f1s, strict=True)]
    assert page.locator("nav a").inner_text() == "API"


def test_the_least_certain_photo_comes_first_when_asked_for(opened, images_served, image_tagger):
    page = opened(images_served.url)
    colours = {"a.png": (210, 10, 10), "b.png": (10, 10, 10), "c.png": (90, 120, 80)}
    drop(page, *((name, png(colour)) for name, colour in colours.items()))
    page.locator(".photo:nth-child(3) .bars li").first.wait_for()
    page.select_option("#sort", "uncertain")
    scores = images_served.predict(*map(png, colours.values())).json["predictions"]
    nearest = {
        name: min(abs(value - 0.5) for value in record["scores"].values())
        for name, record in zip(colours, scores, strict=True)
    }
    assert page.locator(".photo h2").all_inner_texts() == sorted(nearest, key=nearest.get)
    page.select_option("#sort", "added")
    assert page.locator(".photo h2").all_inner_texts() == list(colours)


def test_a_bar_shows_that_it_explains_itself(opened, images_served):
    page = opened(images_served.url)
    drop(page, ("a.png", png()))
    assert page.locator(".hint").is_visible()
    assert page.locator("button.bar .why").count() == page.locator("button.bar").count() > 0


def test_photos_are_chosen_and_pasted_too(opened, images_served):
    page = opened(images_served.url)
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": png()}])
    page.wait_for_selector(".photo .bars li")
    drop(page, ("b.png", png()), kind="paste")
    assert page.locator(".photo h2").all_inner_texts() == ["a.png", "b.png"]


def test_the_token_is_asked_for(opened, image_tagger):
    token = "a-token-of-some-length"
    with running(image_tagger, token=token) as client:
        page = opened(client.url, allowed="401")
        page.fill("#token", "wrong")
        page.click("#ask-token button")
        page.fill("#token", token)
        page.click("#ask-token button")
        drop(page, ("a.png", png()))
        assert page.locator("#ask-token").is_hidden()


def test_a_model_of_features_says_so(opened, features_served):
    page = opened(features_served.url)
    page.locator("#status", has_text="rows of 8 numbers").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")])
def test_it_fits_and_axe_finds_nothing(opened, images_served, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(images_served.url, width, color_scheme=scheme, reduced_motion="reduce")
    drop(page, ("a-name-without-a-place-to-break" * 5 + ".png", png()), ("broken.png", b"nothing"))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for path in (None, "/docs"):
        if path is not None:
            page.goto(images_served.url + path)
        found = axe.run(page)
        assert found.response["violations"] == [], found.generate_report()
