"""The keywords of an XMP packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from making import xmp_packet
from tagfit.images.xmp import MAX_BYTES, MalformedXmpError, xmp_keywords


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (xmp_packet(subject=["sea", "boat"]), ["sea", "boat"]),
        (xmp_packet(subject=["sea"], lightroom=["Places|Beach"]), ["sea"]),
        (xmp_packet(lightroom=["Places|Beach", "Sky"], digikam=["x/y"]), ["Beach", "Sky"]),
        (xmp_packet(digikam=["Places/Beach", "Sky"]), ["Beach", "Sky"]),
        (xmp_packet(subject=[" "], digikam=["Places/Beach"]), ["Beach"]),
        (xmp_packet(), []),
        (b"\0\n" + xmp_packet(subject=["sea"]) + b"\n\0\0", ["sea"]),
        (xmp_packet(subject=["Zoë & co"]).decode().encode("utf-16"), ["Zoë & co"]),
        (
            b'<?xml version="1.0" encoding="latin-1"?>' + xmp_packet(subject=["Zo\xeb"]).decode().encode("latin-1"),
            ["Zoë"],
        ),
        (xmp_packet(subject=["sea"]).replace(b"rdf:Bag", b"rdf:Seq"), ["sea"]),
        (xmp_packet(subject=["sea"]).replace(b"<rdf:Bag><rdf:li>sea</rdf:li></rdf:Bag>", b"sea"), ["sea"]),
        (xmp_packet(subject=["sea"]).replace(b"x:xmpmeta", b"y").replace(b"xmlns:x=", b"id="), ["sea"]),
    ],
)
def test_keywords_of_a_packet(packet, expected):
    assert xmp_keywords(packet) == expected


def test_keywords_of_another_document_are_not_the_images():
    other = b"<rdf:Description><dc:subject>ham</dc:subject></rdf:Description>"
    pantry = b"<pantry><rdf:Bag><rdf:li>" + other + b"</rdf:li></rdf:Bag></pantry>"
    packet = xmp_packet(subject=["sea"]).replace(b"<dc:subject>", pantry + b"<dc:subject>")
    assert xmp_keywords(packet) == ["sea"]


BOMB = b'<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (BOMB + xmp_packet(subject=["&b;"], escaped=False), "document type"),
        (xmp_packet(subject=["&nosuch;"], escaped=False), "not well-formed"),
        (b"<a>" * 1000, "nested deeper than 200"),
        (b" " * (MAX_BYTES + 1), "larger than 16 MB"),
        (xmp_packet(subject=["Zo\xeb"]).decode().encode("latin-1"), "not well-formed"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "encoding"),
        (b'<?xml version="1.0" encoding="shift-jis"?><a/>', "encoding"),
        (b"", "not well-formed"),
    ],
)
def test_packets_that_are_refused(packet, message):
    with pytest.raises(MalformedXmpError, match=message):
        xmp_keywords(packet)


PACKET = xmp_packet(subject=["sea", "Zoë"], lightroom=["a|b"])
PIECES = st.sampled_from([b"", b"\0", b"<", b">", b"&", b"&#0;", b"]]>", b"<!DOCTYPE a>", b"\xff\xfe", b"\xff", b"/>"])


@given(st.lists(st.tuples(st.integers(0, len(PACKET)), st.integers(0, 4), PIECES | st.binary(max_size=3)), max_size=4))
def test_damaged_packets_are_read_or_refused(changes):
    packet = bytearray(PACKET)
    for at, length, piece in changes:
        packet[at : at + length] = piece
    try:
        found = xmp_keywords(bytes(packet))
    except MalformedXmpError:
        return
    assert all(isinstance(keyword, str) for keyword in found)
