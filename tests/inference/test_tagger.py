import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from making import feature_table, image_folder, locked
from tagfit.api import evaluate, fit, load
from tagfit.errors import DataError
from tagfit.inference.row_files import resume_rows, save_rows
from tagfit.inference.rows import predicted_rows
from tagfit.inference.tagger import PATHS_AT_ONCE, Tagger
from tagfit.recipes import Recipe, Training

RECIPE = Recipe(name="short", training=Training(epochs=30, rate=3e-3, patience=0))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = image_folder(tmp_path_factory.mktemp("images"))
    return folder, fit(load(folder, size=16), recipe=RECIPE).tagger


@pytest.fixture(scope="module")
def features():
    data = locked(feature_table())
    return data.dataset.x, fit(data, recipe=RECIPE).tagger


def test_a_path_a_list_an_image_and_an_array_give_the_same(images):
    folder, tagger = images
    paths = [folder / "images" / f"{number}.png" for number in range(5)]
    by_path = tagger.predict(paths)
    by_image = tagger.predict([Image.open(path) for path in paths])
    by_array = tagger.predict(load(folder, size=16).dataset.x[:5])
    for other in (by_image, by_array):
        np.testing.assert_allclose(other.scores, by_path.scores, atol=1e-6)
    one = tagger.predict(str(paths[3]))
    np.testing.assert_allclose(one.scores, by_path.scores[3:4], atol=1e-6)
    assert by_path.scores.shape == (5, 2)
    assert (by_path.decisions == (by_path.scores > 0.5)).all()


def test_it_tells_red_from_green(images):
    folder, tagger = images
    prediction = tagger.predict([folder / "images" / f"{number}.png" for number in (0, 1, 2, 3)])
    assert [prediction.labels(row) for row in range(4)] == [(), ("red",), ("green",), ("green", "red")]


def test_unreadable_images_keep_their_row_and_say_why(images, tmp_path):
    folder, tagger = images
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    prediction = tagger.predict([folder / "images" / "1.png", broken, tmp_path / "absent.png"])
    assert sorted(prediction.errors) == [1, 2]
    assert "known format" in prediction.errors[1]
    assert "No such file" in prediction.errors[2]
    assert np.isnan(prediction.scores[1]).all()
    assert not prediction.decisions[1].any()
    assert prediction.labels(0) == ("red",)


def test_a_long_stream_keeps_its_order(images):
    folder, tagger = images
    numbers = [number % 4 for number in range(PATHS_AT_ONCE + 9)]
    prediction = tagger.predict([folder / "images" / f"{number}.png" for number in numbers])
    assert len(prediction) == len(numbers)
    first = prediction.scores[:4]
    np.testing.assert_allclose(prediction.scores, first[numbers], atol=1e-6)


def test_feature_rows(features):
    x, tagger = features
    assert tagger.predict(x.astype(np.float64)).scores.shape == (120, 3)
    np.testing.assert_allclose(tagger.predict(x[:7].tolist()).scores, tagger.predict(x[:7]).scores)
    assert tagger.predict(x[:0]).scores.shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.zeros((2, 7)), r"shape \(n, 8\); got \(2, 7\)"),
        (np.zeros(8), r"shape \(n, 8\)"),
        (np.full((2, 8), np.nan), "NaN"),
        (np.full((2, 8), 1e300), "finite in float32"),
        (np.array([["a"] * 8]), "expected numeric features"),
    ],
)
def test_features_that_do_not_fit(features, x, expected):
    with pytest.raises(DataError, match=expected):
        features[1].predict(x)


def test_images_that_do_not_fit(images, features):
    with pytest.raises(DataError, match="uint8"):
        images[1].predict(np.zeros((1, 16, 16, 3), dtype=np.float32))
    with pytest.raises(DataError, match=r"\(n, 16, 16, 3\)"):
        images[1].predict(np.zeros((1, 20, 20, 3), dtype=np.uint8))
    with pytest.raises(DataError, match="trained on features"):
        features[1].predict("photo.jpg")


def test_a_persons_open_image_stays_as_it_is(images, tmp_path):
    Image.new("RGB", (400, 300), (200, 30, 30)).save(tmp_path / "large.jpg")
    image = Image.open(tmp_path / "large.jpg")
    images[1].predict(image)
    assert image.size == (400, 300)


def test_arrays_that_run_backwards(features, images):
    x, tagger = features
    np.testing.assert_allclose(tagger.predict(x[::-1]).scores, tagger.predict(x).scores[::-1], atol=1e-6)
    mirrored = load(images[0], size=16).dataset.x[:2, :, ::-1]
    assert images[1].predict(mirrored).scores.shape == (2, 2)


def test_nothing_gives_nothing(images):
    assert images[1].predict([]).scores.shape == (0, 2)


def test_inputs_are_never_changed(features, images):
    x, tagger = features
    before = x.copy()
    tagger.predict(x)
    assert (x == before).all()
    array = load(images[0], size=16).dataset.x
    before = array.copy()
    images[1].predict(array)
    assert (array == before).all()


def test_loading_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        Tagger.load(tmp_path / "nowhere")


def test_scores_that_are_not_finite_are_an_error_of_their_row(features, tmp_path):
    """Features that float32 holds, and that overflow on their way through the network."""
    x, tagger = features
    x = x[:3].copy()
    x[1] = 3e38
    prediction = tagger.predict(x)
    assert list(prediction.errors) == [1]
    assert "not finite" in prediction.errors[1]
    assert np.isfinite(prediction.scores[[0, 2]]).all()
    assert not prediction.decisions[1].any()
    np.save(tmp_path / "x.npy", x)
    rows = list(predicted_rows(tagger, [tmp_path / "x.npy"]))
    assert [bool(row.error) for row in rows] == [False, True, False]
    assert rows[1].to_dict()["scores"] is None  # and not NaN, which is no JSON
    table = feature_table()
    hostile = np.array(table.x)
    hostile[7] = 3e38
    with pytest.raises(DataError, match="row 8: its scores are not finite"):
        evaluate(tagger, locked(replace(table, x=hostile)).dataset)


def test_a_name_that_is_no_text_is_gone_on_with(images, tmp_path):
    folder, tagger = images
    name = os.fsdecode(b"caf\xe9.png")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, target in enumerate(("1.png", name, "3.png")):
        shutil.copy(folder / "images" / f"{number}.png", photos / target)
    file = tmp_path / "rows.csv"
    save_rows(file, tagger.label_names, predicted_rows(tagger, [photos]))
    whole = file.read_bytes()
    for kept in (2, 3):
        file.write_bytes(b"".join(whole.splitlines(keepends=True)[:kept]))
        resume_rows(file, tagger.label_names, lambda known: predicted_rows(tagger, [photos], known=known))
        assert file.read_bytes() == whole
