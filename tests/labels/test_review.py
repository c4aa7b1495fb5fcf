"""Labels are reviewed: what is asked, what is written down, and what stays as it was."""

import json
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest

from making import feature_table, image_table
from tagfit.data.corrections import corrected, read_corrections
from tagfit.data.dataset import build
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.errors import DataError
from tagfit.labels.alike import Alike, differences
from tagfit.labels.gain import MOST, ExpectedGain
from tagfit.labels.keys import label_keys
from tagfit.labels.review import Decision, Filter, Review
from tagfit.labels.rules import broken, exceptions, find_rules
from tagfit.labels.scoring import scored

pytest.importorskip("cleanlab")


def flipped(samples=400, share=0.05, seed=1):
    """Rows of which 5% of the labels are turned over, and which those are."""
    table = feature_table(samples, labels=3)
    turned_NL = np.random.default_rng(seed).random(table.labels_NL.shape) < share
    return build(replace(table, labels_NL=np.where(turned_NL, 1 - table.labels_NL, table.labels_NL))), turned_NL


def half_labelled(samples=120, known=60):
    table = feature_table(samples, labels=3)
    table.labels_NL[known:] = -1
    return build(table)


@pytest.fixture(scope="module")
def half():
    return scored(half_labelled(), None, 0)


@pytest.fixture
def review(half, tmp_path):
    return fresh(half, tmp_path)


def fresh(half, folder, **options):
    x_ND = half.x_ND.copy()
    return Review(replace(half, x_ND=x_ND), folder / "corrections.jsonl", who="me", **options)


def told(review, row):
    return review.cards([row], "all")[0]


