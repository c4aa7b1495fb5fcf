import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest
from torch.nn.functional import affine_grid

from tagfit.recipes import AUGMENTATIONS
from tagfit.training.augmentation import CHANGES, MIXES, MOVES, Augmentation, _beta, _grid


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.rand(200, 12, 12, 3, generator=generator())
TARGETS = (torch.rand(200, 4, generator=generator()) > 0.5).float()


def changed_by(*names, x=X, strength=1.0, seed=0):
    return Augmentation(names, torch.Generator().manual_seed(seed), strength)(x, TARGETS[: len(x)], None)


def test_every_name_does_something_and_nothing_else_does():
    assert set(AUGMENTATIONS) == {*MOVES, *CHANGES, *MIXES}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_are_changed_at_random_and_by_the_generator_alone(name):
    before = X.clone()
    changed, targets, _ = changed_by(name)
    again, _, _ = changed_by(name)
    assert torch.equal(X, before), "the data stays what it is"
    assert changed.shape == X.shape
    assert torch.equal(changed, again)
    assert not torch.equal(changed, X)
    assert torch.equal(targets, TARGETS) == (name not in MIXES)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_without_strength_nothing_is_changed(name):
    changed, targets, _ = changed_by(name, strength=0.0)
    assert changed is X
    assert torch.equal(targets, TARGETS)


@pytest.mark.parametrize("name", ["crop", "zoom", "colour"])
def test_the_stronger_the_more_is_changed(name):
    smooth = torch.linspace(0, 1, 30).cos()[None, :, None, None] * torch.linspace(0, 3, 30).sin()[None, None, :, None]
    x = smooth.expand(200, 30, 30, 3)
    far = [float((changed_by(name, x=x, strength=strength)[0] - x).abs().mean()) for strength in (0.3, 0.6, 1.0, 2.0)]
    assert far == sorted(far)
    assert far[-1] > 2 * far[0]


@pytest.mark.parametrize("name", MIXES)
def test_the_stronger_the_more_is_mixed(name):
    def mixed(strength, seed):
        first = float(Augmentation((name,), generator(seed), strength)(X[:2], torch.eye(2), None)[1][0, 0])
        return min(first, 1 - first)

    assert sum(mixed(2.0, seed) for seed in range(100)) > 2 * sum(mixed(0.3, seed) for seed in range(100))


@given(strength=st.floats(1e-12, 2.0), seed=st.integers(0, 2**31))
def test_any_strength_can_be_drawn(strength, seed):
    changed, targets, _ = Augmentation(AUGMENTATIONS, generator(seed), strength)(X[:3], TARGETS[:3], None)
    assert changed.isfinite().all()
    assert ((targets >= 0) & (targets <= 1)).all()


@pytest.mark.parametrize(
    ("name", "undone"),
    [("mirror", lambda x: x.flip(2)), ("flip", lambda x: x.flip(1)), ("turn", lambda x: x.transpose(1, 2))],
)
def test_about_half_are_turned(name, undone):
    changed = changed_by(name)[0]
    untouched, turned = ((changed - one).abs().amax((1, 2, 3)) < 1e-5 for one in (X, undone(X)))
    assert (untouched | turned).all()
    assert 70 < int(turned.sum()) < 130


def test_a_crop_is_the_image_moved():
    row = torch.arange(20.0)
    x = row[None, None, :, None].expand(50, 30, 20, 3)
    shifts = changed_by("crop", x=x)[0][:, 15, 10, 0] - 10
    assert set(shifts.round(decimals=4).tolist()) == {-2, -1, 0, 1, 2}


def test_places_are_those_of_torch():
    places_B23 = torch.rand(3, 2, 3, generator=generator())
    torch.testing.assert_close(_grid(places_B23, 5, 8), affine_grid(places_B23, [3, 3, 5, 8], align_corners=False))


def test_a_share_is_drawn_from_beta():
    drawn = np.array([_beta(random, 0.4) for random in [generator()] for _ in range(2000)])
    assert kstest(drawn, beta(0.4, 0.4).cdf).pvalue > 0.01


@pytest.mark.parametrize("name", MIXES)
def test_labels_are_mixed_as_the_images_are(name):
    x = torch.arange(8.0)[:, None, None, None].expand(8, 10, 10, 3)
    mixed, targets, _ = Augmentation((name,), generator())(x, torch.eye(8), None)
    torch.testing.assert_close(targets.sum(1), torch.ones(8))
    torch.testing.assert_close(mixed.mean((1, 2, 3)), targets @ torch.arange(8.0))


def test_a_cell_is_known_where_it_is_in_both():
    known = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    seen = {
        tuple(
            Augmentation(("mixup",), torch.Generator().manual_seed(seed))(X[:2], TARGETS[:2, :2], known)[2]
            .flatten()
            .tolist()
        )
        for seed in range(9)
    }
    assert seen == {(1.0, 0.0, 1.0, 1.0), (1.0, 0.0, 1.0, 0.0)}
