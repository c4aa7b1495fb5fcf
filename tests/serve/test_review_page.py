"""The page where labels are reviewed, in a browser: by keys alone, on a phone, and after a kill."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from making import image_folder
from serving import reviewing
from tagfit.api import load
from tagfit.cli.main import main
from tagfit.data.corrections import read_corrections
from tagfit.labels.review import Review
from tagfit.labels.scoring import scored
from tagfit.options.data import ReadOptions
from tagfit.runs.loading import DataLoad

UNLABELLED = 30


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Seventy images, thirty of which nobody has labelled."""
    folder = image_folder(tmp_path_factory.mktemp("photos"), samples=40 + UNLABELLED)
    lines = (folder / "labels.csv").read_text().splitlines()
    lines[41:] = [f"{line.split(',')[0]}," for line in lines[41:]]
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def found(photos):
    return scored(DataLoad(photos).read_with(ReadOptions(blank_is="unlabelled", size=8)), None, 0)


@pytest.fixture
def review(found, tmp_path):
    return Review(replace(found, x_ND=found.x_ND.copy()), tmp_path / "corrections.jsonl", who="me")


@pytest.fixture
def page(opened, review):
    with reviewing(review) as client:
        page = opened(client.url)
        to_label(page)
        yield page


def to_label(page):
    """The queue of images to label next."""
    page.click("[data-queue=next]")
    page.wait_for_selector("[data-queue=next][aria-pressed=true]")
    page.wait_for_selector("#grid:focus .card")
    page.wait_for_function(f"() => document.querySelectorAll('.card').length === {UNLABELLED}")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def on_disk(page, progress):
    """Waits until the server has written so much."""
    page.wait_for_function("(text) => document.getElementById('progress').textContent.includes(text)", arg=progress)


def tags(page, number):
    return page.locator(".card").nth(number).locator(".tag:not(.ghost)").all_inner_texts()


def decided(review):
    return [
        (one.sample, one.label, one.before, one.to, one.undo) for one in read_corrections(review.path).lines.values()
    ]


def test_a_key_sets_a_label_and_another_takes_it_back(page, review):
    name = page.locator("#name").inner_text()
    press(page, "g", "r")
    on_disk(page, "2 labels changed")
    assert tags(page, 0) == ["green", "red"]
    press(page, "Backspace")
    on_disk(page, "1 label changed")
    assert tags(page, 0) == ["green"]
    assert decided(review) == [
        (name, "green", None, 1, False),
        (name, "red", None, 1, False),
        (name, "red", 1, None, True),
    ]


def test_suggestions_are_accepted_by_one_key_and_what_was_not_looked_at_stays_unknown(page, review):
    number = page.evaluate("[...document.querySelectorAll('.card')].findIndex((one) => one.querySelector('.ghost'))")
    press(page, *["ArrowRight"] * number)
    ghosts = page.locator(".card").nth(number).locator(".ghost").all_inner_texts()
    press(page, "Space")
    on_disk(page, f"{len(ghosts)} label")
    assert tags(page, number) == ghosts
    assert all(to == 1 for *_, to, _ in decided(review))
    assert (review.dataset.labels_NL == -1).sum() == 2 * UNLABELLED - len(ghosts)


def test_done_says_no_to_what_is_not_on_and_goes_on(page, review):
    press(page, "g", "Enter")
    on_disk(page, "2 labels changed")
    assert [to for *_, to, _ in decided(review)] == [1, 1, 0]
    assert page.locator(".card.current").get_attribute("id") == "card-1"
    assert "done" in page.locator("#card-0").get_attribute("class")


def test_several_at_once_by_keys(page, review):
    press(page, "Shift+ArrowRight", "Shift+ArrowRight", "g")
    on_disk(page, "3 labels changed")
    assert [tags(page, number) for number in range(4)] == [["green"]] * 3 + [[]]
    press(page, "Control+a", "r")
    on_disk(page, f"{UNLABELLED + 3} labels changed")
    press(page, "Backspace")
    on_disk(page, "3 labels changed")


def test_skipped_images_are_not_decided(page, review):
    press(page, "-")
    assert "skipped" in page.locator("#card-0").get_attribute("class")
    assert not review.path.exists()


def test_a_filter_by_name_and_label(page):
    press(page, "/")
    page.keyboard.type("/65")
    press(page, "Enter")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    assert page.locator("#name").inner_text().endswith("65.png")
    page.click("#filter [type=reset]")
    page.wait_for_function(f"() => document.querySelectorAll('.card').length === {UNLABELLED}")


