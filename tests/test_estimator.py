import numpy as np
import pytest
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from making import feature_table
from tagfit import TagClassifier, fit, load
from tagfit.data.split import CARVED
from tagfit.io.typed_json import to_plain
from tagfit.recipes import DenseModel, Recipe, Training

QUICK = Recipe(name="quick", model=DenseModel(widths=(16,)), training=Training(epochs=20, rate=0.01))


@parametrize_with_checks([TagClassifier()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_it_says_what_it_is_for():
    tags = TagClassifier().__sklearn_tags__()
    assert not tags.classifier_tags.multi_class
    assert tags.classifier_tags.multi_label


def test_multi_label_targets():
    X, y = make_multilabel_classification(n_samples=300, n_classes=4, random_state=0)
    classifier = TagClassifier(QUICK).fit(X[:200], y[:200])
    assert classifier.predict_proba(X).shape == (300, 4)
    assert set(np.unique(classifier.predict(X))) == {0, 1}
    assert (classifier.predict(X[200:]) == y[200:]).mean() > 0.7
    assert (classifier.predict(X) == (classifier.predict_proba(X) > 0.5)).all()


def test_binary_targets_of_any_name():
    X, y = make_classification(n_samples=300, random_state=0)
    names = np.array(["cat", "dog"])[y]
    classifier = TagClassifier(QUICK).fit(X[:200], names[:200])
    assert classifier.classes_.tolist() == ["cat", "dog"]
    assert classifier.score(X[200:], names[200:]) > 0.7
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (classifier.predict(X) == np.where(probabilities[:, 1] > 0.5, "dog", "cat")).all()


def test_inside_cross_validation_pipeline_and_grid_search():
    X, y = make_multilabel_classification(n_samples=150, n_classes=3, random_state=0)
    pipeline = make_pipeline(StandardScaler(), TagClassifier(QUICK))
    assert cross_val_score(pipeline, X, y, cv=3, scoring="f1_micro", error_score="raise").min() > 0.5
    wide = Recipe(name="wide", model=DenseModel(widths=(64,)), training=QUICK.training)
    search = GridSearchCV(pipeline, {"tagclassifier__recipe": [QUICK, wide]}, cv=2, scoring="f1_micro")
    search.fit(X, y)
    assert len(search.cv_results_["params"]) == 2
    assert search.best_score_ == max(search.cv_results_["mean_test_score"]) > 0.5


def test_the_random_state_decides():
    table = feature_table()
    same = [TagClassifier(QUICK, random_state=3).fit(table.x, table.labels_NL).predict_proba(table.x) for _ in "ab"]
    other = TagClassifier(QUICK, random_state=4).fit(table.x, table.labels_NL).predict_proba(table.x)
    assert (same[0] == same[1]).all()
    assert (same[0] != other).any()


def test_its_tagger_is_the_one_that_fit_delivers():
    """Calibrated when it is asked for: what is not calibrated is what it predicts."""
    table = feature_table()
    classifier = TagClassifier(QUICK, random_state=3).fit(table.x, table.labels_NL)
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    data = load(table.x, table.labels_NL, split={"train": 1 - CARVED, "val": CARVED}, split_seed=seed)
    delivered = fit(data, recipe=QUICK, seed=seed)
    assert classifier.tagger_ is classifier.tagger_
    assert to_plain(classifier.tagger_.decider) == to_plain(delivered.tagger.decider)
    assert classifier.tagger_.bundle.scores | {"test": None} == delivered.tagger.bundle.scores
    predictions, expected = classifier.tagger_.predict(table.x), delivered.tagger.predict(table.x)
    assert (predictions.probabilities == expected.probabilities).all()
    assert (predictions.decisions == classifier.predict(table.x)).all()
    with pytest.raises(NotFittedError):
        _ = TagClassifier().tagger_


@pytest.mark.parametrize("recipe", ["dense-basline", "nowhere.toml"])
def test_an_unknown_recipe(recipe):
    with pytest.raises(ValueError, match="recipe"):
        TagClassifier(recipe).fit(np.eye(20), np.tile([[0, 1], [1, 0]], (10, 1)))
