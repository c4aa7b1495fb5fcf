import numpy as np
import pytest

from making import scenes
from tagfit.images.registration import blurred, moved, registered

STILL = np.tile(np.array([1, 0, 1, 0], dtype=np.float32), (8, 1))


@pytest.mark.parametrize("move", [(1, 0.05, 1, -0.04), (0.94, 0, 0.94, 0), (1.05, 0.02, 0.97, 0.03)])
def test_a_move_is_found_again(move):
    images = blurred(blurred(scenes(8, size=32).astype(np.float32)))
    asked = np.tile(np.array(move, dtype=np.float32), (8, 1))
    target, _ = moved(images, asked)
    found = registered(0.8 * target + 20, images, STILL, rounds=12)
    assert np.abs(found - asked).max() < 0.02


def test_no_move_changes_nothing_and_covers_all():
    images = scenes(8, size=32).astype(np.float32)
    laid, covered = moved(images, STILL)
    assert np.allclose(laid, images, atol=1e-2)
    assert covered.all()


def test_what_is_moved_out_of_the_image_is_not_covered():
    aside = np.tile(np.array([1, 0.125, 1, 0], dtype=np.float32), (8, 1))
    _, covered = moved(scenes(8, size=32).astype(np.float32), aside)
    assert covered.mean(axis=(1, 2)) == pytest.approx(28 / 32)


def test_a_gradient_stays_what_it_is():
    gradient = np.broadcast_to(np.arange(32, dtype=np.float32)[None, :, None, None], (1, 32, 32, 3))
    assert np.allclose(blurred(gradient), gradient, atol=1e-4)


def test_flat_images_do_not_break_it():
    flat = np.zeros((8, 32, 32, 3), dtype=np.float32)
    assert np.isfinite(registered(flat, flat + 9, STILL, rounds=3)).all()
