"""Labels of which train knows one answer alone get that answer, whatever the rows: nothing tells when not."""

import numpy as np
import pytest

import tagfit
from making import feature_table
from tagfit.metrics import baselines
from tagfit.recipes import DenseModel, Recipe, Training

NEVER, ALWAYS = 3, 4


def data(seed=0, **options):
    """Rows on scales from 0.001 to 100,000, with a label that no row has, and one that all have."""
    table, rng = feature_table(samples=150, seed=seed), np.random.default_rng(seed)
    x = (table.x * 10.0 ** rng.uniform(-3, 5, table.x.shape[1])).astype(np.float32)
    y = np.pad(table.labels_NL, ((0, 0), (0, 2)))
    y[:, ALWAYS] = 1
    return tagfit.load(x, y, **options)


def recipe(epochs=1, batch_norm=False, **training):
    model = DenseModel(widths=(16,), batch_norm=batch_norm)
    return Recipe(name="r", model=model, training=Training(epochs=epochs, **training))


def new_rows(data):
    x = data.dataset.x
    return np.concatenate([x, -x, 30 * x, np.zeros_like(x)])


def demand_one_answer(made, data):
    predicted = made.tagger.predict(new_rows(data))
    assert not predicted.decisions[:, NEVER].any()
    assert predicted.decisions[:, ALWAYS].all()
    assert np.ptp(predicted.scores[:, NEVER]) == np.ptp(predicted.scores[:, ALWAYS]) == 0
    assert predicted.scores[0, NEVER] < 0.01 < 0.99 < predicted.scores[0, ALWAYS]
    assert np.ptp(predicted.scores[:, 0]) > 0.1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_network_of_an_epoch_gives_it(seed, batch_norm):
    """Left to themselves, 20 such networks of 10 seeds all give the label that no row has, the worst to all rows."""
    loaded = data(seed)
    made = tagfit.fit(loaded, recipe=recipe(batch_norm=batch_norm, batch_size=16))
    demand_one_answer(made, loaded)
    assert made.record.after.scores["val"].log_loss is not None


def test_a_loss_that_shifts_probabilities_changes_nothing():
    loaded = data()
    demand_one_answer(tagfit.fit(loaded, recipe=recipe(3, loss="focal", patience=0)), loaded)


def test_each_fold_and_their_mean_give_it():
    loaded = data(folds=3)
    demand_one_answer(tagfit.fit(loaded, recipe=recipe(2)), loaded)


def test_so_does_a_network_trained_again_on_all_samples():
    loaded = data()
    made = tagfit.cure(loaded, baseline=recipe(2), trials=1, refit=True)
    predicted = made.tagger.predict(new_rows(loaded))
    assert not predicted.decisions[:, NEVER].any()
    assert predicted.decisions[:, ALWAYS].all()


@pytest.mark.parametrize("objective", ["micro_f1", "macro_f1", "recall>=0.9", "subset_accuracy"])
def test_so_does_a_rule_that_was_fitted(objective):
    loaded = data()
    predicted = tagfit.fit(loaded, recipe=recipe(5), decide_for=objective).tagger.predict(new_rows(loaded))
    assert not predicted.decisions[:, NEVER].any()
    assert predicted.decisions[:, ALWAYS].all()


def test_where_only_yes_is_known_labels_are_learnt():
    table = feature_table(samples=150)
    x, y = table.x, table.labels_NL.astype(float)
    only_yes = np.where(y == 1, 1.0, np.nan)
    loaded = tagfit.load({"X_train": x[:100], "y_train": only_yes[:100], "X_val": x[100:], "y_val": y[100:]})
    scores = tagfit.fit(loaded, recipe=recipe(3, loss="assume-negative")).tagger.predict(table.x).scores
    assert np.ptp(scores, axis=0).min() > 0.01


def test_the_logits_are_of_what_is_known():
    labels_NL = np.array([[0, 1, -1, 0], [0, 1, -1, 1], [-1, 1, -1, 0]], dtype=np.int8)
    assert baselines.only_answers(labels_NL) == pytest.approx({0: np.log(0.5 / 2.5), 1: np.log(3.5 / 0.5), 2: 0.0})
