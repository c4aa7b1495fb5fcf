"""Every run that scores a test part spends some of it: how many there were is said."""

import pytest

import tagfit
from making import QUICK, feature_table, locked
from tagfit.runs.ledger import scored, sentences


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_same_command_is_the_same_run(cache):
    assert [scored("a" * 64, {"seed": seed}) for seed in (0, 1, 0, 2)] == [1, 2, 1, 3]
    assert scored("b" * 64, {"seed": 5}) == 1


def test_what_is_damaged_is_begun_anew(cache):
    scored("a" * 64, {"seed": 0})
    (file,) = cache.iterdir()
    for content in ("[", "{}", "[1]"):
        file.write_text(content)
        assert scored("a" * 64, {"seed": 1}) == 1


def test_new_seeds_do_not_spend_test_silently():
    data = locked(feature_table())
    records = [tagfit.fit(data, recipe=QUICK, seed=seed).record for seed in (0, 1, 2, 0)]
    assert [record.test_run for record in records] == [1, 2, 3, 1]
    said = [any("other run" in text for text in record.verdict.sentences) for record in records]
    assert said == [False, True, True, False]
    assert "by 1 other run before" in sentences(2)[0]
    assert "by 2 other runs before" in sentences(3)[0]


def test_without_a_test_part_nothing_is_counted():
    data = tagfit.load(feature_table().x, feature_table().labels_NL, split="80/20")
    assert tagfit.fit(data, recipe=QUICK).record.test_run is None


def test_without_a_cache_every_run_is_the_first(cache):
    cache.write_text("not a folder")
    assert [scored("a" * 64, {"seed": seed}) for seed in (0, 1)] == [1, 1]
