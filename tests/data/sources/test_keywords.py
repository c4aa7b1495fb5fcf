"""Keywords in images and sidecars: which of them count, and what damaged ones cost."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from making import iptc_block, save_tagged, xmp_packet
from tagfit.data.dataset import build
from tagfit.data.sources.read import read
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS

BOMB = b'<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'


def tags(table, name: str) -> set[str]:
    row = table.sample_names.index(name)
    return {label for label, code in zip(table.label_names, table.labels_NL[row], strict=True) if code == 1}


def test_keywords_become_labels(tmp_path):
    save_tagged(tmp_path / "b.jpg", xmp=xmp_packet(subject=["sea", " Zoe\u0308  B ", "sea"]))
    save_tagged(tmp_path / "a" / "deep.PNG", xmp=xmp_packet(lightroom=["Places|Beach"]))
    save_tagged(tmp_path / "c.webp", xmp=xmp_packet(digikam=["Places/Beach"]))
    save_tagged(tmp_path / "d.tif", xmp=xmp_packet(subject=["sea"]))
    save_tagged(tmp_path / "e.jpg", iptc=iptc_block("sea", "Strand"))
    save_tagged(tmp_path / "f.tiff", iptc=iptc_block("Strand"))
    save_tagged(tmp_path / "none.jpg")
    save_tagged(tmp_path / ".hidden.jpg", xmp=xmp_packet(subject=["x"]))
    save_tagged(tmp_path / ".trash" / "x.jpg", xmp=xmp_packet(subject=["x"]))
    table = read(tmp_path)
    assert table.name == tmp_path.name
    assert table.label_names == ("Beach", "Strand", "Zo\xeb B", "sea")
    assert table.sample_names == ("b.jpg", "c.webp", "d.tif", "e.jpg", "f.tiff", "a/deep.PNG")
    assert table.files[-1] == tmp_path / "a" / "deep.PNG"
    assert [sorted(tags(table, name)) for name in ("b.jpg", "e.jpg")] == [["Zo\xeb B", "sea"], ["Strand", "sea"]]
    assert table.absent_label == NO
    assert table.given_split is None
    assert table.notes == (
        "Labels are the keywords of 6 images: 2 in IPTC, 4 in embedded XMP.",
        "1 images without a keyword are unlabelled and left out.",
    )


def test_a_sidecar_comes_before_the_image_and_xmp_before_iptc(tmp_path):
    inside = {"xmp": xmp_packet(subject=["inside"]), "iptc": iptc_block("iptc")}
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        save_tagged(tmp_path / name, **inside)
    (tmp_path / "a.jpg.xmp").write_bytes(xmp_packet(subject=["full name"]))
    (tmp_path / "a.xmp").write_bytes(xmp_packet(subject=["stem"]))
    (tmp_path / "B.XMP").write_bytes(xmp_packet(digikam=["x/stem"]))
    (tmp_path / "c.jpg.xmp").write_bytes(xmp_packet())
    (tmp_path / "d.xmp").write_bytes(xmp_packet(subject=["inside"]))
    table = read(tmp_path)
    found = [tags(table, f"{letter}.jpg") for letter in "abcde"]
    assert found == [{"full name"}, {"stem"}, {"inside"}, {"inside"}, {"inside"}]
    assert "2 in embedded XMP, 3 in sidecars" in table.notes[0]
    assert table.notes[1] == "2 images have different keywords inside and in their sidecar. The sidecar's are used."


def test_what_cannot_be_read_is_set_aside(tmp_path):
    save_tagged(tmp_path / "good.jpg", xmp=xmp_packet(subject=["sea"]), iptc=b"damaged, but XMP says it all")
    save_tagged(tmp_path / "bad.jpg", xmp=b"<x", iptc=iptc_block("sea"))
    save_tagged(tmp_path / "beside.jpg", xmp=xmp_packet(subject=["sea"]))
    (tmp_path / "beside.xmp").write_bytes(BOMB + b"<x/>")
    save_tagged(tmp_path / "control.jpg", iptc=iptc_block("s\x01a"))
    save_tagged(tmp_path / "charset.jpg", iptc=iptc_block(b"\xe9", utf8=True))
    save_tagged(tmp_path / "rescued.jpg", xmp=b"<x")
    (tmp_path / "rescued.xmp").write_bytes(xmp_packet(subject=["sea"]))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("nothing")
    (tmp_path / "folder.jpg.xmp").mkdir()
    save_tagged(tmp_path / "folder.jpg")
    table = read(tmp_path)
    assert table.sample_names == ("good.jpg", "rescued.jpg")
    reasons = dict(table.set_aside)
    for name, reason in {
        "bad.jpg": "its XMP is not well-formed XML",
        "beside.jpg": "beside.xmp has a document type",
        "control.jpg": "control characters",
        "charset.jpg": "declared as UTF-8, but are not",
        "empty.jpg": "the file is empty",
        "text.png": "not an image",
    }.items():
        assert reason in reasons.pop(name)
    assert not reasons
    assert len(build(table, size=4).set_aside) == 6


def test_text_that_is_not_utf8_is_latin(tmp_path):
    save_tagged(tmp_path / "a.jpg", iptc=iptc_block("Zo\xeb".encode("latin-1"), b"Meer"))
    save_tagged(tmp_path / "b.jpg", iptc=iptc_block("Zo\xeb".encode(), utf8=True))
    assert read(tmp_path).label_names == ("Meer", "Zo\xeb")


def test_folders_may_be_the_persons_split(tmp_path):
    for name in ("train/a.jpg", "train/x/b.jpg", "val/a.jpg"):
        save_tagged(tmp_path / name, xmp=xmp_packet(subject=[name]))
    assert [PARTS[code] for code in read(tmp_path).given_split] == ["train", "train", "val"]
    save_tagged(tmp_path / "more.jpg", xmp=xmp_packet(subject=["x"]))
    assert read(tmp_path).given_split is None


def test_a_label_file_comes_before_keywords(tmp_path):
    save_tagged(tmp_path / "a.jpg", xmp=xmp_packet(subject=["keyword"]))
    (tmp_path / "labels.csv").write_text("image,tags\na.jpg,label\n")
    assert read(tmp_path).label_names == ("label",)


def test_no_image_has_a_keyword(tmp_path, faults):
    save_tagged(tmp_path / "deep" / "a.jpg")
    (tmp_path / "b.jpg").touch()
    message, reason, todo = faults(read, tmp_path)
    assert "1 images without a keyword and 1 that cannot be read" in message
    assert "expected a label file, or keywords (XMP or IPTC)" in message
    assert reason == "b.jpg: the file is empty."
    assert "labels.csv" in todo


def test_options_that_cannot_apply_are_refused(tmp_path, faults):
    save_tagged(tmp_path / "a.jpg", xmp=xmp_packet(subject=["sea"]))
    assert "names no images" in faults(read, tmp_path, images=tmp_path)[0]
    assert "no cell lists labels" in faults(read, tmp_path, label_separator=";")[0]
    assert "lists its labels by name" in faults(read, tmp_path, minus_one="no")[0]


def test_links_may_not_lead_out(tmp_path, tmp_path_factory, faults):
    outside = tmp_path_factory.mktemp("outside")
    save_tagged(outside / "a.jpg", xmp=xmp_packet(subject=["sea"]))
    (tmp_path / "a.jpg").symlink_to(outside / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "nothing.jpg")
    assert "symbolic link" in faults(read, tmp_path)[0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4))
def test_damaged_images_are_read_or_refused(tmp_path, suffix, changes):
    whole = tmp_path.parent / f"whole.{suffix}"
    if not whole.exists():
        save_tagged(
            whole,
            xmp=xmp_packet(subject=["sea", "Zo\xeb"]),
            iptc=iptc_block("sea") if suffix in ("jpg", "tif") else None,
        )
    encoded = bytearray(whole.read_bytes())
    for share, piece in changes:
        at = int(share * len(encoded))
        encoded[at : at + len(piece)] = piece
    Path(tmp_path, f"a.{suffix}").write_bytes(encoded)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            table = read(tmp_path)
        except DataError:
            return
    assert table.sample_names == (f"a.{suffix}",)


def test_pixels_are_not_decoded(tmp_path, monkeypatch):
    save_tagged(tmp_path / "a.jpg", xmp=xmp_packet(subject=["sea", "Zo\xeb"]))

    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", refuse)
    assert len(read(tmp_path)) == 1
