"""A kill at any moment of any command that writes, and the same command again: the end is that of an undisturbed one.

    TAGFIT_PROVE=1 .venv/bin/python -m pytest -s tests/cli/test_kills.py

kills 300 times, and prints how often each command was hit.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from making import PROVE, feature_table, image_folder
from tagfit.cli.main import main

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are killed in forks")

FORKERY = Path(__file__).with_name("forkery.py")
#: each writes into `out`, beside data that lies there; and how often it is killed in the long form
COMMANDS = {
    "fit": ("fit rows.npz --recipe quick.toml -o out/run", 40),
    "fit images": ("fit photos --size 16 --recipe cnn.toml -o out/run", 40),
    "folds": ("fit rows.npz --folds 3 --recipe quick.toml -o out/run", 30),
    "cure": ("cure rows.npz --baseline quick.toml --trials 2 -o out/run", 40),
    "predict": ("predict model photos/images -o out/said.csv --resume", 30),
    "predict JSON lines": ("predict model photos/images -o out/said.jsonl --resume --calibrated", 20),
    "sidecars": ("predict model out/images --write-xmp", 20),
    "explain": ("predict model photos/images/1.png photos/images/2.png --explain out/maps", 10),
    "export": ("export model --to onnx -o out/model.onnx", 10),
    "report": ("report model -o out/page.html --figures out/figures", 20),
    "labels": ("labels photos -o out/labels.csv", 20),
    "evaluate": ("evaluate model photos --json", 10),
    "diagnose": ("diagnose rows.npz --json", 10),
    "inspect": ("inspect photos", 5),
    "suggest": ("suggest model unlabelled -n 5 -o out/next.csv", 10),
    "cache": ("cache --clear", 5),
}
#: of which a short form kills once each
SHORT = ("fit", "predict", "report", "labels")
#: those that begin with an empty cache
COLD = ("fit", "fit images", "labels", "inspect", "predict JSON lines")

_RECIPES = {
    "quick": "[model]\nwidths = [8]\n[training]\nepochs = 30\npatience = 0\nbatch_size = 16\n",
    "cnn": '[model]\narchitecture = "cnn"\nwidth = 4\n[training]\nepochs = 3\npatience = 0\nbatch_size = 8\n',
}
#: what tells how long something took, or when it was
_TIMES = re.compile(
    rb'"(seconds|began|ended|when|at|created|minutes)": ?[^,}\]]+|\b[\d.]+ (s|min|h|ms)\b|less than a second'
    rb'|<td class="n seconds"[^<]+'
)


class Forkery:
    """Commands in a folder of data, each with an `out` and a cache of its own."""

    def __init__(self, data, process):
        self.data, self._process = data, process

    def run(self, place, command, after=None):
        ask = {"command": command.split(), "cwd": str(place), "cache": str(place / "cache"), "after": after}
        self._process.stdin.write(json.dumps(ask) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        errors = (place / "errors").read_text() if answer["code"] == 2 else ""
        # what is never replaced may have been whole when its command was killed, or had ended before
        whole = "exists" in errors or "is not empty" in errors
        assert answer["code"] in (0, 3, -9) or whole, (command, answer, errors)
        return answer

    def place(self, folder, warm):
        """The data once more, and an empty `out`; with a cache that a run has filled, or with none."""
        folder.mkdir()
        for one in self.data.iterdir():
            if one.name not in ("cache", "out", "printed", "errors"):
                (folder / one.name).symlink_to(one)
        (folder / "out").mkdir()
        shutil.copytree(self.data / "photos" / "images", folder / "out" / "images")
        if warm:
            shutil.copytree(self.data / "cache", folder / "cache")
        return folder


@pytest.fixture(scope="module")
def forkery(tmp_path_factory):
    pytest.importorskip("onnxscript")
    data = tmp_path_factory.mktemp("data")
    table = feature_table(samples=80)
    np.savez(data / "rows.npz", X=table.x, y=table.labels_NL, label_names=np.array(table.label_names))
    image_folder(data / "photos", samples=24, size=16)
    image_folder(data / "unlabelled", samples=30, size=18)
    (data / "unlabelled" / "labels.csv").unlink()
    for name, text in _RECIPES.items():
        (data / f"{name}.toml").write_text(f'name = "{name}"\n{text}', encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, FORKERY], stdin=pipe, stdout=pipe, env=env, text=True) as process:
        made = Forkery(data, process)
        made.run(data, "fit photos --size 16 --recipe cnn.toml -o model")
        made.run(data, "fit rows.npz --recipe quick.toml -o dense")  # the cache has the compiled engine then
        shutil.rmtree(data / "dense")
        made.run(data, "evaluate model photos")
        made.run(data, "predict model photos/images/1.png")  # the cache has its networks then
        yield made
        process.stdin.close()


def ended(place, printed):
    """All that is there, but for times: of outputs their content, of the cache the names."""
    found = {"printed": _TIMES.sub(b"", (place / "printed").read_bytes())} if printed else {}
    for file in sorted(place.glob("out/**/*")):
        name = str(file.relative_to(place))
        content = file.read_bytes() if file.is_file() else b""
        found[name] = content if name.endswith((".safetensors", ".onnx")) else _TIMES.sub(b"", content)
    return found | {str(file.relative_to(place)): b"" for file in sorted(place.glob("cache/**/*"))}


def different(expected, found):
    return sorted(one for one in expected.keys() | found.keys() if expected.get(one) != found.get(one))


@pytest.mark.parametrize("name", COMMANDS if PROVE else SHORT)
def test_the_same_end_whenever_it_was_killed(name, forkery, tmp_path):
    command, times = COMMANDS[name]
    chance = random.Random(name)
    printed = name in ("evaluate", "diagnose")
    warm = name not in COLD
    for undisturbed in ("first", "whole"):  # the first run warms up
        whole = forkery.place(tmp_path / undisturbed, warm)
        seconds = forkery.run(whole, command)["seconds"]
    expected = ended(whole, printed)
    assert different(ended(tmp_path / "first", printed), expected) == []
    hits, tries = 0, 0
    while hits < (times if PROVE else 1) and tries < 3 * times:
        tries += 1
        place = forkery.place(tmp_path / f"{tries}", warm)
        for _ in range(chance.randint(1, 3) if PROVE else 1):
            hits += forkery.run(place, command, chance.uniform(0.02, seconds))["code"] == -9
        forkery.run(place, command)
        assert different(expected, ended(place, printed)) == [], f"{name}, kill {hits}"
        shutil.rmtree(place)
    print(f"\n{name}: {hits} kills of {seconds:.1f} s, 0 different ends")
    assert hits


def test_no_command_is_left_out():
    """But the servers, and the demo, which is a cure of many minutes."""
    assert {command.split()[0] for command, _ in COMMANDS.values()} | {"serve", "review", "demo"} == set(main.commands)
    assert sum(times for _, times in COMMANDS.values()) >= 300
