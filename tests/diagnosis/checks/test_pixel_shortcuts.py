"""Shortcuts in the pixels: marks are found where they are put, and images without any are left in peace."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from making import PROVE, feature_table, image_table, locked, looked_at, scenes, tell_power
from tagfit.api import load
from tagfit.data.postcards.album import draw
from tagfit.diagnosis.checks.pixel_shortcuts import pixel_shortcuts
from tagfit.diagnosis.evidence import CannotCheck

REAL = Path(__file__).parents[4] / "shared" / "data"


def bordered(x):
    x = x.copy()
    for side in (np.s_[:, :2], np.s_[:, -2:], np.s_[:, :, :2], np.s_[:, :, -2:]):
        x[side] = (200, 30, 30)
    return x


def watermarked(x):
    """Half-transparent white letters in a corner."""
    size = x.shape[1]
    letters = Image.new("L", (size, size), 0)
    ImageDraw.Draw(letters).text((0.55 * size, 0.82 * size), "(c) ABC", fill=255, font_size=max(8, size // 7))
    share = np.asarray(letters)[..., None] / 255 * 0.5
    return (x * (1 - share) + 255 * share).astype(np.uint8)


MARKS = {"border": bordered, "watermark": watermarked}


def images(mark=None, share=1.0, seed=0, samples=300):
    """Images that have nothing to do with their three labels, but for a mark on so many that have the first."""
    rng = np.random.default_rng(seed)
    labels_NL = (rng.random((samples, 3)) < 0.4).astype(np.int8)
    x = scenes(samples, seed)
    if mark is not None:
        marked = (labels_NL[:, 0] == 1) & (rng.random(samples) < share)
        x[marked] = MARKS[mark](x[marked])
    return looked_at(locked(image_table(x=x, labels_NL=labels_NL, label_names=("a", "b", "c"), **rows(samples))), True)


def rows(samples):
    return {"sample_names": tuple(f"row {number}" for number in range(samples))}


@pytest.mark.parametrize(("mark", "place"), [("border", "the border"), ("watermark", "100% of the height")])
def test_a_mark_is_found_with_its_place_and_its_label(mark, place):
    (finding,) = pixel_shortcuts(images(mark))
    assert finding.names == ("a",)
    assert place in finding.seen
    assert "AUC of a falls from" in finding.seen


@pytest.mark.parametrize(
    ("mark", "share", "least"),
    [("border", 0.3, 0), ("border", 0.5, 0.9), ("watermark", 0.5, 0), ("watermark", 0.75, 0), ("watermark", 1.0, 0.9)],
)
def test_power(mark, share, least):
    draws = 20 if PROVE else 2 if least else 1
    hits = [any(f.names == ("a",) for f in pixel_shortcuts(images(mark, share, seed))) for seed in range(draws)]
    tell_power(mark, "pixel_shortcuts", share, hits)
    assert np.mean(hits) >= least


def test_clean_images_raise_no_alarm():
    draws = 40 if PROVE else 4
    alarms = [bool(pixel_shortcuts(images(seed=seed))) for seed in range(draws)]
    tell_power("clean", "pixel_shortcuts", 0, alarms)
    assert not any(alarms)


def test_postcards_raise_no_alarm():
    x, labels_NL = draw(0, 400)[:2]
    names = tuple(f"label {number}" for number in range(labels_NL.shape[1]))
    data = locked(image_table(x=x, labels_NL=labels_NL, label_names=names, **rows(400)))
    assert pixel_shortcuts(looked_at(data, train=True)) == []


@pytest.mark.skipif(not (PROVE and REAL.is_dir()), reason="make prove, with the real data beside the repository")
@pytest.mark.parametrize("name", ["ucm", "miml"])
def test_real_images_raise_no_alarm_until_they_are_marked(name):
    data = load(REAL / name)
    assert pixel_shortcuts(looked_at(data, train=True)) == []
    labels_NL, rng = data.dataset.labels_NL, np.random.default_rng(0)
    for mark, how in MARKS.items():
        for share in (0.25, 0.5, 1):
            hits = []
            for label in range(labels_NL.shape[1]):
                x = data.dataset.images[:].copy()
                marked = (labels_NL[:, label] == 1) & (rng.random(len(x)) < share)
                x[marked] = how(x[marked])
                found = pixel_shortcuts(looked_at(replace(data, dataset=replace(data.dataset, x=x)), train=True))
                hits.append(any(data.dataset.label_names[label] in finding.names for finding in found))
            tell_power(f"{mark} on {name}", "pixel_shortcuts", share, hits)
            assert share < 1 or np.mean(hits) >= 0.8


def test_it_says_why_it_cannot_run():
    with pytest.raises(CannotCheck, match="no images"):
        pixel_shortcuts(looked_at(locked(feature_table()), train=True))
    with pytest.raises(CannotCheck, match="50 images"):
        pixel_shortcuts(looked_at(locked(image_table(samples=40))))
    with pytest.raises(CannotCheck, match="training"):
        pixel_shortcuts(replace(images("border"), train=None))
