"""Images that are decoded on a cluster are kept as they are here."""

import numpy as np
import pytest
from PIL import Image

import tagfit
from images.test_corpus import ODD
from making import PROVE, image_folder
from tagfit.cluster import loading as images
from tagfit.cluster.connection import connected
from tagfit.errors import TagfitError


@pytest.fixture
def folder(tmp_path):
    """Some ordinary images, and all odd ones, some of which cannot be read."""
    made = image_folder(tmp_path / "images")
    lines = (made / "labels.csv").read_text().splitlines()
    for number, (name, (content, *_)) in enumerate(ODD.items()):
        (made / f"{name}.bin").write_bytes(content)
        lines.append(f"{name}.bin,{('red', 'green')[number % 2]}")
    (made / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (9, 9)).save(made / "twice.png")
    lines += ["broken.png,red", "twice.png,red"]
    (made / "labels.csv").write_text("\n".join(lines) + "\n")
    return made


def test_what_is_loaded_and_kept_is_the_same(cluster, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "AT_ONCE", 16)
    read = []
    loaded = []
    for place, on in (("here", None), ("there", "ray")):
        monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / place))
        loaded.append(tagfit.load(folder, size=16, on=on, on_read=lambda done, total: read.append((done, total))))
    here, there = loaded
    assert here.lock == there.lock
    assert here.dataset.set_aside == there.dataset.set_aside
    assert [name for name, _ in here.dataset.set_aside] == ["broken.png"]
    np.testing.assert_array_equal(here.dataset.x, there.dataset.x)
    assert there.dataset.x.filename  # mapped from the cache
    again = tagfit.load(folder, size=16)  # with nothing left to decode, on no cluster
    np.testing.assert_array_equal(again.dataset.x, here.dataset.x)
    assert read[-1][0] == read[-1][1]


@pytest.mark.skipif(not PROVE, reason="the long form: make prove")
def test_a_node_that_is_lost_costs_time_and_nothing_else(cluster, lose_node, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "AT_ONCE", 8)
    here = tagfit.load(folder, size=16)
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / "there"))
    there = tagfit.load(folder, size=16, on="ray", on_read=lambda done, total: done and lose_node())
    assert not cluster.workers
    assert there.lock == here.lock


def test_another_version_on_a_node_is_said(cluster, folder, monkeypatch):
    monkeypatch.setattr(images, "version", lambda: ("9.9", "3.11"))
    with connected("ray") as ray, pytest.raises(TagfitError, match=r"expected 9\.9 on Python"):
        list(images.decoding(ray)([folder / "twice.png"], tagfit.load(folder).dataset.preprocessing.form, 100))
