"""What tagfit does to the machine around it: no host is looked up, nothing is written outside of cache and output."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from making import PROVE
from tagfit.cli.main import main

#: places of the machine that any program may write to
ALLOWED = ("/dev/", "/proc/", "/sys/", "/run/shm/")
#: system calls that change a file or a folder, and the flags without which `openat` only reads
CALLS = (
    "connect,sendto,sendmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlinkat,linkat"
)
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
#: the commands that a person starts with, in the order in which they build on one another; the long form adds the rest
COMMANDS = {
    "fit": "fit images -o out/run --recipe dense-regularised",
    "predict": "predict out/run images/00.png --json",
    "export": "export out/run --to onnx -o out/run.onnx",
}
LONG = {
    "inspect": "inspect images",
    "cure": "cure images -o out/cured --trials 2",
    "evaluate": "evaluate out/run images",
    "diagnose": "diagnose images",
    "report": "report out/run -o out/again.html",
    "labels": "labels images -o out/labels.csv",
    "suggest": "suggest out/run more -n 3 -o out/next.csv",
    "cache": "cache",
    "demo": "demo --count 60 --trials 1 -o out/demo",
}
SERVERS = {
    "serve": "serve out/run --port 0",
    "review": "review images --port 0 -o out/corrections.jsonl",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home of its own with a few images in it."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("images", "more"):
        (folder / name).mkdir()
    rng, rows = np.random.default_rng(0), ["image,red,green"]
    for number in range(40):
        red, green = rng.integers(0, 2, 2)
        pixels = rng.integers(0, 60, (16, 16, 3)) + np.array([red, green, 0]) * 190
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number:02}.png")
        rows.append(f"{number:02}.png,{red},{green}")
    for number in range(5):
        pixels = rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "more" / f"{number}.png")
    (folder / "images" / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def watched(home):
    """Runs a command in that home under strace; gives the hosts that it went to, and what it wrote outside."""
    if (strace := shutil.which("strace")) is None:
        pytest.skip("needs strace: apt-get install strace")
    (home / "tmp").mkdir(exist_ok=True)
    # as on a person's machine: nothing that quiets a library by itself (CI), no cache or home of the tests' own
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    trace = home / "trace"

    def run(command, *, until=None):
        program = [strace, "-f", "-y", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", str(trace)]
        program += [sys.executable, "-m", "tagfit", *command.split()]
        with subprocess.Popen(
            program,
            cwd=home,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            if until:
                until(process)
                os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=600)
        return process.returncode, errors, *_outside(trace.read_text(encoding="utf-8", errors="replace"), home)

    return run


def _outside(trace, home):
    hosts = sorted(set(re.findall(r"sin6?_port=htons\(\d+\)[^}]*?\"([^\"]+)\"", trace)) - {"127.0.0.1", "::1"})
    allowed = (str(home / ".cache" / "tagfit"), str(home / "out"), str(home / "tmp"), str(home / "trace"), *ALLOWED)
    written = set()
    for line in trace.splitlines():
        if " = -1 " in line or not (found := re.search(r"\b(\w+)\((.*)", line)):
            continue
        call, arguments = found.groups()
        if call in ("connect", "sendto", "sendmsg") or (call.startswith("open") and not WRITES.search(arguments)):
            continue
        for folder, name in re.findall(r'(?:<([^>]*)>, )?"([^"]*)"', arguments):
            path = str((Path(folder or home) / name).resolve())
            if not path.startswith(allowed) and Path(path) not in (home / ".cache",):
                written.add(f"{call} {path}")
    return hosts, sorted(written)


@pytest.mark.parametrize("name", [*COMMANDS, *(LONG if PROVE else ())])
def test_no_host_is_looked_up_and_nothing_is_written_elsewhere(name, watched):
    code, errors, hosts, written = watched({**COMMANDS, **LONG}[name])
    assert code in (0, 3), errors
    assert hosts == []
    assert written == []


def test_no_command_is_left_out():
    assert {*COMMANDS, *LONG, *SERVERS} == set(main.commands)


@pytest.mark.parametrize("name", SERVERS if PROVE else ["serve"])  # a review compiles what it trains with
def test_a_server_looks_nobody_up(name, watched):
    pytest.importorskip("fastapi")

    def until(process):
        for line in process.stderr:
            if "http://" in line:
                break
        time.sleep(1)

    _, _, hosts, written = watched(SERVERS[name], until=until)
    assert hosts == []
    assert written == []


def test_every_process_is_told_to_keep_silent():
    code = "import json, os, tagfit; print(json.dumps({name: os.environ[name] for name in tagfit.NO_TELEMETRY}))"
    env = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY",)}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout
    assert json.loads(told)["ORT_DISABLE_TELEMETRY"] == "1"
    asked = subprocess.run(
        [sys.executable, "-c", code], env={**env, "ORT_DISABLE_TELEMETRY": "0"}, capture_output=True, check=True
    ).stdout
    assert json.loads(asked)["ORT_DISABLE_TELEMETRY"] == "0"  # what a person set stands
