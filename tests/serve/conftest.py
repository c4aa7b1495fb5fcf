"""Models that are served, and servers of them."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from making import feature_table, locked, picture_folder
from serving import running
from tagfit.recipes import Recipe, Training
from tagfit.workflow import fit, load

pytest.importorskip("fastapi")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

RECIPE = Recipe(name="short", training=Training(epochs=5, rate=3e-3, patience=0))


@pytest.fixture(scope="session")
def picture_tagger(tmp_path_factory):
    return fit(load(picture_folder(tmp_path_factory.mktemp("pictures")), size=16), recipe=RECIPE).tagger


@pytest.fixture(scope="session")
def feature_tagger():
    return fit(locked(feature_table()), recipe=RECIPE).tagger


class Explaining:
    """A tagger that sees what speaks for a label on the left."""

    def __init__(self, tagger):
        self._tagger = tagger

    def __getattr__(self, name):
        return getattr(self._tagger, name)

    def explain(self, picture, labels):
        assert picture.size == (self.form.size,) * 2
        assert len(labels) == 1
        return SimpleNamespace(heat=np.repeat([[[1.0, 0.5, -1.0]]], 3, axis=1))


@pytest.fixture(scope="session")
def explaining_served(picture_tagger):
    with running(Explaining(picture_tagger)) as client:
        yield client


@pytest.fixture(scope="session")
def pictures_served(picture_tagger):
    with running(picture_tagger) as client:
        yield client


@pytest.fixture(scope="session")
def features_served(feature_tagger):
    with running(feature_tagger) as client:
        yield client


@pytest.fixture(scope="session")
def chromium():
    """Where Chromium is; tests that need it skip, visibly, where there is none."""
    place = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if place is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return place


@pytest.fixture(scope="session")
def browser(chromium):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()
