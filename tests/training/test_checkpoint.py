"""A training that is killed anywhere, and goes on, ends with the same weights to the bit."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from making import PROVE, feature_table, image_folder, image_table, locked
from tagfit.models.registry import build_network
from tagfit.recipes import RECIPES, CnnModel, DenseModel, Recipe, Training
from tagfit.training import checkpoint, loop
from tagfit.training import engine as dense_engine
from tagfit.training import thread_pool as threads
from tagfit.training.batches import LabelledRows
from tagfit.training.events import StepEnded
from tagfit.training.job import PreparedJob

CPU = torch.device("cpu")
DENSE = Recipe(
    name="dense",
    model=DenseModel(widths=(16,), batch_norm=True, dropout=(0.3,), standardise=True),
    training=Training(epochs=5, patience=1, rate=0.05, schedule="cosine", clip=0.5),
)
CNN = Recipe(
    name="cnn",
    model=CnnModel(width=4, stochastic_depth=0.3, views=8),
    training=replace(
        RECIPES["cnn"].training,
        epochs=4,
        batch_size=8,
        augmentation=("mirror", "turn", "crop", "zoom", "colour", "mixup", "cutmix"),
    ),
)


class Killed(BaseException):
    """kill -9, as far as Python can feel it."""


class Memory:
    """A keeper; every step is worth a checkpoint."""

    content = None

    def load(self):
        return self.content

    def save(self, content):
        self.content = content


@pytest.fixture(autouse=True)
def always_due(monkeypatch):
    monkeypatch.setattr(checkpoint.Clock, "due", lambda clock: True)


def data_for(recipe):
    return locked(image_table() if recipe is CNN else feature_table())


def run(recipe, checkpoints=None, die_after=None):
    data = data_for(recipe)
    network = build_network(recipe, data.dataset.preprocessing.shape, len(data.dataset.label_names))
    parts = [LabelledRows.of(data, part, CPU) for part in ("train", "val")]

    def listen(event):
        if event == StepEnded(die_after):
            raise Killed

    trained = loop.train(PreparedJob(network, recipe.training, *parts, 3, checkpoints=checkpoints, on_event=listen))
    return network.state_dict(), trained


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("recipe", [DENSE, CNN], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("steps", range(1, 13) if PROVE else [1, 3, 5])
def test_after_a_kill_the_weights_are_the_same_to_the_bit(recipe, steps):
    expected, whole = run(recipe)
    checkpoints = Memory()
    with pytest.raises(Killed):
        run(recipe, checkpoints, die_after=steps)
    weights, trained = run(recipe, checkpoints)
    assert same(weights, expected)
    assert [row["train_loss"] for row in trained.history] == [row["train_loss"] for row in whole.history]
    assert trained.delivered_epoch == whole.delivered_epoch


def test_inputs_are_standardised_alike_in_every_thread(monkeypatch):
    monkeypatch.setattr(threads, "MOST", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    weights, _ = run(CNN)
    rows = LabelledRows.of(data_for(CNN), "train", CPU)
    colours = rows.take(torch.arange(len(rows)))[0].reshape(-1, 3)
    torch.testing.assert_close(weights["standardise.mean"], colours.mean(0))
    torch.testing.assert_close(weights["standardise.deviation"], colours.std(0, correction=0))


def test_killed_over_and_over_it_still_arrives():
    expected, _ = run(CNN)
    checkpoints, steps = Memory(), 0
    for steps in (2, 3, 4, 6):
        with pytest.raises(Killed):
            run(CNN, checkpoints, die_after=steps)
    assert same(run(CNN, checkpoints)[0], expected)


def test_what_is_packed_comes_back_to_the_bit():
    tensors = {"a/b": torch.tensor([float("nan"), -0.0, 1e-45]), "c": torch.arange(6, dtype=torch.uint8).view(2, 3).T}
    facts = {"loss": 0.1 + 0.2, "none": None, "infinite": float("inf")}
    back, predictions = checkpoint.unpack(checkpoint.pack(tensors, facts))
    assert predictions == facts
    assert all(np.array_equal(back[name].numpy(), tensors[name].numpy(), equal_nan=True) for name in tensors)
    assert torch.signbit(back["a/b"][1])


@pytest.mark.parametrize("content", [b"", b"nonsense" * 9])
def test_what_is_no_checkpoint_is_said_and_training_begins_anew(content):
    with pytest.raises(ValueError, match="not a checkpoint"):
        checkpoint.unpack(content)
    checkpoints = Memory()
    checkpoints.save(content)
    assert same(run(DENSE, checkpoints)[0], run(DENSE)[0])


def test_a_checkpoint_of_another_number_of_threads_is_not_gone_on_with(monkeypatch):
    checkpoints = Memory()
    monkeypatch.setattr(threads, "MOST", 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    with pytest.raises(Killed):
        run(CNN, checkpoints, die_after=4)
    monkeypatch.setattr(threads, "MOST", 1)
    assert same(run(CNN, checkpoints)[0], run(CNN)[0])


def run_compiled(training, checkpoints=None, at=None, dies=True):
    """By the compiled engine, which dies at the end of an epoch, or is asked to stop."""
    model = DenseModel(widths=(16,), batch_norm=True, dropout=(0.3,), input_noise=0.1, input_dropout=0.1)
    recipe = Recipe(name="compiled", model=model, training=training)
    data = data_for(recipe)
    network = build_network(recipe, data.dataset.preprocessing.shape, len(data.dataset.label_names))
    parts = [LabelledRows.of(data, part, CPU) for part in ("train", "val")]

    def listen(event):
        if event.row["epoch"] == at and dies:
            raise Killed
        return event.row["epoch"] == at

    job = PreparedJob(network, training, *parts, 3, checkpoints=checkpoints, on_event=listen)
    (trained,) = dense_engine.train_all([job])
    return network.state_dict(), trained


@pytest.mark.parametrize(
    "changes",
    [{}, {"patience": 3}, {"averaging": 0.9, "schedule": "cosine"}, {"clip": 0.5, "patience": 2, "averaging": 0.5}],
    ids=str,
)
@pytest.mark.parametrize("at", range(2, 12) if PROVE else [2, 7])
@pytest.mark.parametrize("dies", [True, False])
def test_the_compiled_engine_goes_on_to_the_same_weights(changes, at, dies):
    training = Training(epochs=12, rate=0.02, batch_size=16, **{"patience": 0, **changes})
    expected, whole = run_compiled(training)
    checkpoints = Memory()
    if len(whole.history) < at:
        pytest.skip("it is over before")
    if dies:
        with pytest.raises(Killed):
            run_compiled(training, checkpoints, at)
    else:
        run_compiled(training, checkpoints, at, dies=False)
    weights, trained = run_compiled(training, checkpoints)
    assert same(weights, expected)
    assert [row["train_loss"] for row in trained.history] == [row["train_loss"] for row in whole.history]
    assert trained.delivered_epoch == whole.delivered_epoch


def test_a_later_stop_is_further_than_an_earlier_one():
    training, checkpoints = Training(epochs=12, rate=0.02, patience=0), Memory()
    reached = [len(run_compiled(training, checkpoints, at, dies=False)[1].history) for at in (6, 8, 9)]
    assert reached == [6, 8, 9]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A command that trains for a while, saving at every step; `-o` is to be added."""
    folder = tmp_path_factory.mktemp("killed")
    recipe = '[model]\narchitecture = "cnn"\nwidth = 4\n[training]\nepochs = 20\npatience = 0\nbatch_size = 4\n'
    (folder / "long.toml").write_text(recipe)
    data = image_folder(folder / "data", samples=60)
    script = (
        "from tagfit.training import checkpoint; checkpoint.EVERY = checkpoint.PATIENCE_FOR_WRITING = 0.0;"
        "from tagfit.cli.main import main; main()"
    )
    return [sys.executable, "-c", script, "fit", data, "--size", "16", "--recipe", folder / "long.toml", "-o"]


def weights(run_folder):
    return (run_folder / "bundle" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    """The weights of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run([*words, folder], check=True, capture_output=True)
    return weights(folder)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_process_that_is_killed_goes_on(words, whole, tmp_path, how, code):
    """The real thing: a process that is killed in its training, and another one that ends it."""
    process = subprocess.Popen([*words, tmp_path], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not any((tmp_path / "checkpoints").glob("*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait() == code
    again = subprocess.run([*words, tmp_path], check=True, capture_output=True, text=True)
    assert weights(tmp_path) == whole, again.stderr


def test_what_is_no_checkpoint_is_said(caplog):
    keeper = Memory()
    assert checkpoint.kept(keeper) is None
    keeper.save(b"torn")
    assert checkpoint.kept(keeper) is None
    assert len(caplog.messages) == 1
    assert "a checkpoint cannot be used" in caplog.text
