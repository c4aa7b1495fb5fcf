"""What is read of a bundle before anything is made of it: its manifest, and the headers of the files that this lists.

Nothing here needs torch, so that a model which another runtime runs is opened without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagfit.bundle.files import (
    BACKBONE,
    MANIFEST,
    MODEL_CARD,
    MOST_CARD,
    SAMPLES,
    WEIGHTS,
    Listed,
    Stored,
    find_bundle,
    folder_faults,
    is_sha256,
    listed_files,
    read_listed,
    read_manifest,
    sha256,
    stored_tensors,
)
from tagfit.decisions.decider import Decider
from tagfit.errors import BundleError, InputError
from tagfit.io.strict_json import json_object
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.recipes import Recipe
from tagfit.records.data import PARTS, Preprocessing
from tagfit.records.scores import METRICS

#: 1 has neither `members` nor `decider`: one network, and yes above 0.5; 1 and 2 have no backbone
PROTOCOL = 3
READABLE = (1, 2, 3)

MOST_MEMBERS, MOST_LABELS = 100, 100_000

FIELDS = (
    "protocol",
    "tagfit",
    "recipe",
    "members",
    "preprocessing",
    "label_names",
    "decider",
    "constant_answer",
    "scores",
    "lock",
    "files",
)

#: characters of a fault that quotes what a stranger wrote
_QUOTED = 400


@dataclass(frozen=True, eq=False)
class Audited:
    """A bundle, as data: everything but the values of its tensors, which `contents` reads.

    Attributes:
        tensors: of each file of tensors, their names, dtypes and shapes.
        digest: SHA-256 of the manifest, which holds those of the files: alike bundles have the same.
        members: the recipe of each network.
        scores: of the delivered weights, by part, as result.json has them; none of a refitted network.
    """

    folder: Path
    digest: str
    files: Mapping[str, Listed]
    tensors: Mapping[str, Mapping[str, Stored]]
    recipe: Recipe
    members: tuple[Recipe, ...]
    preprocessing: Preprocessing
    label_names: tuple[str, ...]
    decider: Decider
    constant_answer: ConstantBaseline
    scores: Mapping[str, Any]
    lock: str
    tagfit: str

    def contents(self) -> dict[str, bytes]:
        """The bytes of each file, which are the bytes that were hashed.

        Raises:
            BundleError: files that cannot be read, or that have changed.
        """
        return read_listed(self.folder, self.files)


def audited(path: Path) -> Audited:
    """Read and check the bundle at `path` (a bundle or a run folder).

    Raises:
        BundleError: missing, surplus or linked files, sizes and headers that lie, an unknown protocol, fields that are
            not what they should be; all of them named.
    """
    folder = find_bundle(path)
    content = read_manifest(folder)
    manifest = _of_today(folder / MANIFEST, json_object(folder / MANIFEST, content))
    faults: list[str] = []
    read: dict[str, Any] = {}
    tensors: dict[str, Mapping[str, Stored]] = {}
    for name, reader in _READERS.items():
        with gathered(faults):
            read[name] = reader(manifest[name])
    if "label_names" in read:
        for name, of_labels in _OF_LABELS.items():
            with gathered(faults):
                read[name] = of_labels(manifest[name], labels=len(read["label_names"]))
    if "files" in read:
        wrong = folder_faults(folder, read["files"])
        if "preprocessing" in read:
            wrong += _name_faults(read["files"], backbone=read["preprocessing"].backbone is not None)
        faults += wrong
        for name in () if wrong else sorted(read["files"].keys() & {WEIGHTS, SAMPLES, BACKBONE}):
            with gathered(faults):
                tensors[name] = stored_tensors(folder / name, read["files"][name].size)
        faults += _sample_faults(tensors.get(SAMPLES, {}))
    refuse(folder, faults)
    return Audited(folder=folder, digest=sha256(content), tensors=tensors, **read)


@contextmanager
def gathered(faults: list[str]) -> Iterator[None]:
    """Whatever a field that is not what it should be leads to joins `faults`."""
    try:
        yield
    except InputError as error:
        faults += error.faults
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, AssertionError) as error:
        faults.append(f"not a usable bundle: {type(error).__name__}: {error}")


def refuse(folder: Path, faults: list[str]) -> None:
    """Raises BundleError where there are faults."""
    if faults:
        named = [fault if str(folder) in fault else f"{folder}: {fault}" for fault in faults]
        raise BundleError([one if len(one) <= _QUOTED else f"{one[:_QUOTED]}…" for one in named])


def _of_today(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    protocol = manifest.get("protocol")
    if type(protocol) is not int or protocol not in READABLE:
        raise BundleError(
            f"{path}: expected protocol {PROTOCOL}; got {protocol!r:.60}",
            "A newer tagfit may read it: upgrade tagfit.",
        )
    if protocol == 1:
        manifest = {"members": [manifest.get("recipe")], "decider": Decider().to_dict(), **manifest}
    faults = [f"{path}: {name} is missing" for name in FIELDS if name not in manifest]
    faults += [f"{path}: there is no field {name!r:.60}" for name in manifest if name not in FIELDS]
    if faults:
        raise BundleError(faults)
    return manifest


def _version(version: Any) -> str:
    if not (isinstance(version, str) and len(version) <= 60):
        raise BundleError(f"tagfit must be the version that wrote this; got {version!r:.60}")
    return version


def _names(names: Any) -> tuple[str, ...]:
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise BundleError(f"expected a list of label names; got {names!r:.60}")
    if len(names) > MOST_LABELS:
        raise BundleError(f"expected at most {MOST_LABELS:,} label names; got {len(names):,}")
    if len(set(names)) < len(names):
        raise BundleError("the label names are not all different")
    return tuple(names)


def _members(members: Any) -> tuple[Recipe, ...]:
    if not (isinstance(members, list) and 1 <= len(members) <= MOST_MEMBERS):
        raise BundleError(f"expected a list of 1 to {MOST_MEMBERS} recipes of members; got {members!r:.60}")
    return tuple(map(_recipe, members))


def _recipe(values: Any) -> Recipe:
    if not isinstance(values, dict):
        raise BundleError(f"expected a recipe; got {values!r:.60}")
    return Recipe.from_dict(values)


def _scores(scores: Any) -> dict[str, Any]:
    by_part = scores if isinstance(scores, dict) else {"": scores}
    if not all(part in PARTS and (one is None or _are_scores(one)) for part, one in by_part.items()):
        raise BundleError("scores must be by part and metric, each a number or null")
    return by_part


def _are_scores(by_metric: Any) -> bool:
    return isinstance(by_metric, dict) and all(
        metric in METRICS and (value is None or type(value) in (int, float)) for metric, value in by_metric.items()
    )


def _lock(lock: Any) -> str:
    if not (isinstance(lock, str) and is_sha256(lock)):
        raise BundleError(f"lock must be 64 hex digits; got {lock!r:.80}")
    return lock


def _constant(values: Any, *, labels: int) -> ConstantBaseline:
    constant = ConstantBaseline.from_dict(values)
    if len(constant.frequencies) != labels:
        raise BundleError(f"the constant baseline is of {len(constant.frequencies)} labels; {labels} are named")
    return constant


#: what makes a field what it should be, or says why it is not
_READERS: dict[str, Callable[[Any], Any]] = {
    "tagfit": _version,
    "recipe": _recipe,
    "members": _members,
    "preprocessing": Preprocessing.from_dict,
    "label_names": _names,
    "scores": _scores,
    "lock": _lock,
    "files": listed_files,
}
_OF_LABELS: dict[str, Callable[..., Any]] = {"decider": Decider.from_dict, "constant_answer": _constant}


def _name_faults(files: Mapping[str, Listed], *, backbone: bool) -> list[str]:
    """Which files are listed that a bundle does not have, or not listed that it has."""
    needed = {WEIGHTS, SAMPLES, *((BACKBONE,) if backbone else ())}
    faults = [f"files: {name} is not listed" for name in sorted(needed - files.keys())]
    faults += [f"files: a bundle of this kind has no {name!r:.60}" for name in files.keys() - needed - {MODEL_CARD}]
    if MODEL_CARD in files and files[MODEL_CARD].size > MOST_CARD:
        faults.append(f"files: {MODEL_CARD} may have {MOST_CARD:,} bytes; got {files[MODEL_CARD].size:,}")
    return faults


def _sample_faults(tensors: Mapping[str, Stored]) -> list[str]:
    return [
        f"{SAMPLES}: expected SHA-256 of the samples of a part; got {name!r:.60}, {one.dtype} of {list(one.shape)}"
        for name, one in tensors.items()
        if name not in PARTS or one.dtype != "U8" or len(one.shape) != 2 or one.shape[1] != 32
    ]
