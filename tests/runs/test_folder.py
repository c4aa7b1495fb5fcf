import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tagfit.errors import BundleError, OutputError
from tagfit.runs.folder import claim, free_folder
from tagfit.runs.record import finished_record, read_record

COMMAND = {"command": "fit", "lock": "abc", "seed": 0}


def test_a_new_folder_is_made_and_remembers_its_command(tmp_path):
    with claim(tmp_path / "a" / "run", COMMAND) as folder:
        assert json.loads((folder.path / "run.json").read_text()) == COMMAND
        assert finished_record(folder.path) is None


def test_the_same_command_may_come_back(tmp_path):
    for _ in range(2):
        with claim(tmp_path, COMMAND) as folder:
            (folder.path / "result.json").write_text("{}")
        assert (tmp_path / "result.json").read_text() == "{}"


def test_only_the_record_of_a_finished_run_is_one(tmp_path):
    record = read_record(Path(__file__).parent / "schema-1" / "images")
    for state in ("stopped", "finished"):
        (tmp_path / "result.json").write_text(replace(record, state=state).to_json())
        found = finished_record(tmp_path)
        assert (found is None) == (state == "stopped")


def test_other_data_or_options_are_refused_and_named(tmp_path):
    with claim(tmp_path, COMMAND):
        pass
    with (
        pytest.raises(OutputError, match=r"seed: 0 then, 1 now") as caught,
        claim(tmp_path, {**COMMAND, "lock": "def", "seed": 1}),
    ):
        pass
    assert len(caught.value.faults) == 2


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    (tmp_path / ".run.json.123456789abc.tmp").write_text("{")
    (tmp_path / ".bundle.123456789abc.tmp").mkdir()
    (tmp_path / ".bundle.old.tmp").mkdir()
    (tmp_path / ".bundle.old.tmp" / "manifest.json").write_text("{}")
    with claim(tmp_path, COMMAND):
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "bundle", "run.json"]
        assert (tmp_path / "bundle" / "manifest.json").exists()


def test_files_of_peoples_own_are_never_swept_away(tmp_path):
    with claim(tmp_path, COMMAND):
        pass
    for name in (".notes.tmp", ".plan.old.tmp", "..tmp"):
        (tmp_path / name).write_text("mine")
    with claim(tmp_path, COMMAND):
        pass
    assert {".notes.tmp", ".plan.old.tmp", "..tmp"} <= {entry.name for entry in tmp_path.iterdir()}


def test_a_job_that_failed_leaves_the_folder_free(tmp_path):
    with pytest.raises(OutputError), claim(tmp_path, COMMAND):
        raise OutputError("failed")
    with claim(tmp_path, {**COMMAND, "seed": 1}):
        pass


def test_nested_options_are_pointed_at(tmp_path):
    with claim(tmp_path, {"recipe": {"training": {"rate": 1e30}}}):
        pass
    with (
        pytest.raises(OutputError, match=r"recipe\.training\.rate: 1e\+30 then, 0\.001 now"),
        claim(tmp_path, {"recipe": {"training": {"rate": 1e-3}}}),
    ):
        pass


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match=r"thesis\.tex"), claim(tmp_path, COMMAND):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written to"), claim(tmp_path / "run", COMMAND):
        pass


def test_a_second_process_is_refused(tmp_path):
    code = f"""
from pathlib import Path
from tagfit.runs.folder import claim
from tagfit.errors import OutputError
try:
    with claim(Path({str(tmp_path)!r}), {COMMAND!r}):
        print("in")
except OutputError as error:
    print(error)
"""
    with claim(tmp_path, COMMAND):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "another process is writing to this folder" in other.stdout
    free = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert free.stdout == "in\n"


def test_the_next_free_name(tmp_path):
    assert free_folder(tmp_path, "x").name == "x"
    (tmp_path / "x").mkdir()
    (tmp_path / "x-2").mkdir()
    assert free_folder(tmp_path, "x").name == "x-3"


def test_results_that_cannot_be_read(tmp_path):
    with pytest.raises(BundleError, match=r"result\.json"):
        read_record(tmp_path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(BundleError, match="expected JSON"):
        read_record(tmp_path)
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(BundleError, match="expected a JSON object"):
        read_record(tmp_path)
