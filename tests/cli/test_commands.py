"""The commands as a person or a script calls them."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from making import camera_folder, feature_table, image_folder, scenes
from tagfit.cli.main import main
from tagfit.inference.tagger import PATHS_AT_ONCE
from tagfit.records.scores import METRICS
from tagfit.search.plan import Plan


@pytest.fixture
def arrays(tmp_path):
    table = feature_table(samples=200)
    np.savez(tmp_path / "rows.npz", X=table.x, y=table.labels_NL, label_names=np.array(table.label_names))
    return tmp_path / "rows.npz"


@pytest.fixture
def quick(tmp_path):
    file = tmp_path / "quick.toml"
    file.write_text('name = "quick"\n[model]\nwidths = [8]\n[training]\nepochs = 3\npatience = 0\n', encoding="utf-8")
    return file


@pytest.fixture
def tagfit(tmp_path, monkeypatch):
    """Call a command in a folder of its own; what it leaves there can be looked at."""
    monkeypatch.chdir(tmp_path)

    def call(*words, plan=None):
        return CliRunner().invoke(main, [str(word) for word in words], obj=plan)

    return call


def widest(text):
    return max(map(len, text.splitlines()))


def test_help_names_every_command_and_fits_80_columns(tagfit):
    result = tagfit("--help")
    assert result.exit_code == 0
    for command in main.commands:
        assert command in result.stdout
        assert widest(tagfit(command, "--help").stdout) <= 80


def test_fit_predict_evaluate_report(tagfit, arrays, quick, tmp_path):
    fitted = tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    assert fitted.exit_code == 0, fitted.stderr
    assert "micro-F1" in fitted.stdout
    assert widest(fitted.stdout) <= 80
    assert fitted.stdout.endswith("\nto look at: run/report.html\n")
    reported = tagfit("report", "run").stdout
    assert reported.split("report:")[0].split() == fitted.stdout.split("written to")[0].split()
    assert reported.endswith("\nreport: run/report.html\n")

    evaluated = tagfit("evaluate", "run", arrays, "--json")
    scores = json.loads(evaluated.stdout)
    assert tuple(scores["scores"]) == tuple(scores["decided"]) == tuple(scores["constant"]) == METRICS

    predicted = tagfit("predict", "run", arrays)
    rows = list(csv.DictReader(predicted.stdout.splitlines()))
    assert len(rows) == 200
    assert rows[0]["sample"] == f"{arrays}:row 1"
    assert all(0 <= float(rows[0][name]) <= 1 for name in ("label_0", "label_1", "label_2"))


def test_json_and_nothing_else_on_stdout(tagfit, arrays, quick):
    for words in (
        ["fit", arrays, "--recipe", quick, "-o", "run", "--json"],
        ["report", "run", "--json"],
        ["inspect", arrays, "--json"],
        ["evaluate", "run", arrays, "--json"],
        ["predict", "run", arrays, "--json"],
    ):
        result = tagfit(*words)
        assert result.exit_code == 0, result.stderr
        json.loads(result.stdout)
    assert json.loads(tagfit("report", "run", "--json").stdout) == json.loads(
        (arrays.parent / "run" / "result.json").read_text()
    )


def test_cure_exits_3_where_the_target_is_missed_and_0_where_it_is_met(tagfit, arrays, quick):
    plan = Plan(candidates=(), trials=None)
    bands = ["--metric", "label_accuracy", "--train-below", "1", "--val-at-least"]
    missed = tagfit("cure", arrays, "--baseline", quick, *bands, "1", "-o", "missed", plan=plan)
    assert missed.exit_code == 3, missed.stderr
    assert "missed" in missed.stdout
    assert tagfit("cure", arrays, "--baseline", quick, *bands, "0.1", "-o", "met", plan=plan).exit_code == 0


def test_a_finished_run_says_so_and_does_nothing(tagfit, arrays, quick):
    words = ["fit", arrays, "--recipe", quick, "-o", "run"]
    tagfit(*words)
    before = (arrays.parent / "run" / "result.json").stat().st_mtime_ns
    again = tagfit(*words)
    assert again.exit_code == 0
    assert "nothing was done" in again.stderr
    assert (arrays.parent / "run" / "result.json").stat().st_mtime_ns == before


def test_without_o_every_run_gets_a_folder_of_its_own(tagfit, arrays, quick):
    for _ in range(2):
        tagfit("fit", arrays, "--recipe", quick)
    assert sorted(folder.name for folder in (arrays.parent / "runs").iterdir()) == ["rows-fit", "rows-fit-2"]


def test_inspect(tagfit, tmp_path):
    folder = image_folder(tmp_path / "images")
    (folder / "images" / "5.png").write_bytes(b"broken")
    (folder / "images" / "1.png").write_bytes((folder / "images" / "9.png").read_bytes())
    result = tagfit("inspect", folder, "--size", "16")
    assert result.exit_code == 0, result.stderr
    assert widest(result.stdout) <= 80
    for word in ("39 images of 16x16x3", "images/5.png", "byte-identical", "green", "red", "cure"):
        assert word in result.stdout


def test_images_that_cannot_be_read_are_counted_by_reason_and_strict_stops(tagfit, quick, tmp_path):
    folder = image_folder(tmp_path / "images")
    for number, content in ((3, b"broken"), (7, b""), (9, b"")):
        (folder / "images" / f"{number}.png").write_bytes(content)
    words = [folder, "--size", "16", "--recipe", quick, "-o", "run"]
    strict = tagfit("fit", *words, "--strict")
    assert strict.exit_code == 2
    assert all(f"images/{number}.png: " in strict.stderr for number in (3, 7, 9))
    assert not (tmp_path / "run").exists()
    done = tagfit("fit", *words)
    assert done.exit_code == 0, done.stderr
    for line in ("3 of 40 images cannot be read", "2 × the file is empty", "1 × not an image of a known format"):
        assert line in done.stderr
    set_aside = json.loads((tmp_path / "run" / "result.json").read_text())["data"]["set_aside"]
    assert [entry["sample"] for entry in set_aside] == ["images/3.png", "images/7.png", "images/9.png"]
    assert tagfit("evaluate", "run", folder, "--strict").exit_code == 2
    assert "3 of 40" in tagfit("evaluate", "run", folder).stderr


def test_a_limit_of_megapixels(tagfit, tmp_path):
    folder = image_folder(tmp_path / "images")
    result = tagfit("inspect", folder, "--max-megapixels", "0.0003")
    assert result.exit_code == 2
    assert "20x20 pixels are more than 0.0003 megapixels" in result.stderr
    assert tagfit("inspect", "postcards:20", "--max-megapixels", "5").exit_code == 2


def test_the_cache_is_shown_and_cleared(tagfit, tmp_path, monkeypatch):
    monkeypatch.setenv("TAGFIT_CACHE", str(tmp_path / "cache"))
    folder = image_folder(tmp_path / "images")
    assert str(tmp_path / "cache") in tagfit("inspect", folder, "--size", "16").stdout.replace("\n", "")
    stored = json.loads(tagfit("inspect", folder, "--size", "16", "--json").stdout)["stored"]
    assert stored["bytes"] == 40 * 16 * 16 * 3
    used = json.loads(tagfit("cache", "--json").stdout)
    assert (used["folder"], used["files"]) == (str(tmp_path / "cache"), 3)
    assert "deleted" in tagfit("cache", "--clear").stdout
    assert json.loads(tagfit("cache", "--json").stdout)["bytes"] == 0


@pytest.fixture
def cameras(tmp_path):
    """80 images, 4 of 20 cameras each; the last ten are darker copies of the first."""
    x = scenes(80)
    x[70:] = x[:10] * 0.9
    images = [(f"shot{row:02}.png", pixels) for row, pixels in enumerate(x)]
    return camera_folder(tmp_path / "shots", images, [f"c{row // 4}" for row in range(80)])


def test_groups_are_kept_named_and_part_of_the_run_only_by_what_they_do(tagfit, quick, cameras):
    shown = tagfit("inspect", cameras)
    assert widest(shown.stdout) <= 80
    assert "shot00.png (" in shown.stdout
    assert "20 near-copies in 10 groups were kept together" in shown.stdout
    locks = {}
    for groups in ("auto", "blocks", "none", "camera"):
        inspected = json.loads(tagfit("inspect", cameras, "--groups", groups, "--json").stdout)
        locks[groups] = inspected["lock"]
        if groups != "none":
            assert any("kept together" in note for note in inspected["notes"])
    assert len(set(locks.values())) == 4
    words = ["fit", cameras, "--recipe", quick, "-o", "run"]
    assert tagfit(*words).exit_code == 0
    assert "nothing was done" in tagfit(*words, "--groups", "auto").stderr
    refused = tagfit(*words, "--groups", "camera")
    assert (refused.exit_code, "lock" in refused.stderr) == (2, True)


def test_a_column_that_is_not_there_is_refused_with_the_nearest(tagfit, cameras):
    refused = tagfit("inspect", cameras, "--groups", "kamera")
    assert refused.exit_code == 2
    assert "Did you mean 'camera'?" in refused.stderr


def test_predict_images_and_what_cannot_be_read(tagfit, quick, tmp_path):
    folder = image_folder(tmp_path / "images")
    tagfit("fit", folder, "--size", "16", "--recipe", quick, "-o", "run")
    (tmp_path / "notes.txt").write_text("no image")
    result = tagfit("predict", "run", folder, "notes.txt", "-o", "out.csv")
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert len(rows) == 41
    assert [row["error"] != "" for row in rows] == [False] * 40 + [True]
    assert rows[-1]["red"] == ""
    again = tagfit("predict", "run", folder, "-o", "out.csv")
    assert again.exit_code == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fit"], "Missing argument"),
        (["fti", "x"], "there is no command 'fti'. Did you mean 'fit'?"),
        (["train", "x"], "Did you mean 'fit' or 'cure'?"),
        (["rows.npz"], "expected a command first, such as `tagfit inspect rows.npz`"),
        (["fit", "rows.npz", "--lr", "3"], "there is no option --lr. Did you mean --recipe?"),
        (["cure", "rows.npz", "--recipe", "cnn"], "Did you mean --baseline?"),
        (["fit", "rosw.npz"], "Did you mean 'rows.npz'?"),
        (["cure", "rows.npz", "--metric", "f1"], "Did you mean 'micro_f1'"),
        (["fit", "rows.npz", "--decide-for", "recall"], "--decide-for 'recall>=0.9'"),
        (["fit", "nowhere"], "nowhere"),
        (["fit", "rows.npz", "--recipe", "dense-basline"], "Did you mean"),
        (["cure", "rows.npz", "--metric", "micro-f1"], "Did you mean"),
        (["cure", "rows.npz", "--val-at-least", "85"], "Write 85% as 0.85."),
        (["fit", "rows.npz", "--split", "50/60"], "add up to 100"),
        (["fit", "rows.npz", "-o", "rows.npz"], "cannot be written to"),
        (["evaluate", "nowhere", "rows.npz"], "no such folder"),
        (["predict", "nowhere", "a.jpg"], "no such folder"),
        (["report", "."], "result.json"),
        (["inspect", "postcards:x"], "postcards:COUNT"),
        (["demo", "--count", "99999999999"], "postcards:COUNT"),
    ],
)
@pytest.mark.usefixtures("arrays")
def test_bad_usage_exits_2_and_says_what_to_do(tagfit, words, expected):
    result = tagfit(*words)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stdout == ""


def test_options_that_cannot_apply_are_refused_not_ignored(tagfit, arrays, quick):
    tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    for words in (
        ["predict", "run", arrays, "--json", "-o", "out.csv"],
        ["inspect", "postcards:20", "--images", "elsewhere"],
        ["fit", arrays, "--seed", "99999999999999999999"],
    ):
        assert tagfit(*words).exit_code == 2


def test_names_that_look_like_markup_are_shown_as_they_are(tagfit, tmp_path, quick):
    table = feature_table(samples=60, label_names=("[red]b", "a[/x]", ":cat:"))
    np.savez(tmp_path / "odd.npz", X=table.x, y=table.labels_NL, label_names=np.array(table.label_names))
    quick.write_text(quick.read_text().replace('"quick"', '"[/b]q"'))
    shown = tagfit("inspect", "odd.npz")
    assert shown.exit_code == 0, shown.stderr
    assert all(name in shown.stdout for name in table.label_names)
    fitted = tagfit("fit", "odd.npz", "--recipe", quick)
    assert fitted.exit_code == 0, fitted.stderr
    assert "[/b]q" in fitted.stdout


def test_predicting_loads_no_torch_where_onnx_runtime_does_it(tagfit, arrays, quick):
    pytest.importorskip("onnxruntime")
    tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    assert tagfit("predict", "run", arrays).exit_code == 0  # what ONNX Runtime runs is made the first time
    code = (
        "import sys; from tagfit.cli.main import main; main(sys.argv[1:], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, "predict", "run", str(arrays)]
    done = subprocess.run(words, cwd=arrays.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 201


def test_predicting_nothing_readable_fails(tagfit, quick, tmp_path):
    folder = image_folder(tmp_path / "images")
    tagfit("fit", folder, "--size", "16", "--recipe", quick, "-o", "run")
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    result = tagfit("predict", "run", "broken.jpg")
    assert result.exit_code == 1
    assert "1 of 1 images could not be read" in result.stderr
    (tmp_path / "empty").mkdir()
    assert "no image in it" in tagfit("predict", "run", "empty").stderr


def test_feature_rows_without_labels(tagfit, arrays, quick, tmp_path):
    tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    x = np.load(arrays)["X"][:7]
    np.save(tmp_path / "rows.npy", x)
    np.savez(tmp_path / "alone.npz", X=x)
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("rows.npy", "alone.npz"):
        assert len(tagfit("predict", "run", name).stdout.splitlines()) == 8
    assert tagfit("predict", "run", "empty.npy").exit_code == 2
    np.save(tmp_path / "narrow.npy", x[:, :3])
    assert "narrow.npy: expected an array of shape (n, 8)" in tagfit("predict", "run", "narrow.npy").stderr


def test_a_bundle_leads_to_its_report(tagfit, arrays, quick):
    tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    of_bundle, of_run = (tagfit("report", run).stdout.split("report: ") for run in ("run/bundle", "run"))
    assert of_bundle[0] == of_run[0]
    assert Path(of_bundle[1].strip()) == Path(of_run[1].strip()).resolve()


def test_a_report_goes_where_it_is_asked_to(tagfit, arrays, quick, tmp_path):
    tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    tagfit("fit", arrays, "--recipe", quick, "--seed", "1", "-o", "other")
    (tmp_path / "run" / "report.html").unlink()
    assert tagfit("report", "run", "--json").exit_code == 0
    assert not (tmp_path / "run" / "report.html").exists()

    done = tagfit("report", "run", "--compare", "other", "run", "-o", "page.html", "--figures", "charts")
    assert done.exit_code == 0, done.stderr
    assert "Runs compared" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "charts" / "compared.svg").exists()
    assert not (tmp_path / "run" / "report.html").exists()

    assert "exists already" in tagfit("report", "run", "-o", "page.html").stderr
    assert "--compare other" in tagfit("report", "run", "other").stderr
    assert "result.json" in tagfit("report", "run", "--compare", ".").stderr


def test_divergence_exits_1(tagfit, arrays, tmp_path):
    (tmp_path / "wild.toml").write_text("[model]\nwidths = [8]\n[training]\nrate = 1e4\npatience = 0\n")
    result = tagfit("fit", arrays, "--recipe", "wild.toml")
    assert result.exit_code == 1
    assert "diverged at step" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_training_with_the_best_so_far(number, code, arrays, tmp_path):
    (tmp_path / "long.toml").write_text("[training]\nepochs = 100000\npatience = 0\n")
    command = [sys.executable, "-m", "tagfit", "fit", str(arrays), "--recipe", "long.toml", "-o", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 600
        while not (tmp_path / "run" / "run.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=600)
    assert process.returncode == code, err
    assert "Stopped early" in re.sub(r"\s+", " ", out)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["state"] == "stopped"


def test_diagnose_data_and_a_run(tagfit, arrays, quick):
    told = tagfit("diagnose", arrays, "--quick")
    assert told.exit_code == 0, told.stderr
    assert "dense-baseline on the features" in told.stdout
    assert "memorisation" not in told.stdout
    assert "Not checked: more_data (TAG004): it needs training, which --quick skips." in " ".join(told.stdout.split())
    assert widest(told.stdout) <= 80
    tagfit("fit", arrays, "--recipe", quick, "-o", "run")
    record = json.loads(tagfit("diagnose", "run", "--quick", "--json", "--ignore", "TAG005").stdout)
    assert set(record) == {"subject", "checked", "findings", "cannot", "ignored", "powers"}
    assert "gap" in record["checked"]
    assert record["ignored"] == ["shift"]
    assert "shift" not in [*record["checked"], *(one["check"] for one in [*record["findings"], *record["cannot"]])]
    refused = tagfit("diagnose", "run", "--size", "32")
    assert refused.exit_code == 2
    assert "--size" in refused.stderr
    refused = tagfit("diagnose", "run", "--ignore", "TAG999")
    assert refused.exit_code == 2
    assert "there is no check 'TAG999'" in refused.stderr


@pytest.fixture
def tagged(tagfit, quick, tmp_path):
    """A folder of images, and a run on them."""
    folder = image_folder(tmp_path / "images")
    tagfit("fit", folder, "--size", "16", "--recipe", quick, "-o", "run")
    return folder


def test_predict_from_folders_patterns_and_stdin_to_every_form(tagfit, tagged, tmp_path):
    folder = tagfit("predict", "run", "images", "-o", "out.csv")
    assert folder.exit_code == 0, folder.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    names = [row["sample"] for row in rows]
    pattern = list(csv.DictReader(tagfit("predict", "run", "images/**/*.png").stdout.splitlines()))
    assert pattern == rows
    lines = "".join(f"{name}\r\n" for name in [*names, "absent.png"])
    piped = CliRunner().invoke(main, ["predict", "run", "-", "-o", "out.jsonl"], input=lines)
    assert piped.exit_code == 0, piped.stderr
    held = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["sample"] for row in held] == [*names, "absent.png"]
    assert held[-1]["scores"] is None
    assert "No such file" in held[-1]["error"]
    assert [";".join(row["labels"]) for row in held[:-1]] == [row["labels"] for row in rows]
    assert tagfit("predict", "run", "images", "-o", "out.parquet").exit_code == 0
    from pyarrow import parquet

    columns = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert columns["sample"] == names
    np.testing.assert_allclose(columns["red"], [float(row["red"]) for row in rows], atol=1e-6)
    for words, expected in (
        (["-", "-"], "2 times"),
        (["no*.png"], "matches this pattern"),
        (["x", "-o", "x.txt"], ".jsonl"),
    ):
        refused = tagfit("predict", "run", *words)
        assert (refused.exit_code, expected in refused.stderr) == (2, True)


def test_a_kill_in_the_middle_and_resume_give_what_an_uninterrupted_run_gives(tagfit, tagged, tmp_path):
    count = 2 * PATHS_AT_ONCE + 30
    lines = [f"images/images/{number % 41}.png\n" for number in range(count)]  # one of 41 is absent
    whole = CliRunner().invoke(main, ["predict", "run", "-", "-o", "whole.csv"], input="".join(lines))
    assert whole.exit_code == 0, whole.stderr
    command = [sys.executable, "-m", "tagfit", "predict", "run", "-", "-o", "out.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, text=True) as process:
        process.stdin.write("".join(lines[:-30]))
        process.stdin.flush()  # it waits for more, with the first batch written
        out, deadline = tmp_path / "out.csv", time.monotonic() + 600
        while not (out.exists() and out.read_bytes().count(b"\n") > PATHS_AT_ONCE) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    with out.open("ab") as stream:
        stream.write(b'images/images/1"')
    resumed = CliRunner().invoke(main, ["predict", "run", "-", "-o", "out.csv", "--resume"], input="".join(lines))
    assert resumed.exit_code == 0, resumed.stderr
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    again = CliRunner().invoke(main, ["predict", "run", "-", "-o", "out.csv", "--resume"], input="".join(lines))
    assert again.exit_code == 0
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    for words, expected in (
        (["images", "-o", "out.csv", "--resume"], "expected images/images/10.png"),
        (["images", "-o", "out.parquet", "--resume"], "write .csv or .jsonl"),
        (["images", "--resume"], "name it with -o"),
    ):
        refused = tagfit("predict", "run", *words)
        assert (refused.exit_code, expected in refused.stderr) == (2, True), refused.stderr


def test_resuming_with_another_model_is_refused(tagfit, tagged, quick, tmp_path):
    tagfit("predict", "run", "images", "-o", "out.csv")
    tagfit("fit", tagged, "--size", "16", "--recipe", quick, "--seed", "1", "-o", "other")
    before = (tmp_path / "out.csv").read_bytes()
    refused = tagfit("predict", "other", "images", "-o", "out.csv", "--resume")
    assert (refused.exit_code, "differs from what this model" in refused.stderr) == (2, True)
    assert (tmp_path / "out.csv").read_bytes() == before


def test_labels_go_into_sidecars_once_the_dry_run_has_shown_them(tagfit, tagged, tmp_path):
    def sidecars():
        return sorted(tagged.rglob("*.xmp"))

    rows = csv.DictReader(tagfit("predict", "run", "images").stdout.splitlines())
    given = {row["sample"]: row["labels"].split(";") for row in rows if row["labels"]}
    assert given
    shown = tagfit("predict", "run", "images", "--write-xmp", "--dry-run")
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        f"{name.removesuffix('.png')}.xmp (new): + {', '.join(labels)}" for name, labels in given.items()
    ]
    assert not sidecars()
    assert tagfit("predict", "run", "images", "--write-xmp", "-o", "out.csv").exit_code == 0
    assert len(sidecars()) == len(given)
    assert tagfit("predict", "run", "images", "--write-xmp", "--dry-run").stdout == ""
    assert tagfit("predict", "run", "images", "--dry-run").exit_code == 2
