"""Hostile bundles: each is made of an honest one, and has to be refused for the reason that stands with it.

    PYTHONPATH=src python tests/bundle/attacks.py

makes them all, and says of each why it is refused, in how many seconds, and by how many megabytes the most memory that
the process ever took has grown.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

BUNDLES = Path(__file__).parent / "bundles"
FEATURES, IMAGES, BACKBONE, TUNED = "protocol-4", "protocol-4-images", "protocol-3-backbone", "protocol-3-fine-tuned"
OLDEST, OLD, OF_3 = "protocol-1", "protocol-2", "protocol-3"
MANIFEST, MODEL, SAMPLES = "manifest.json", "model.safetensors", "samples.safetensors"
SEEING, CARD = "backbone.safetensors", "MODEL_CARD.md"
HUGE = 100 * 10**9


@dataclass(frozen=True)
class Attack:
    """What it is called, the honest bundle, what is done to a copy of it, and the reason (a pattern) of the refusal."""

    name: str
    honest: str
    do: Callable[[Path], object]
    reason: str

    def make(self, folder: Path) -> Path:
        bundle = Path(shutil.copytree(BUNDLES / self.honest, folder / "bundle"))
        self.do(bundle)
        return bundle


# ------------------------------------------------------------------------------------------- what is done


@contextmanager
def changed(bundle: Path):
    """Its manifest, to be changed."""
    file = bundle / MANIFEST
    values = json.loads(file.read_text(encoding="utf-8"))
    yield values
    file.write_text(json.dumps(values), encoding="utf-8")


def put(*path: str | int, to: object = None):
    """Set what lies at this place of the manifest."""

    def do(bundle: Path) -> None:
        with changed(bundle) as values:
            _inside(values, path)[path[-1]] = to

    return do


def drop(*path: str):
    def do(bundle: Path) -> None:
        with changed(bundle) as values:
            del _inside(values, path)[path[-1]]

    return do


def _inside(values, path):
    """What holds the last of `path`."""
    for step in path[:-1]:
        values = values[step]
    return values


def text(old: str, new: str):
    """Replace a piece of the manifest as it is written."""

    def do(bundle: Path) -> None:
        written = (bundle / MANIFEST).read_text(encoding="utf-8")
        assert old in written
        (bundle / MANIFEST).write_text(written.replace(old, new, 1), encoding="utf-8")

    return do


def manifest(content: bytes):
    return lambda bundle: (bundle / MANIFEST).write_bytes(content)


def sealed(bundle: Path, name: str, content: bytes) -> None:
    """Write a file, and make the manifest agree, as somebody who tampers would."""
    (bundle / name).write_bytes(content)
    with changed(bundle) as values:
        values["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def file(name: str, content: bytes):
    return lambda bundle: sealed(bundle, name, content)


def tensors(change: Callable[[dict], object], name: str = MODEL):
    """Change the tensors of a file."""

    def do(bundle: Path) -> None:
        held = safetensors.numpy.load((bundle / name).read_bytes())
        change(held)
        sealed(bundle, name, safetensors.numpy.save(held))

    return do


def header(change: Callable[[dict], object], name: str = MODEL):
    """Change what a file says of its tensors, and leave these as they are."""

    def do(bundle: Path) -> None:
        content = (bundle / name).read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        says = json.loads(content[8:end])
        change(says)
        written = json.dumps(says).encode()
        sealed(bundle, name, struct.pack("<Q", len(written)) + written + content[end:])

    return do


def length(number: int):
    """Say that the header is so long."""

    def do(bundle: Path) -> None:
        sealed(bundle, MODEL, struct.pack("<Q", number) + (bundle / MODEL).read_bytes()[8:])

    return do


def longer(name: str, *, listed: bool):
    """A hundred gigabytes of nothing, which take no room on the disk."""

    def do(bundle: Path) -> None:
        with (bundle / name).open("ab") as content:
            content.truncate(HUGE)
        if listed:
            with changed(bundle) as values:
                values["files"].setdefault(name, {"sha256": "0" * 64})["size"] = HUGE

    return do


def enormous(bundle: Path) -> None:
    """A hundred gigabytes, with a header that accounts for each."""
    says = {"layers.output.weight": {"dtype": "U8", "shape": [HUGE], "data_offsets": [0, HUGE]}}
    written = json.dumps(says).encode()
    with (bundle / MODEL).open("wb") as content:
        content.write(struct.pack("<Q", len(written)) + written)
        content.truncate(8 + len(written) + HUGE)
    put("files", MODEL, "size", to=8 + len(written) + HUGE)(bundle)


def linked(name: str, *, inside: bool = True):
    """A link in place of a file, to the very bytes that are listed."""

    def do(bundle: Path) -> None:
        real = bundle.parent / f"real-{name}"
        if inside:
            (bundle / name).rename(real)
        (bundle / name).symlink_to(real)

    return do


def pipe(name: str):
    def do(bundle: Path) -> None:
        (bundle / name).unlink()
        os.mkfifo(bundle / name)

    return do


def model(**fields: object):
    """Another architecture for the only network."""

    def do(bundle: Path) -> None:
        with changed(bundle) as values:
            for recipe in (values["recipe"], *values["members"]):
                recipe["model"] = fields

    return do


def config(**fields: object):
    """Another backbone."""

    def do(bundle: Path) -> None:
        with changed(bundle) as values:
            values["preprocessing"]["backbone"]["config"].update(fields)

    return do


def members(count: int):
    def do(bundle: Path) -> None:
        with changed(bundle) as values:
            values["members"] = values["members"][:1] * count

    return do


def rule(**fields: object):
    """A rule for three labels with something wrong in it."""
    whole = {
        "thresholds": [0.5] * 3,
        "at_least_one": False,
        "at_most": None,
        "label_sets": [],
        "set_weights": [],
        "note": "",
    }
    return put("decider", "rule", to={**whole, **fields})


class _Called:
    def __reduce__(self):
        return (os.system, ("echo code was run",))


def filled(value: float):
    return lambda held: held.update({"layers.output.bias": np.full(3, value, np.float32)})


def as_type(dtype: type):
    return lambda held: held.update({"layers.output.bias": held["layers.output.bias"].astype(dtype)})


def offsets(name: str, begin: int, end: int):
    return lambda says: says[name].update(data_offsets=[begin, end])


def card_of(size: int):
    def do(bundle: Path) -> None:
        put("files", CARD, to={"size": size, "sha256": "0" * 64})(bundle)
        with (bundle / CARD).open("wb") as content:
            content.truncate(size)

    return do


NESTED = "[" * 40 + "]" * 40
NOT_WHOLE = "do not lie one after the other"
BAD_BIAS, BAD_KERNEL = "layers.output.bias", "layers.output.weight"

ATTACKS = [
    Attack(name, *rest)
    for name, *rest in (
        # files
        ("code beside", FEATURES, lambda b: (b / "evil.py").write_text("1"), "'evil.py' is not among the files"),
        ("a hidden file", FEATURES, lambda b: (b / ".pth").write_text("1"), "'.pth' is not among the files"),
        ("code that is listed", FEATURES, file("evil.py", b"1"), "a bundle of this kind has no 'evil.py'"),
        ("a pickle that is listed", FEATURES, file("model.pkl", pickle.dumps(_Called())), "has no 'model.pkl'"),
        ("a folder", FEATURES, lambda b: (b / "__pycache__").mkdir(), "'__pycache__' is not a file"),
        ("a folder that looks left behind", FEATURES, lambda b: (b / ".DS_Store").mkdir(), "'.DS_Store' is not a file"),
        ("a link that looks left behind", FEATURES, linked(".DS_Store", inside=False), "'.DS_Store' is a link"),
        ("weights behind a link", FEATURES, linked(MODEL), f"'{MODEL}' is a link"),
        ("samples behind a link", FEATURES, linked(SAMPLES), f"'{SAMPLES}' is a link"),
        ("a manifest behind a link", FEATURES, linked(MANIFEST), "manifest.json: is a link"),
        ("a link beside", FEATURES, linked("evil", inside=False), "'evil' is a link"),
        ("a pipe that nobody writes to", FEATURES, pipe(SAMPLES), f"'{SAMPLES}' is not a file"),
        ("no weights", FEATURES, lambda b: (b / MODEL).unlink(), f"'{MODEL}' is listed but missing"),
        ("no samples listed", FEATURES, drop("files", SAMPLES), f"files: {SAMPLES} is not listed"),
        ("a way out", FEATURES, put("files", "../../etc/passwd", to={"size": 1, "sha256": "0" * 64}), "has no '../../etc"),
        ("an absolute name", FEATURES, put("files", "/etc/passwd", to={"size": 1, "sha256": "0" * 64}), "has no '/etc"),
        ("files in a list", FEATURES, put("files", to=[]), "files must be an object"),
        ("a size below zero", FEATURES, put("files", MODEL, "size", to=-1), "size must be a size in bytes"),
        ("a size that is true", FEATURES, put("files", MODEL, "size", to=True), "size must be a size in bytes"),
        ("a size that is text", FEATURES, put("files", MODEL, "size", to="948"), "size must be a size in bytes"),
        ("a hash that is short", FEATURES, put("files", MODEL, "sha256", to="ab"), "sha256 must be a SHA-256"),
        ("a hash that is none", FEATURES, put("files", MODEL, "sha256", to=None), "sha256 must be a SHA-256"),
        ("another hash", FEATURES, put("files", MODEL, "sha256", to="0" * 64), "has changed since it was written"),
        ("longer than listed", FEATURES, longer(MODEL, listed=False), "948 are listed"),
        ("as long as listed", FEATURES, longer(MODEL, listed=True), NOT_WHOLE),
        ("as long as listed and described", FEATURES, enormous, "has shape"),
        ("a backbone that nobody named", FEATURES, file(SEEING, b"1"), f"has no '{SEEING}'"),
        ("a card that is not there", FEATURES, put("files", CARD, to={"size": 1, "sha256": "0" * 64}), "is listed but missing"),
        ("a card that was changed", FEATURES, card_of(9), "has changed since it was written"),
        ("a card without an end", FEATURES, card_of(HUGE), "may have 4,000,000 bytes"),
        # the manifest as JSON
        ("no JSON", FEATURES, manifest(b"{"), "expected JSON"),
        ("an empty manifest", FEATURES, manifest(b""), "expected JSON"),
        ("a list", FEATURES, manifest(b"[]"), "expected a JSON object"),
        ("UTF-16", FEATURES, manifest('{"protocol": 4}'.encode("utf-16")), "expected JSON"),
        ("a pickle", FEATURES, manifest(pickle.dumps(_Called())), "expected JSON"),
        ("a key twice", FEATURES, text('"protocol": 4', '"protocol": 99, "protocol": 4'), "'protocol' occurs twice"),
        ("a file twice", FEATURES, text(f'"{MODEL}": {{', f'"{MODEL}": {{}}, "{MODEL}": {{'), "occurs twice"),
        ("no number", FEATURES, text('"scale": 1.0', '"scale": NaN'), "NaN is not a number"),
        ("infinity", FEATURES, text('"scale": 1.0', '"scale": -Infinity'), "-Infinity is not a number"),
        ("infinity in digits", FEATURES, text('"scale": 1.0', '"scale": 1e999'), "a number is too large"),
        ("ten thousand digits", FEATURES, text('"scale": 1.0', f'"scale": {"9" * 10_000}'), "expected JSON"),
        ("a thousand digits", FEATURES, text('"scale": 1.0', f'"scale": {"9" * 1000}'), "scale must be a number above 0"),
        ("half a character", FEATURES, text('"label_0"', '"\\ud800"'), "expected JSON"),
        ("nested forty deep", FEATURES, text('"scale": 1.0', f'"scale": {NESTED}'), "more than 32 deep"),
        ("nested without an end", FEATURES, manifest(b"[" * 1_000_000), "expected JSON"),
        ("a manifest without an end", FEATURES, longer(MANIFEST, listed=False), "at most 32,000,000 bytes"),
        # its fields
        ("a later protocol", FEATURES, put("protocol", to=99), "expected protocol 4; got 99"),
        ("protocol true", FEATURES, put("protocol", to=True), "got True"),
        ("protocol as text", FEATURES, put("protocol", to="4"), "got '4'"),
        ("no protocol", FEATURES, drop("protocol"), "got None"),
        ("a field that names code", FEATURES, put("loader", to="os.system"), "there is no field 'loader'"),
        ("no decider", FEATURES, drop("decider"), "decider is missing"),
        ("a version in a list", FEATURES, put("tagfit", to=["0"]), "the version that wrote this"),
        ("a lock that is no hex", FEATURES, put("lock", to="x" * 64), "lock must be a SHA-256, 64 hex digits"),
        ("a lock with a line", FEATURES, put("lock", to="0" * 64 + "\n"), "lock must be a SHA-256"),
        ("a lock that is a number", FEATURES, put("lock", to=7), "64 hex digits"),
        ("scores of no part", FEATURES, put("scores", "__class__", to={}), "a key of scores must be one of train"),
        ("scores that are text", FEATURES, put("scores", "val", "micro_f1", to="1"), "scores.val.micro_f1 must be a number"),
        ("labels that are numbers", FEATURES, put("label_names", to=[1, 2, 3]), "label_names[2] must be a text"),
        ("a feature's name too few", FEATURES, put("preprocessing", "feature_names", to=["a"]), "1 feature names are not"),
        ("a feature's name twice", FEATURES, put("preprocessing", "feature_names", to=["a"] * 20), "feature names are not"),
        ("another range of pixels", FEATURES, put("preprocessing", "pixel_range", to=256), "pixel_range"),
        ("no labels", FEATURES, put("label_names", to=[]), "label_names must be a list of 1 to 100,000"),
        ("a label twice", FEATURES, put("label_names", to=["a", "a", "b"]), "not all different"),
        ("a label too few", FEATURES, put("label_names", to=["a", "b"]), "constant_baseline is for 3 labels; 2 are named"),
        ("too many labels", FEATURES, put("label_names", to=[str(n) for n in range(200_000)]), "1 to 100,000 label"),
        ("a constant baseline of nothing", FEATURES, put("constant_baseline", to={}), "constant_baseline.sets is missing"),
        ("too few thresholds", FEATURES, rule(thresholds=[0.5]), "decider.rule is for 1 labels; 3 are named"),
        ("a threshold above 1", FEATURES, rule(thresholds=[0.5, 0.5, 2]), "thresholds[2] must be a fraction from 0 to 1"),
        ("a label set out of range", FEATURES, rule(label_sets=[[7]], set_weights=[0.0]), "ascending label indexes"),
        ("a calibration that is code", FEATURES, put("decider", "calibration", "method", to="eval"), "calibration.method must be"),
        ("a temperature of 0", FEATURES, put("decider", "calibration", "temperature", to=0), "calibration.temperature must"),
        ("an objective in a list", FEATURES, put("decider", "objective", to=[]), "decider.objective must be a text"),
        ("a decider that is text", FEATURES, put("decider", to="x"), "decider must be an object"),
        ("a shape below 0", FEATURES, put("preprocessing", "shape", to=[-5]), "preprocessing.shape[0] must be a whole number"),
        ("a scale as text", FEATURES, put("preprocessing", "scale", to="nan"), "preprocessing.scale must be a number"),
        ("no such kind", FEATURES, put("preprocessing", "kind", to="sound"), "kind must be one of images, features"),
        ("a curve of no kind", FEATURES, put("decider", "calibration", "by_label", 0, "kind", to="code"), "kind must be one of sigmoid, isotonic"),
        ("a slope that is text", FEATURES, put("decider", "calibration", "by_label", 0, "slope", to="1"), "by_label[0].slope must be"),
        ("curves for fewer labels", FEATURES, put("decider", "calibration", "by_label", to=[None]), "decider.calibration is for 1 labels"),
        ("a guarantee of something else", FEATURES, put("decider", "guaranteed", "guarantee", "metric", to="f1"), "metric must be one of recall, precision"),
        ("a guarantee for other labels", FEATURES, put("decider", "guaranteed", "labels", to=9), "decider.guaranteed is for 9 labels"),
        ("a guarantee that held too often", FEATURES, put("decider", "guaranteed", "resamples", "held", to=2), "resamples.held must be a fraction"),
        # unknown fields at every depth
        ("code in the preprocessing", FEATURES, put("preprocessing", "loader", to="os.system"), "no field 'preprocessing.loader'"),
        ("code in the decider", FEATURES, put("decider", "code", to="x"), "no field 'decider.code'"),
        ("code in a calibration", FEATURES, put("decider", "calibration", "code", to="x"), "no field 'decider.calibration.code'"),
        ("code in a curve", FEATURES, put("decider", "calibration", "by_label", 0, "code", to="x"), "no field 'decider.calibration.by_label[0].code'"),
        ("code in a rule", FEATURES, put("decider", "rule", "code", to="x"), "no field 'decider.rule.code'"),
        ("code in a guarantee", FEATURES, put("decider", "guaranteed", "code", to="x"), "no field 'decider.guaranteed.code'"),
        ("code in resamples", FEATURES, put("decider", "guaranteed", "resamples", "code", to="x"), "no field 'decider.guaranteed.resamples.code'"),
        ("code in the baseline", FEATURES, put("constant_baseline", "code", to="x"), "no field 'constant_baseline.code'"),
        ("code in the scores", FEATURES, put("scores", "val", "code", to="x"), "no field 'scores.val.code'"),
        ("code in a file's entry", FEATURES, put("files", MODEL, "code", to="x"), f"no field 'files.{MODEL}.code'"),
        ("code in a recipe", FEATURES, put("recipe", "code", to="x"), "no field 'recipe.code'"),
        ("code in a training", FEATURES, put("members", 0, "training", "code", to="x"), "no field 'members[0].training.code'"),
        ("code in a backbone", BACKBONE, put("preprocessing", "backbone", "code", to="x"), "no field 'preprocessing.backbone.code'"),
        ("code in a form", BACKBONE, put("preprocessing", "backbone", "form", "code", to="x"), "no field 'preprocessing.backbone.form.code'"),
        ("code in a tensor", FEATURES, header(lambda says: says[BAD_BIAS].update(code="x")), f"no field '{BAD_BIAS}.code'"),
        # of earlier protocols
        ("an unknown field of protocol 1", OLDEST, put("loader", to="x"), "no field 'loader'"),
        ("protocol 1 without a recipe", OLDEST, drop("recipe"), "recipe is missing"),
        ("protocol 1 with a decider that is text", OLDEST, put("decider", to="x"), "decider must be an object"),
        ("code in a decider of protocol 2", OLD, put("decider", "code", to="x"), "no field 'decider.code'"),
        ("a line that is text", OLD, put("decider", "calibration", "by_label", 0, to=["1", 0]), "by_label[0].slope must be"),
        ("a line of three", OLD, put("decider", "calibration", "by_label", 0, to=[1, 0, 0]), "by_label[0] must be an object"),
        ("steps that fall", OLD, put("decider", "calibration", to={
            "method": "isotonic", "temperature": 1, "by_label": [[[0.2, 0.1], [0.1, 0.2]], None]
        }), "scores of an isotonic curve must rise"),
        ("a wish in a list", OF_3, put("decider", "wish", to=[]), "decider.objective must be a text"),
        ("a guarantee of nothing", OF_3, put("decider", "guaranteed", to={"guarantee": "f1=x"}), "guarantee must be an object"),
        ("pictures in a list", OF_3, put("preprocessing", "kind", to=["pictures"]), "kind must be one of images, features"),
        ("scores in a list of protocol 3", OF_3, put("scores", to=[]), "scores must be an object"),
        ("a metric that is not there", OF_3, put("scores", "val", "code", to=1), "no field 'scores.val.code'"),
        # what is to be built
        ("an architecture that is code", FEATURES, model(architecture="os.system"), "architecture must be one of"),
        ("a field that is not there", FEATURES, model(architecture="dense", hook="x"), "no field 'recipe.model.hook'"),
        ("widths of 17 gigabytes", FEATURES, model(architecture="dense", widths=[65536] * 2), "far larger than all"),
        ("a million layers", FEATURES, model(architecture="dense", widths=[1] * 1_000_000), "far more parts"),
        ("a CNN on rows", FEATURES, model(architecture="cnn"), "a CNN needs images"),
        ("a CNN of a billion blocks", IMAGES, model(architecture="cnn", depth=10**9, width=2), "from 0 to 256"),
        ("a CNN of the most blocks", IMAGES, model(architecture="cnn", depth=256, width=2), "far more parts"),
        ("a CNN of two billion channels", IMAGES, model(architecture="cnn", width=2**31 - 1), "not a usable bundle"),
        ("images of two billion", IMAGES, put("preprocessing", "shape", to=[2**31 - 1] * 3), "far larger than all"),
        ("a dense network of such images", IMAGES, lambda b: (
            put("preprocessing", "shape", to=[2**31 - 1] * 3)(b), model(architecture="dense")(b)
        ), "not a usable bundle"),
        ("fine-tuned without a backbone", FEATURES, model(architecture="fine-tuned"), "output.weight of a fine-tuned"),
        ("a thousand members", IMAGES, members(1000), "members must be a list of 1 to 100 recipes"),
        ("a hundred members", IMAGES, members(100), "is missing"),
        ("a member too few", IMAGES, members(1), "is not part of the network"),
        # tensors
        ("a tensor is missing", FEATURES, tensors(lambda held: held.pop(BAD_BIAS)), f"{BAD_BIAS} is missing"),
        ("a tensor too many", FEATURES, tensors(lambda held: held.update(x=np.zeros(1))), "'x' is not part of"),
        ("a tensor of another shape", FEATURES, tensors(lambda h: h.update({BAD_BIAS: np.zeros(9, "f4")})), "has shape"),
        ("float64", FEATURES, tensors(as_type(np.float64)), "is of F64, expected F32"),
        ("float16", FEATURES, tensors(as_type(np.float16)), "is of F16, expected F32"),
        ("whole numbers", FEATURES, tensors(as_type(np.int32)), "is of I32, expected F32"),
        ("bfloat16", FEATURES, header(lambda says: says[BAD_BIAS].update(dtype="BF16", shape=[6])), "is of BF16"),
        ("NaN", FEATURES, tensors(filled(np.nan)), "values that are not finite"),
        ("infinite", FEATURES, tensors(filled(np.inf)), "values that are not finite"),
        ("a tensor of no member", IMAGES, tensors(lambda held: held.update(x=np.zeros(1))), "'x' belongs to no member"),
        ("samples as floats", FEATURES, tensors(lambda h: h.update(val=np.zeros((1, 32), "f4")), SAMPLES), "expected SHA"),
        ("samples of no part", FEATURES, tensors(lambda h: h.update(x=np.zeros((1, 32), "u1")), SAMPLES), "expected SHA"),
        ("short hashes", FEATURES, tensors(lambda h: h.update(val=np.zeros((1, 31), "u1")), SAMPLES), "expected SHA"),
        # their headers
        ("an empty file", FEATURES, file(MODEL, b""), "header cannot have"),
        ("a header of nothing", FEATURES, length(0), "header cannot have"),
        ("a header beyond the file", FEATURES, length(10_000), "header cannot have"),
        ("a header without an end", FEATURES, length(2**64 - 1), "header cannot have"),
        ("a pickle for weights", FEATURES, file(MODEL, pickle.dumps(_Called())), "header cannot have"),
        ("a header too long", FEATURES, file(MODEL, struct.pack("<Q", 9_000_000) + b" " * 9_000_000), "header cannot"),
        ("a header in a list", FEATURES, file(MODEL, struct.pack("<Q", 2) + b"[]"), "expected a JSON object"),
        ("a tensor twice", FEATURES, file(MODEL, struct.pack("<Q", 15) + b'{"a":{},"a":{}}'), "occurs twice"),
        ("text beside the tensors", FEATURES, header(lambda says: says.update(__metadata__={})), "__metadata__.dtype is missing"),
        ("an unknown dtype", FEATURES, header(lambda says: says[BAD_BIAS].update(dtype="object")), "dtype must be one of F64"),
        ("a dtype in a list", FEATURES, header(lambda says: says[BAD_BIAS].update(dtype=[])), "dtype must be one of F64"),
        ("a shape that is larger", FEATURES, header(lambda says: says[BAD_BIAS].update(shape=[10**9])), "does not take 12 bytes"),
        ("a shape that overflows", FEATURES, header(lambda s: s[BAD_BIAS].update(shape=[2**33, 2**33])), "does not take 12"),
        ("a shape below zero", FEATURES, header(lambda says: says[BAD_BIAS].update(shape=[-3])), "shape[0] must be a whole"),
        ("tensors that overlap", FEATURES, header(offsets(BAD_BIAS, 4, 16)), NOT_WHOLE),
        ("a tensor outside", FEATURES, header(offsets(BAD_BIAS, HUGE, HUGE + 12)), NOT_WHOLE),
        ("bytes of no tensor", FEATURES, lambda b: sealed(b, MODEL, (b / MODEL).read_bytes() + b"MZ"), NOT_WHOLE),
        # backbones
        ("a backbone that is code", BACKBONE, config(model_type="os.system"), "no vision network 'os.system'"),
        ("a backbone with code", BACKBONE, config(auto_map={"AutoModel": "evil.Net"}), "'auto_map' is nothing"),
        ("a backbone with a path", BACKBONE, config(_name_or_path="/evil"), "'_name_or_path' is nothing"),
        ("a billion layers", BACKBONE, config(model_type="vit", num_hidden_layers=10**9), "65,536 at most"),
        ("sixty thousand layers", BACKBONE, config(model_type="vit", num_hidden_layers=60_000), "far larger than all"),
        ("a billion blocks", BACKBONE, config(depths=[10**9, 1]), "65,536 at most"),
        ("sixty thousand blocks", BACKBONE, config(depths=[60_000, 1]), "far more parts"),
        ("a long list of stages", BACKBONE, config(depths=[1] * 1000), "may have 256 values"),
        ("channels of 17 gigabytes", BACKBONE, config(hidden_sizes=[4, 65_536]), "far larger than all"),
        ("windows of 65,536", BACKBONE, config(model_type="swin", window_size=65_536), "far larger than all"),
        ("LeViT's loops", BACKBONE, config(model_type="levit", image_size=65_536), "512 at most"),
        ("a backbone of nothing", BACKBONE, config(hidden_sizes=[], depths=[]), "the backbone cannot be built"),
        ("fields of another type", BACKBONE, config(depths="x", hidden_sizes=None), "the backbone cannot be built"),
        ("an activation that is code", BACKBONE, config(hidden_act="os.system"), "the backbone cannot be built"),
        ("another depth", BACKBONE, config(depths=[1, 2]), "is missing"),
        ("a form of a billion", BACKBONE, put("preprocessing", "backbone", "form", "size", to=10**9), "from 1 to 4096"),
        ("a deviation of 0", BACKBONE, put("preprocessing", "backbone", "std", to=[0, 1, 1]), "std[0] must be a number above 0"),
        ("features that lie", BACKBONE, put("preprocessing", "backbone", "features", to=9), "makes 9 features"),
        ("a backbone without a file", BACKBONE, drop("files", SEEING), f"{SEEING} is not listed"),
        ("a backbone that is NaN", BACKBONE, tensors(
            lambda held: held.update({name: one * np.float32("nan") for name, one in held.items() if one.dtype == "f4"}),
            SEEING,
        ), "values that are not finite"),
        ("another backbone's recipe", TUNED, put("members", 0, "model", "sha256", to="0" * 64), "recipe is of the backb"),
        ("a hundred fine-tuned", TUNED, members(100), "output.weight of a fine-tuned"),
        ("outputs of another size", TUNED, tensors(lambda held: held.update({"output.weight": np.zeros((2, 9), "f4")})),
         "output.weight of a fine-tuned"),
    )
]  # fmt: skip


# -------------------------------------------------------------------------------------------- as a program


def main() -> None:
    import resource

    from tagfit.bundle.read import read_bundle
    from tagfit.errors import BundleError

    for honest in (FEATURES, IMAGES, BACKBONE, TUNED, OLDEST, OLD, OF_3):
        read_bundle(BUNDLES / honest)
    for attack in ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            bundle, faults = attack.make(Path(folder)), ()
            before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
            try:
                read_bundle(bundle)
            except BundleError as error:
                faults = error.faults
            seconds = round(time.perf_counter() - began, 3)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        print(json.dumps({"name": attack.name, "faults": faults, "seconds": seconds, "grown": grown}))


if __name__ == "__main__":
    main()
