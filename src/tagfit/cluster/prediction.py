"""Predictions of many images on a Ray cluster: a folder of numbered parts, by Ray Data's pool of actors.

DIR/manifest.json     what the parts are of: bundle, options, how many images in which order, by hash
DIR/inputs/           the images of each part, a JSON string a line, and the bundle; gone when all is done
DIR/part-000000.csv   their rows, in that order; or .jsonl, .parquet

The images are listed once, and a part is a fixed range of that list: whoever makes it, and how often, its file comes
out the same, is written beside and renamed, and holds one row for each image.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import tagfit
from tagfit.bundle.files import MANIFEST, find_bundle
from tagfit.cluster.connection import demand_version, told, version
from tagfit.errors import OutputError, TagfitError
from tagfit.inference.row_files import write_form
from tagfit.inference.rows import RowCounts, image_rows
from tagfit.inference.tagger import PATHS_AT_ONCE, Tagger
from tagfit.io.files import is_temporary, whole_file, writable, write_atomically

#: images of one part: whole batches, so that scores are those of a single machine
PART = 8 * PATHS_AT_ONCE

_INPUTS, _BUNDLE = "inputs", "inputs/bundle"

_OTHER = "Continue the job that the same command began, or choose another folder with -o; nothing was written."


def predict_parts(
    ray: Any,
    bundle: Path,
    names: Iterable[str],
    output: Path,
    *,
    calibrated: bool = False,
    resume: bool = False,
    on_row: Callable[[int, int], object] = lambda done, total: None,
) -> RowCounts:
    """Predict the images `names` into the folder `output`; how many were read now, and how many could not be.

    Args:
        ray: as `connected` gives it.
        names: paths as all nodes see them, those that are relative from the folder that this process works in.
        output: its suffix says what the parts are: .csv, .jsonl or .parquet.
        resume: go on with what was begun there; parts that are there stay as they are.
        on_row: told how many images are done, of how many.

    Raises:
        OutputError: the folder exists, or holds another job; it cannot be written to.
        TagfitError: the nodes cannot do it: another version, no such folder.
    """
    job = _begun(bundle, names, output, calibrated, resume)
    counts = RowCounts()
    todo = [number for number in range(job.parts) if not _part(output, number).exists()]
    done = job.images - sum(job.size(number) for number in todo)
    on_row(done, job.images)
    for found in _run(ray, bundle, output, todo, calibrated) if todo else ():
        done += found.total
        counts = RowCounts(counts.read + found.read, counts.unreadable + found.unreadable)
        on_row(done, job.images)
    with writable(output):
        shutil.rmtree(output / _INPUTS, ignore_errors=True)
        for left in filter(is_temporary, output.iterdir()):
            left.unlink(missing_ok=True)
    return counts


@dataclass(frozen=True)
class _Job:
    """What is predicted: the folder's manifest.

    Attributes:
        bundle, inputs: SHA-256 of the bundle's manifest and of all paths.
        of: images of a part.
    """

    tagfit: str
    bundle: str
    calibrated: bool
    images: int
    inputs: str
    parts: int
    of: int = PART

    def size(self, part: int) -> int:
        """Images of one part."""
        return min(self.of, self.images - part * self.of)


def _begun(bundle: Path, names: Iterable[str], output: Path, calibrated: bool, resume: bool) -> _Job:
    """The job's manifest, after its inputs are listed; the one that is there, where it is gone on with.

    Raises:
        OutputError: the folder exists, or holds another job.
    """
    manifest = output / MANIFEST
    if output.exists() and not resume:
        raise OutputError(
            f"{output} exists already", "Choose another folder with -o, or continue this one with --resume."
        )
    if output.exists() and not manifest.exists() and any(map(_is_strange, output.iterdir())):
        raise OutputError(f"{output}: expected a folder that predict --on began", _OTHER)
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else None
    with writable(output):
        output.mkdir(parents=True, exist_ok=True)
        digest, images, coming = hashlib.sha256(), 0, iter(names)
        for number, part in enumerate(iter(lambda: list(islice(coming, PART)), [])):
            lines = "".join(json.dumps(name) + "\n" for name in part).encode()
            digest.update(lines)
            images += len(part)
            if not _part(output, number).exists():
                place = output / _INPUTS / f"{number:06}.jsonl"
                place.parent.mkdir(exist_ok=True)
                write_atomically(place, lines)
        model = hashlib.sha256((find_bundle(bundle) / MANIFEST).read_bytes()).hexdigest()
        job = _Job(tagfit.__version__, model, calibrated, images, digest.hexdigest(), -(-images // PART))
        if known is not None and known != asdict(job):
            now = asdict(job).items()
            faults = [f"{name}: {known.get(name)} then, {value} now" for name, value in now if known.get(name) != value]
            raise OutputError([f"{output} holds another job; {fault}" for fault in faults], _OTHER)
        write_atomically(manifest, json.dumps(asdict(job), indent=1))
    return job


def _is_strange(path: Path) -> bool:
    return path.name != _INPUTS and not is_temporary(path)


def _part(output: Path, number: int) -> Path:
    return output / f"part-{number:06}{output.suffix}"


def _run(ray: Any, bundle: Path, output: Path, todo: Sequence[int], calibrated: bool) -> Iterator[RowCounts]:
    """Have the parts made; the counts of each, as they come.

    Raises:
        TagfitError: a node cannot do it.
    """
    with writable(output):
        shutil.copytree(find_bundle(bundle), output / _BUNDLE, dirs_exist_ok=True)
    given = (str(output.resolve()), str(Path.cwd()), calibrated, version())
    try:
        if ray.util.client.ray.is_connected():  # Ray Data works on the cluster alone
            yield from ray.get(ray.remote(_all_counts).options(num_cpus=0).remote(todo, given))
        else:
            yield from _counts(todo, given)
    except ray.exceptions.RayError as error:
        raise told(error, "the cluster could not predict") from error


def _all_counts(todo: Sequence[int], given: tuple[Any, ...]) -> list[RowCounts]:
    demand_version(given[-1])
    return list(_counts(todo, given))


def _counts(todo: Sequence[int], given: tuple[Any, ...]) -> Iterator[RowCounts]:
    """By Ray Data: the counts of each part, as they come."""
    import ray
    import ray.data as data

    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is raised
    actors = max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
    parts = data.from_items([{"part": number} for number in todo], override_num_blocks=len(todo)).map_batches(
        _Predictor, batch_size=1, fn_constructor_args=given, concurrency=(1, actors), num_cpus=1
    )
    for row in parts.iter_rows():
        yield RowCounts(**{name: int(row[name]) for name in ("read", "unreadable")})


class _Predictor:
    """On a worker, an actor: loads the bundle, and makes the parts that it is given.

    Raises:
        TagfitError: another version of tagfit, or no such folders here.
    """

    def __init__(self, output: str, work: str, calibrated: bool, expected: tuple[str, str]) -> None:
        demand_version(expected)
        missing = [folder for folder in (output, work) if not Path(folder).is_dir()]
        if missing:
            raise TagfitError(
                f"a node of the cluster has no folder {missing[0]}: put images and parts in a folder that every "
                f"node can read"
            )
        os.chdir(work)
        self._output, self._calibrated = Path(output), calibrated
        self._tagger = Tagger.load(self._output / _BUNDLE, processes=1)

    def __call__(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        counts = RowCounts()
        for number in batch["part"]:
            place = _part(self._output, int(number))
            listed = (self._output / _INPUTS / f"{int(number):06}.jsonl").read_text(encoding="utf-8")
            rows = image_rows(self._tagger, map(json.loads, listed.splitlines()), self._calibrated)
            with writable(place), whole_file(place) as stream:
                write_form(stream, place.suffix, self._tagger.label_names, counts.counted(rows))
        return {name: [count] for name, count in asdict(counts).items()}
