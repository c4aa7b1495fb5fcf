import pytest

from tagfit.recipes import SCHEDULES as NAMES
from tagfit.training.optimiser import SCHEDULES


def test_every_name_has_its_formula():
    assert tuple(SCHEDULES) == NAMES


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("constant", {0.0: 1.0, 0.5: 1.0, 0.999: 1.0}),
        ("cosine", {0.0: 1.0, 0.5: 0.5, 1.0: 0.0}),
        ("one-cycle", {0.0: 0.04, 0.125: 0.52, 0.25: 1.0, 0.625: 0.5, 1.0: 0.0}),
    ],
)
def test_the_course_goes_through_known_points(name, points):
    assert {progress: SCHEDULES[name](progress) for progress in points} == pytest.approx(points)
