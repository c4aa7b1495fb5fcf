import torch
from torch import nn

from tagfit.models.ensemble import Ensemble


class Says(nn.Module):
    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor([logits])

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_it_answers_the_mean_of_the_probabilities():
    members = [Says(2.0, -1.0), Says(0.5, 3.0), Says(-4.0, 0.0)]
    mean = torch.stack([torch.sigmoid(member.logits) for member in members]).mean(0)
    torch.testing.assert_close(torch.sigmoid(Ensemble(members)(torch.zeros(1, 2))), mean)


def test_saturated_members_stay_finite_and_in_order():
    logits = Ensemble([Says(-200.0, -150.0, 200.0), Says(-210.0, -160.0, 210.0)])(torch.zeros(1, 3))
    assert torch.isfinite(logits).all()
    assert logits[0, 0] < logits[0, 1] < logits[0, 2]


def test_one_member_answers_as_it_is():
    torch.testing.assert_close(Ensemble([Says(1.5, -0.5)])(torch.zeros(3, 1)), Says(1.5, -0.5)(torch.zeros(3, 1)))
