import numpy as np
import pytest
import torch

from tagfit.models.losses import LOSSES


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
class TestEveryLoss:
    def test_unknown_cells_count_for_nothing(self, loss):
        logits = torch.randn(6, 4)
        targets = (torch.rand(6, 4) > 0.5).float()
        known = (torch.rand(6, 4) > 0.4).float()
        other = torch.where(known == 1, logits, torch.randn(6, 4) * 50)
        torch.testing.assert_close(loss(logits, targets, known), loss(other, targets, known))

    def test_all_known_is_the_same_as_no_mask(self, loss):
        logits, targets = torch.randn(6, 4), (torch.rand(6, 4) > 0.5).float()
        torch.testing.assert_close(loss(logits, targets, torch.ones(6, 4)), loss(logits, targets, None))

    def test_nothing_known_is_zero_not_nan(self, loss):
        logits = torch.randn(6, 4, requires_grad=True)
        value = loss(logits, torch.zeros(6, 4), torch.zeros(6, 4))
        value.backward()
        assert value.item() == 0
        assert not logits.grad.any()

    def test_extreme_logits_stay_finite(self, loss):
        logits = torch.tensor([[1e4, -1e4]])
        assert torch.isfinite(loss(logits, torch.tensor([[0.0, 1.0]]), None))


def test_bce_is_its_formula():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(20, 5)), rng.random((20, 5))
    p = 1 / (1 + np.exp(-logits))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    assert LOSSES["bce"](torch.tensor(logits), torch.tensor(targets), None).item() == pytest.approx(expected)
