import json

import numpy as np
import pytest
from PIL import Image

from tagfit.images import known_copies
from tagfit.images.known_copies import known_near_copies


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def counted(monkeypatch):
    """How often it was looked for."""
    calls, real = [], known_copies.near_copies
    monkeypatch.setattr(known_copies, "near_copies", lambda *data: calls.append(1) or real(*data))
    return calls


def images():
    """Eight images; the last is a softer copy of the first and stands twice."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC)) for image in small]
    copy = (large[0].astype(np.int16) * 19 // 20 + 5).astype(np.uint8)
    x = np.stack([*large, copy, copy])
    hashes = rng.integers(0, 256, (9, 32), dtype=np.uint8)
    hashes[8] = hashes[7]
    return x, hashes


def as_lists(groups):
    return [rows.tolist() for rows in groups]


def test_they_are_looked_for_once_in_whatever_order(cache, counted):
    x, hashes = images()
    assert as_lists(known_near_copies(x, hashes)) == as_lists(known_near_copies(x, hashes)) == [[0, 7, 8]]
    assert as_lists(known_near_copies(x[::-1], hashes[::-1])) == [[0, 1, 8]]
    assert len(counted) == 1


def test_other_images_are_looked_at_anew(cache, counted):
    x, hashes = images()
    known_near_copies(x, hashes)
    known_near_copies(x[:7], hashes[:7])
    assert len(counted) == 2


@pytest.mark.parametrize("written", ["", "[[", "[[0, 99]]", '["ab"]', "[[1]]", "7"])
def test_what_cannot_be_read_is_found_anew(cache, counted, written):
    x, hashes = images()
    known_near_copies(x, hashes)
    (file,) = cache.glob("tagfit-copies-*")
    assert json.loads(file.read_text()) != []
    file.write_text(written)
    assert as_lists(known_near_copies(x, hashes)) == [[0, 7, 8]]
    assert len(counted) == 2


def test_without_a_cache_it_still_works(monkeypatch, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TAGFIT_CACHE", str(blocked))
    assert as_lists(known_near_copies(*images())) == [[0, 7, 8]]
    assert "is not kept for the next run" in caplog.text
