"""A stop is a stop: by any signal, at any stage, of any command."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from making import PROVE, feature_table

#: none of these ends by itself while the test waits
ENDLESS = {
    "diagnose": "diagnose rows.npz --recipe endless.toml",
    "fit": "fit rows.npz --recipe endless.toml -o stopped",
    "cure": "cure rows.npz --minutes 600 -o searching",
}
#: these do, and are stopped in the middle by chance
SHORT = (
    "inspect rows.npz",
    "evaluate run rows.npz",
    "predict run rows.npz -o out.csv",
    "export run --to onnx -o x.onnx",
)
OTHERS = ("report run", "diagnose run", "cure rows.npz --trials 2 -o cured", "demo --count 60 --trials 1 -o demo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stops")
    table = feature_table(samples=200)
    np.savez(folder / "rows.npz", X=table.x, y=table.labels_NL, label_names=np.array(table.label_names))
    for name, epochs, width in (("endless", 10_000_000, 1024), ("quick", 2, 8)):
        text = f'name = "{name}"\n[model]\nwidths = [{width}]\n[training]\nepochs = {epochs}\npatience = 0\n'
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    with _started(folder, "fit rows.npz --recipe quick.toml -o run") as process:
        assert process.wait(120) == 0
    return folder


def _started(folder, command):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    line = [sys.executable, "-m", "tagfit", *command.split()]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def _stop(folder, command, number, after):
    with _started(folder, command) as process:
        time.sleep(after)
        process.send_signal(number)
        try:
            printed, errors = process.communicate(timeout=120)
        finally:
            process.kill()  # the next test is not to wait for it
    assert "Traceback" not in errors or "tagfit" not in errors  # Python's own start is not ours
    return process.returncode, printed, errors


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize(
    ("command", "number"),
    [(command, number) for command in ENDLESS for number in SIGNALS]
    if PROVE
    else [("diagnose", signal.SIGINT), ("diagnose", signal.SIGTERM), ("fit", signal.SIGHUP)],
)
def test_in_the_middle_of_a_training(folder, command, number):
    words = ENDLESS[command] + (str(number) if "-o" in ENDLESS[command] else "")
    code, printed, errors = _stop(folder, words, number, 7)
    assert code == 128 + number, errors
    if command == "diagnose":  # half a training is no evidence
        assert printed == ""


@pytest.mark.parametrize("command", [*SHORT, *OTHERS] if PROVE else SHORT[:1])
@pytest.mark.parametrize("number", SIGNALS if PROVE else [signal.SIGTERM])
def test_at_any_moment(folder, command, number):
    moments = random.Random(f"{command} {number}")
    for _ in range(6 if PROVE else 1):
        code, _, errors = _stop(folder, command, number, moments.uniform(0.2, 3))
        # before Python runs a line of tagfit, the signal ends the process by itself; after the work, it is over
        assert code in (128 + number, -number, 0, 2, 3), errors


def test_ctrl_c_while_the_commands_are_imported_shows_no_traceback(tmp_path):
    code = """
import os, signal, sys
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "tagfit.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Slow())
from tagfit.__main__ import main
main()
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


EXEC = """
import os, signal, sys
from tagfit.cli import main
def inspect(*_, **__):
    exec(f"import os; os.kill(os.getpid(), {sys.argv.pop()})")  # as a dataclass does while it is made
main.inspect.callback = inspect
main.main(["inspect", "rows.npz"])
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_the_code_is_the_same_within_what_python_compiles(folder, number):
    (folder / "stopped_within.py").write_text(EXEC)
    command = [sys.executable, "-m", "stopped_within", str(int(number))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True)
    assert done.returncode == 128 + number, done.stderr


def test_a_hangup_that_is_ignored_stays_ignored(folder):
    line = f"trap '' HUP; exec {sys.executable} -m tagfit fit rows.npz --recipe quick.toml -o hung"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(["bash", "-c", line], cwd=folder, env=env, stderr=subprocess.PIPE) as process:
        time.sleep(2)
        process.send_signal(signal.SIGHUP)
        assert process.wait(120) == 0
