"""The command on the page does the run again: the run folder takes it for its own."""

import json
import shlex

import pytest
from click.testing import CliRunner

from making import image_folder
from tagfit.cli.main import main
from tagfit.options.data import DataSource
from tagfit.recipes import RECIPES, CnnModel, DenseModel, Recipe, Training
from tagfit.report.command import reproduction
from tagfit.search.plan import Plan

QUICK = Recipe(name="quick", model=DenseModel(widths=(8,)), training=Training(epochs=2, patience=0))

AUGMENTED = Recipe(
    name="augmented",
    model=CnnModel(width=4),
    training=Training(epochs=1, patience=0, augmentation=("mirror",), augmentation_strength=0.5),
)

RUNS = {
    "fit": [
        "fit",
        "--seed",
        "3",
        "--size",
        "16",
        "--strict",
        "--split",
        "60/20/20",
        "--split-seed",
        "4",
        "--groups",
        "none",
    ],
    "fit, augmented": ["fit", "--allow", "augmentation", "--size", "16"],
    "asked": ["cure", "--metric", "macro_f1", "--train-below", "0.99", "--val-at-least", "0.2", "--trials", "1"],
    "folds": ["cure", "--folds", "2", "--decide-for", "recall>=0.5", "--single", "--max-megapixels", "2"],
    "allowed": ["cure", "--allow", "augmentation", "--train-below", "0.92", "--trials", "1", "--refit"],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("it's here") / "photos; rm", samples=40)


@pytest.mark.parametrize("name", RUNS)
def test_the_command_is_taken_for_the_same(name, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = Plan((QUICK,))
    recipe = AUGMENTED if "augmented" in name else QUICK
    (tmp_path / "mine.toml").write_text(recipe.to_toml())
    command, *options = RUNS[name]
    role = "recipe" if command == "fit" else "baseline"
    first = CliRunner().invoke(main, [command, str(images), f"--{role}", "mine.toml", *options, "-o", "run"], obj=plan)
    assert first.exit_code in (0, 3), first.output

    result = json.loads((tmp_path / "run" / "result.json").read_text())
    line, remark = reproduction(
        json.loads((tmp_path / "run" / "run.json").read_text()), DataSource(**result["data"]["source"])
    )
    assert f"{role}.toml" in remark
    (tmp_path / f"{role}.toml").write_text(recipe.to_toml())
    words = shlex.split(line)
    assert words[:3] == ["tagfit", command, str(images)]
    again = CliRunner().invoke(main, [*words[1:], "-o", "run"], obj=plan)
    assert "holds the finished result of this run already" in again.stderr, again.output


def test_a_named_recipe_needs_no_file():
    line, remark = reproduction(
        {"command": "cure", "baseline": RECIPES["dense-baseline"].to_dict(), "trials": 48, "until_met": True},
        DataSource("postcards:300"),
    )
    assert line == "tagfit cure postcards:300 --baseline dense-baseline"
    assert not remark


def test_data_from_memory_has_no_command():
    line, remark = reproduction({"command": "fit"}, None)
    assert not line
    assert "memory" in remark
