"""RunRecord and result.json: the same, whatever version wrote it."""

import json
import shutil
from pathlib import Path

import pytest

import tagfit
from tagfit.cli.main import main
from tagfit.errors import BundleError
from tagfit.io.typed_json import from_plain
from tagfit.runs.record import RunRecord, read_record

OLD = Path(__file__).parent / "schema-1"
FOLDERS = sorted(path.name for path in OLD.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", FOLDERS)
def test_records_of_schema_1_are_read(name):
    old = json.loads((OLD / name / "result.json").read_text(encoding="utf-8"))
    record = read_record(OLD / name)
    assert (record.schema, old["schema"]) == (2, 1)
    assert record.data.kind in ("images", "features")
    assert record.data.preprocessing.kind == record.data.kind
    assert record.verdict.sentences == tuple(old["verdict"]["sentences"])
    for which in ("before", "after"):
        run, was = getattr(record, which), old[which]
        if was is None:
            assert run is None
            continue
        assert run.recipe.to_dict() == was["recipe"]
        assert run.recalibration == (None if was["level"] is None else tuple(was["level"]))
        assert run.decider.objective == was["decider"]["wish"]
        for part, scores in was["scores"].items():
            for metric, value in (scores or {}).items():
                assert run.score(part, metric) == value
        for part, by_metric in was["intervals"]["scores"].items():
            for metric, ends in by_metric.items():
                assert run.interval(part, metric) == (None if ends is None else tuple(ends))
    assert [trial.recipe.name for trial in record.tried] == [one["recipe"]["name"] for one in old["tried"]]
    assert [one.ingredient for one in record.ingredients] == [one["ingredient"] for one in old["ingredients"]]


@pytest.mark.parametrize("name", FOLDERS)
def test_they_are_written_and_read_again_as_they_are(name):
    record = read_record(OLD / name)
    again = from_plain(json.loads(record.to_json()), RunRecord, surplus=False)
    assert again.to_json() == record.to_json()


def test_an_old_run_folder_is_reported_and_predicts(tmp_path, capsys):
    run = shutil.copytree(OLD / "images", tmp_path / "run")
    main(["report", str(run)], standalone_mode=False)
    assert "micro-F1" in capsys.readouterr().out
    assert (run / "report.html").is_file()
    assert tagfit.Tagger.load(run).label_names == ("green", "red")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(schema=3), "expected a result of schema 2; got 3"),
        (
            lambda values: values["after"].update(parameters="many"),
            "after.parameters must be a whole number; got 'many'",
        ),
        (lambda values: values["after"].pop("recipe"), "after.recipe is missing"),
        (lambda values: values.update(data=3), "expected a result of schema 1"),
    ],
)
def test_what_is_no_record_is_refused_with_the_place(tmp_path, change, message):
    values = json.loads((OLD / "images" / "result.json").read_text(encoding="utf-8"))
    change(values)
    (tmp_path / "result.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(BundleError, match=r"result\.json") as caught:
        read_record(tmp_path)
    assert message in str(caught.value)
