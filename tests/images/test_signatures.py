"""An image is known again though its file is another; what is another image is not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from making import scenes
from tagfit.images.signatures import known_again, signatures


def saved_again(x, quality=75, change=lambda image: image):
    found = []
    for pixels in x:
        file = io.BytesIO()
        change(Image.fromarray(pixels)).save(file, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file).convert("RGB").resize(x.shape[2:0:-1])))
    return np.stack(found)


CHANGES = {
    "as JPEG": {},
    "as a poor JPEG": {"quality": 30},
    "smaller": {"change": lambda image: image.resize((40, 40))},
    "mirrored": {"change": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)},
    "brighter": {"change": lambda image: ImageEnhance.Brightness(image).enhance(1.2)},
}


@pytest.mark.parametrize("how", CHANGES)
def test_what_is_saved_again_is_known(how):
    x = scenes(60)
    assert known_again(signatures(saved_again(x, **CHANGES[how])), signatures(x)).mean() >= 0.95


def test_other_images_are_not():
    assert not known_again(signatures(scenes(400, seed=1)), signatures(scenes(2_000))).any()


def test_images_without_details_are_nobodys_copies():
    plain = np.full((3, 64, 64, 3), 200, dtype=np.uint8)
    plain[1] = 30
    plain[2, 32:] = 90
    assert not known_again(signatures(plain), signatures(plain)).any()


def test_nobody_is_known_to_a_bundle_of_none():
    assert not known_again(signatures(scenes(4)), signatures(scenes(4))[:0]).any()
