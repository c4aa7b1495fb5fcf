"""Decisions about labels: appended, read back, applied on top of any source; nothing of the user's is changed."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from msgspec.structs import replace

import tagfit
from making import image_folder
from tagfit.cli.main import main
from tagfit.data.corrections import append, decisions, read_corrections
from tagfit.errors import DataError, OutputError

#: a process that appends fifty decisions, one by one
WINDOW = """
import sys
from pathlib import Path
from tagfit.data.corrections import Correction, append
file, who = Path(sys.argv[1]), sys.argv[2]
for number in range(50):
    append(file, [Correction(when="", who=who, sample="x" * 500, sha256="", label=str(number), before=None, to=1)])
"""


@pytest.fixture
def photos(tmp_path):
    return image_folder(tmp_path / "photos")


def decided(data, row, **labels):
    return decisions(data.dataset, row, labels, who="ann", when="2026-11-30T12:00:00Z")


def row_of(data, name):
    return data.dataset.sample_names.index(name)


def test_decisions_are_applied_and_the_lock_follows(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    row = row_of(data, "images/1.png")
    before = dict(zip(data.dataset.label_names, data.dataset.labels_NL[row].tolist(), strict=True))
    assert before == {"green": 0, "red": 1}
    append(file, decided(data, row, red=0, green=None))
    after = tagfit.load(photos, corrections=file)
    assert after.dataset.labels_NL[row].tolist() == [-1, 0]
    rest = np.delete(np.arange(len(data.dataset)), row)
    assert np.array_equal(after.dataset.labels_NL[rest], data.dataset.labels_NL[rest])
    assert after.lock != data.lock
    assert "corrections.jsonl: 2 labels of samples are changed, 0 are as they were." in after.dataset.notes


def test_the_last_decision_counts(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    append(file, decided(data, 1, red=0))
    append(file, decided(data, 1, red=1))
    assert tagfit.load(photos, corrections=file).lock == data.lock


def test_what_was_taken_back_is_as_the_source_has_it(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    (taken_back,) = decided(data, row_of(data, "images/1.png"), red=None)
    append(file, [replace(taken_back, to=0), replace(taken_back, undo=True)])
    assert tagfit.load(photos, corrections=file).lock == data.lock


def test_a_full_disk_is_an_error_though_a_part_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda descriptor, content: len(content) - 1)
    with pytest.raises(OutputError, match="No space left"):
        append(tmp_path / "corrections.jsonl", decided(tagfit.load("postcards:20"), 0, sea=1))


def test_a_name_that_is_not_utf8_is_written_and_read(photos, tmp_path):
    data = tagfit.load(photos)
    names = ("caf\udce9.jpg", *data.dataset.sample_names[1:])
    told = decisions(dataclasses.replace(data.dataset, sample_names=names), 0, {"red": 0}, who="ann", when="")
    append(tmp_path / "corrections.jsonl", told)
    assert read_corrections(tmp_path / "corrections.jsonl").lines[1].sample == "caf\\udce9.jpg"


def test_lines_say_who_when_and_what(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    row = row_of(data, "images/1.png")
    append(file, decided(data, row, red=0))
    assert json.loads(file.read_text()) == {
        "when": "2026-11-30T12:00:00Z",
        "who": "ann",
        "sample": "images/1.png",
        "sha256": data.dataset.hashes[row].tobytes().hex(),
        "label": "red",
        "from": 1,
        "to": 0,
    }


def test_what_cannot_be_applied_is_set_aside_and_named(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    append(file, decided(data, row_of(data, "images/1.png"), red=0))
    append(file, decided(data, row_of(data, "images/3.png"), red=0))
    line = json.loads(file.read_text().splitlines()[0])
    strange = [line | {"label": "blue"}, line | {"sample": "gone.png", "sha256": "0" * 64}, line | {"to": 7}]
    with file.open("a") as stream:
        stream.write("".join(f"{json.dumps(one)}\n" for one in strange) + '{"when": "2026')
    (photos / "images/3.png").write_bytes((photos / "images/5.png").read_bytes() + b"\0")
    notes = tagfit.load(photos, corrections=file).dataset.notes
    for told in (
        "line 2, is set aside: images/3.png has changed since.",
        "line 3, is set aside: there is no label 'blue'.",
        "line 4, is set aside: gone.png is not in this data.",
        "line 5, is set aside: Invalid enum value 7",
        "line 6, is set aside: Input data was truncated",
    ):
        assert any(told in note for note in notes), (told, notes)


def test_half_a_line_of_a_killed_process_takes_no_other_with_it(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    file.write_text('{"when": "2026')
    append(file, decided(data, 1, red=0))
    found = read_corrections(file)
    assert (list(found.unreadable), list(found.lines)) == ([1], [2])


def test_two_windows_do_not_overwrite_each_other(tmp_path):
    file = tmp_path / "corrections.jsonl"
    processes = [subprocess.Popen([sys.executable, "-c", WINDOW, file, who]) for who in ("ann", "bob")]
    assert [process.wait() for process in processes] == [0, 0]
    found = read_corrections(file)
    assert not found.unreadable
    for who in ("ann", "bob"):
        assert [one.label for one in found.lines.values() if one.who == who] == [f"{n}" for n in range(50)]


def test_a_file_that_holds_no_decision_is_refused(photos):
    with pytest.raises(DataError, match=r"labels\.csv: line 1 is no decision about a label"):
        tagfit.load(photos, corrections=photos / "labels.csv")
    with pytest.raises(DataError, match="No such file"):
        tagfit.load(photos, corrections="nowhere.jsonl")


def test_a_pipe_is_not_waited_for(photos, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="it is a folder, a pipe or a device, not a file"):
        tagfit.load(photos, corrections=tmp_path / "pipe")


def test_images_that_nobody_had_labelled_join_the_data(photos, tmp_path):
    extra = tmp_path / "extra"
    image_folder(extra)
    lines = (photos / "labels.csv").read_text().splitlines()
    (photos / "labels.csv").write_text("\n".join([*lines[:31], *(f"{line.split(',')[0]}," for line in lines[31:])]))
    data = tagfit.load(photos, blank_is="unlabelled")
    assert len(data.dataset) == 30
    new = data.dataset.unlabelled[0]
    whole = tagfit.load(extra)
    row = row_of(whole, new.relative_to(photos).as_posix())
    file = tmp_path / "corrections.jsonl"
    append(file, decided(whole, row, red=1, green=0))
    after = tagfit.load(photos, blank_is="unlabelled", corrections=file)
    assert len(after.dataset) == 31
    assert after.dataset.labels_NL[after.dataset.files.index(new)].tolist() == [0, 1]
    assert new not in after.dataset.unlabelled


def test_labels_are_written_with_decisions_applied_and_read_back_to_the_same_lock(photos, tmp_path, cli):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    content = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    append(file, decided(data, 1, red=0, green=None))
    assert cli("labels", photos, "--apply", file, "-o", tmp_path / "new.csv").exit_code == 0
    corrected = tagfit.load(photos, corrections=file)
    assert tagfit.load(tmp_path / "new.csv").lock == corrected.lock
    assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == content


def test_a_run_knows_its_decisions_again(photos, tmp_path):
    data, file = tagfit.load(photos), tmp_path / "corrections.jsonl"
    append(file, decided(data, 1, red=0))
    source = tagfit.load(photos, corrections=file).source
    assert source.options["corrections"] == str(file)


@pytest.fixture
def cli():
    from click.testing import CliRunner

    return lambda *words: CliRunner().invoke(main, list(map(str, words)))
