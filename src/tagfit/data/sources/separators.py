"""What stands between the labels of one cell.

A sign (`;` `,` `|` or a line break) separates labels wherever it occurs, if it is the only one. A space separates them
only if the words recur in many combinations: nearly all words of the cells that hold several also stand in other cells,
alone or with others, and not always in the same place. `bare soil` beside `sea` is one label; `beach sea` beside `sea`
and `people beach` is two. What is neither clearly one nor the other is a question, and so is a cell that is written
otherwise than all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tagfit.data.sources.faults import Faults, shortened

SIGNS = (";", ",", "|", "\n")
#: what may join words that are labels: a question, never a separator unless the person says so
_JOINTS = ("/", "+", "&", " and ", ". ", ":", ">", "~", "^", "*", "\\", "_", "-")
_PROSE = {"a", "an", "and", "the", "of", "on", "in", "is", "with"}

Evidence = Literal["labels", "names", "sentences", "unsure"]


@dataclass(frozen=True)
class Texts:
    """The distinct cells of a column of labels, without those that mean "none".

    Attributes:
        places: where each text stands first.
        counts: in how many rows.
    """

    places: Mapping[str, str]
    counts: Mapping[str, int]
    source: str


def named(sign: str) -> str:
    return {" ": "a space", "\n": "a line break"}.get(sign, repr(sign))


def split_by(text: str, separator: str | None) -> list[str]:
    """The names in a cell."""
    names = [text] if separator is None else text.split(None if separator.isspace() else separator)
    return [name.strip() for name in names if name.strip()]


def find_separator(texts: Texts, given: str | None, faults: Faults) -> tuple[str | None, tuple[str, ...]]:
    """The separator, None if each cell is one label; and a note if that could be doubted."""
    if given is not None:
        return given, ()
    found = {sign: sum(texts.counts[text] for text in texts.places if sign in text) for sign in SIGNS}
    found = {sign: count for sign, count in found.items() if count}
    if len(found) > 1:
        _refuse_several(texts, found, faults)
    if found:
        sign = next(iter(found))
        _check_odd(texts, sign, faults)
        return sign, ()
    return _without_signs(texts, faults)


def _refuse_several(texts: Texts, found: Mapping[str, int], faults: Faults) -> None:
    rarest = min(found, key=lambda sign: found[sign])
    example = next(text for text in texts.places if rarest in text)
    counts = " and ".join(f"{named(sign)} in {count:,}" for sign, count in found.items())
    faults.add(
        f"{texts.source}: label cells hold {' and '.join(map(named, found))}, so it is not known which separates "
        f"labels ({counts}); {texts.places[example]} has {shortened(example)}.",
        "Say which with --label-separator (in Python: label_separator).",
    )


def _check_odd(texts: Texts, sign: str, faults: Faults) -> None:
    """A few cells with a sign among many with spaces, or a cell with spaces between labels that are known otherwise."""
    without = [text for text in texts.places if sign not in text]
    odd = [text for text in texts.places if sign in text]
    spaced = sum(texts.counts[text] for text in without if " " in text.strip())
    if sum(texts.counts[text] for text in odd) <= max(1, spaced // 5) and evidence(without, " ") in (
        "labels",
        "unsure",
    ):
        _refuse_odd(texts, odd, sign, " ", faults)
        return
    labels = {name.strip() for text in texts.places for name in text.split(sign)}
    spaced_names = {name for name in labels if " " in name and set(name.split()) <= labels}
    if spaced_names:
        odd = [text for text in texts.places if {name.strip() for name in text.split(sign)} & spaced_names]
        _refuse_odd(texts, odd, " ", sign, faults)


def _refuse_odd(texts: Texts, odd: Sequence[str], sign: str, usual: str, faults: Faults) -> None:
    for text in odd:
        faults.add(
            f"{texts.places[text]}: {shortened(text)} holds {named(sign)}, while other cells separate labels by "
            f"{named(usual)}.",
            f"Correct it, or name what separates labels: --label-separator '{usual}' (in Python: label_separator).",
        )


def _without_signs(texts: Texts, faults: Faults) -> tuple[str | None, tuple[str, ...]]:
    spaced = sum(texts.counts[text] for text in texts.places if " " in text.strip())
    joint = next((sign for sign in _JOINTS if evidence(list(texts.places), sign) == "labels"), None)
    found = evidence(list(texts.places), " ")
    if joint is not None or found == "unsure":
        _ask(texts, " " if joint is None else joint, faults)
    elif found == "labels":
        return " ", ()
    elif found == "sentences":
        _refuse_sentences(texts, faults)
    return None, (
        f"No label cell holds ; , or |, so each is read as one label; {spaced} hold a space: "
        "if it separates labels, add --label-separator ' '.",
    ) if spaced else ()


def _refuse_sentences(texts: Texts, faults: Faults) -> None:
    examples = ", ".join(shortened(text) for text in list(texts.places)[:3])
    faults.add(
        f"{texts.source}: the cells look like sentences, not like labels: {examples}.",
        "Name the column of labels with --label-column; if each cell is one label, say --label-separator ';'.",
    )


def _ask(texts: Texts, sign: str, faults: Faults) -> None:
    examples = ", ".join(shortened(text) for text in list(texts.places)[:4])
    faults.add(
        f"{texts.source}: {named(sign)} may separate labels or belong to their names, as in {examples}.",
        f"If it separates labels, say --label-separator '{sign}'; if each cell is one label, --label-separator ';' "
        "(in Python: label_separator).",
    )


def evidence(texts: Sequence[str], sign: str) -> Evidence:
    """Whether a sign separates labels in some of these distinct cells, belongs to names, or may do either."""
    split = [text.split() if sign == " " else [word.strip() for word in text.split(sign)] for text in texts]
    several = [words for words in split if len(words) > 1]
    if not several:
        return "names"
    if sign == " " and all(word.isdecimal() for words in split for word in words):
        return "labels"  # numbers are no parts of a name
    counts = Counter(word for words in split for word in set(words))
    vocabulary = {word for words in several for word in words}
    recurring = sum(counts[word] > 1 for words in several for word in words) / sum(map(len, several))
    twice = sum(len(set(words)) < len(words) for words in several)
    if len({word.lower() for word in vocabulary} & _PROSE) > 1 and sum(map(len, several)) > 3 * len(several):
        return "sentences"
    if recurring < 0.5 or "" in vocabulary:
        return "names"
    alone = vocabulary & {words[0] for words in split if len(words) == 1}
    is_mixed = bool({words[0] for words in several} & {words[-1] for words in several}) or max(map(len, several)) > 2
    is_many = 2 * len(alone) >= len(vocabulary) or len(several) >= len(vocabulary)
    is_clear = recurring >= 0.9 and is_mixed and is_many and len(several) > 1 and twice <= 1 + len(several) // 50
    return "labels" if is_clear else "unsure"
