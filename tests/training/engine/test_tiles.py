import os
import shutil
import subprocess
import sys
from pathlib import Path

from tagfit.training.engine import tiles

MULTIPLIED = """
import numpy as np
from tagfit.training.engine import kernels

@kernels.compiled
def multiplied(a, b, c):
    kernels.product(8, 8, 8, a, 8, np.int64(1), b, c)

c = np.empty(64, np.float32)
multiplied(np.full(64, 2, np.float32), np.full(64, 3, np.float32), c)
print(c[0], sum(multiplied.stats.cache_hits.values()))
"""


def test_other_tiles_are_not_taken_from_the_cache(tmp_path):
    """A copy of the compiled loops; the file that holds the compiled function never changes, only the tiles do."""
    engine = tmp_path / "tagfit" / "training" / "engine"
    source = Path(tiles.__file__)
    shutil.copytree(source.parents[2], tmp_path / "tagfit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "multiplied.py").write_text(MULTIPLIED)
    variables = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def run():
        command = [sys.executable, "-B", "multiplied.py"]
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True).stdout

    assert (run(), run()) == ("48.0 0\n", "48.0 1\n")
    (engine / "tiles.py").write_text(source.read_text().replace("builder.fmul(value", "builder.fadd(value"))
    assert run() == "40.0 0\n"
