"""What a training shows while it runs."""

import io
from itertools import count

from rich.console import Console

import tagfit
from making import QUICK, feature_table, locked
from tagfit.report import progress
from tagfit.report.progress import EVERY, TrainingProgress
from tagfit.training.events import EpochEnded, ImagesPassed, RunEnded, RunStarted, StageStarted

EVENTS = (
    ImagesPassed(40, 200),
    RunStarted("cnn", 4, 3, 7),
    EpochEnded({"train_loss": 0.6, "val_loss": 0.5}),
    EpochEnded({"train_loss": 0.5, "val_loss": 0.4}),
    RunEnded("cnn", "finished", 3, 7, best=0.7),
    StageStarted("scoring, computing intervals"),
)


def shown(*, terminal=False, seconds=EVERY):
    """All that is printed, with a clock that goes on by `seconds` each time that it is read."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=80, color_system=None)
    ticks = count()
    with TrainingProgress(console, lambda: next(ticks) * seconds) as listener:
        for event in EVENTS:
            assert not listener(event)
    return file.getvalue()


def test_without_a_terminal_lines_say_which_training_how_far_how_long_and_what_follows():
    lines = shown().splitlines()
    assert lines[0].startswith("running the backbone: 40 of 200 images, at most ")
    assert lines[1].startswith("training 3 of 7: cnn: 1 of 4 epochs, val loss 0.500, at most ")
    assert lines[1].endswith(" s left")
    assert lines[3:] == [
        "training 3 of 7: cnn finished; best val score before it: 0.700",
        "scoring, computing intervals",
    ]


def test_lines_are_not_printed_more_often_than_every_few_seconds():
    assert len(shown(seconds=0.1).splitlines()) == 2  # the end of the training, and what follows


def test_in_a_terminal_a_bar_says_it_in_80_columns_and_goes_away():
    written = shown(terminal=True)
    assert "training 3 of 7: cnn" in written
    assert "scoring, computing intervals" in written
    assert max(map(len, written.replace("\r", "\n").splitlines())) < 200  # control codes included


def test_python_shows_progress_if_it_is_asked_to_and_its_listener_still_counts(capsys):
    data, seen = locked(feature_table()), []
    tagfit.fit(data, recipe=QUICK, progress=True, on_event=seen.append)
    assert any(isinstance(event, StageStarted) for event in seen)
    assert "training 1 of 1: quick finished" in capsys.readouterr().err
    tagfit.fit(data, recipe=QUICK)
    assert not capsys.readouterr().err


def test_a_notebook_is_told_what_goes_on_and_a_program_is_not(monkeypatch, capsys):
    """What a notebook would show goes to a console that counts its bars here."""
    data, shown = locked(feature_table()), []
    result = tagfit.fit(data, recipe=QUICK)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "bar", lambda console: _Counted(shown))
    tagfit.evaluate(result.tagger, data)
    tagfit.load(data.dataset.x, data.dataset.labels_NL)
    tagfit.diagnose(data, quick=True)
    assert shown[:2] == ["scoring, computing intervals", "reading"]
    assert "running the checks" in shown
    assert not capsys.readouterr().out


class _Counted:
    """In place of a bar: takes down what tasks are called."""

    disable = False

    def __init__(self, names):
        self._names = names

    def add_task(self, name, **more):
        self._names.append(name)
        return 0

    def reset(self, task, description="", **more):
        self._names.append(description)

    def update(self, task, **more):
        pass

    def start(self):
        pass

    stop = start

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        pass

    @property
    def console(self):
        return Console(file=io.StringIO())