def test_turned_labels_are_asked_about_first():
    dataset, turned_NL = flipped()
    found = scored(dataset, None, 0)
    first = found.errors_K2[: turned_NL.sum() // 2]
    assert turned_NL[first[:, 0], first[:, 1]].mean() > 0.6  # at random: 0.05


def test_a_known_label_is_held_against_networks_that_have_not_seen_the_sample():
    """Labels dealt at random are learnt by heart: networks that had seen them would be right more often than half."""
    rng = np.random.default_rng(0)
    table = feature_table(200, features=100)
    dataset = build(replace(table, labels_NL=rng.integers(0, 2, table.labels_NL.shape).astype(np.int8)))
    right = (scored(dataset, None, 0).scores_NL > 0.5) == (dataset.labels_NL == 1)
    assert right.mean() < 0.6


def test_near_copies_are_held_out_together():
    """Each image is there twice, nearly alike, with the same random label."""
    table = image_table(60, side=16)
    noise = np.random.default_rng(0).integers(0, 2, table.x.shape, np.uint8)
    twins = np.clip(table.x.astype(int) + noise, 0, 255).astype(np.uint8)
    labels = np.random.default_rng(1).integers(0, 2, (60, 1)).astype(np.int8)
    both = replace(
        table,
        x=np.concatenate([table.x, twins]),
        label_names=("random",),
        labels_NL=np.concatenate([labels, labels]),
        sample_names=tuple(map(str, range(120))),
    )
    dataset = build(both)
    right = (scored(dataset, None, 0).scores_NL > 0.5) == (dataset.labels_NL == 1)
    assert right.mean() < 0.7


def test_what_is_unknown_is_asked_of_networks_that_know_the_rest(half):
    truth = feature_table(120, labels=3).labels_NL[60:]
    assert ((half.scores_NL[60:] > 0.5) == truth).mean() > 0.7
    assert half.model == "networks on the features, trained for this"


def test_too_few_labels_are_refused():
    with pytest.raises(DataError, match="5 samples with a known label are too few; label 10 first"):
        scored(half_labelled(known=5), None, 0)


def test_unknown_labels_are_suggested_and_stay_unknown_until_somebody_decides(review):
    page = review.page("next", Filter(), 0, 10)
    assert page.total == 60
    assert all(card.labels == "???" and card.decided == "000" for card in page.cards)
    assert all(card.scores[label] >= 50 for card in page.cards for label in card.suggested)
    row = page.cards[0].row
    review.decide("a", [Decision(row, {0: 1, 1: 0})])
    assert told(review, row).labels == "yn?"
    assert not review.path.read_text().count(review.dataset.label_names[2])


def test_a_decision_counts_for_identical_samples(tmp_path):
    table = feature_table(60)
    table.x[1] = table.x[0]
    review = fresh(scored(build(table), None, 0), tmp_path)
    review.decide("a", [Decision(0, {0: None})])
    assert told(review, 1).labels[0] == "?"


def test_decisions_are_read_back_by_the_data_and_by_the_next_review(half, review, tmp_path):
    rows = [card.row for card in review.page("next", Filter(), 0, 3).cards]
    review.decide("a", [Decision(row, {0: 1, 1: 0, 2: 0}) for row in rows])
    again = fresh(half, tmp_path)
    assert [told(again, row).labels for row in rows] == ["ynn"] * 3
    assert again.progress().queues["next"].done == 3
    data = corrected(half_labelled(), read_corrections(review.path))
    assert (data.labels_NL == again.dataset.labels_NL).all()
    fingerprint = lock(data, split(half_labelled())).lock
    assert fingerprint == lock(again.dataset, split(half_labelled())).lock


def test_undo_takes_back_the_last_decisions_of_a_window(half, review, tmp_path):
    review.decide("a", [Decision(70, {0: 1}), Decision(71, {0: 1})])
    review.decide("b", [Decision(72, {0: 1})])
    assert review.undo("a") == ((70, 71), 0)
    assert [told(review, row).labels[0] for row in (70, 71, 72)] == ["?", "?", "y"]
    assert review.undo("a") == ((), 0)
    again = fresh(half, tmp_path)
    assert (again.progress().changed, again.progress().confirmed, again.progress().pictures) == (1, 0, 1)


def test_a_confirmed_label_that_is_taken_back_was_not_looked_at(half, review, tmp_path):
    given = {"y": 1, "n": 0}[told(review, 0).labels[0]]
    review.decide("a", [Decision(0, {0: given})])
    assert review.progress().confirmed == 1
    review.undo("a")
    assert review.progress().confirmed == fresh(half, tmp_path).progress().confirmed == 0
    assert told(review, 0).labels == told(fresh(half, tmp_path), 0).labels


def test_undo_leaves_what_somebody_has_changed_since(review):
    review.decide("a", [Decision(70, {0: 1})])
    review.decide("b", [Decision(70, {0: 0})])
    assert review.undo("a") == ((70,), 1)
    assert told(review, 70).labels[0] == "n"


def test_two_processes_see_each_other(half, review, tmp_path):
    other = fresh(half, tmp_path)
    other.decide("b", [Decision(80, {1: 1})])
    assert review.page("all", Filter(), 80, 1).cards[0].labels[1] == "y"
    review.decide("a", [Decision(80, {1: 0})])
    lines = [json.loads(line) for line in review.path.read_text().splitlines()]
    assert [(line["from"], line["to"]) for line in lines] == [(None, 1), (1, 0)]


def _decide_many(half, folder, first):
    review = fresh(half, folder)
    for row in range(first, first + 20):
        review.decide("w", [Decision(row, {0: 1, 1: 1})])


def test_two_processes_that_write_at_once_lose_nothing(half, tmp_path):
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=_decide_many, args=(half, tmp_path, first)) for first in (60, 80)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(read_corrections(tmp_path / "corrections.jsonl").lines) == 80
    assert fresh(half, tmp_path).progress().pictures == 40


def test_half_a_line_of_a_process_that_was_killed_does_no_harm(half, review, tmp_path):
    review.decide("a", [Decision(70, {0: 1})])
    with review.path.open("a") as stream:
        stream.write('{"when": "2026')
    again = fresh(half, tmp_path)
    assert any("line 2, is set aside" in note for note in again.notes)
    again.decide("a", [Decision(71, {0: 1})])
    assert told(again, 70).labels[0] == told(again, 71).labels[0] == "y"
    assert len(read_corrections(review.path).lines) == 2


def test_what_cannot_be_applied_is_named(half, review, tmp_path):
    review.decide("a", [Decision(70, {0: 1})])
    line = json.loads(review.path.read_text())
    others = [{**line, "label": "no such"}, {**line, "sha256": "00" * 32}]
    with review.path.open("a") as stream:
        stream.writelines(json.dumps(one) + "\n" for one in others)
    notes = " ".join(fresh(half, tmp_path).notes)
    assert "line 2, is set aside: there is no label 'no such'" in notes
    assert "line 3, is set aside: row 71 has changed since" in notes


def test_rows_and_labels_that_are_not_there_are_refused(review):
    for wrong in (Decision(999, {0: 1}), Decision(-1, {0: 1}), Decision(0, {9: 1})):
        with pytest.raises(DataError, match="there are only the"):
            review.decide("a", [Decision(1, {0: 1}), wrong])
    assert not review.path.exists()


