"""Whether the program of `export --to keras-script` scores as tagfit does: val micro-F1 of both, on 3 seeds.

    python benchmarks/keras_agreement.py DATA...

Each recipe is trained by tagfit and by its program, in Keras on torch, on the same split. Needs tagfit[keras].
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tagfit
from tagfit.inference.export.keras_script import keras_script
from tagfit.recipes import RECIPES, Recipe
from tagfit.records.data import LockedData

SEEDS = range(3)

#: the reference cure, and one that uses all of what a program of a dense network can hold
DENSE = (
    RECIPES["dense-regularised"],
    RECIPES["dense-regularised"].changed(
        name="one-cycle",
        model={"standardise": True},
        training={
            "schedule": "one-cycle",
            "rate": 3e-3,
            "weight_decay": 0.05,
            "patience": 0,
            "epochs": 25,
            "averaging": 0.99,
            "label_smoothing": 0.1,
        },
    ),
)
CNN = (RECIPES["cnn"].changed(training={"epochs": 8}),)

#: the program, with a seed; it draws one of its own
SEEDED = "def main():\n    keras.utils.set_random_seed(int(sys.argv.pop()))\n"


def theirs(recipe: Recipe, data: LockedData, folder: Path) -> Iterator[float]:
    program = keras_script(recipe, data.dataset.preprocessing).replace("def main():\n", SEEDED)
    (folder / "train.py").write_text(program, encoding="utf-8")
    environment = os.environ | {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    for seed in SEEDS:
        command = [sys.executable, "train.py", "data.npz", str(seed)]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        yield float(ran.stdout.split()[-1])


def ours(recipe: Recipe, data: LockedData) -> Iterator[float]:
    for seed in SEEDS:
        score = tagfit.fit(data, recipe=recipe, seed=seed).record.after.score("val", "micro_f1")
        assert score is not None
        yield score


def main() -> None:
    for source in sys.argv[1:]:
        data = tagfit.load(source)
        arrays = {"x": np.asarray(data.dataset.x), "y": data.dataset.labels_NL}
        parts = {
            f"{name}_{part}": one[data.split.rows(part)] for name, one in arrays.items() for part in ("train", "val")
        }
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "data.npz", **parts)
            for recipe in DENSE if data.dataset.kind == "features" else (*DENSE, *CNN):
                rows = {"tagfit": list(ours(recipe, data)), "keras": list(theirs(recipe, data, Path(folder)))}
                for who, scores in rows.items():
                    spread = f"{np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}"
                    print(
                        f"{data.dataset.name:12} {recipe.name:18} {who:7} {spread}  {np.round(scores, 4)}", flush=True
                    )


if __name__ == "__main__":
    main()
