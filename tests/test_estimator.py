import numpy as np
import pytest
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from making import feature_table
from tagfit import TagClassifier, Tagger, fit, load
from tagfit.bundle.write import write_bundle
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


# ------------------------------------------------------------------------------------------ what people hold


@pytest.fixture(scope="module")
def frames():
    pd = pytest.importorskip("pandas")
    X, y = make_multilabel_classification(n_samples=120, n_features=6, n_classes=3, random_state=0)
    return pd.DataFrame(X, columns=list("fedcba")), pd.DataFrame(y, columns=["sea", "sky", "sun"])


def test_names_of_frames_are_kept(frames, tmp_path):
    X, y = frames
    classifier = TagClassifier(QUICK).fit(X, y)
    assert classifier.tagger_.label_names == ("sea", "sky", "sun")
    assert classifier.tagger_.preprocessing.feature_names == tuple("fedcba")
    expected = classifier.predict_proba(X)
    assert (classifier.tagger_.predict(X[sorted(X)]).scores == expected).all()
    with pytest.raises(ValueError, match="same order"):  # as scikit-learn's own estimators
        classifier.predict(X[sorted(X)])
    write_bundle(tmp_path / "bundle", classifier.tagger_.bundle)
    assert Tagger.load(tmp_path / "bundle", runtime="torch").label_names == ("sea", "sky", "sun")
    plain = TagClassifier(QUICK).fit(X.to_numpy(), y.to_numpy())
    assert plain.tagger_.label_names == ("label_1", "label_2", "label_3")
    assert (plain.predict_proba(X.to_numpy()) == expected).all()


def test_what_yes_is_called(frames):
    X, y = frames
    assert TagClassifier(QUICK).fit(X, y["sea"]).tagger_.label_names == ("sea",)
    assert TagClassifier(QUICK).fit(X, np.where(y["sea"], "wet", "dry")).tagger_.label_names == ("wet",)
    assert TagClassifier(QUICK).fit(X, y[["sea"]].to_numpy()[:, 0]).tagger_.label_names == ("label_1",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda y: y * 255, "got the values 0, 255"),
        (lambda y: y * 256, "got the values 0, 256"),
        (lambda y: y * 2, "got the values 0, 2"),
        (lambda y: y * 2 - 1, "got the values -1, 1"),
        (lambda y: np.where(y == y[0, 0], -1, 1 - y), "values"),
        (lambda y: np.ma.masked_array(y, mask=y > 0), "masked values are unknown"),
    ],
)
def test_labels_are_looked_at_before_they_are_narrowed(change, expected):
    X, y = make_multilabel_classification(n_samples=60, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match=expected) as caught:
        TagClassifier(QUICK).fit(X, change(y))
    assert "--" not in str(caught.value)
    assert "(y > 0).astype(int)" in str(caught.value) or "tagfit.load(X, y)" in str(caught.value)


def test_unknown_labels_are_sent_where_they_can_be_used():
    X, y = make_multilabel_classification(n_samples=60, n_classes=3, random_state=0)
    y = y.astype(int)
    y[:5] = -1
    with pytest.raises(ValueError, match=r"got the values -1, 0, 1"):
        TagClassifier(QUICK).fit(X, y)


def test_sparse_rows_are_what_they_are_elsewhere():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = make_multilabel_classification(n_samples=80, n_classes=3, random_state=0)
    dense, thin = TagClassifier(QUICK).fit(X, y), TagClassifier(QUICK).fit(sparse.csr_matrix(X), sparse.csr_matrix(y))
    assert (dense.predict_proba(X) == thin.predict_proba(sparse.csc_array(X))).all()
    assert (load(sparse.csr_array(X), y).dataset.x == X).all()


def test_masked_features_are_refused():
    X, y = make_multilabel_classification(n_samples=80, n_classes=3, random_state=0)
    fitted = TagClassifier(QUICK).fit(X, y)
    masked = np.ma.masked_array(X, mask=X > 3)
    for call in (lambda: TagClassifier(QUICK).fit(masked, y), lambda: fitted.predict(masked)):
        with pytest.raises(ValueError, match="masked"):
            call()


def test_weights_of_samples_are_refused_with_the_way_to_weigh_labels():
    X, y = make_multilabel_classification(n_samples=80, n_classes=3, random_state=0)
    with pytest.raises(TypeError, match=r"sample_weight.*loss='weighted'"):
        TagClassifier(QUICK).fit(X, y, sample_weight=np.ones(80))
    with pytest.raises(TypeError, match="'weights'"):
        TagClassifier(QUICK).fit(X, y, weights=1)
    TagClassifier(Recipe(name="w", model=QUICK.model, training=Training(epochs=2, loss="weighted"))).fit(X, y)


def test_errors_speak_python():
    X, y = make_multilabel_classification(n_samples=2, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match="group") as caught:
        TagClassifier(QUICK).fit(np.ones_like(X), y)
    assert "--" not in str(caught.value)
