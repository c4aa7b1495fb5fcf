"""Images that are predicted on a cluster get the rows that they get here, once each."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from making import PROVE, image_folder
from tagfit.api import fit, load
from tagfit.cli.main import main
from tagfit.cluster import prediction
from tagfit.cluster.connection import connected
from tagfit.cluster.prediction import predict_parts
from tagfit.errors import OutputError, TagfitError
from tagfit.inference.tagger import PATHS_AT_ONCE
from tagfit.recipes import DenseModel, Recipe, Training

#: Ray Data warns of its own settings
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

long_form = pytest.mark.skipif(not PROVE, reason="the long form: make prove")

PARTS = 4 if PROVE else 2
COUNT = (PARTS - 1) * PATHS_AT_ONCE + 20

#: the command, with parts of one batch
COMMAND = f"""
from tagfit.cli.main import main
from tagfit.cluster import prediction
prediction.PART = {PATHS_AT_ONCE}
main()
"""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(prediction, "PART", PATHS_AT_ONCE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = load(image_folder(tmp_path_factory.mktemp("images")), size=16)
    recipe = Recipe(name="short", model=DenseModel(widths=(8,)), training=Training(epochs=3, patience=0))
    return fit(data, recipe=recipe, output=tmp_path_factory.mktemp("fit") / "run").folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Small images for some parts, among them one that cannot be read."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / f"{number:05}.png", compress_level=0)
    (folder / "00007.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def expected(run, photos, tmp_path_factory):
    """The lines that one machine writes."""
    file = tmp_path_factory.mktemp("here") / "rows.csv"
    done = CliRunner().invoke(main, ["predict", str(run), str(photos), "-o", str(file)])
    assert done.exit_code == 0, done.output
    return file.read_bytes().splitlines(keepends=True)


def lines_of(folder):
    """Those of all parts, with one heading."""
    parts = [part.read_bytes().splitlines(keepends=True) for part in sorted(folder.glob("part-*"))]
    assert {part[0] for part in parts} == {parts[0][0]}
    return [parts[0][0], *(line for part in parts for line in part[1:])]


def test_the_command_writes_parts_that_are_the_local_file(cluster, run, photos, expected, tmp_path):
    command = ["predict", str(run), str(photos), "-o", str(tmp_path / "rows.csv"), "--on", "ray"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert f"1 of {COUNT} images could not be read" in done.output
    assert lines_of(tmp_path / "rows.csv") == expected
    held = sorted(file.name for file in (tmp_path / "rows.csv").iterdir())
    assert held == ["manifest.json", *(f"part-{number:06}.csv" for number in range(PARTS))]
    assert "exists already" in CliRunner().invoke(main, command).output
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "rows.csv").glob("part-*")}
    again = CliRunner().invoke(main, [*command, "--resume"])
    assert again.exit_code == 0, again.output
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "rows.csv").glob("part-*")}
    other = CliRunner().invoke(main, [*command, "--resume", "--calibrated"])
    assert other.exit_code == 2
    assert "calibrated: False then, True now" in other.output


@long_form
def test_a_driver_that_is_killed_is_gone_on_with(cluster, run, photos, expected, tmp_path):
    rows = tmp_path / "rows.csv"
    command = ["predict", str(run), str(photos), "-o", str(rows), "--on", "ray"]
    driver = subprocess.Popen([sys.executable, "-c", COMMAND, *command], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 90
    while not list(rows.glob("part-*")) and time.monotonic() < until:
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(1)  # its actors end with it
    kept = {part: part.stat().st_mtime_ns for part in rows.glob("part-*")}
    assert kept
    done = CliRunner().invoke(main, [*command, "--resume"])
    assert done.exit_code == 0, done.output
    assert lines_of(rows) == expected
    assert all(part.stat().st_mtime_ns == when for part, when in kept.items())


@long_form
def test_a_node_that_is_lost_loses_and_doubles_nothing(cluster, lose_node, run, photos, expected, tmp_path):
    names = map(str, sorted(photos.iterdir()))
    with connected("ray") as ray:
        predict_parts(ray, run, names, tmp_path / "rows.csv", on_row=lambda done, total: done and lose_node())
    assert not cluster.workers
    assert lines_of(tmp_path / "rows.csv") == expected


@long_form
def test_json_lines_from_the_folder_one_works_in(cluster, run, photos, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    with connected("ray") as ray:
        predict_parts(ray, run, ["00001.png", "00007.png", "absent.png"], tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl" / "part-000000.jsonl").read_text().splitlines()]
    assert [row["sample"] for row in rows] == ["00001.png", "00007.png", "absent.png"]
    assert [bool(row["error"]) for row in rows] == [False, True, True]


@long_form
def test_from_a_machine_that_is_no_node(cluster, run, photos, expected, tmp_path):
    command = ["predict", str(run), str(photos), "-o", str(tmp_path / "rows.csv"), "--on", cluster.from_elsewhere]
    done = subprocess.run([sys.executable, "-c", COMMAND, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert lines_of(tmp_path / "rows.csv") == expected


def test_what_cannot_be_done_is_said(cluster, run, photos, tmp_path):
    for options, message in (
        ([], "give -o"),
        (["-o", str(tmp_path / "rows.txt")], "expected a name that ends in"),
        (["-o", str(tmp_path / "rows.csv"), "--write-xmp"], "neither --explain"),
    ):
        done = CliRunner().invoke(main, ["predict", str(run), str(photos), "--on", "ray", *options])
        assert done.exit_code == 2
        assert message in done.output
    (tmp_path / "mine.csv").mkdir()
    (tmp_path / "mine.csv" / "note").write_text("mine")
    with connected("ray") as ray, pytest.raises(OutputError, match="expected a folder that predict --on began"):
        predict_parts(ray, run, ["a.png"], tmp_path / "mine.csv", resume=True)
    assert [file.name for file in (tmp_path / "mine.csv").iterdir()] == ["note"]


@long_form
def test_another_version_on_a_node_is_said(cluster, run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "version", lambda: ("9.9", "3.11"))
    with connected("ray") as ray, pytest.raises(TagfitError, match=r"expected 9\.9 on Python"):
        predict_parts(ray, run, [str(photos / "00001.png")], tmp_path / "rows.csv")
