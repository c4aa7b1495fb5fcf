"""Runs commands in forks of a process that has imported all they need, and kills them on demand.

Reads a line of JSON, {"command": [...], "cwd": ..., "cache": ..., "after": seconds or null}, and answers with another,
{"code": ..., "seconds": ..., "errors": ...}; a code of -9 is a kill that came in time.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback

import numba  # noqa: F401
import onnxruntime  # noqa: F401
import torch.onnx  # noqa: F401

import tagfit.api
import tagfit.cluster.training
import tagfit.runs.session
import tagfit.search.campaign  # noqa: F401
from tagfit.cli.main import main
from tagfit.training import checkpoint

# checkpoints are written at every step, so that a kill may hit the writing as well
checkpoint.EVERY = checkpoint.PATIENCE_FOR_WRITING = 0.0


def child(ask):
    os.setsid()
    os.chdir(ask["cwd"])
    os.environ["TAGFIT_CACHE"] = ask["cache"]
    for number, name in ((1, "printed"), (2, "errors")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    try:
        main(ask["command"])
    except SystemExit as ended:
        return ended.code or 0
    except BaseException:  # a test reads it
        traceback.print_exc()
        return 1
    return 0


def run(ask):
    began = time.perf_counter()
    if not (pid := os.fork()):
        code = child(ask)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    # all of its processes: those that decode images as well
    killer = threading.Timer(ask["after"] or 600, lambda: os.killpg(pid, signal.SIGKILL))
    killer.start()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    killer.cancel()
    return {"code": code, "seconds": time.perf_counter() - began}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
