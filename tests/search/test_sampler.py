from dataclasses import replace

import pytest
from optuna.storages.journal import JournalFileBackend

from tagfit.recipes import RECIPES
from tagfit.records.runs import Run
from tagfit.records.scores import METRICS, Scores, Target
from tagfit.search.sampler import WORTHLESS, MedianPruner, Search, worth
from tagfit.search.space import dense_space

SPACE, TARGET = dense_space(0.92), Target("micro_f1", train_below=0.92, val_at_least=0.85)


def run(recipe, val, *, train=0.9, curve=(), state="finished"):
    by_part = {part: Scores(**dict.fromkeys(METRICS, value)) for part, value in (("train", train), ("val", val))}
    history = tuple({"epoch": n, "val_micro_f1": value} for n, value in enumerate(curve, 1))
    return Run(recipe, "0" * 64, by_part, by_part, history, 1, 100, 1.0, state)


def worth_of(recipe):
    """Some smooth function of a recipe, to be searched."""
    return 0.9 - abs(recipe.model.input_dropout - 0.2) - abs(recipe.training.weight_decay - 0.05)


def walk(search, generations, interrupted=()):
    """Tell so many generations; the names and recipes that were asked for."""
    asked_for = []
    for number in range(1, generations + 1):
        asked = search.generation(number)
        asked_for += [one.recipe for one in asked]
        if number not in interrupted:
            search.tell(asked, [run(one.recipe, worth_of(one.recipe)) for one in asked])
    return asked_for


def test_the_same_seed_asks_for_the_same_recipes():
    first, again, other = (walk(Search(SPACE, TARGET, seed), 3) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_it_learns():
    asked = walk(Search(SPACE, TARGET, 0), 8)
    early, late = ([worth_of(recipe) for recipe in part] for part in (asked[:16], asked[-16:]))
    assert sum(late) / 16 > sum(early) / 16 + 0.02


def test_what_was_told_goes_on_from_the_journal(tmp_path):
    whole = walk(Search(SPACE, TARGET, 0), 4)
    walk(Search(SPACE, TARGET, 0, tmp_path / "journal.log"), 2)
    assert walk(Search(SPACE, TARGET, 0, tmp_path / "journal.log"), 4) == whole


def test_a_generation_that_was_asked_for_and_not_told_comes_again(tmp_path):
    whole = walk(Search(SPACE, TARGET, 0), 3)
    interrupted = Search(SPACE, TARGET, 0, tmp_path / "journal.log")
    walk(interrupted, 1)
    pending = interrupted.generation(2)
    again = Search(SPACE, TARGET, 0, tmp_path / "journal.log")
    assert again.generation(2) == pending
    assert walk(again, 3) == whole


def test_interrupted_while_it_asked_it_asks_for_the_same(tmp_path):
    whole = walk(Search(SPACE, TARGET, 0), 2)
    half = Search(SPACE, TARGET, 0, tmp_path / "journal.log")
    half.generation(1, size=3)
    assert walk(Search(SPACE, TARGET, 0, tmp_path / "journal.log"), 2) == whole


def test_the_disk_is_waited_for_twice_a_generation(tmp_path, monkeypatch):
    written = []
    append = JournalFileBackend.append_logs
    monkeypatch.setattr(
        JournalFileBackend, "append_logs", lambda file, logs: written.append(logs) or append(file, logs)
    )
    walk(Search(SPACE, TARGET, 0, tmp_path / "journal.log"), 3)
    assert len(written) == 2 * 3
    assert sum(map(len, written)) == len((tmp_path / "journal.log").read_text().splitlines())


def test_known_recipes_are_learnt_from_once():
    recipe = replace(Search(SPACE, TARGET, 5).generation(1)[0].recipe, name="known")
    search = Search(SPACE, TARGET, 0)
    search.learn([run(recipe, 0.9), run(RECIPES["cnn"], 0.9)])
    search.learn([run(recipe, 0.9)])
    assert len(search._study.trials) == 1


def test_told_twice_counts_once():
    search = Search(SPACE, TARGET, 0)
    asked = search.generation(1)
    runs = [run(one.recipe, 0.5) for one in asked]
    search.tell(asked, runs)
    search.tell(asked, runs)
    assert len(search._study.trials) == len(asked)


def test_every_told_recipe_has_its_lock_and_scores_in_the_journal():
    search = Search(SPACE, TARGET, 0)
    asked = search.generation(1)
    search.tell(asked, [run(one.recipe, 0.5) for one in asked])
    for one in asked:
        facts = search._study.user_attrs[one.recipe.name]
        assert facts["lock"] == "0" * 64
        assert facts["scores"]["val"]["micro_f1"] == 0.5


def test_a_score_on_train_above_its_band_costs():
    recipe = RECIPES["dense-baseline"]
    assert worth(run(recipe, 0.8, train=0.91), TARGET) == pytest.approx(0.8)
    assert worth(run(recipe, 0.8, train=0.97), TARGET) == pytest.approx(0.75)
    assert worth(run(recipe, 0.8, train=0.97), replace(TARGET, train_ranks=False)) == pytest.approx(0.8)
    assert worth(Run(recipe, "0" * 64, {"train": None, "val": None}, state="diverged"), TARGET) == WORTHLESS


class TestLaggards:
    RECIPE = SPACE.recipe("eight epochs", {"training.epochs": 20})

    def rows(self, *values):
        return [{"val_micro_f1": value} for value in values]

    def earlier(self, *at_five, state="finished"):
        return [run(self.RECIPE, 0.5, curve=[0.1] * 4 + [value] * 16, state=state) for value in at_five]

    def test_below_the_median_at_a_rung_it_lags(self):
        pruner = MedianPruner(self.earlier(0.3, 0.5, 0.7), "micro_f1")
        assert pruner.prunes(self.rows(0.1, 0.2, 0.3, 0.4, 0.45), 20)
        assert not pruner.prunes(self.rows(0.1, 0.2, 0.3, 0.4, 0.5), 20)

    def test_between_rungs_nobody_is_looked_at(self):
        pruner = MedianPruner(self.earlier(0.3, 0.5, 0.7), "micro_f1")
        assert not pruner.prunes(self.rows(0.0, 0.0, 0.0), 20)
        assert not pruner.prunes(self.rows(*[0.0] * 7), 20)

    def test_the_best_epoch_so_far_counts(self):
        pruner = MedianPruner(self.earlier(0.3, 0.5, 0.7), "micro_f1")
        assert not pruner.prunes(self.rows(0.1, 0.6, 0.3, 0.2, 0.1), 20)

    def test_what_was_stopped_at_a_rung_does_not_count_at_later_ones(self):
        pruned = [run(self.RECIPE, 0.5, curve=[0.9] * 5, state="pruned")] * 9
        pruner = MedianPruner([*self.earlier(0.3), *pruned], "micro_f1")
        assert not pruner.prunes(self.rows(*[0.31] * 10), 20)

    def test_without_earlier_runs_nobody_lags(self):
        assert not MedianPruner([], "micro_f1").prunes(self.rows(*[0.0] * 5), 20)

    def test_after_the_deadline_everybody_lags(self):
        assert MedianPruner([], "micro_f1", deadline=0.0).prunes(self.rows(0.9), 20)
