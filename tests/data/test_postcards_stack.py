import hashlib

import numpy as np
import pytest

from tagfit.data.postcards import stack as stacking
from tagfit.data.postcards.album import draw
from tagfit.data.postcards.stack import DRAWING, stack
from tagfit.data.sources import postcards
from tagfit.data.sources.postcards import read_postcards


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stacking, "BLOCK", 16)
    return tmp_path / "cache"


@pytest.fixture
def drawn(monkeypatch):
    """Where each drawing began."""
    starts = []

    def watched(start, stop):
        starts.append(start)
        return draw(start, stop)

    monkeypatch.setattr(stacking, "draw", watched)
    return starts


def check(count, told=None):
    x, labels_NL = stack(count, told)
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable
    expected_x, expected_labels_NL = draw(0, count)
    assert (x == expected_x).all()
    assert (labels_NL == expected_labels_NL).all()


@pytest.mark.usefixtures("cache")
def test_they_are_drawn_once(drawn):
    seen = []
    check(40, lambda done, total: seen.append((done, total)))
    assert sorted(drawn) == [0, 16, 32]
    assert seen == [(16, 40), (32, 40), (40, 40)]
    check(40)
    check(17)
    assert len(drawn) == 3
    check(60)
    assert sorted(drawn) == [0, 16, 32, 48]


def test_a_block_without_marks_is_drawn_again(cache, drawn):
    stack(40)
    marks = cache / f"tagfit-postcards-{DRAWING}.labels"
    content = bytearray(marks.read_bytes())
    content[20 * (len(content) // 48)] = 0  # as where the machine stopped in the midst of the second block
    marks.write_bytes(content)
    drawn.clear()
    check(40)
    assert drawn == [16]


@pytest.mark.usefixtures("cache")
def test_a_stop_keeps_what_is_drawn(drawn):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack(16 * 20, stop)
    already = len(drawn)
    drawn.clear()
    check(16 * 20)
    assert 1 <= already < 20
    assert len(drawn) == 20 - already


def test_other_images_are_other_files():
    assert hashlib.sha256(draw(0, 64)[0].tobytes()).hexdigest().startswith(DRAWING)


def test_many_lie_in_a_file_and_few_in_memory(cache, monkeypatch):
    monkeypatch.setattr(postcards, "IN_MEMORY", 20)
    few, many = read_postcards("postcards:20"), read_postcards("postcards:21")
    assert not isinstance(few.x, np.memmap)
    assert isinstance(many.x, np.memmap)
    assert (many.x[:20] == few.x).all()


def test_without_a_cache_they_are_in_memory(cache, monkeypatch):
    monkeypatch.setattr(postcards, "IN_MEMORY", 20)
    cache.write_text("a file in its place")
    table = read_postcards("postcards:30")
    assert "held in memory" in table.notes[0]
    assert (table.x == draw(0, 30)[0]).all()
