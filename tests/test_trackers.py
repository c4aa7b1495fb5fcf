"""What TensorBoard and MLflow are told of a run."""

import struct

import pytest
from click.testing import CliRunner

from tagfit import trackers
from tagfit.cli.main import main
from tagfit.errors import MissingExtraError
from tagfit.recipes import DenseModel, Recipe, Training
from tagfit.runs.record import read_record
from tagfit.search.plan import Plan
from tagfit.training.events import EpochEnded

DATA = ["postcards:80"]


def scalars(folder):
    """(tag, step) -> value of the event files in a folder, read as TensorFlow's records."""
    Event = pytest.importorskip("tensorboardX.proto.event_pb2").Event
    found = {}
    for file in folder.glob("events.*"):
        content, at = file.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
            at += 16 + length
    return found


def test_tensorboard_has_every_epoch_of_every_training_and_what_is_delivered(tmp_path):
    pytest.importorskip("tensorboardX")
    candidate = Recipe(name="candidate", model=DenseModel(widths=(8,)), training=Training(epochs=3))
    run = tmp_path / "run"
    words = ["cure", *DATA, "-o", str(run), "--log", "tensorboard"]
    done = CliRunner().invoke(main, words, obj=Plan((candidate,)))
    assert done.exit_code in (0, 3), done.output
    folders = sorted(folder.name for folder in (run / "tensorboard").iterdir())
    record = read_record(run)
    assert folders[:2] == ["001-dense-baseline", "002-candidate"]
    assert folders[-2:] == ["after", "before"]
    first = scalars(run / "tensorboard" / folders[0])
    for row in record.before.history:
        assert first["val_loss", row["epoch"]] == pytest.approx(row["val_loss"], rel=1e-6)
    delivered = scalars(run / "tensorboard" / "after")
    assert delivered["delivered/val/micro_f1", 0] == pytest.approx(record.after.score("val", "micro_f1"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlflow_has_a_run_of_runs(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = tmp_path / "run"
    done = CliRunner().invoke(main, ["fit", *DATA, "-o", str(run), "--log", "mlflow"])
    assert done.exit_code == 0, done.output
    record, client = read_record(run), mlflow.MlflowClient()
    (experiment,) = [one for one in client.search_experiments() if one.name == "tagfit"]
    runs = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    whole, (child,) = runs.pop("run"), runs.values()
    assert {whole.info.status, child.info.status} == {"FINISHED"}
    assert whole.data.tags["lock"] == record.lock
    assert whole.data.metrics["after.val.micro_f1"] == pytest.approx(record.after.score("val", "micro_f1"))
    assert child.data.tags["mlflow.parentRunId"] == whole.info.run_id
    told = client.get_metric_history(child.info.run_id, "train_loss")
    assert [one.value for one in told] == pytest.approx([row["train_loss"] for row in record.after.history])
    assert {file.path for file in client.list_artifacts(whole.info.run_id)} == {"result.json", "report.html"}


def test_a_tracker_in_trouble_is_let_go_and_the_listener_still_heard(capsys):
    class Broken:
        def __call__(self, event):
            raise ConnectionError("gone\nfor good")

    told = trackers._Both(lambda event: True, Broken())
    assert told(EpochEnded({"epoch": 1}))
    assert told(EpochEnded({"epoch": 2}))
    assert capsys.readouterr().err == "tagfit: logging stopped, the run continues: gone\n"


@pytest.mark.parametrize("log", ["tensorboard", "mlflow"])
def test_a_missing_extra_is_said_before_anything_is_read(log, monkeypatch, tmp_path):
    monkeypatch.setattr("tagfit.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=rf"pip install .*\[{log}\]'"):
        trackers.demand(log)
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "nothing"), "--log", log])
    assert f"[{log}]" in done.output


def test_mlflow_that_does_not_answer_is_an_error_before_training(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = CliRunner().invoke(main, ["fit", *DATA, "-o", str(tmp_path / "run"), "--log", "mlflow"])
    assert done.exit_code == 2
    assert "Set MLFLOW_TRACKING_URI" in done.output
    assert not (tmp_path / "run").exists()
