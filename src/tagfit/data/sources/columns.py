"""What a column's name and cells suggest about its role."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tagfit.data.sources.cells import Flags, flags
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.literals import looks_literal
from tagfit.data.sources.separators import SIGNS, evidence

#: names of the column that holds the image's path, the most telling first; case does not matter
IMAGE_NAMES = (
    *("image", "image_path", "image_file", "image_name", "images", "img", "img_path"),
    *("file_name", "filename", "file_path", "filepath", "file", "path", "picture", "photo"),
)
#: names of the column that lists an image's labels
LABELS_NAMES = ("labels", "tags", "label", "tag", "keywords")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IMAGE_WORDS = _words(
    """
    image images img file files filename filepath fname path photo picture pic jpg frame sample patch scan slide uri url
    """
)
#: words that may stand beside these; alone they are enough if the cells name images
_BESIDE_IMAGE = _words(
    """
    id name index key ref source gcs full local relative original the of
    """
)
_LABEL_WORDS = _words(
    """
    label labels tag tags keyword keywords class classes category categories genre genres concept concepts topic
    topics attribute attributes choice choices finding findings disease diseases theme themes hashtag hashtags
    target targets
    """
)
#: what tools write beside labels: columns of these words alone are never labels
_TECHNICAL = _words(
    """
    annotator annotators worker reviewer rater user author created updated modified date time timestamp duration
    size bytes width height area depth count counts num idx index id ids uuid md hash version confidence conf
    score probability rank difficult occluded truncated crowd iscrowd valid verified reviewed checked labeled
    labelled annotated duplicate skipped cancelled fold folds kfold partition split subset batch url uri
    license rating error status 
    """
)
#: a name with one of these is about labels and does not list them
_ABOUT_LABELS = {"source", "type", "method", "weight", "weights", "origin", "quality"}
_NEUTRAL = _words(
    """
    is has image images img file region object label annotation annotations lead the of by at in no n
    """
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")

_WHOLE = re.compile(r"-?\d{1,3}")
#: texts of so many words are sentences unless they recur
_SENTENCE = 4

#: at most so many different cells of one word each are a vocabulary
_MOST_WORDS = 50


@dataclass(frozen=True, eq=False)
class Column:
    """One column of N rows, as it is judged."""

    name: str
    cells: Sequence[object]

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(word.lower() for word in _WORD.findall(self.name))

    @cached_property
    def flags(self) -> Flags | None:
        """Its cells as yes and no, None if they are not; in a column of labels `x` is a name."""
        found = flags(self.cells)
        return None if found is not None and found.is_words and self.names_labels else found

    @cached_property
    def texts(self) -> Counter[str]:
        """How often each text stands in it, without surrounding space; none in a column of anything else."""
        return Counter(text for cell in self.cells if isinstance(cell, str) and (text := cell.strip()))

    @property
    def is_empty(self) -> bool:
        return not any(cell is not None and cell == cell and cell != "" for cell in map(_stripped, self.cells))

    @property
    def image_rank(self) -> int:
        """How much its name speaks for images: the lower the more; 1000 for nothing."""
        name = self.name.lower()
        if name in IMAGE_NAMES:
            return IMAGE_NAMES.index(name)
        if self.words & _IMAGE_WORDS and self.words <= _IMAGE_WORDS | _BESIDE_IMAGE:
            return 100
        return 500 if self.words and self.words <= _BESIDE_IMAGE else 1000

    @property
    def is_technical(self) -> bool:
        return bool(self.words & _TECHNICAL) and self.words <= _TECHNICAL | _NEUTRAL

    @property
    def names_labels(self) -> bool:
        """Whether its name suggests that it lists labels."""
        return bool(self.words & _LABEL_WORDS) and not self.words & (_TECHNICAL - {"ids"} | _ABOUT_LABELS)

    @cached_property
    def lists_labels(self) -> bool:
        """Whether its cells look like several labels each: lists, or words with a sign between that recur."""
        texts = list(self.texts)
        if any(isinstance(cell, list | tuple | set | frozenset | dict) for cell in self.cells):
            return True
        if not texts or any(len(text) > 2000 for text in texts):
            return False
        if sum(map(looks_literal, texts)) * 2 > len(texts):
            return True
        return any(evidence(texts, sign) == "labels" for sign in (*SIGNS, " "))

    @property
    def has_vocabulary(self) -> bool:
        """Whether few different words recur in it."""
        total = self.texts.total()
        is_number = all(re.fullmatch(r"[-+.,\d\seE]*", text) for text in self.texts)
        return not is_number and 1 < len(self.texts) <= min(_MOST_WORDS, total // 2)

    @property
    def no_label_yet(self) -> str:
        """What to do with cells that are sentences or ratings; nothing if they may be labels."""
        cells = [text for cell in self.cells if (text := "" if cell is None else str(cell).strip())]
        if cells and all(map(_WHOLE.fullmatch, cells)) and self.flags is None:
            return "Ratings and other numbers are not labels: write 1 if a label applies and 0 if it does not."
        words = sorted(len(text.split()) for text in self.texts)
        if words and words[len(words) // 2] >= _SENTENCE and not self.lists_labels and not self.has_vocabulary:
            return "Sentences are not labels: list the labels that apply in a column of their own, such as sea;boat."
        return ""

    @property
    def described(self) -> str:
        """What it holds, for messages."""
        some = " and ".join(
            shortened(cell) for cell in list(dict.fromkeys(filter(None, map(str, self.cells[:20]))))[:2]
        )
        return "holds yes and no" if self.flags is not None else f"holds {some}"


def _stripped(cell: object) -> object:
    return cell.strip() if isinstance(cell, str) else cell


def pick(columns: Iterable[str], wanted: Iterable[str]) -> str | None:
    """The first wanted name that is a column, as the column spells it."""
    spelled: dict[str, str] = {}
    for column in columns:
        spelled.setdefault(column.lower(), column)
    return next((spelled[name] for name in wanted if name in spelled), None)


def series(names: Sequence[str]) -> bool:
    """Whether names are one and the same but for a number: `tag`, `tag2`, `tag_3`."""
    return len(names) > 1 and len({re.sub(r"[\s_\-.#]*\d+$", "", name).casefold() for name in names}) == 1
