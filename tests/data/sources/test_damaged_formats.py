"""The files of each reader's cases, damaged at random: a DataError or a table, and no label that is none."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from making import PROVE
from tagfit.data.sources.read import read
from tagfit.data.sources.registry import READERS, find_source
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

#: 5,000 take an hour and more
ROUNDS = 1000 if PROVE else 25
PIECES = (
    *(b"", b"\0", b"\xff", b'"', b"'", b"{", b"}", b"[", b"]", b"<", b">", b"&", b",", b";", b":", b"\n", b"\t", b" "),
    *(b"-1", b"0", b"1", b"../", b"9" * 40, b"?", b"\\", b"/", b"null", b"true", b"1e999", b"\xed\xa0\x80"),
)
VALUES: tuple[object, ...] = (
    *(None, [], {}, 0, -1, 1, 2.5, 1e308, float("nan"), True, False, "", "x", "a\0b", "\ud800", "x" * 300, 10**30),
    *([[]], [None], {"a": 1}, {"": {}}, [1, "x"], ["x"], [{}], "000.jpg", "../../etc/passwd"),
)


def damaged(raw: bytes, draw: random.Random) -> bytes:
    return _documents(raw, draw) if raw.lstrip()[:1] in (b"{", b"[") and draw.random() < 0.7 else _bytes(raw, draw)


def _bytes(raw: bytes, draw: random.Random) -> bytes:
    found = bytearray(raw)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(found) + 1)
        found[at : at + draw.choice((0, 0, 1, 1, 5, 50))] = draw.choice((*PIECES, bytes([draw.randrange(256)])))
    return bytes(found)


def _documents(raw: bytes, draw: random.Random) -> bytes:
    """One value of a document, or of one of its lines, replaced, removed or added."""
    lines = [raw.decode()]
    at = 0
    try:
        document = json.loads(lines[0])
    except ValueError:
        lines = raw.decode().splitlines()
        at = draw.randrange(len(lines))
        document = json.loads(lines[at])
    holders = _holders(document)
    holder, key = draw.choice(holders)
    value = _deep() if draw.random() < 0.03 else draw.choice(VALUES)
    if isinstance(holder, dict) and draw.random() < 0.2:
        del holder[key]
    else:
        holder[key] = value
    lines[at] = json.dumps(document)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _holders(node: object) -> list[tuple[object, object]]:
    pairs = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    return [(node, key) for key, _ in pairs] + [found for _, value in pairs for found in _holders(value)]


def _deep() -> list[object]:
    value: list[object] = []
    for _ in range(900):
        value = [value]
    return value


def cases() -> dict[str, list[Path]]:
    """Cases by the code of their reader."""
    found: dict[str, list[Path]] = {}
    for file in sorted(Path(__file__).with_name("conventions").glob("*/right.json")):
        right = json.loads(file.read_text(encoding="utf-8"))
        if right["expect"] == "labels":
            found.setdefault(find_source(file.parent / right["point"]).reader.code, []).append(file)
    return found


CASES = cases()


@pytest.mark.parametrize("code", sorted(reader.code for reader in READERS if reader.code in CASES))
def test_damaged_files(code, tmp_path):
    draw = random.Random(code)
    for number, file in enumerate(CASES[code]):
        right = json.loads(file.read_text(encoding="utf-8"))
        root = tmp_path / str(number)
        shutil.copytree(file.parent / "data", root / "data", symlinks=True)
        files = [path for path in sorted(root.rglob("*")) if path.is_file()]
        labels = [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in right["options"].items()}
        for _ in range(-(-ROUNDS // len(CASES[code]))):
            target = draw.choice(labels or files)
            whole = target.read_bytes()
            target.write_bytes(damaged(whole, draw))
            _check(root / right["point"], options, set(right["not_labels"]))
            target.write_bytes(whole)


def _check(point: Path, options: dict[str, object], never: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = read(point, **options)
        except DataError:
            return
    assert not never & set(table.label_names)
    assert table.labels_NL.shape == (len(table), len(table.label_names))
    assert set(np.unique(table.labels_NL)) <= {-1, 0, 1}
