"""Models that are served, and servers of them."""

import pytest

from making import feature_table, image_folder, locked
from serving import running
from tagfit.api import fit, load
from tagfit.recipes import Recipe, Training

pytest.importorskip("fastapi")

RECIPE = Recipe(name="short", training=Training(epochs=5, rate=3e-3, patience=0))


@pytest.fixture(scope="session")
def image_tagger(tmp_path_factory):
    return fit(load(image_folder(tmp_path_factory.mktemp("images")), size=16), recipe=RECIPE).tagger


@pytest.fixture(scope="session")
def feature_tagger():
    return fit(locked(feature_table()), recipe=RECIPE).tagger


@pytest.fixture(scope="session")
def images_served(image_tagger):
    with running(image_tagger) as client:
        yield client


@pytest.fixture(scope="session")
def features_served(feature_tagger):
    with running(feature_tagger) as client:
        yield client


@pytest.fixture
def opened(browser):
    """Opens a page that must not complain; with `allowed` in what it may say."""
    contexts, complaints = [], []

    def open_page(url, width=1440, allowed="nothing is", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: complaints.append(one.text) if allowed not in one.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
