"""Files that were damaged at random: a DataError or a table, never anything else."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest

from making import PROVE
from tagfit.data.sources.read import read
from tagfit.errors import DataError

ARFF = """@relation 'r: -C -2'
@attribute a numeric
@attribute 'b c' {x, 'y z'}
@attribute l {0,1}
@attribute m {0,1}
@data
1,x,0,1
2,'y z',1,?
{0 3,1 'y z',3 1}
"""
XML = '<?xml version="1.0"?><labels><label name="l"><label name="m"/></label></labels>'


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X_train=np.eye(3), y_train=np.eye(3), X_val=np.eye(3), y_val=np.eye(3))
    return buffer.getvalue()


SEEDS = {
    "listed.csv": b'image,tags,split,n\na.jpg,"x;y",train,1\nb.jpg,,val,2\n',
    "binary.csv": b"image\tx\ty\na.jpg\t1\t0\nb.jpg\t?\t1\n",
    "lists.jsonl": b'{"image": "a.jpg", "labels": ["x"]}\n{"image": "b.jpg", "labels": []}\n',
    "maps.jsonl": b'{"image": "a.jpg", "labels": {"x": 1}}\n{"image": "b.jpg", "labels": {"y": null}}\n',
    "objects.jsonl": b'{"file_name": "a.jpg", "objects": {"categories": ["x"]}}\n',
    "coco.json": b'{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}], "categories": '
    b'[{"id": 1, "name": "x"}], "annotations": [{"image_id": 1, "category_id": 1}]}',
    "rows.arff": ARFF.encode(),
    "rows.npz": npz(),
    "rows.xml": XML.encode(),
    "features.csv": b"f0,f1,f2,label_a,label_b,split\n0.5,1,2,1,0,train\n0.1,2,3,0,1,train\n1e3,,4,1,0,val\n",
}
PIECES = [b"", b"\0", b"\xff", b'"', b"'", b"{", b"}", b"[", b",", b";", b"\n", b"-1", b"../", b"9" * 40, b"?", b"\\"]


def damaged(content: bytes, draw: random.Random) -> bytes:
    raw = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(raw) + 1)
        raw[at : at + draw.choice((0, 0, 1, 1, 5))] = draw.choice([*PIECES, bytes([draw.randrange(256)])])
    return bytes(raw)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files(folder, name):
    draw = random.Random(name)
    where = folder("a.jpg", "b.jpg")
    outcomes = set()
    for _ in range(5000 if PROVE else 150):
        target = where / ("rows.arff" if name == "rows.xml" else name)
        target.write_bytes(SEEDS[target.name])
        (where / name).write_bytes(damaged(SEEDS[name], draw))
        try:
            table = read(target)
        except DataError:
            outcomes.add("refused")
        else:
            assert table.labels_NL.shape == (len(table), len(table.label_names))
            assert set(np.unique(table.labels_NL)) <= {-1, 0, 1}
            outcomes.add("read")
    assert "refused" in outcomes


def test_a_label_that_is_named_very_often_is_one_fault(tmp_path):
    rows = "@relation a\n@attribute x numeric\n@attribute y {0,1}\n@data\n" + "1,0\n2,1\n" * 10
    (tmp_path / "a.arff").write_text(rows)
    names = '<label name="y"/>' * 100_000 + "".join(f'<label name="z{n}"/>' for n in range(20_000))
    (tmp_path / "a.xml").write_text(f'<labels xmlns="http://mulan.sourceforge.net/labels">{names}</labels>')
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.arff")
    assert len(caught.value.faults) == 20_001
    assert sum("'y' occurs 100000 times" in fault for fault in caught.value.faults) == 1
