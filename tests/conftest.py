"""Fixtures that several rooms share."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# machine code is made once for all tests, whatever cache each of them uses
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).with_name("__pycache__") / "kernels"))

from making import PROVE, feature_table, locked

# a shell that put the tests into the background ignores these, and so would every command that the tests start
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)

settings.register_profile("short", max_examples=100, deadline=None)
settings.register_profile("prove", max_examples=1000, deadline=None)
settings.load_profile("prove" if PROVE else "short")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """The real data sets beside the project; tests that need them skip, visibly, where they are absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real data sets at {SHARED / 'data'}")
    return SHARED / "data"


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory):
    """No test reads or fills the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGFIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def table():
    return feature_table()


@pytest.fixture
def data(table):
    return locked(table)


@pytest.fixture(scope="session")
def backbones():
    """The real backbones beside the project; tests that need them skip, visibly, where they are absent."""
    if not (SHARED / "backbones").is_dir():
        pytest.skip(f"needs the real backbones at {SHARED / 'backbones'}")
    return SHARED / "backbones"


@pytest.fixture(scope="session")
def chromium():
    """Where Chromium is; tests that need it skip, visibly, where it is absent. `make test` installs it where it may."""
    place = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if place is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return place


@pytest.fixture(scope="session")
def browser(chromium):
    """A headless Chromium that asks nobody for anything."""
    sync_api = pytest.importorskip("playwright.sync_api")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()