def test_look_alikes_zoom_and_keys_are_a_key_away(page):
    press(page, "*")
    page.wait_for_selector("#neighbours li")
    assert page.locator("#neighbours li").count() == 10
    press(page, "+")
    page.wait_for_function("() => document.querySelector('#zoomed img').naturalWidth > 0")
    press(page, "Escape", "?")
    assert page.locator("#keys").is_visible()
    press(page, "Escape")
    assert page.evaluate("document.activeElement.id") == "grid"


def test_what_cannot_be_written_is_shown_as_it_was(opened, found, tmp_path):
    lost = Review(replace(found, x_ND=found.x_ND.copy()), tmp_path / "nowhere" / "corrections.jsonl")
    with reviewing(lost) as client:
        page = opened(client.url, allowed="507")
        to_label(page)
        press(page, "g")
        page.wait_for_selector("#status.bad")
        assert "cannot be written to" in page.locator("#status").inner_text()
        assert tags(page, 0) == []


def test_the_token_is_asked_for_and_images_come_with_it(opened, review):
    token = "a-token-of-some-length"
    with reviewing(review, token) as client:
        page = opened(client.url, allowed="401")
        page.fill("#token", token)
        page.click("#ask-token button")
        page.wait_for_selector(".card img")
        page.wait_for_function("() => document.querySelector('.card img').naturalWidth > 0")
        page.wait_for_load_state("networkidle")  # or the server ends while the other images are asked for


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(opened, review, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with reviewing(review) as client:
        page = opened(client.url, width, color_scheme=scheme)
        to_label(page)
        press(page, "g", "*")
        page.wait_for_selector("#neighbours li")
        views = [axe.run(page)]
        press(page, "?")
        views.append(axe.run(page))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for view in views:
        assert view.response["violations"] == [], view.generate_report()


def test_keys_that_are_faster_than_the_server_are_not_lost(page, review, monkeypatch):
    """The answer about the first key comes after the second key was pressed."""
    decide = review.decide

    def slowly(*given):
        time.sleep(0.3)
        decide(*given)

    monkeypatch.setattr(review, "decide", slowly)
    press(page, "g")
    page.wait_for_timeout(150)
    press(page, "r")
    page.wait_for_timeout(300)
    press(page, "Enter")
    on_disk(page, "2 labels changed")
    page.wait_for_function("() => document.getElementById('progress').textContent.startsWith('1 of')")
    assert tags(page, 0) == ["green", "red"]
    assert {to for *_, to, _ in decided(review)} == {1}


class Command:
    """`tagfit review` in a process of its own."""

    def __init__(self, photos, corrections):
        options = ["--blank-is", "unlabelled", "--size", "8", "--port", "0", "-o", str(corrections)]
        command = [sys.executable, "-m", "tagfit", "review", str(photos), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if address := re.search(r"http://\S+", line):
                self.url = address[0]
                break
        self.said = "".join(lines)

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stderr.close()


def test_thirty_images_by_keys_alone_with_a_kill_in_between_lose_nothing(opened, photos, tmp_path, monkeypatch):
    """As they are red, green, both or none: images 40 to 69, whose names tell which."""
    corrections = tmp_path / "corrections.jsonl"
    for finished in (12, UNLABELLED):
        command = Command(photos, corrections)
        assert "no run is named, so that small networks are trained" in command.said
        page = opened(command.url, allowed="ERR_CONNECTION")
        to_label(page)
        begun = int(page.locator("#progress").inner_text().split()[0])
        assert begun == (0 if finished == 12 else 12)
        for done in range(begun, finished):
            number = int(re.search(r"(\d+)\.png", page.locator("#name").inner_text())[1])
            press(page, *(["r"] if number % 2 else []), *(["g"] if number // 2 % 2 else []), "Enter")
            page.wait_for_function(f"() => document.getElementById('progress').textContent.startsWith('{done + 1} of')")
        command.end(signal.SIGKILL)
    monkeypatch.chdir(tmp_path)
    words = ["labels", str(photos), "--blank-is", "unlabelled", "--apply", str(corrections), "-o", "labels.csv"]
    written = CliRunner().invoke(main, words)
    assert written.exit_code == 0, written.stderr
    truth = image_folder(tmp_path / "truth", samples=40 + UNLABELLED)
    locks = {
        load(tmp_path / "labels.csv", images=photos, size=8).lock,
        load(photos, blank_is="unlabelled", corrections=corrections, size=8).lock,
        load(truth, size=8).lock,
    }
    assert len(locks) == 1
