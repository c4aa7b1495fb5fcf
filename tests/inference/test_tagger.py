import copy
import io
import os
import pickle
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from making import feature_table, image_folder, image_table, locked
from tagfit.api import evaluate, fit, load
from tagfit.bundle.write import write_bundle
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
        images[1].predict(np.full((1, 16, 16, 3), 0.5, dtype=np.float32))
    with pytest.raises(DataError, match="array of numbers"):
        images[1].predict(np.full((1, 16, 16, 3), "white"))
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


# ------------------------------------------------------------------------------------------ what people hold


def test_folders_and_patterns(images):
    folder, tagger = images
    numbers = sorted(range(40), key=lambda number: f"{number}.png")
    of_folder = tagger.predict(folder / "images")
    assert of_folder.samples == tuple(str(folder / "images" / f"{number}.png") for number in numbers)
    by_pattern = tagger.predict([str(folder / "images" / "1?.png"), folder / "images" / "2.png"])
    assert [Path(name).name for name in by_pattern.samples] == [*(f"{number}.png" for number in range(10, 20)), "2.png"]
    row = of_folder.samples.index(by_pattern.samples[0])
    np.testing.assert_allclose(by_pattern.scores[0], of_folder.scores[row], atol=1e-6)


def test_nothing_that_could_be_read_is_an_error(images, features, tmp_path):
    tagger = images[1]
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    for inputs, expected in [
        (tmp_path / "absent.png", "absent.png: .*No such file"),
        ([tmp_path / "broken.jpg"], "broken.jpg: .*known format"),
        (tmp_path / "empty", "no image in it or below it"),
        (str(tmp_path / "*.png"), "matches this pattern"),
    ]:
        with pytest.raises(DataError, match=expected):
            tagger.predict(inputs)
    assert tagger.predict([tmp_path / "broken.jpg", images[0] / "images" / "1.png"]).errors.keys() == {0}


@pytest.mark.parametrize("which", ["images", "features"])
def test_a_copy_gives_the_same(which, request, tmp_path):
    inputs, tagger = request.getfixturevalue(which)
    inputs = inputs if which == "features" else inputs / "images"
    write_bundle(tmp_path / "bundle", tagger.bundle)
    loaded = Tagger.load(tmp_path / "bundle")
    for one in (tagger, loaded):
        expected = one.predict(inputs)
        carried = pickle.loads(pickle.dumps(one))
        for other in (carried, copy.copy(one), copy.deepcopy(one)):
            assert (other.predict(inputs).scores == expected.scores).all()
    content = pickle.dumps(loaded)
    shutil.rmtree(tmp_path / "bundle")
    assert pickle.loads(content).predict(inputs).label_names == tagger.label_names


@pytest.fixture(scope="module")
def named():
    pd = pytest.importorskip("pandas")
    table = feature_table(samples=60)
    frame = pd.DataFrame(table.x, columns=list("hgfedcba"))
    return frame, table.labels_NL, fit(load(frame, table.labels_NL), recipe=RECIPE).tagger


def test_a_frames_columns_in_any_order(named, tmp_path):
    frame, _, tagger = named
    expected = tagger.predict(frame.to_numpy()).scores
    assert tagger.preprocessing.feature_names == tuple("hgfedcba")
    write_bundle(tmp_path / "bundle", tagger.bundle)
    for one in (tagger, Tagger.load(tmp_path / "bundle")):
        assert (one.predict(frame).scores == one.predict(frame.to_numpy()).scores).all()
        np.testing.assert_allclose(one.predict(frame[sorted(frame)]).scores, expected, atol=1e-5)
    with pytest.raises(DataError, match=r"lacks 1 of the 8 features: 'a'") as caught:
        tagger.predict(frame.rename(columns={"a": "A"}))
    assert "1 columns that are not features: 'A'" in str(caught.value)
    assert "to_numpy()" in str(caught.value)


def test_evaluating_a_frame_whose_columns_come_in_another_order(named):
    frame, labels_NL, tagger = named
    data = {"y": labels_NL, "label_names": list(tagger.label_names)}
    expected = evaluate(tagger, {"X": frame, **data})
    found = evaluate(tagger, {"X": frame[sorted(frame)], **data})
    assert found.scores == expected.scores
    assert found.notes == expected.notes  # of samples that it was trained on
    locked = load({"X": frame[sorted(frame)], **data})
    assert evaluate(tagger, locked, compare=tagger).scores == expected.scores
    with pytest.raises(DataError, match="not features: 'z'"):
        evaluate(tagger, {"X": frame.assign(z=1), **data})


