"""The plain Keras script and tagfit, side by side on the same arrays and the same split: scores and times of both.

    python benchmarks/keras_peer.py [DATA ...] [--peer .venv-peers/bin/python] [--backend tensorflow|jax]
                                    [--seeds 1] [--record]

Each side trains the two networks that everything starts from: `before` (dense-baseline, 200 epochs) and `after`
(dense-regularised, early stopping), both on the CPU, one side at a time. `--seeds` says how often; with every other
seed the other side is first. tagfit trains with the seeds 0, 1, ...; why Keras is not seeded, its script says. Keras
runs benchmarks/keras_script.py in a Python of its own. tagfit reads, splits and locks the data; Keras gets the samples
of that split as float32, images as p / 255 in one row each.

Scores: tagfit's metrics, of each side's probabilities in inference mode, with the weights that it delivers.
Times: from building the network to the end of the last epoch, with the validation of every epoch: for tagfit that is
the val loss and all its val scores, for Keras the val loss alone. `a step` divides that by the training steps, because
early stopping ends the two sides at different epochs; `a step, warm` takes the median epoch instead, which leaves out
what only the first one costs (Keras traces and compiles there, torch loads the rest of itself). Imports are told apart:
the wall time of a fresh Python that only imports, the median of three.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import tagfit
from tagfit import api
from tagfit.errors import TagfitError
from tagfit.metrics.scores import score
from tagfit.metrics.titles import TITLES
from tagfit.recipes import RECIPES
from tagfit.records.data import UNKNOWN, LockedData, Part
from tagfit.records.scores import Scores
from tagfit.training.events import EpochEnded, Event, RunStarted

HERE = Path(__file__).resolve().parent
SCRIPT, RECORDS = HERE / "keras_script.py", HERE / "records"
SHARED = HERE.parent.parent / "shared" / "data"
PEER = HERE.parent / ".venv-peers" / "bin" / "python"

#: the embedded set, which everybody has
POSTCARDS = "postcards:2400"
NETWORKS = {"before": RECIPES["dense-baseline"], "after": RECIPES["dense-regularised"]}
PARTS: tuple[Part, ...] = ("train", "val", "test")
METRICS = ("micro_f1", "macro_f1", "map", "keras_accuracy", "label_accuracy", "subset_accuracy")
#: the columns of a table, in this order
SIDES = ("Keras", "tagfit")
IMPORTS = 3


class Trained(NamedTuple):
    """One network, trained once by one side.

    Attributes:
        scores: by part.
        seconds: from building the network to the end of the last epoch.
        epoch_seconds: of each epoch, with its validation.
        delivered_epoch: the epoch (from 1) whose weights were scored.
    """

    scores: Mapping[Part, Scores]
    seconds: float
    epoch_seconds: Sequence[float]
    delivered_epoch: int


#: by network
Trainings = dict[str, Trained]


# ------------------------------------------------------------------------------------------- the sides


def parts_of(data: LockedData) -> list[Part]:
    return [part for part in PARTS if data.split.counts[part]]


def scored(data: LockedData, probabilities: Mapping[Part, NDArray[np.float32]]) -> dict[Part, Scores]:
    """The same metrics for both sides."""
    return {part: score(data.labels(part), p_NL) for part, p_NL in probabilities.items()}


@dataclass
class Clock:
    """Listens to tagfit's training: when it began, and when its last epoch ended."""

    began: float = 0.0
    ended: float = 0.0
    epoch_seconds: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.began = time.perf_counter()
            case EpochEnded():
                self.ended = time.perf_counter()
                self.epoch_seconds.append(float(event.row["seconds"] or 0.0))


def run_tagfit(data: LockedData, seed: int) -> Trainings:
    trainings = {}
    for network, recipe in NETWORKS.items():
        clock = Clock()
        result = api.fit(data, recipe=recipe, seed=seed, device="cpu", on_event=clock)
        probabilities = {
            part: result.tagger.predict_array(data.dataset.x[data.split.rows(part)]).scores for part in parts_of(data)
        }
        delivered = result.record.after.delivered_epoch
        trainings[network] = Trained(
            scored(data, probabilities), clock.ended - clock.began, clock.epoch_seconds, delivered
        )
    return trainings


