"""The card on top tells better from target met, shows test before val, and paints only harm red."""

from dataclasses import replace

import pytest

from tagfit.report.compose import compose
from tagfit.report.page import render
from tagfit.report.summary import summary


@pytest.fixture
def record(records):
    return records.record


@pytest.mark.parametrize(
    ("state", "comparison", "tones"),
    [
        ("cured", "better", ["good", "good"]),
        ("overfit", "better", ["good", "plain"]),
        ("out of reach", "alike", ["plain", "plain"]),
        ("not confirmed", "better", ["good", "plain"]),
        ("cannot tell", "alike", ["plain", "plain"]),
        ("underfit", "worse", ["bad", "plain"]),
        ("fine", None, ["good"]),
    ],
)
def test_better_and_target_met_are_two_things(records, record, state, comparison, tones):
    changed = replace(record, verdict=replace(record.verdict, state=state, comparison=comparison))
    badges = summary(changed).badges
    assert [badge.tone for badge in badges] == tones
    html = render(compose(replace(records, record=changed)))
    assert all(f'<li class="{badge.tone}">{badge.text}</li>' in html for badge in badges)


def test_test_comes_before_val_with_intervals(record):
    found, metric = summary(record), record.target.metric
    assert [one.part for one in found.changes] == ["test", "val"]
    for one in found.changes:
        assert one.before == record.before.score(one.part, metric)
        assert one.after.value == record.after.score(one.part, metric)
        assert one.change == record.difference(one.part, metric)
    train, val = (record.after.score(part, metric) for part in ("train", "val"))
    assert found.gaps[1] == train - val


def test_a_fit_has_intervals_alone(record):
    found = summary(replace(record, before=None, differences={}))
    assert all(one.before is one.change is None and one.after.interval is not None for one in found.changes)
    assert found.gaps[0] is None
