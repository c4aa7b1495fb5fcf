from making import save_tagged, xmp_packet
from tagfit.data.sources.keywords import images_in, keywords_of
from tagfit.data.sources.listing import Listing
from tagfit.inference.rows import PredictedRow
from tagfit.inference.sidecars import planned, with_sidecars


def read_back(folder):
    return {image.file.name: keywords_of(image)[1] for image in images_in(Listing(folder))}


def test_labels_join_the_keywords_that_are_there_and_nothing_else_changes(tmp_path):
    for name in ("none.png", "full.jpg", "stem.jpg", "twin.jpg", "twin.png", "tree.jpg", "evil.jpg", "same.jpg"):
        save_tagged(tmp_path / name)
    save_tagged(tmp_path / "inside.jpg", xmp=xmp_packet(subject=["sea"]))
    (tmp_path / "full.jpg.xmp").write_bytes(xmp_packet(subject=["boat"]))
    (tmp_path / "stem.xmp").write_bytes(xmp_packet(subject=["boat"]))
    (tmp_path / "tree.xmp").write_bytes(xmp_packet(lightroom=["Places|Beach"]))
    (tmp_path / "same.xmp").write_bytes(xmp_packet(subject=["red"]))
    (tmp_path / "evil.xmp").write_bytes(b"<!DOCTYPE x>" + xmp_packet())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    rows = [PredictedRow(str(file), ("red",), {"red": 1.0}) for file in sorted(tmp_path.glob("*.*g"))]
    refused = []
    lines = [planned(row, refused.append) for row in rows]
    assert f"{tmp_path / 'inside.xmp'} (new): + sea, red" in lines
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    refused.clear()
    assert list(with_sidecars(rows, refused.append)) == rows
    assert len(refused) == 1
    assert "evil.xmp has a document type" in refused[0]
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    changed = {name for name in after if after[name] != before.get(name)}
    new = {"none.xmp", "inside.xmp", "twin.jpg.xmp", "twin.png.xmp"}
    assert changed == {*new, "full.jpg.xmp", "stem.xmp", "tree.xmp"}
    (tmp_path / "evil.xmp").unlink()
    assert read_back(tmp_path) == {
        **{name: ["red"] for name in ("none.png", "twin.jpg", "twin.png", "same.jpg")},
        "full.jpg": ["boat", "red"],
        "stem.jpg": ["boat", "red"],
        "tree.jpg": ["Beach", "red"],
        "inside.jpg": ["sea", "red"],
        "evil.jpg": [],
    }
    again = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    list(with_sidecars(rows, refused.append))
    assert {name: content for name, content in again.items() if after.get(name) == content} == again
