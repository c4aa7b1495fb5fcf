"""Why it is better: the way from the baseline to what is delivered, and what each change on it brought."""

from dataclasses import replace

import pytest

from making import as_json, cure, feature_table, image_table, locked
from tagfit.recipes import ARCHITECTURES, RECIPES, CnnModel, DenseModel, FineTunedModel, Recipe, Training, field_names
from tagfit.records.scores import Target
from tagfit.report.table import as_text, result_table
from tagfit.search import gains
from tagfit.search.campaign import Campaign

#: too small to fit what the candidates fit
BASELINE = Recipe(name="tiny", model=DenseModel(widths=(1,)), training=Training(epochs=4, patience=0))
FIRST = Recipe(name="first", model=DenseModel(widths=(16,)), training=Training(epochs=20, patience=0, rate=1e-2))
BEST = FIRST.changed(name="best", model={"widths": (64,), "dropout": (0.1,)}, training={"epochs": 40})
LOW = Target("micro_f1", train_below=1.0, val_at_least=0.999, train_ranks=False)


@pytest.fixture(scope="module")
def record():
    return cure(locked(feature_table(samples=600)), (FIRST, BEST), baseline=BASELINE, target=LOW).record


def test_the_gains_lead_from_the_baseline_to_what_is_delivered_and_add_up(record):
    assert record.after.recipe.name in ("first", "best")
    assert record.gains[-1].recipe == record.after.recipe
    whole = record.after.score("val", "micro_f1") - record.before.score("val", "micro_f1")
    assert sum(one.change.value for one in record.gains) == pytest.approx(whole)
    assert whole > 0
    for one in record.gains:
        assert one.change.low <= one.change.value <= one.change.high
        assert one.change.error > 0
        assert one.changed
        assert one.why.endswith(".")


def test_they_are_in_result_json_and_on_screen(record):
    assert len(as_json(record)["gains"]) == len(record.gains)
    text = as_text(result_table(record))
    assert "why it is better" in text
    assert all(one.why[:20] in text for one in record.gains)
    assert max(map(len, text[text.index("why it is better") :].splitlines()[:3])) <= 80


def test_nothing_is_explained_where_nothing_is_better():
    record = cure(locked(feature_table()), (replace(BASELINE, name="same"),), baseline=FIRST, target=LOW).record
    assert record.baseline is None
    assert record.gains == ()


def test_a_cnn_on_images_is_explained_without_further_trainings(monkeypatch):
    """The first CNN that was tried stands between a dense baseline and a later one."""
    ended = []
    small = RECIPES["cnn"].changed(name="cnn", model={"width": 4, "stride": 4}, training={"epochs": 12, "rate": 1e-2})
    later = small.changed(name="mirrored", model={"views": 2})
    data = locked(image_table(samples=160))
    record = cure(
        data, (small, later), baseline=BASELINE, target=LOW, on_event=lambda event: ended.append(type(event).__name__)
    ).record
    assert ended.count("RunEnded") == 3
    if record.after.recipe == later:
        assert [one.recipe.name for one in record.gains] == ["cnn", "mirrored"]
        assert record.gains[1].changed == ("model.views",)
    assert record.gains[0].changed[0] == "model.architecture"
    assert record.gains[0].why.startswith("A CNN looks for")


def test_ingredients_without_time_are_named(monkeypatch):
    """As --minutes would leave them: the clock says that all of it is spent once the finalists are done."""
    monkeypatch.setattr(Campaign, "_spent", property(lambda campaign: campaign._limit))
    record = cure(
        locked(feature_table(samples=300)), (BEST,), baseline=BASELINE, target=LOW, trials=1, minutes=60
    ).record
    assert record.ingredients == ()
    assert any(name.startswith("dropout") for name in record.untried)
    assert "There was no time to leave out" in as_text(result_table(record))


@pytest.mark.parametrize("model", [DenseModel(), CnnModel(), FineTunedModel()], ids=ARCHITECTURES)
def test_every_field_that_a_cure_changes_has_its_sentence(model):
    told = {*gains._REASONS, "training.autocast", "training.augmentation_strength"}
    fields = [f"model.{name}" for name in field_names(model) if not isinstance(model, FineTunedModel)]
    fields += [f"training.{name}" for name in field_names(Training())]
    assert set(fields) <= told
    assert gains.why(["model.architecture"], model)
