"""What goes out reaches any stream: of any encoding, closed, full, or with a reader that goes away."""

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from making import PROVE, feature_table
from tagfit.cli.streams import Gate, visible

#: text that turns; data with control characters in a label's name is refused, by its name
HOSTILE = ("exe\u202etxt", "\u2066set")
REFUSED = ("red\x1b[31m", "\x1b]0;owned\x07", "up\x1b[1A\r", "\x9b2J")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of feature rows whose labels have hostile names, and names that few encodings have."""
    folder = tmp_path_factory.mktemp("streams")
    names = (*HOSTILE, "日没", "été", "plain", "other")
    table = feature_table(samples=160, labels=len(names), label_names=names)
    np.savez(folder / "rows.npz", X=table.x, y=table.labels_NL, label_names=np.array(names))
    np.savez(folder / "refused.npz", X=table.x, y=table.labels_NL, label_names=np.array([*REFUSED, "a", "b"]))
    (folder / "quick.toml").write_text(
        'name = "quick\\u001b[31m"\n[model]\nwidths = [8]\n[training]\nepochs = 2\npatience = 0\n', encoding="utf-8"
    )
    done = _run(folder, "fit rows.npz --recipe quick.toml -o run")
    assert done.returncode == 0, done.stderr
    return folder


def _run(folder, command, prefix="", suffix="", **variables):
    """By a shell, as its redirections are what is tried."""
    line = f"{prefix} {sys.executable} -m tagfit {command} {suffix}"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, timeout=120, check=False)


COMMANDS = ("inspect rows.npz", "evaluate run rows.npz", "report run")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii"] if PROVE else ["ascii"])
def test_any_encoding(folder, command, encoding):
    done = _run(folder, command, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    done.stdout.decode(encoding)


@pytest.mark.parametrize(
    "command", [*COMMANDS, "inspect refused.npz", "inspect $'a\\e[31m'", "fit rows.npz --x$'\\e[1A'"]
)
def test_no_control_character_of_a_name_reaches_the_terminal(folder, command):
    done = _run(folder, command)
    assert done.stdout + done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e]", (done.stdout + done.stderr).decode())


def test_json_is_the_same_json_with_escapes(folder):
    printed = _run(folder, "predict run rows.npz --json").stdout.decode()
    assert "\u202e" not in printed
    assert HOSTILE[0] in json.loads(printed)["predictions"][0]["scores"]


@pytest.mark.parametrize("command", ["inspect rows.npz", "fit rows.npz --recipe quick.toml -o closed"])
@pytest.mark.parametrize("suffix", [">&-", "2>&-", ">&- 2>&- <&-", "2>/dev/full"] if PROVE else [">&- 2>&- <&-"])
def test_closed_streams(folder, command, suffix):
    done = _run(folder, command, suffix=suffix)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away_does_not_make_a_training_fail(folder):
    done = _run(folder, "fit rows.npz --recipe quick.toml -o piped", suffix="| head -c 1; exit ${PIPESTATUS[0]}")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
    assert (folder / "piped" / "report.html").exists()


def test_rows_whose_reader_goes_away_are_not_all_predicted(folder):
    done = _run(folder, "predict run rows.npz", suffix="| true; exit ${PIPESTATUS[0]}")
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["inspect rows.npz", "inspect rows.npz --json", "predict run rows.npz"])
def test_a_full_disk_is_said(folder, command):
    done = _run(folder, command, suffix="> /dev/full")
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_predict_says_where_rows_can_go(folder):
    done = _run(folder, "predict run rows.npz", suffix=">&-")
    assert b"Traceback" not in done.stderr


def test_a_program_that_put_its_own_stream_in_place():
    behind = io.StringIO()
    print("a\x1b[1mb\n\tc", file=Gate(behind))
    assert behind.getvalue() == "a\\u001b[1mb\n\tc\n"


def test_what_was_json_is_the_same_json():
    value = {"x\u202e\x7f\x9b": ["\u2066", "é", "日", "a\nb\t\x00"]}
    assert json.loads(visible(json.dumps(value, ensure_ascii=False, indent=1))) == value