def test_predicting_files_of_named_features(named, tmp_path):
    frame, labels_NL, tagger = named
    swapped = frame[sorted(frame)]
    np.savez(tmp_path / "a.npz", X=swapped.to_numpy(), feature_names=np.array(sorted(frame)), y=labels_NL)
    rows = list(predicted_rows(tagger, [tmp_path / "a.npz"]))
    expected = tagger.predict(frame)
    assert [row.labels for row in rows] == [expected.labels(row) for row in range(len(frame))]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there are no devices")
@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_an_array_that_is_a_device_is_refused(features, tmp_path, name):
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match="a pipe or a device"):
        list(predicted_rows(features[1], [tmp_path / name]))


def test_sparse_and_masked_features(features):
    sparse = pytest.importorskip("scipy.sparse")
    x, tagger = features
    assert (tagger.predict(sparse.csr_matrix(x)).scores == tagger.predict(x).scores).all()
    with pytest.raises(DataError, match="NaN"):
        tagger.predict(np.ma.masked_array(x, mask=x > 1))
    with pytest.raises(DataError, match="cannot be converted to an array"):
        tagger.predict([[1.0] * 8, [1.0] * 7])


@pytest.mark.parametrize("most", [1, 255])
def test_images_of_the_range_that_training_took(most, tmp_path):
    table = image_table()
    x = table.x if most == 255 else (table.x / 255).astype(np.float32)
    tagger = fit(load(x, table.labels_NL), recipe=RECIPE).tagger
    assert tagger.preprocessing.pixel_range == most
    expected = tagger.predict(table.x).scores
    fits, other = (table.x / 255, table.x.astype(float))[:: 1 if most == 1 else -1]
    assert (tagger.predict(fits).scores == expected).all()
    with pytest.raises(DataError, match=f"trained on images from 0 to {most}"):
        tagger.predict(other)
    dark = np.zeros((1, 16, 16, 3), np.float32)
    assert (tagger.predict(dark).scores == tagger.predict(dark.astype(np.uint8)).scores).all()
    np.savez(tmp_path / "x.npz", X=fits)
    np.save(tmp_path / "x.npy", fits)
    for name in ("x.npz", "x.npy"):
        rows = list(predicted_rows(tagger, [tmp_path / name]))
        assert rows[1].sample == f"{tmp_path / name}:row 2"
        assert rows[1].scores == dict(zip(tagger.label_names, map(float, expected[1]), strict=True))
    np.savez(tmp_path / "other.npz", X=other)
    with pytest.raises(DataError, match=r"other.npz: this model was trained on|other.npz: the input"):
        list(predicted_rows(tagger, [tmp_path / "other.npz"]))


def test_arrays_that_are_none(features, tmp_path):
    """Their sizes are looked at before memory is taken."""

    def claimed(rows, columns=8, dtype="<f8"):
        header, shape = io.BytesIO(), (rows, columns)
        np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
        return header.getvalue()

    hostile = {
        "huge.npy": claimed(10**12),
        "huger.npy": claimed(10**30),
        "nothing.npy": claimed(10**12, 0),
        "no-bytes.npy": claimed(10**12, 8, "|V0"),
        "truth.npy": claimed(True),
        "tokens.npy": claimed(10).replace(b", }", b"(  "),
        "torn.npy": b"\x93NUMPY\x01\x00v\x00{",
        "nested.npy": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        "torn.npz": b"PK\x03\x04",
        "empty.npy": b"",
    }
    for name, content in hostile.items():
        (tmp_path / name).write_bytes(content)
        if name.endswith(".npy"):
            with zipfile.ZipFile(tmp_path / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("X.npy", content)
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    np.save(tmp_path / "number.npy", np.array(3.0))
    np.savez(tmp_path / "nothing.npz", Z=np.zeros((3, 8)))
    for file in tmp_path.iterdir():
        with pytest.raises(DataError, match=re.escape(file.name)):
            list(predicted_rows(features[1], [file]))
    np.save(tmp_path / "rows.npy", np.zeros((0, 8)))
    assert list(predicted_rows(features[1], [tmp_path / "rows.npy"])) == []
