"""The recipe as a Keras program: the same network, trained alike; what it cannot express is refused."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import tagfit
from making import QUICK, feature_table, locked
from tagfit.cli.main import main
from tagfit.errors import ExportError, OutputError
from tagfit.inference.export.keras_script import keras_script, write_keras_script
from tagfit.inference.tagger import Tagger
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES, CnnModel, DenseModel, FineTunedModel, Recipe, Training
from tagfit.records.data import Preprocessing

ROWS, IMAGES = Preprocessing("features", (6,)), Preprocessing("images", (16, 16, 3), scale=1 / 255)

#: uses all that a program of a dense network can hold
DENSE = Recipe(
    name="d",
    model=DenseModel(
        widths=(32, 16), batch_norm=True, dropout=(0.2, 0.1), standardise=True, input_noise=0.1, input_dropout=0.1
    ),
    training=Training(epochs=20, clip=1.0, weight_decay=0.01, label_smoothing=0.1, schedule="cosine", rate=5e-3),
)
#: and of a CNN, with both rules of stopping
CNN = Recipe(
    name="c",
    model=CnnModel(width=4, depth=2, stride=4, views=8, stochastic_depth=0.1),
    training=replace(RECIPES["cnn"].training, epochs=2, train_ceiling=0.99, patience=3, rate=1e-3),
)

needs_keras = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs tagfit[keras]")


def run(folder, code, *arguments):
    """What the program prints, on Keras's torch backend."""
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder with data.npz: easy rows, a feature that hardly changes, and every fifth label unknown."""
    folder, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    x[:, 5] = 1e3 + 1e-4 * (np.arange(400) % 2)  # rounding, to standardise which would be to make noise of it
    y = (x[:, :3] > 0).astype(np.int8)
    y[rng.random(y.shape) < 0.2] = -1
    np.savez(folder / "data.npz", x_train=x[:300], y_train=y[:300], x_val=x[300:], y_val=y[300:])
    return folder


@needs_keras
def test_the_program_learns_and_scores_as_ours(rows):
    printed = run(rows, keras_script(DENSE, ROWS), "data.npz", "model.keras")
    theirs = dict(line.split(" micro-F1 ") for line in printed.splitlines() if " micro-F1 " in line)
    ours = tagfit.fit(str(rows / "data.npz"), recipe=DENSE).record.after
    assert float(theirs["val"]) > 0.9
    assert float(theirs["val"]) == pytest.approx(ours.score("val", "micro_f1"), abs=0.04)
    assert (rows / "model.keras").is_file()


#: the networks of programs, and the loss and the score of the last
SHAPES = """
import json, sys
import numpy as np
shapes = []
for program, shape in json.loads(sys.argv[1]):
    module = {"__name__": "program"}
    exec(program, module)
    network = module["build"](shape, 3)
    shapes.append(sorted(list(weight.shape) for weight in network.get_weights()))
true = np.array([[1, 0, -1], [1, -1, -1]], "float32")
predicted = np.array([[0.9, 0.2, 0.3], [0.4, 0.9, 0.1]], "float32")
print(json.dumps({
    "shapes": shapes,
    "loss": float(module["loss"](module["ops"].convert_to_tensor(true), module["ops"].convert_to_tensor(predicted))),
    "micro_f1": float(module["micro_f1"](true, predicted)),
}))
"""


@needs_keras
def test_the_networks_are_ours_and_unknown_labels_count_for_nothing(tmp_path):
    several = [
        (recipe.changed(training={"label_smoothing": 0.0}), taken) for recipe, taken in ((DENSE, ROWS), (CNN, IMAGES))
    ]
    programs = json.dumps([(keras_script(recipe, taken), taken.shape) for recipe, taken in several])
    found = json.loads(run(tmp_path, SHAPES, programs))
    for (recipe, taken), theirs in zip(several, found["shapes"], strict=True):
        weights = build_network(recipe, taken.shape, 3).state_dict()
        ours = [list(weight.shape) for name, weight in weights.items() if "standardise" not in name]
        assert theirs == sorted([*shape[2:], *shape[1::-1]] for shape in ours)
    assert found["loss"] == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean(), abs=1e-6)
    assert found["micro_f1"] == pytest.approx(2 / 3)  # two labels are yes, one of them is found, nothing else is given


@needs_keras
def test_a_cnn_is_trained_to_its_end(tmp_path):
    rng, small = np.random.default_rng(0), CNN.changed(model={"width": 2, "depth": 1, "views": 2})
    x, y = rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8), rng.integers(0, 2, (24, 3))
    np.savez(tmp_path / "data.npz", x_train=x[:16], y_train=y[:16], x_val=x[16:], y_val=y[16:])
    printed = run(tmp_path, keras_script(small, IMAGES), "data.npz")
    assert printed.splitlines()[-1].startswith("val micro-F1 0.")


@pytest.mark.parametrize(
    "recipe", [DENSE, CNN, *(RECIPES[name] for name in ("dense-baseline", "dense-regularised", "cnn"))]
)
def test_a_program_holds_nothing_that_its_recipe_does_not_use(recipe):
    program = keras_script(recipe, IMAGES)
    compile(program, "train.py", "exec")
    assert ("class OneCycle" in program) == (recipe.training.schedule == "one-cycle")
    assert ("class Averaged" in program) == (recipe.training.averaging > 0)
    assert ("deviation" in program) == recipe.model.standardise
    assert max(map(len, program.splitlines())) <= 120


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        (Recipe(name="f", model=FineTunedModel()), "pretrained backbone"),
        (DENSE.changed(training={"loss": "focal"}), "training.loss = 'focal'"),
        (CNN.changed(training={"augmentation": ("mirror",)}), r"training.augmentation = \('mirror',\)"),
    ],
)
def test_what_it_cannot_express_is_refused_by_name(recipe, named):
    with pytest.raises(ExportError, match=named):
        keras_script(recipe, IMAGES)


def test_the_name_of_a_recipe_is_no_code():
    title = 'the recipe """+str(__import__("os").getpid())+""" \\N{x}'
    program = compile(keras_script(QUICK, Preprocessing("features", (8,)), title), "train.py", "exec")
    assert program.co_consts[0].startswith("the recipe ___")


def test_it_is_written_by_the_command_and_overwrites_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tagfit.fit(locked(feature_table()), recipe=QUICK, output="run")
    done = CliRunner().invoke(main, ["export", "run", "--to", "keras-script", "-o", "train.py"])
    assert done.exit_code == 0, done.output
    assert "recipe 'quick'" in done.output
    assert "python train.py data.npz" in done.output
    compile((tmp_path / "train.py").read_text(encoding="utf-8"), "train.py", "exec")
    for name, fault in (("train.py", "exists already"), ("train.txt", "ends with .py")):
        with pytest.raises(OutputError, match=fault):
            write_keras_script("run", name)


def test_of_an_ensemble_it_says_that_it_trains_one_network(tmp_path):
    table = feature_table()
    folded = tagfit.load(table.x, table.labels_NL, folds=2)
    tagfit.fit(folded, recipe=QUICK, output=tmp_path / "run")
    said = write_keras_script(tmp_path / "run", tmp_path / "train.py")
    count = len(Tagger.load(tmp_path / "run").bundle.members)
    assert said == f"It trains one network of the recipe 'quick'; the bundle holds {count}."
    assert said in (tmp_path / "train.py").read_text(encoding="utf-8")
