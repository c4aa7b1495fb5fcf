"""Suggestions are about what the model is unsure of, spread over the data; a share is drawn at random."""

import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner

import tagfit
from making import feature_table, image_folder
from tagfit.cli.main import main
from tagfit.data.dataset import build
from tagfit.errors import DataError
from tagfit.labels.suggest import AT_RANDOM, Candidates, choose, suggest


def candidates(scores, x=None, positives=None):
    scores_NL = np.array(scores, dtype=np.float32)
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(len(scores_NL), 4)).astype(np.float32) if x is None else x
    open_NL = np.ones_like(scores_NL, dtype=bool)
    return Candidates(scores_NL, open_NL, np.array(positives or [9] * scores_NL.shape[1]), x_ND)


def test_what_the_model_is_unsure_about_comes_first():
    scores = [[0.01]] * 300 + [[0.5]] * 8 + [[0.99]] * 300
    rows, at_random = choose(candidates(scores), 10, seed=0)
    assert np.isin(rows[~at_random], range(300, 308)).sum() >= 6
    assert at_random.sum() == int(10 * AT_RANDOM)


def test_labels_that_few_samples_have_count_more():
    gains_NL = candidates([[0.3, 0.3]], positives=[3, 399]).gains_NL
    assert gains_NL[0, 0] / gains_NL[0, 1] == pytest.approx(10)


def test_near_copies_are_asked_about_once():
    """Half of the candidates are near-copies of one sample, about which the model is as unsure as it can be."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5)).astype(np.float32)
    x[:20] = x[0] + rng.normal(scale=1e-3, size=(20, 5))
    rows, at_random = choose(candidates([[0.5]] * 20 + [[0.4]] * 20, x), 10, seed=0)
    assert (rows[~at_random] < 20).sum() == 1


def test_known_labels_are_not_asked_about():
    one = candidates([[0.5, 0.5], [0.5, 0.5]])
    one.open_NL[0] = False
    assert one.gains_NL.sum(axis=1)[0] == 0


def hidden_table():
    table = feature_table(120)
    table.labels_NL[40:] = -1
    return table


def test_a_network_is_trained_where_no_run_is_named():
    found = suggest(build(hidden_table()), None, 10)
    assert (len(found.chosen), found.candidates) == (10, 80)
    assert found.model == "dense-regularised on the features, trained for this"
    gains = [one.gain for one in found.chosen]
    assert gains == sorted(gains, reverse=True)
    assert all(int(one.sample.split()[1]) > 40 for one in found.chosen)
    assert all(one.why.endswith(f"({list(one.scores.values())[-1]:.2f})") for one in found.chosen)


def test_the_same_seed_suggests_the_same():
    assert suggest(build(hidden_table()), None, 10) == suggest(build(hidden_table()), None, 10)


def test_data_whose_labels_are_all_known_is_refused():
    with pytest.raises(DataError, match="every label of every sample is known"):
        suggest(build(feature_table(60)), None, 10)


@pytest.fixture
def photos(tmp_path):
    """Forty images, ten of which nobody has labelled."""
    folder = image_folder(tmp_path / "photos")
    lines = (folder / "labels.csv").read_text().splitlines()
    lines[31:] = [f"{line.split(',')[0]}," for line in lines[31:]]
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_images_of_the_data_and_of_other_folders(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    further = image_folder(tmp_path / "new", samples=5, size=24)
    (further / "labels.csv").unlink()
    words = ["suggest", str(photos), "new", "--blank-is", "unlabelled", "-n", "15"]
    printed = CliRunner().invoke(main, words)
    assert printed.exit_code == 0, printed.stderr
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert len({row["image"] for row in rows}) == 15
    assert sum("new" in row["image"] for row in rows) == 5
    as_json = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert [one["sample"] for one in as_json["chosen"]] == [row["image"] for row in rows]
    written = CliRunner().invoke(main, [*words, "-o", "next.csv"])
    assert written.exit_code == 0, written.stderr
    assert (tmp_path / "next.csv").read_text() == printed.stdout


def test_a_link_that_leads_to_itself_ends_in_no_traceback(photos, tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    words = ["suggest", str(photos), str(tmp_path / "loop.png"), "--blank-is", "unlabelled", "-n", "3"]
    asked = CliRunner().invoke(main, words)
    assert asked.exit_code in (0, 2)
    assert isinstance(asked.exception, SystemExit | None)


def test_a_run_suggests_with_its_own_model(photos, tmp_path):
    data = tagfit.load(photos, blank_is="unlabelled", size=8)
    tagfit.fit(data, recipe="dense-regularised", output=tmp_path / "run")
    found = tagfit.suggest(tmp_path / "run", count=4)
    assert found.model == "the run's model"
    assert all(one.file in data.dataset.unlabelled for one in found.chosen)
    with pytest.raises(tagfit.TagfitError, match="size: a run is read as it was trained"):
        tagfit.suggest(tmp_path / "run", size=9)
