from tagfit.curing.ladder import ladder
from tagfit.recipes import RECIPES


def test_the_ladder_starts_at_the_reference_cure():
    assert ladder()[0] == RECIPES["dense-regularised"]


def test_every_rung_is_another_recipe():
    rungs = ladder()
    assert len({rung.name for rung in rungs}) == len(rungs)
    assert len({(rung.model, rung.training) for rung in rungs}) == len(rungs)
