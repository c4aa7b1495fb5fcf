"""What to do next fits what keeps the model from the target, and is never what was just run."""

from dataclasses import replace

import pytest

from making import QUICK, cure, feature_table, locked
from tagfit.options.data import DataSource
from tagfit.records.data import Preprocessing
from tagfit.records.runs import SearchSummary
from tagfit.records.scores import Target
from tagfit.report.table import as_text, result_table
from tagfit.runs.next_steps import MOST_STEPS, next_steps
from tagfit.runs.record import read_record


@pytest.fixture(scope="module")
def record():
    """The record of a cure, as if of small images; one recipe was tried."""
    other, target = replace(QUICK, name="other"), Target(train_ranks=False)
    record = cure(locked(feature_table()), (other,), baseline=QUICK, target=target).record
    return replace(record, data=replace(record.data, preprocessing=Preprocessing("images", (32, 32, 3))))


def changed(record, state="overfit", comparison="better", **data):
    verdict = replace(record.verdict, state=state, comparison=comparison)
    source = DataSource("photos", size=32)
    return replace(record, verdict=verdict, data=replace(record.data, source=source, **data))


def asked(record):
    """The options of the run's own target, as a command has them."""
    target, usual = record.target, Target()
    below = target.train_ranks and target.train_below != usual.train_below
    least = target.val_at_least != usual.val_at_least
    words = [f" --train-below {target.train_below:g}"] if below else []
    return "".join([*words, *([f" --val-at-least {target.val_at_least:g}"] if least else [])])


def commands(record, folder=None):
    steps = next_steps(record, folder)
    assert 1 <= len(steps) <= MOST_STEPS
    assert all(step.reason.endswith(".") for step in steps)
    return [step.command for step in steps]


def test_a_model_that_meets_the_target_is_put_to_use(record, tmp_path):
    found = commands(changed(record, "cured"), tmp_path / "my run")
    assert found[0] == f"tagfit predict '{tmp_path}/my run' new-photos/ -o labels.csv"
    assert found[1] == f"tagfit serve '{tmp_path}/my run'"


def test_feature_rows_are_not_called_photos(record):
    features = changed(record, "cured", preprocessing=Preprocessing("features", (8,)))
    assert commands(features)[0] == "tagfit predict RUN new-rows.npz -o labels.csv"


def test_what_overfits_is_given_a_backbone_or_augmentation(record):
    found = commands(changed(record, "overfit"))
    assert found[0] == f"tagfit cure photos{asked(record)} --backbone FOLDER"
    assert found[1] == f"tagfit cure photos --size 32{asked(record)} --allow augmentation"


def test_augmentation_is_not_advised_to_who_has_it(record):
    training = replace(record.after.recipe.training, augmentation=("mirror",))
    recipe = replace(record.after.recipe, training=training)
    varied = changed(replace(record, after=replace(record.after, recipe=recipe)))
    assert not any(command.endswith("--allow augmentation") for command in commands(varied))


def test_feature_rows_have_neither(record):
    found = commands(changed(record, preprocessing=Preprocessing("features", (8,))))
    assert not any("backbone" in command or "augmentation" in command for command in found)


@pytest.mark.parametrize("state", ["cannot tell", "not confirmed"])
def test_few_samples_are_folded_once(record, state):
    assert commands(changed(record, state, samples=700, folds=None))[0].endswith("--folds 5")
    assert not any("--folds" in command for command in commands(changed(record, state, samples=700, folds=5)))


def test_the_train_band_alone_is_named(record):
    target = replace(record.target, val_at_least=0.0, train_below=0.001, train_ranks=True)
    assert commands(changed(replace(record, target=target), "out of reach"))[0].endswith("--train-below 1")


def test_a_search_is_not_advised_again_in_the_same_words(record):
    plain = changed(replace(record, search=None), preprocessing=Preprocessing("features", (8,)))
    assert f"tagfit cure photos --size 32{asked(record)} --minutes 30" in commands(plain)
    long = replace(plain, search=SearchSummary(generations=2, seconds=3600.0, overhead=0.1))
    assert f"tagfit cure photos --size 32{asked(record)} --minutes 120" in commands(long)


def test_what_is_advised_aims_at_the_same_target(record):
    other = replace(record, target=replace(record.target, metric="macro_f1", val_at_least=0.7), seed=3)
    assert " --metric macro_f1 " in commands(changed(other))[0]
    assert " --val-at-least 0.7 " in commands(changed(other))[0]
    assert " --seed 3 " in commands(changed(other))[0]


def test_the_verdict_and_the_steps_are_last_on_screen(record):
    text = as_text(result_table(changed(record), None))
    last = text[text.index("\nVerdict\n") :]
    assert record.verdict.sentences[0][:40] in last
    assert last.rstrip().splitlines()[-1].strip().startswith("tagfit ")


def test_the_record_keeps_them_for_whoever_reads_result_json(tmp_path):
    result = cure(locked(feature_table()), (), baseline=QUICK, output=tmp_path / "run")
    steps = result.record.next_steps
    assert [one.command.replace("RUN", str(tmp_path / "run")) for one in steps] == [
        one.command for one in result.next_steps
    ]
    assert steps == read_record(tmp_path / "run").next_steps
    assert 1 <= len(steps) <= MOST_STEPS
    assert steps == next_steps(read_record(tmp_path / "run"), None)
