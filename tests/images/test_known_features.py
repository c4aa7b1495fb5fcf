import sqlite3

import numpy as np
import pytest

from tagfit.images.known_features import KnownFeatures
from tagfit.io import cache


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / "cache"))


def digests(count):
    return [bytes([number] * 32) for number in range(count)]


def rows(count, width=5):
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def test_what_was_put_comes_back_in_any_order():
    known, x = KnownFeatures("a" * 64, 5), rows(4)
    known.put(digests(4), x)
    known.close()
    again = KnownFeatures("a" * 64, 5)
    assert (again.rows(digests(4)[::-1]) == x[::-1]).all()
    assert digests(4)[2] in again
    assert bytes(32 * [9]) not in again
    again.close()


def test_another_network_knows_nothing_of_it():
    known = KnownFeatures("a" * 64, 5)
    known.put(digests(1), rows(1))
    known.close()
    other = KnownFeatures("b" * 64, 5)
    assert digests(1)[0] not in other
    with pytest.raises(KeyError):
        other.rows(digests(1))
    other.close()


def test_two_at_once_do_each_other_no_harm():
    x = rows(4)
    first, second = KnownFeatures("a" * 64, 5), KnownFeatures("a" * 64, 5)
    first.put(digests(3), x[:3])
    second.put(digests(4)[1:], x[1:])
    first.close()
    second.close()
    third = KnownFeatures("a" * 64, 5)
    assert (third.rows(digests(4)) == x).all()
    third.close()


def test_a_damaged_row_is_not_known():
    known = KnownFeatures("a" * 64, 5)
    known.put(digests(1), rows(1, width=4))
    known.close()
    again = KnownFeatures("a" * 64, 5)
    assert digests(1)[0] not in again
    again.close()


def test_a_row_with_another_bit_than_was_written_is_not_known(tmp_path):
    known = KnownFeatures("a" * 64, 5)
    known.put(digests(2), rows(2))
    known.close()
    with sqlite3.connect(tmp_path / "cache" / f"tagfit-features-{'a' * 32}.sqlite") as changed:
        (row,) = changed.execute("SELECT row FROM features WHERE digest = ?", digests(1)).fetchone()
        flipped = bytes([row[0] ^ 1]) + row[1:]
        changed.execute("UPDATE features SET row = ? WHERE digest = ?", (flipped, digests(1)[0]))
    changed.close()
    again = KnownFeatures("a" * 64, 5)
    assert [digest in again for digest in digests(2)] == [False, True]
    again.close()


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"nonsense" * 1000), lambda file: file.mkdir()])
def test_without_a_cache_all_is_held_in_memory(spoil, tmp_path, caplog):
    folder = tmp_path / "cache"
    folder.mkdir()
    spoil(folder / f"tagfit-features-{'a' * 32}.sqlite")
    known, x = KnownFeatures("a" * 64, 5), rows(3)
    known.put(digests(3), x)
    assert (known.rows(digests(3)) == x).all()
    known.close()
    assert "features are not kept for the next run" in caplog.text


def test_the_cache_counts_and_clears_it():
    known = KnownFeatures("a" * 64, 5)
    known.put(digests(3), rows(3))
    known.close()
    assert cache.usage().bytes > 0
    cache.clear()
    assert cache.usage().files == 0
