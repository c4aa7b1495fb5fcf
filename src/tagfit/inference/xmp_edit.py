"""Keywords added to an XMP sidecar, whose other bytes all stay as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from tagfit.images.xmp import MalformedXmpError, xmp_keywords

_RDF, _DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
#: a tag; a value of its attributes may hold what ends tags
_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_NEW = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def new_packet(keywords: Sequence[str]) -> bytes:
    """A packet with these keywords and nothing else."""
    return with_keywords(_NEW.encode(), keywords)


def with_keywords(packet: bytes, keywords: Sequence[str]) -> bytes:
    """The packet with `keywords` at the end of its `dc:subject`; every other byte is kept.

    Raises:
        MalformedXmpError: it cannot be read, is not UTF-8, or is written in a way in which nothing can be added.
    """
    before = xmp_keywords(packet)  # which refuses document types, and what is too large or too deep
    places = _Places(packet)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.namespace_prefixes = True
    parser.StartElementHandler = lambda name, given: places.start(name, given, parser.CurrentByteIndex)
    parser.EndElementHandler = lambda name: places.end(parser.CurrentByteIndex)
    parser.XmlDeclHandler = _demand_utf8
    try:
        packet.decode("utf-8")
        parser.Parse(packet, True)
    except (UnicodeDecodeError, expat.ExpatError) as error:
        raise MalformedXmpError(f"is not UTF-8 without padding, so that nothing is added to it: {error}") from error
    changed = places.changed(keywords)
    added = [keyword for keyword in xmp_keywords(changed) if keyword in keywords]
    if not set(keywords) <= set(added) or not set(before) <= set(xmp_keywords(changed)):
        raise MalformedXmpError("is written in a way in which keywords cannot be added")
    return changed


def _demand_utf8(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
        raise MalformedXmpError(f"is in {encoding}; keywords are added to UTF-8 only")


@dataclass
class _Places:
    """Where in a packet keywords go: byte offsets of the first tags of their kind, and how they are spelled."""

    packet: bytes
    _open: list[tuple[str, str, int]] = field(default_factory=list)
    _ends: dict[str, tuple[int, str, int]] = field(default_factory=dict)

    def start(self, name: str, given: dict[str, str], at: int) -> None:
        kind = self._kind(_plain(name))
        if kind == "description" and any(_plain(one) == f"{_DC} subject" for one in given):
            raise MalformedXmpError("has its dc:subject as an attribute, which nothing is added to")
        self._open.append((kind, _prefix(name), at))

    def end(self, at: int) -> None:
        kind, prefix, began = self._open.pop()
        if kind == "item":
            self._ends["item"] = (at, prefix, began)
        elif kind:
            self._ends.setdefault(kind, (at, prefix, began))

    def _kind(self, name: str) -> str:
        above = self._open[-1][0] if self._open else ""
        if name == f"{_RDF} RDF":
            return "rdf"
        if above == "rdf" and name == f"{_RDF} Description":
            return "description"
        if above == "description" and name == f"{_DC} subject":
            return "" if "subject" in self._ends else "subject"
        if above == "subject" and name in (f"{_RDF} Bag", f"{_RDF} Seq", f"{_RDF} Alt"):
            return "bag"
        return ""

    def changed(self, keywords: Sequence[str]) -> bytes:
        if "description" not in self._ends:
            raise MalformedXmpError("has no rdf:Description, to which keywords could be added")
        rdf = self._ends["description"][1]
        items = "".join(f"<{rdf}li>{escape(keyword)}</{rdf}li>" for keyword in keywords)
        if "bag" in self._ends:
            return self._put("bag", items)
        bag = f"<{rdf}Bag>{items}</{rdf}Bag>"
        if "subject" in self._ends:
            return self._put("subject", bag)
        return self._put("description", f'<dc:subject xmlns:dc="{_DC}">{bag}</dc:subject>')

    def _put(self, kind: str, content: str) -> bytes:
        """Before the end tag; an element that is one tag gets another that ends it."""
        at, _, began = self._ends[kind]
        tag = _TAG.match(self.packet, began).end()  # type: ignore[union-attr]  # expat has found one there
        if self.packet[tag - 2 : tag] != b"/>":
            while self.packet[at - 1 : at].isspace():
                at -= 1
            return self.packet[:at] + content.encode() + self.packet[at:]
        close = tag - 2
        name = self.packet[began + 1 : close].split()[0]
        return self.packet[:close] + b">" + content.encode() + b"</" + name + b">" + self.packet[close + 2 :]


def _plain(name: str) -> str:
    return " ".join(name.split(" ")[:2])


def _prefix(name: str) -> str:
    return f"{name.split(' ')[2]}:" if name.count(" ") == 2 else ""