class Peer(NamedTuple):
    """The Python that has Keras, and the backend that it shall use."""

    python: Path
    backend: str

    def call(self, *arguments: str | Path) -> str:
        """What a Python with these arguments prints; its own words where it fails."""
        environment = os.environ | {
            "KERAS_BACKEND": self.backend,
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        command = [str(self.python), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"keras_peer: {shlex.join(command)} failed:\n{done.stderr}")
        return done.stdout

    def versions(self) -> dict[str, str]:
        return json.loads(
            self.call(
                "-c",
                f"import json, platform, keras, numpy, {self.backend} as backend; print(json.dumps({{"
                "'Python': platform.python_version(), 'Keras': keras.__version__, "
                f"{self.backend!r}: backend.__version__, 'NumPy': numpy.__version__}}))",
            ).splitlines()[-1]
        )

    def run(self, data: LockedData, arrays: Path) -> Trainings:
        """Run the Keras script on `arrays`, which hold `data`."""
        answers, times = arrays.with_name("answers.npz"), arrays.with_name("times.json")
        self.call(SCRIPT, arrays, answers, times)
        with np.load(answers) as of:
            probabilities = {
                network: {part: of[f"{network}_{part}"] for part in parts_of(data)} for network in NETWORKS
            }
        by_network = json.loads(times.read_text(encoding="utf-8"))
        return {network: Trained(scored(data, probabilities[network]), **by_network[network]) for network in NETWORKS}


def write_arrays(data: LockedData, file: Path) -> None:
    """The samples as Keras wants them: float32 rows, and labels of 0 and 1."""
    if (data.dataset.labels_NL == UNKNOWN).any():
        raise SystemExit(
            f"keras_peer: {data.dataset.name} has unknown labels, which a plain Keras script cannot train on"
        )
    arrays = {}
    for part in parts_of(data):
        x = data.dataset.x[data.split.rows(part)]
        x = x.astype(np.float32) / 255 if data.dataset.kind == "images" else x
        arrays[f"X_{part}"] = x.reshape(len(x), -1)
        arrays[f"y_{part}"] = data.labels(part).astype(np.float32)
    np.savez(file, **arrays)


def side_by_side(data: LockedData, peer: Peer, seeds: int, place: str) -> dict[str, list[Trainings]]:
    """Both sides with each seed, by side; they take turns in going first."""
    trainings: dict[str, list[Trainings]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory(prefix="keras-peer-") as folder:
        arrays = Path(folder) / "arrays.npz"
        write_arrays(data, arrays)
        for seed in range(seeds):
            run: dict[str, Callable[[], Trainings]] = {
                "Keras": lambda: peer.run(data, arrays),
                "tagfit": lambda seed=seed: run_tagfit(data, seed),
            }
            for side in SIDES if seed % 2 == 0 else reversed(SIDES):
                with progress(f"{place}, seed {seed + 1}/{seeds}: {side} trains both networks"):
                    trainings[side].append(run[side]())
    return trainings


def import_seconds(peer: Peer) -> dict[str, float]:
    """Seconds of a fresh Python that imports and ends, by side; the first, which fills the file cache, is dropped."""
    calls = {"Keras": (peer, "import keras"), "tagfit": (Peer(Path(sys.executable), ""), "import tagfit.api")}
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(1 + IMPORTS):
        for side, (python, statement) in calls.items():
            began = time.perf_counter()
            python.call("-c", statement)
            seconds[side].append(time.perf_counter() - began)
    return {side: statistics.median(times[1:]) for side, times in seconds.items()}


# ------------------------------------------------------------------------------------------- the report


def table(data: LockedData, trainings: Mapping[str, Sequence[Trainings]], imports: Mapping[str, float]) -> str:
    lines = [*heading(data, len(trainings["Keras"])), "", *scores_table(data, trainings), "", times_head()]
    for network, recipe in NETWORKS.items():
        steps = -(-data.split.counts["train"] // recipe.training.batch_size)
        lines += times_rows(network, {side: [one[network] for one in trainings[side]] for side in SIDES}, steps)
    return "\n".join([*lines, times_row("import, s", {side: [imports[side]] for side in SIDES}, ".1f")])


@dataclass
class Neighbours:
    """How many cores other processes kept busy since this was made: Keras, which takes all cores, suffers first."""

    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.others = self._others()

    def __str__(self) -> str:
        if self.others is None:
            return "what other processes took meanwhile is not known on this system"
        cores = ((self._others() or 0.0) - self.others) / (time.perf_counter() - self.began)
        return f"other processes kept {max(cores, 0.0):.2f} of the {os.cpu_count()} cores busy meanwhile"

    @staticmethod
    def _others() -> float | None:
        """CPU seconds since the machine began, without those of this process and of its children that have ended."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        user, nice, system, _idle, _waiting, *rest = map(int, stat.read_text(encoding="utf-8").split()[1:9])
        return sum((user, nice, system, *rest)) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def heading(data: LockedData, seeds: int) -> list[str]:
    dataset, counts = data.dataset, data.split.counts
    sizes = ", ".join(f"{counts[part]} {part}" for part in parts_of(data))
    shape = " x ".join(map(str, dataset.preprocessing.shape))
    samples = "images" if dataset.kind == "images" else "feature rows"
    title = f"{dataset.name}: {len(dataset)} {samples} of {shape}, {len(dataset.label_names)} labels"
    several = "" if seeds == 1 else f"; {seeds} trainings each: mean±standard deviation, median times"
    return [title, "=" * len(title), f"{sizes}; lock {data.lock[:12]}", f"scores in %{several}"]


def scores_table(data: LockedData, trainings: Mapping[str, Sequence[Trainings]]) -> list[str]:
    parts = parts_of(data)
    lines = [
        " " * 18 + "".join(f"{part:>20}" for part in parts),
        " " * 18 + "".join(f"{side:>10}" for _ in parts for side in SIDES),
    ]
    for network, recipe in NETWORKS.items():
        lines.append(f"{network} ({recipe.name})")
        for metric in METRICS:
            cells = [
                spread([getattr(one[network].scores[part], metric) for one in trainings[side]])
                for part in parts
                for side in SIDES
            ]
            lines.append(f"  {TITLES[metric]:<16}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def spread(values: Sequence[float | None]) -> str:
    """In percent: the value, or the mean and standard deviation of several; a dash where one is undefined."""
    defined = [100 * value for value in values if value is not None]
    if len(defined) < len(values):
        return "–"
    if len(defined) == 1:
        return f"{defined[0]:.1f}"
    return f"{statistics.mean(defined):.1f}±{statistics.stdev(defined):.1f}"


def times_head() -> str:
    return f"{'times':<26}{'Keras':>12}{'tagfit':>12}{'Keras / tagfit':>18}"


def times_rows(network: str, by_side: Mapping[str, Sequence[Trained]], steps: int) -> list[str]:
    """Medians over the seeds.

    Args:
        by_side: the trainings of `network`.
        steps: of an epoch.
    """

    def of(value: Callable[[Trained], float]) -> dict[str, list[float]]:
        return {side: [value(one) for one in trained] for side, trained in by_side.items()}

    return [
        times_row(f"{network}: training, s", of(lambda one: one.seconds), ".2f"),
        times_row("  epochs", of(lambda one: len(one.epoch_seconds)), ".0f", ratio=False),
        times_row("  delivered epoch", of(lambda one: one.delivered_epoch), ".0f", ratio=False),
        times_row("  a step, ms", of(lambda one: 1e3 * one.seconds / (steps * len(one.epoch_seconds))), ".2f"),
        times_row("  a step, warm, ms", of(lambda one: 1e3 * statistics.median(one.epoch_seconds) / steps), ".2f"),
    ]


def times_row(title: str, by_side: Mapping[str, Sequence[float]], form: str, *, ratio: bool = True) -> str:
    keras, ours = (statistics.median(by_side[side]) for side in SIDES)
    return f"{title:<26}{keras:>12{form}}{ours:>12{form}}" + (f"{keras / ours:>18.1f}" if ratio else "")


def machine(versions: Mapping[str, str]) -> str:
    """The machine, what runs on it, and how busy it is with other things."""
    theirs = ", ".join(f"{name} {version}" for name, version in versions.items())
    ours = f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}"
    lines = [
        f"{date.today()}, {cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"load {os.getloadavg()[0]:.1f} at the start",
        f"Keras side:  {theirs}",
        f"tagfit side: tagfit {tagfit.__version__}, {ours}",
    ]
    return "\n".join(textwrap.fill(line, 80, subsequent_indent="  ") for line in lines)


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


# --------------------------------------------------------------------------------------------- running


@contextmanager
def progress(what: str) -> Iterator[None]:
    """A line on stderr that counts the seconds; where stderr is no terminal, a line when it is over."""
    began, over = time.perf_counter(), threading.Event()

    def line() -> str:
        return f"keras_peer: {what}, {time.perf_counter() - began:.0f} s"

    def count() -> None:
        while sys.stderr.isatty() and not over.wait(1.0):
            print(f"\r{line()}", end="", file=sys.stderr, flush=True)

    counter = threading.Thread(target=count)
    counter.start()
    try:
        yield
    finally:
        over.set()
        counter.join()
        print(f"{chr(13) if sys.stderr.isatty() else ''}{line()}", file=sys.stderr, flush=True)


def default_data() -> list[str]:
    scene = SHARED / "scene"
    if scene.is_dir():
        return [os.path.relpath(scene), POSTCARDS]
    print(f"keras_peer: {os.path.relpath(scene)} is not here; running {POSTCARDS} alone", file=sys.stderr)
    return [POSTCARDS]


def read(name: str) -> LockedData:
    with progress(f"reading {name}"):
        try:
            return api.load(name)
        except TagfitError as error:
            raise SystemExit(f"keras_peer: {error}") from None


def parse(arguments: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data",
        nargs="*",
        help="what `tagfit cure` takes; where none is given ../shared/data/scene, if it is there, and postcards:2400",
    )
    parser.add_argument("--peer", type=Path, default=PEER, help="the Python that has Keras")
    parser.add_argument("--backend", choices=["tensorflow", "jax"], default="tensorflow")
    parser.add_argument("--seeds", type=int, default=1, help="how many trainings of each network on each side")
    parser.add_argument("--record", action="store_true", help="add it to benchmarks/records/DATE-keras-peer.txt, too")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1; got {options.seeds}")
    if not options.peer.exists():
        parser.error(f"there is no Python at {options.peer}: `make bench-peers` makes one with Keras and runs this")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    peer = Peer(options.peer.absolute(), options.backend)
    loaded = [read(name) for name in options.data or default_data()]
    head = machine(peer.versions())
    with progress("importing, on both sides"):
        imports = import_seconds(peer)
    texts = [head]
    print(head, flush=True)
    for number, data in enumerate(loaded, start=1):
        neighbours = Neighbours()
        trainings = side_by_side(data, peer, options.seeds, f"{number}/{len(loaded)} {data.dataset.name}")
        texts.append(f"{table(data, trainings, imports)}\n{neighbours}")
        print(f"\n{texts[-1]}", flush=True)
    if options.record:
        record(texts)


def record(texts: Sequence[str]) -> None:
    """Add this run, its command first, to the record of the day: a busy machine may have to run one set at a time."""
    command = shlex.join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]])
    file = RECORDS / f"{date.today()}-keras-peer.txt"
    RECORDS.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        gap = "\n\n" if out.tell() else ""
        out.write(gap + "\n\n".join([f"$ {command}", *texts]) + "\n")
    print(f"keras_peer: written to {file}", file=sys.stderr)


if __name__ == "__main__":
    main()