def test_filters(review):
    name = review.dataset.label_names[0]
    assert name == "label_0"
    assert [card.name for card in review.page("all", Filter(name="ROW 12"), 0, 9).cards] == ["row 12", "row 120"]
    high = review.page("all", Filter(label=0, low=0.8, order="highest"), 0, 200)
    scores = [card.scores[0] for card in high.cards]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 80
    assert review.page("all", Filter(label=0, said="unknown"), 0, 1).total == 60
    review.decide("a", [Decision(row, {0: 1}) for row in range(10)])
    assert review.page("all", Filter(left=True), 0, 1).total == 110


def test_the_likely_wrong_queue_goes_down_as_labels_are_decided(tmp_path):
    review = fresh(scored(flipped(200)[0], None, 0), tmp_path)
    card = review.page("wrong", Filter(), 0, 1).cards[0]
    assert card.asked
    assert card.suggested[: len(card.asked)] == card.asked
    assert review.dataset.label_names[card.asked[0]] in card.why[0]
    review.decide("a", [Decision(card.row, dict.fromkeys(card.asked, 0))])
    assert review.progress().queues["wrong"].first == 1
    after = review.page("wrong", Filter(), 0, 1).cards[0]
    assert after.done
    assert after.asked == ()


def test_a_pace_is_known_after_a_few_samples(review, monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 6.0))
    monkeypatch.setattr("tagfit.labels.review.time.monotonic", lambda: next(clock))
    assert review.progress().pace is None
    for row in range(70, 76):
        review.decide("a", [Decision(row, {0: 1})])
    assert review.progress().pace == pytest.approx(10)


def test_what_further_labels_bring_is_said_or_that_it_is_not_known():
    gain = ExpectedGain(build(feature_table(120)), 0)
    assert "once your pace is known" in gain.of_minutes(10, None)
    gain.of_minutes(10, 12.0)
    gain._thread.join()
    assert "10 more minutes label 120 new samples" in gain.of_minutes(10, 12.0)
    few = ExpectedGain(half_labelled(known=20), 0)
    few.of_minutes(10, 12.0)
    few._thread.join()
    assert "is not known: train has" in few.of_minutes(10, 12.0)
    many = ExpectedGain(build(feature_table(MOST + 1)), 0)
    assert "it takes too long" in many.of_minutes(10, 12.0)


def test_a_rule_that_the_data_holds_to_is_found_and_its_exceptions_named():
    rng = np.random.default_rng(0)
    sunset = rng.random(1000) < 0.2
    labels_NL = np.stack([sunset, sunset | (rng.random(1000) < 0.3), rng.random(1000) < 0.5], axis=1).astype(np.int8)
    row = int(np.flatnonzero(sunset)[5])
    labels_NL[row, 1] = 0
    (rule,) = find_rules(labels_NL)
    assert (rule.cause, rule.effect, rule.count - rule.held) == (0, 1, 1)
    assert rule.sentence(("sunset", "sky", "x")).startswith("sunset without sky: ")
    assert exceptions((rule,), labels_NL) == [(row, 1)]
    assert broken((rule,), labels_NL[row]) == [rule]
    labels_NL[sunset.nonzero()[0][:3], 1] = 0
    assert find_rules(labels_NL) == ()


def test_what_nearly_all_samples_have_makes_no_rule():
    labels_NL = np.ones((200, 2), np.int8)
    labels_NL[::2, 0] = 0
    assert find_rules(labels_NL) == ()


def test_neighbours_are_the_nearest_and_differences_are_said():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)).astype(np.float32)
    x[:11] = x[0] + rng.normal(scale=0.01, size=(11, 6))
    assert set(Alike(x.copy()).nearest(0)) == set(range(1, 11))
    neighbours = np.array([[1, 0]] * 9 + [[-1, 1]], np.int8)
    said = differences(np.array([0, 0], np.int8), neighbours, ("sky", "sea"))
    assert said == ("9 of 9 that look alike have sky, this one does not.",)
    assert Alike(x[:1].copy()).nearest(0).size == 0


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (("sky", "sea", "sand"), ("s", "e", "a")),
        (("old town", "oak", "oo"), ("o", "a", "b")),
        (("Größe", "森"), ("g", "a")),
    ],
)
def test_keys_are_letters_of_the_names(names, keys):
    assert label_keys(names) == keys


def test_every_key_is_given_once():
    keys = label_keys([f"label {number}" for number in range(40)])
    assert len(set(keys[:36])) == 36
    assert keys[36:] == ("",) * 4


def test_without_cleanlab_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tagfit.labels.scoring.has_extra", lambda extra: False)
    found = scored(build(feature_table(60)), None, 0)
    assert "[diagnosis]" in found.notes[0]
    assert len(found.errors_K2) == 0
