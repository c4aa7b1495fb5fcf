import pytest

from making import xmp_packet
from tagfit.images.xmp import MalformedXmpError, xmp_keywords
from tagfit.inference.xmp_edit import new_packet, with_keywords

EMPTY = xmp_packet()


@pytest.mark.parametrize(
    "packet",
    [
        xmp_packet(subject=["sea", "boat"]),
        xmp_packet(subject=["sea"], lightroom=["Places|Beach"]),
        EMPTY,
        EMPTY.replace(b"></rdf:Description>", b" a='/>'/>"),
        EMPTY.replace(b"></rdf:Description>", b"><dc:subject/></rdf:Description>"),
        EMPTY.replace(b"></rdf:Description>", b"><dc:subject><rdf:Bag/></dc:subject></rdf:Description>"),
        xmp_packet(subject=["sea"]).replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r"),
        xmp_packet(subject=["sea"]).replace(b"dc:", b"d:").replace(b"xmlns:dc", b"xmlns:d"),
        xmp_packet(subject=["sea"]).replace(b"rdf:Bag>", b"rdf:Bag>\n  "),
        b"\xef\xbb\xbf" + xmp_packet(subject=["Zoë"]),
    ],
)
def test_keywords_are_added_and_every_other_byte_is_kept(packet):
    changed = with_keywords(packet, ["beach & sun", "höhe"])
    assert xmp_keywords(changed) == [*_subject(packet), "beach & sun", "höhe"]
    rest = iter(changed)
    assert all(byte in rest for byte in packet.replace(b"/>", b">"))  # in this order


def _subject(packet):
    return [] if b"dc:subject>" not in packet and b"d:subject>" not in packet else xmp_keywords(packet)


def test_a_new_packet_is_read_back():
    assert xmp_keywords(new_packet(["beach", "<sea>"])) == ["beach", "<sea>"]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + EMPTY, "document type"),
        (b"no xml", "not well-formed"),
        (b"", "not well-formed"),
        (EMPTY.decode().encode("utf-16"), "UTF-8"),
        (b'<?xml version="1.0" encoding="latin-1"?>' + EMPTY, "latin-1"),
        (b"<a/>", "no rdf:Description"),
        (EMPTY.replace(b'rdf:about=""', b'dc:subject="sea"'), "attribute"),
        (xmp_packet(subject=["a"]).replace(b"<rdf:Bag><rdf:li>a</rdf:li></rdf:Bag>", b"a"), "cannot be added"),
    ],
)
def test_what_nothing_can_be_added_to_is_refused(packet, expected):
    with pytest.raises(MalformedXmpError, match=expected):
        with_keywords(packet, ["beach"])
