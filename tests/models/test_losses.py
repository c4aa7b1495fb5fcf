import numpy as np
import pytest
import torch

from tagfit.models.losses import LOSSES, Counts, loss_for
from tagfit.recipes import RARE_LOSSES, SINGLE_POSITIVE_LOSSES

#: cells that are yes and that are known, of each of four labels among 50 rows of train
COUNTS = Counts(torch.tensor([2.0, 10.0, 30.0, 1.0]), torch.tensor([50.0, 40.0, 50.0, 20.0]))
YES_L, KNOWN_L = COUNTS.yes_L.numpy(), COUNTS.known_L.numpy()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def bce(z, y, yes=1.0, no=1.0):
    return -(yes * y * np.log(sigmoid(z)) + no * (1 - y) * np.log(1 - sigmoid(z)))


def weighted(z, y):
    """King & Zeng (2001), or scikit-learn's `balanced`: n / (2 n_yes) and n / (2 n_no)."""
    return bce(z, y, KNOWN_L / (2 * YES_L), KNOWN_L / (2 * (KNOWN_L - YES_L)))


def focal(z, y):
    """Lin et al. (2017), equation 4, with gamma = 2: -(1 - p_t)^gamma log(p_t)."""
    p_t = np.where(y == 1, sigmoid(z), 1 - sigmoid(z))
    return -((1 - p_t) ** 2) * np.log(p_t)


def asymmetric(z, y):
    """Ridnik et al. (2021), equations 5 to 7: gamma+ = 0, gamma- = 4, m = 0.05."""
    p = sigmoid(z)
    p_m = np.maximum(p - 0.05, 0)
    return -y * np.log(p) - (1 - y) * p_m**4 * np.log(1 - p_m)


def distribution_balanced(z, y):
    """Wu et al. (2020), equations 3 to 9: alpha = 0.1, beta = 10, mu = 0.3, kappa = 0.05, lambda = 2."""
    by_label = 1 / YES_L
    with np.errstate(divide="ignore"):
        r = by_label / (y * by_label).sum(axis=1, keepdims=True)
    weight = 0.1 + sigmoid(10 * (r - 0.3))
    prior = -np.log(1 / (YES_L / KNOWN_L) - 1)
    shifted = z + 0.05 * prior
    return weight * (y * np.log(1 + np.exp(-shifted)) + (1 - y) / 2 * np.log(1 + np.exp(2 * shifted)))


def weak_negative(z, y):
    """WAN, Cole et al. (2021), equation 5: gamma = 1 / (L - 1)."""
    return bce(z, y, no=1 / 3)


def entropy(z, y):
    """Zhou et al. (2022), equation 4, with alpha = 0.1: unknown cells maximise their entropy."""
    p = sigmoid(z)
    return -y * np.log(p) + (1 - y) * 0.1 * (p * np.log(p) + (1 - p) * np.log(1 - p))


#: the loss of every cell; of those for single positives, cells that are not yes are unknown
FORMULAS = {
    "bce": bce,
    "weighted": weighted,
    "focal": focal,
    "asymmetric": asymmetric,
    "distribution-balanced": distribution_balanced,
    "weak-negative": weak_negative,
    "entropy": entropy,
    "assume-negative": bce,
}


def slopes_of(formula, z, y):
    """By central differences, of the mean."""
    found, step = np.empty_like(z), 1e-5
    for place in np.ndindex(*z.shape):
        ahead, back = z.copy(), z.copy()
        ahead[place] += step
        back[place] -= step
        found[place] = (formula(ahead, y) - formula(back, y)).mean() / (2 * step)
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_its_papers_formula_and_so_is_its_gradient(name):
    rng = np.random.default_rng(0)
    z, y = rng.normal(scale=2, size=(12, 4)), (rng.random((12, 4)) < 0.4).astype(float)
    y[0] = 0  # a row without a label
    logits = torch.tensor(z, requires_grad=True)
    known = torch.tensor(y) if name in SINGLE_POSITIVE_LOSSES else None
    value = LOSSES[name](COUNTS)(logits, torch.tensor(y), known)
    value.backward()
    assert value.item() == pytest.approx(FORMULAS[name](z, y).mean(), rel=1e-12)
    np.testing.assert_allclose(logits.grad.numpy(), slopes_of(FORMULAS[name], z, y), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_known_to_be_no_costs_what_a_no_costs(name):
    """Also with a loss for single positives: val is labelled fully."""
    z, no = torch.randn(6, 4, dtype=torch.float64), torch.zeros(6, 4, dtype=torch.float64)
    cost = LOSSES[name](COUNTS)(z, no, None).item()
    expected = (bce if name in SINGLE_POSITIVE_LOSSES else FORMULAS[name])(z.numpy(), no.numpy()).mean()
    assert cost == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    def test_all_known_is_the_same_as_no_mask(self, name):
        loss, logits, targets = LOSSES[name](COUNTS), torch.randn(6, 4), (torch.rand(6, 4) > 0.5).float()
        torch.testing.assert_close(loss(logits, targets, torch.ones(6, 4)), loss(logits, targets, None))

    def test_extreme_logits_stay_finite(self, name):
        logits = torch.tensor([[1e4, -1e4, 60.0, -60.0]], requires_grad=True)
        value = LOSSES[name](COUNTS)(logits, torch.tensor([[0.0, 1.0, 0.0, 1.0]]), torch.tensor([[1.0, 1.0, 0.0, 1.0]]))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(logits.grad).all()

    def test_labels_that_no_sample_has_or_that_all_have_stay_finite(self, name):
        targets = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
        loss = loss_for(name, targets, torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))
        assert torch.isfinite(loss(torch.zeros(2, 3), targets, None))


@pytest.mark.parametrize("name", ["bce", *RARE_LOSSES])
class TestLossesThatLeaveUnknownCellsOut:
    def test_unknown_cells_count_for_nothing(self, name):
        loss, logits = LOSSES[name](COUNTS), torch.randn(6, 4)
        targets = (torch.rand(6, 4) > 0.5).float()
        known = (torch.rand(6, 4) > 0.4).float()
        other = torch.where(known == 1, logits, torch.randn(6, 4) * 50)
        torch.testing.assert_close(loss(logits, targets, known), loss(other, targets, known))

    def test_nothing_known_is_zero_not_nan(self, name):
        logits = torch.randn(6, 4, requires_grad=True)
        value = LOSSES[name](COUNTS)(logits, torch.zeros(6, 4), torch.zeros(6, 4))
        value.backward()
        assert value.item() == 0
        assert not logits.grad.any()


def test_weights_are_of_known_cells_and_a_label_each():
    """Not Keras's `class_weight`, which gives every cell of a row the weight of the row's first yes."""
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    known = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    loss = loss_for("weighted", targets, known)
    torch.testing.assert_close(loss.yes_L, torch.tensor([2.0, 0.75], dtype=torch.float64))
    torch.testing.assert_close(loss.no_L, torch.tensor([2 / 3, 1.5], dtype=torch.float64))
