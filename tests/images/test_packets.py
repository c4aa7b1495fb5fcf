"""Metadata beside the pixels: found in each format that has them, and never a crash."""

import pytest
from PIL import Image

from making import iptc_block, save_tagged, xmp_packet
from tagfit.images.decode import UnreadableImageError
from tagfit.images.metadata import traits
from tagfit.images.packets import read_packets

XMP = xmp_packet(subject=["sea"])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_xmp_packet_comes_as_written(tmp_path, suffix):
    save_tagged(tmp_path / f"a.{suffix}", xmp=XMP)
    packets = read_packets(tmp_path / f"a.{suffix}")
    assert packets.xmp == XMP
    assert packets.iptc == ()


def test_images_of_any_size_have_keywords(tmp_path, monkeypatch):
    """Pillow's own limit is not asked: `--max-megapixels` is, when pixels are decoded."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8)
    save_tagged(tmp_path / "a.jpg", xmp=XMP)
    assert read_packets(tmp_path / "a.jpg").xmp == XMP
    assert traits([tmp_path / "a.jpg"])[0] is not None
    assert Image.MAX_IMAGE_PIXELS == 8


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_iptc_keywords(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for block, expected in (
        (iptc_block("sea"), ("sea",)),
        (iptc_block("sea", "", "Zo\xeb", utf8=True), ("sea", "Zo\xeb")),
        (iptc_block(b"Zo\xeb", "sky"), ("Zo\xeb", "sky")),
        (iptc_block(utf8=True), ()),
    ):
        save_tagged(path, iptc=block)
        assert read_packets(path).iptc == expected


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "gif", "bmp"])
def test_an_image_may_have_neither(tmp_path, suffix):
    save_tagged(tmp_path / f"a.{suffix}")
    assert read_packets(tmp_path / f"a.{suffix}").xmp == b""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello", "not an image of a known format"),
        (b"8BPS" + bytes(40), "not an image of a known format"),
        (None, "cannot be read: No such file"),
    ],
)
def test_reasons(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        read_packets(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (iptc_block(b"\xe9", utf8=True), "declared as UTF-8, but are not"),
        (b"\x1c\x02\x19\xff\xff", "its IPTC cannot be read"),
        (b"nonsense", "its IPTC cannot be read"),
    ],
)
def test_damaged_iptc(tmp_path, block, reason):
    save_tagged(tmp_path / "a.jpg", xmp=XMP, iptc=block)
    packets = read_packets(tmp_path / "a.jpg")
    assert packets.xmp == XMP
    assert packets.iptc == ()
    assert reason in packets.iptc_fault
