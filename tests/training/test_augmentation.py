import pytest
import torch

from tagfit.recipes import AUGMENTATIONS
from tagfit.training.augmentation import CHANGES, MIXES, Augmentation


def generator():
    return torch.Generator().manual_seed(0)


X = torch.rand(200, 12, 12, 3, generator=generator())
TARGETS = (torch.rand(200, 4, generator=generator()) > 0.5).float()


def test_every_name_does_something_and_nothing_else_does():
    assert set(AUGMENTATIONS) == {*CHANGES, *MIXES}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_pictures_are_changed_at_random_and_by_the_generator_alone(name):
    before = X.clone()
    changed, targets, _ = Augmentation((name,), generator())(X, TARGETS, None)
    again, _, _ = Augmentation((name,), generator())(X, TARGETS, None)
    assert torch.equal(X, before), "the data stays what it is"
    assert changed.shape == X.shape
    assert torch.equal(changed, again)
    assert not torch.equal(changed, X)
    assert torch.equal(targets, TARGETS) == (name in CHANGES)


@pytest.mark.parametrize(
    ("name", "undone"),
    [("mirror", lambda x: x.flip(2)), ("flip", lambda x: x.flip(1)), ("turn", lambda x: x.transpose(1, 2))],
)
def test_about_half_are_turned(name, undone):
    changed = CHANGES[name](X, generator())
    untouched, turned = (changed == X).all((1, 2, 3)), (changed == undone(X)).all((1, 2, 3))
    assert (untouched | turned).all()
    assert 70 < int(turned.sum()) < 130


def test_a_crop_is_the_picture_moved():
    row = torch.arange(20.0)
    x = row[None, None, :, None].expand(50, 20, 20, 3)
    shifts = CHANGES["crop"](x, generator())[:, 0, 10, 0] - 10
    assert set(shifts.tolist()) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("name", MIXES)
def test_labels_are_mixed_as_the_pictures_are(name):
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
