"""What is said to speak for a label is where the label is."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from making import tiny_backbone
from tagfit.api import fit, load
from tagfit.cli.main import main
from tagfit.errors import DataError
from tagfit.inference.explain import Explanation, hidden
from tagfit.inference.overlays import with_overlays
from tagfit.inference.rows import predicted_rows
from tagfit.inference.tagger import Tagger
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training

SIZE = 32
RED, GREEN = (230, 20, 20), (20, 230, 20)


def scene(rng, labels):
    """Noise, with a square of each label's colour in a place of its own."""
    pixels = rng.integers(90, 160, size=(SIZE, SIZE, 3), dtype=np.uint8)
    places = {}
    for name, colour, half in (("red", RED, 0), ("green", GREEN, SIZE // 2)):
        if name in labels:
            top, left = rng.integers(0, SIZE - 8), half + rng.integers(0, SIZE // 2 - 8)
            pixels[top : top + 8, left : left + 8] = colour
            places[name] = (slice(top, top + 8), slice(left, left + 8))
    return pixels, places


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    lines = ["image,labels"]
    for number in range(160):
        labels = [name for name, bit in (("red", 1), ("green", 2)) if number & bit]
        Image.fromarray(scene(rng, labels)[0]).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{';'.join(labels) or 'none'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def cnn(scenes):
    training = Training(epochs=25, rate=3e-3, patience=0)
    recipe = Recipe(name="c", model=CnnModel(width=8, views=8, dropout=0.0), training=training)
    return fit(load(scenes, size=SIZE), recipe=recipe).tagger


@pytest.fixture(scope="module")
def dense(scenes):
    recipe = Recipe(name="d", model=DenseModel(widths=(16,)), training=Training(epochs=5, rate=3e-3, patience=0))
    return fit(load(scenes, size=SIZE), recipe=recipe).tagger


def hottest(heat):
    return np.unravel_index(heat.argmax(), heat.shape)


def test_the_hottest_part_of_a_cnns_map_is_the_thing(cnn):
    rng, found = np.random.default_rng(7), []
    for _ in range(12):
        pixels, places = scene(rng, ("red", "green"))
        explanation = cnn.explain(pixels)
        assert explanation.method == "grad-cam"
        assert set(explanation.label_names) == {"red", "green"}
        for name, heat in zip(explanation.label_names, explanation.heat, strict=True):
            row, column = hottest(heat)
            rows, columns = places[name]
            found.append(rows.start - 2 <= row < rows.stop + 2 and columns.start - 2 <= column < columns.stop + 2)
    assert np.mean(found) > 0.8


def test_the_hottest_part_by_occlusion_is_the_thing():
    rng = np.random.default_rng(3)
    pixels, places = scene(rng, ("red",))

    def scores(images):  # how much red there is, and a label that looks at nothing
        red = ((images[..., 0] > 200) & (images[..., 1] < 50)).mean((1, 2))
        return np.stack([0.5 + red, np.full(len(red), 0.3)], 1).astype(np.float32)

    heat = hidden(pixels, [0, 1], scores)
    assert heat.shape == (2, SIZE, SIZE)
    assert heat.dtype == np.float32
    row, column = hottest(heat[0])
    assert places["red"][0].start <= row < places["red"][0].stop
    assert places["red"][1].start <= column < places["red"][1].stop
    assert heat[0][places["red"]].mean() > 10 * abs(heat[0]).mean()
    assert not heat[1].any()


def test_an_image_and_its_mirror_image_are_explained_alike(cnn):
    pixels, _ = scene(np.random.default_rng(5), ("red",))
    heat = cnn.explain(pixels, ["red"]).heat
    for turned, back in (
        (pixels[:, ::-1], lambda heat: heat[:, :, ::-1]),
        (pixels[::-1], lambda heat: heat[:, ::-1]),
        (pixels.transpose(1, 0, 2), lambda heat: heat.transpose(0, 2, 1)),
    ):
        again = cnn.explain(np.ascontiguousarray(turned), ["red"]).heat
        np.testing.assert_allclose(back(again), heat, atol=1e-4 * np.abs(heat).max())


def test_scores_stay_what_they_were(cnn, dense):
    pixels, _ = scene(np.random.default_rng(5), ("red",))
    for tagger in (cnn, dense):
        before = tagger.predict(pixels[None]).scores
        explanation = tagger.explain(pixels, ["green", "red"])
        np.testing.assert_array_equal(
            explanation.scores, before[0, [tagger.label_names.index(n) for n in ("green", "red")]]
        )
        np.testing.assert_array_equal(tagger.predict(pixels[None]).scores, before)


def test_paths_images_and_arrays(scenes, dense):
    file = scenes / "3.png"
    by_path = dense.explain(file)
    assert by_path.method == "occlusion"
    np.testing.assert_array_equal(by_path.heat, dense.explain(np.asarray(Image.open(file))).heat)
    with Image.open(file) as image:
        np.testing.assert_array_equal(by_path.heat, dense.explain(image).heat)
    assert by_path.heat.shape == (len(by_path.label_names), SIZE, SIZE)


def test_without_a_label_the_likeliest_is_explained(dense):
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    prediction = dense.predict(grey[None])
    if not prediction.labels(0):
        likeliest = dense.label_names[int(prediction.scores[0].argmax())]
        assert dense.explain(grey).label_names == (likeliest,)


def test_what_cannot_be_explained(dense, tmp_path):
    with pytest.raises(DataError, match="no label 'rad'"):
        dense.explain(np.zeros((SIZE, SIZE, 3), np.uint8), ["rad"])
    with pytest.raises(DataError, match="No such file"):
        dense.explain(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match=r"\(n, 32, 32, 3\)"):
        dense.explain(np.zeros((9, 9, 3), np.uint8))


def test_an_overlay_is_lightest_where_the_heat_is():
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 2, 5] = 3.0
    explanation = Explanation(np.full((8, 8, 3), 99, np.uint8), ("a",), np.array([0.9], np.float32), heat, "occlusion")
    overlay = np.asarray(explanation.overlay("a").convert("L")).astype(int)
    assert overlay.shape == (256, 256)
    row, column = hottest(overlay)
    assert (row // 32, column // 32) == (2, 5)
    assert explanation.png("a").startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="expected one of a"):
        explanation.overlay("b")


def test_a_frozen_backbone_is_explained_by_occlusion(scenes, tmp_path):
    pytest.importorskip("transformers")
    data = load(scenes, backbone=tiny_backbone(tmp_path / "tiny"))
    recipe = Recipe(name="d", model=DenseModel(widths=()), training=Training(epochs=2, patience=0))
    run = fit(data, recipe=recipe, output=tmp_path / "run").folder
    explanation = Tagger.load(run).explain(scenes / "1.png", ["red"])
    assert explanation.method == "occlusion"
    assert np.ptp(explanation.heat) > 0


def test_on_the_command_line_names_never_leave_the_folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    names = ("../../up", "a/b", "x" * 300, "\u202e.exe")
    rng, lines = np.random.default_rng(0), ["image\tlabels"]
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(data / f"{number}.png")
        lines.append(f"{number}.png\t{';'.join(n for bit, n in enumerate(names) if (number >> bit) & 1)}")
    (data / "labels.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = Recipe(name="d", model=DenseModel(widths=()), training=Training(epochs=2, patience=0))
    fit(load(data, size=8), recipe=recipe, output=tmp_path / "run")
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.png").write_bytes((data / "0.png").read_bytes())  # another image of the same name
    (other / "1.png").write_bytes(b"no image")
    paths = [str(data / "0.png"), str(other)]
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    arguments = ["predict", str(tmp_path / "run"), *paths, "--explain", str(tmp_path / "maps"), "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    made = {file for file in tmp_path.rglob("*") if file.is_file()} - before.keys()
    assert {file.parent for file in made} == {tmp_path / "maps"}
    assert {file.name[:6] for file in made} == {"000001", "000002"}
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "is not empty" in again.output
    within = CliRunner().invoke(main, [*arguments[:-2], str(other / "maps"), "-o", str(tmp_path / "out.csv")])
    assert within.exit_code == 2
    assert f"is in {other}, from which images are read" in " ".join(within.output.split())
    assert not (tmp_path / "out.csv").exists()
    assert not (other / "maps").exists()
    assert all(file.read_bytes() == content for file, content in before.items())


def test_an_image_that_goes_away_meanwhile_ends_nothing(dense, scenes):
    def explain(image):
        raise DataError(f"{image}: No such file or directory")

    rows, predictions = list(predicted_rows(dense, [scenes / "1.png", scenes / "2.png"], calibrated=False)), []
    assert list(with_overlays(rows, explain, scenes, predictions.append)) == rows
    assert predictions == [f"{row.sample}: No such file or directory." for row in rows]
