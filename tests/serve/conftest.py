"""Models that are served, and servers of them."""

import pytest

from making import feature_table, locked, picture_folder
from serving import running
from tagfit.api import fit, load
from tagfit.recipes import Recipe, Training

pytest.importorskip("fastapi")

RECIPE = Recipe(name="short", training=Training(epochs=5, rate=3e-3, patience=0))


@pytest.fixture(scope="session")
def picture_tagger(tmp_path_factory):
    return fit(load(picture_folder(tmp_path_factory.mktemp("pictures")), size=16), recipe=RECIPE).tagger


@pytest.fixture(scope="session")
def feature_tagger():
    return fit(locked(feature_table()), recipe=RECIPE).tagger


@pytest.fixture(scope="session")
def pictures_served(picture_tagger):
    with running(picture_tagger) as client:
        yield client


@pytest.fixture(scope="session")
def features_served(feature_tagger):
    with running(feature_tagger) as client:
        yield client
