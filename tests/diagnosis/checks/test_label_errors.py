"""Wrong labels: planted ones are ranked first, and right ones are left in peace."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from making import PROVE, feature_table, locked, looked_at, tell_power
from tagfit.api import load
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.diagnosis.checks import label_errors as module
from tagfit.diagnosis.checks.label_errors import label_errors, ranked, unseen
from tagfit.diagnosis.evidence import CannotCheck
from tagfit.records.runs import Finding, Power

UCM = Path(__file__).parents[4] / "shared" / "data" / "ucm"


def with_errors(share, seed=0, samples=800, of=None):
    """Rows of which so many label cells are turned over, of yes or of no alone where asked for; and which cells."""
    table = feature_table(samples=samples, labels=4, seed=seed)
    rng = np.random.default_rng(seed + 1000)
    wrong_NL = rng.random(table.labels_NL.shape) < share
    if of is not None:
        wrong_NL &= table.labels_NL == of
    labels_NL = np.where(wrong_NL, 1 - table.labels_NL, table.labels_NL).astype(np.int8)
    return locked(replace(table, labels_NL=labels_NL)), wrong_NL


def found_in(evidence):
    return [one for one in label_errors(evidence) if isinstance(one, Finding)]


def truly_wrong(finding, data, wrong_NL):
    rows = {name: row for row, name in enumerate(data.dataset.sample_names)}
    cells = [name.split(": ") for name in finding.names]
    return np.mean([wrong_NL[rows[row], data.dataset.label_names.index(label)] for row, label in cells[:20]])


def test_missing_and_false_labels_are_told_apart_and_the_likeliest_are_wrong():
    data, wrong_NL = with_errors(0.1)
    missing, false = sorted(found_in(looked_at(data, train=True)), key=lambda f: "missing" not in f.meaning)
    for finding in (missing, false):
        assert truly_wrong(finding, data, wrong_NL) >= 0.6
        assert finding.strength in finding.interval
    assert "false" in false.meaning


def test_how_far_to_trust_a_list_is_said_with_it():
    """By planting errors of its own: it is near what the list is worth."""
    data, wrong_NL = with_errors(0.05, seed=3)
    rows = {name: row for row, name in enumerate(data.dataset.sample_names)}
    found = found_in(looked_at(data, train=True))
    assert found
    for finding in found:
        stated = re.search(r"of the (\d+) then named, (\d+) are flipped ones, and (\d+) were", finding.seen)
        named, right, before = map(int, stated.groups())
        cells = [name.split(": ") for name in finding.names]
        truly = np.mean([wrong_NL[rows[row], data.dataset.label_names.index(label)] for row, label in cells])
        assert right / named - 0.1 <= truly <= (right + before) / named + 0.1


def test_labels_that_are_only_missing_are_told_as_such():
    data, wrong_NL = with_errors(0.2, of=1)
    (finding,) = found_in(looked_at(data, train=True))
    assert "missing" in finding.meaning
    assert truly_wrong(finding, data, wrong_NL) >= 0.6


@pytest.mark.parametrize(("share", "least"), [(0.02, 0.1), (0.05, 0.9), (0.1, 1.0)])
def test_power(share, least):
    draws = 40 if PROVE else 3
    hits = [bool(found_in(looked_at(with_errors(share, seed)[0], train=True))) for seed in range(draws)]
    tell_power("labels turned over", "label_errors", share, hits)
    assert np.mean(hits) >= (least if PROVE or least > 0.5 else 0)


def test_right_labels_raise_at_most_one_alarm_in_twenty():
    draws = 100 if PROVE else 20
    alarms = [found_in(looked_at(with_errors(0, seed, samples=400)[0], train=True)) for seed in range(draws)]
    tell_power("clean", "label_errors", 0, [bool(found) for found in alarms])
    assert sum(map(bool, alarms)) <= draws / 20


@pytest.mark.parametrize("samples", [200, 300])
def test_where_nothing_is_found_the_power_is_said_and_holds(samples):
    """Beside how often errors in so many cells are truly found, by a network that learnt from them."""
    draws, said, found = 40 if PROVE else 8, [], []
    for seed in range(draws):
        clean = label_errors(looked_at(with_errors(0, seed, samples=samples)[0], train=True))
        said += [one.probability for one in clean if isinstance(one, Power)]
        found.append(bool(found_in(looked_at(with_errors(0.05, seed, samples=samples)[0], train=True))))
    assert len(said) >= draws - 1
    assert abs(np.mean(said) - np.mean(found)) <= (0.15 if PROVE else 0.35)


def test_few_samples_are_said_to_show_nothing():
    (power,) = label_errors(looked_at(with_errors(0, samples=80)[0], train=True))
    assert power.probability == 0
    assert "If 5% of your labels were flipped, this check would find it with probability 0.00" in power.seen


def test_the_ranking_is_cleanlabs_own_for_several_labels():
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class

    rng = np.random.default_rng(0)
    labels_ML = (rng.random((200, 3)) < 0.4).astype(np.int8)
    p_ML = np.clip(np.where(labels_ML == 1, 0.7, 0.3) + rng.normal(0, 0.25, (200, 3)), 0.01, 0.99)
    theirs = find_multilabel_issues_per_class(
        [np.flatnonzero(row).tolist() for row in labels_ML], p_ML, filter_by="low_self_confidence", n_jobs=1
    )
    ours = ranked(labels_ML, p_ML, np.ones(3, dtype=bool))
    assert len(ours) == theirs.sum()
    assert theirs[tuple(ours.T)].all()
    quality = np.where(labels_ML == 1, p_ML, 1 - p_ML)[tuple(ours.T)]
    assert (np.diff(quality) >= 0).all()


@pytest.mark.skipif(not (PROVE and UCM.is_dir()), reason="make prove, with the real data beside the repository")
def test_of_the_hundred_first_of_ucm_most_are_truly_turned_over():
    data = load(UCM)
    wrong_NL = np.random.default_rng(0).random(data.dataset.labels_NL.shape) < 0.05
    dataset = replace(data.dataset, labels_NL=np.where(wrong_NL, 1 - data.dataset.labels_NL, data.dataset.labels_NL))
    turned, rows = looked_at(replace(data, dataset=dataset), train=True), np.arange(len(dataset))
    p_NL = unseen(turned, rows)
    first = ranked(dataset.labels_NL, p_NL, np.ones(p_NL.shape[1], dtype=bool))[:100]
    share = wrong_NL[tuple(first.T)].mean()
    tell_power("hundred first of ucm, by 8 x 8 pixels", "label_errors", 0.05, wrong_NL[tuple(first.T)])
    assert share >= 0.5


def test_unknown_cells_are_never_named():
    data, _ = with_errors(0.1)
    labels_NL = data.dataset.labels_NL.copy()
    labels_NL[::2, 0] = -1
    dataset = replace(data.dataset, labels_NL=labels_NL)
    found = found_in(looked_at(lock(dataset, split(dataset)), train=True))
    named = {name for finding in found for name in finding.names if name.endswith("label_0")}
    assert named
    assert not named & {f"row {row + 1}: label_0" for row in range(0, 800, 2)}


def test_it_says_why_it_cannot_run(monkeypatch):
    data, _ = with_errors(0)
    with pytest.raises(CannotCheck, match="training"):
        label_errors(looked_at(data))
    rare = replace(data.dataset, labels_NL=(np.arange(3200).reshape(800, 4) < 12).astype(np.int8))
    with pytest.raises(CannotCheck, match="10 samples have"):
        label_errors(looked_at(replace(data, dataset=rare), train=True))
    monkeypatch.setattr(module, "has_extra", lambda extra: False)
    with pytest.raises(CannotCheck, match=r"\[diagnosis\]"):
        label_errors(looked_at(data, train=True))
