import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from making import scenes, tell_power
from tagfit.data.lock import hash_rows
from tagfit.data.postcards.album import draw
from tagfit.images import near_copies as duplicates
from tagfit.images.near_copies import near_copies, shrink

SCENES = scenes(80)


def encoded(image, quality=90):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def watermarked(image):
    letters = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(letters).text((6, 24), "SAMPLE", fill=110, font_size=14)
    return Image.composite(Image.new("RGB", (64, 64), "white"), image, letters)


CHANGES = {
    "quality 40": lambda image: encoded(image, 40),
    "half the size": lambda image: encoded(image.resize((32, 32), Image.Resampling.LANCZOS)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.12),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: image.crop((2, 2, 64, 64)),
    "watermarked": watermarked,
    "dated": lambda image: Image.composite(image, Image.new("RGB", (64, 64)), corner()),
}


def corner():
    mask = Image.new("L", (64, 64), 255)
    mask.paste(0, (52, 59, 62, 62))
    return mask


def changed(x, how):
    images = [CHANGES[how](Image.fromarray(pixels)).resize((64, 64), Image.Resampling.BICUBIC) for pixels in x]
    return np.stack([np.asarray(image) for image in images])


def turned(image, degrees=3):
    return image.rotate(degrees, Image.Resampling.BICUBIC).crop((3, 3, 61, 61))


#: what is missed: docs/data.md says so
LIMITS = {"turned by 3 degrees": turned}


def found(x):
    return [tuple(rows.tolist()) for rows in near_copies(x, hash_rows(x))]


@pytest.mark.parametrize("how", LIMITS)
def test_limits_raise_no_false_alarm(how):
    images = [LIMITS[how](Image.fromarray(pixels)).resize((64, 64), Image.Resampling.BICUBIC) for pixels in SCENES[:40]]
    pairs = found(np.concatenate([SCENES, np.stack([np.asarray(image) for image in images])]))
    tell_power(how, "near-copies", 1, [(row, row + 80) in pairs for row in range(40)])
    assert set(pairs) <= {(row, row + 80) for row in range(40)}


@pytest.mark.parametrize("how", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(how):
    x = np.concatenate([SCENES, changed(SCENES[:40], how)])
    pairs = {(row, row + 80) for row in range(40)}
    assert set(found(x)) <= pairs
    assert len(found(x)) >= 35


def test_different_images_are_nobodys_copies():
    assert found(SCENES) == []


def test_postcards_share_backdrops_and_are_no_near_copies():
    assert found(draw(0, 300)[0]) == []


def skies(count):
    """One gradient from the same blue to the same white, each with its own grain."""
    rng = np.random.default_rng(0)
    gradient = np.linspace([90, 140, 220], [235, 240, 250], 64)[None, :, None, :]
    return np.clip(gradient + rng.normal(scale=3, size=(count, 64, 64, 3)), 0, 255).astype(np.uint8)


def test_flat_images_are_not_glued_together():
    assert found(skies(60)) == []
    assert found(np.arange(60, dtype=np.uint8)[:, None, None, None].repeat(64, 1).repeat(64, 2).repeat(3, 3)) == []


def test_a_shared_frame_or_horizon_is_not_enough():
    x = SCENES.copy()
    x[:, :10], x[:, -10:], x[:, :, :10], x[:, :, -10:] = 255, 255, 255, 255
    assert found(x) == []


def test_nothing_is_chained_from_one_image_to_the_next():
    """A slow pan: each image is nearly the next one, the first and the last have nothing in common."""
    wide = scenes(1, seed=3, size=256)[0]
    x = np.stack([wide[:64, 2 * step : 2 * step + 64] for step in range(60)])
    groups = found(x)
    assert groups
    assert max(max(rows) - min(rows) for rows in groups) <= 12


def test_a_large_family_is_one_group():
    rng = np.random.default_rng(0)
    family = np.clip(SCENES[:1] * rng.uniform(0.85, 1, size=(40, 1, 1, 1)), 0, 255).astype(np.uint8)
    assert found(np.concatenate([SCENES[1:30], family])) == [tuple(range(29, 69))]


def test_byte_identical_images_count_as_one():
    x = np.concatenate([SCENES[:10], SCENES[:5], changed(SCENES[:2], "brighter")])
    assert found(x) == [(0, 10, 15), (1, 11, 16)]


def test_the_order_of_rows_does_not_matter():
    x = np.concatenate([SCENES, changed(SCENES[:30], "quality 40"), changed(SCENES[:10], "brighter")])
    order = np.random.default_rng(1).permutation(len(x))
    there = {tuple(sorted(order[list(rows)].tolist())) for rows in found(x[order])}
    assert there == set(found(x))


def test_buckets_find_what_comparing_all_finds(monkeypatch):
    x = np.concatenate([SCENES, changed(SCENES[:40], "brighter")])
    all_compared = found(x)
    monkeypatch.setattr(duplicates, "EXACT", 16)
    assert found(x) == all_compared


@given(st.integers(0, 4), st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
@settings(max_examples=30)
def test_any_shape_and_any_number_of_images(count, height, width, value):
    x = np.full((count, height, width, 3), value, dtype=np.uint8)
    x[: count // 2, : height // 2] = 0
    groups = near_copies(x, np.arange(count * 32, dtype=np.uint8).reshape(count, 32))
    assert {tuple(rows.tolist()) for rows in groups} <= {(0, 1)}  # those of one colour are nobody's copies
    assert np.allclose(shrink(x, 16).mean(axis=(1, 2)), x.mean(axis=(1, 2)), atol=0.01)
