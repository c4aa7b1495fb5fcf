import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest

from making import PROVE, as_json
from tagfit import api
from tagfit.data import postcards
from tagfit.data.postcards.album import draw
from tagfit.data.postcards.materials import LABELS

#: SHA-256 of the first 64 images of seed 0, and of their labels: the same on every machine and library version
GOLDEN_PIXELS = "cb6bde36c1830a108153204a37befa9861a6ec3b59d7ad04f8ecb6b5d311fae8"
GOLDEN_LABELS = "a69044cd3b7beca1b781fe8dffed58624056e46cbaf7df598396ec894c475944"


@pytest.fixture(scope="module")
def first():
    return draw(0, 1500)


def column(labels_NL, name):
    return labels_NL[:, LABELS.index(name)] == 1


def test_the_same_bytes_everywhere():
    x, labels_NL = draw(0, 64)
    assert hashlib.sha256(x.tobytes()).hexdigest() == GOLDEN_PIXELS
    assert hashlib.sha256(labels_NL.tobytes()).hexdigest() == GOLDEN_LABELS


def test_shapes(first):
    x, labels_NL = first
    assert (x.shape, x.dtype) == ((1500, 64, 64, 3), np.uint8)
    assert (labels_NL.shape, labels_NL.dtype) == ((1500, len(LABELS)), np.int8)
    assert len(LABELS) >= 10
    assert list(LABELS) == sorted(LABELS)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (67, 69), (127, 130), (1000, 1000), (1386, 1387), (1499, 1500)])
def test_any_slice_is_as_in_the_whole(first, start, stop):
    x, labels_NL = draw(start, stop)
    assert (x == first[0][start:stop]).all()
    assert (labels_NL == first[1][start:stop]).all()


def test_a_far_image_needs_none_before_it():
    x, _ = draw(999_990, 1_000_000)
    assert len(x) == 10
    assert (x == draw(999_990, 999_995)[0][:5].tolist() + draw(999_995, 1_000_000)[0].tolist()).all()


def test_every_seed_has_its_own_images(first):
    x, labels_NL = draw(0, 40, seed=1)
    assert (x != first[0][:40]).any(axis=(1, 2, 3)).all()
    assert (labels_NL != first[1][:40]).any()
    assert len({image.tobytes() for image in first[0]}) == 1500


def test_about_three_labels_an_image_and_none_too_rare_or_common(first):
    labels_NL = first[1]
    assert 2.7 < labels_NL.sum(axis=1).mean() < 3.6
    assert labels_NL.sum(axis=1).min() >= 0
    share_L = labels_NL.mean(axis=0)
    assert share_L.min() > 0.06
    assert share_L.max() < 0.5


def test_labels_occur_together_as_one_would_believe(first):
    labels_NL = first[1]
    together = {
        (a, b): (column(labels_NL, a) & column(labels_NL, b)).mean()
        / (column(labels_NL, a).mean() * column(labels_NL, b).mean())
        for a, b in (("beach", "sea"), ("boat", "sea"), ("city", "people"), ("mountain", "snow"), ("beach", "snow"))
    }
    assert min(together[pair] for pair in list(together)[:4]) > 1.3
    assert together["beach", "snow"] < 0.5
    assert not (column(labels_NL, "night") & column(labels_NL, "sunset")).any()
    assert (column(labels_NL, "boat") & ~column(labels_NL, "sea")).mean() < 0.02


def test_night_is_dark_and_snow_is_light(first):
    x, labels_NL = first
    brightness = x.mean(axis=(1, 2, 3))
    night = column(labels_NL, "night")
    assert brightness[night].mean() < 0.6 * brightness[~night].mean()
    snow = column(labels_NL, "snow") & ~night
    assert brightness[snow].mean() > brightness[~snow & ~night].mean()


def test_only_whole_numbers_decide_pixels():
    """No floating point and nobody else's random stream: both differ between machines and versions."""
    for file in Path(postcards.__file__).parent.glob("*.py"):
        if file.name == "stack.py":  # where they are kept, not how they are drawn
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), file
            assert not (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)), file
            assert not (isinstance(node, ast.Attribute) and node.attr in {"random", "sin", "cos", "sqrt", "exp"}), file
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {"random", "math", "PIL"} & set(names), file


@pytest.mark.skipif(not PROVE, reason="trains for half a minute: make prove")
def test_they_are_hard_enough_for_a_dense_network():
    run = as_json(api.fit(api.load("postcards:2400"), recipe="dense-baseline").record)["after"]
    assert run["scores"]["train"]["micro_f1"] >= 0.97
    assert run["scores"]["val"]["micro_f1"] <= 0.75
